#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <pannier/actor.h>
#include <pannier/limits.h>
#include <pannier/message.h>
#include <pannier/platform.h>
#include <pannier/result.h>

namespace pannier {
class Node;
}
namespace pannier::rpc::wire {
struct Call;
}

/// Typed calls between actors, on one node or several: docs/services.md. Link pannier::rpc. pannier_add_service
/// generates a service's classes from its schema.
namespace pannier::rpc {

struct Method;

// --- bounds ----------------------------------------------------------------------------------------------------------

/// The deadline of a call if neither method nor caller sets one.
inline constexpr Duration kDefaultDeadline = std::chrono::seconds{5};
inline constexpr Duration kLongestDeadline = std::chrono::hours{24};
/// What one end of a stream holds until the other takes it; also the largest message of a stream.
inline constexpr std::size_t kStreamBytes = 64 * 1024;
/// Messages and bytes per frame; a single message may be larger.
inline constexpr std::size_t kTurnItems = 256;
inline constexpr std::size_t kTurnBytes = 32 * 1024;
/// Unfinished calls of one server. More are refused with resource_exhausted.
inline constexpr std::size_t kServerCalls = 4096;
/// Results that one server keeps for dependent calls. Beyond it none is kept.
inline constexpr std::size_t kKeptBytes = 1024 * 1024;
/// Of one call.
inline constexpr std::size_t kMetadataEntries = 32;
inline constexpr std::size_t kMetadataBytes = 8 * 1024;
inline constexpr std::size_t kArguments = 16;

// --- outcomes --------------------------------------------------------------------------------------------------------

/// How a call ended. The set is closed; names and numbers are gRPC's, so that a gateway passes them on unchanged.
enum class Status : std::uint8_t {
  ok = 0,
  cancelled = 1,            ///< Cancelled by the caller, or the caller is gone.
  unknown = 2,              ///< A status that this build does not know.
  invalid_argument = 3,     ///< The request is wrong, whatever the server's state.
  deadline_exceeded = 4,    ///< The deadline passed first. Whether the server acted is unknown.
  not_found = 5,            ///< What the request names does not exist.
  already_exists = 6,       ///< What the request would create already exists.
  permission_denied = 7,    ///< The caller may not do this.
  resource_exhausted = 8,   ///< A bound or quota is reached. Retry later or shed load.
  failed_precondition = 9,  ///< The server's state does not allow it; retrying does not help.
  aborted = 10,             ///< A conflict with another call. Retry the whole transaction.
  out_of_range = 11,        ///< Beyond the end of the data.
  unimplemented = 12,       ///< The server does not know this method.
  internal = 13,            ///< The server's handler failed, or broke its contract.
  unavailable = 14,         ///< No link leads there, the link was lost, or the server restarted.
  data_loss = 15,           ///< Bytes that do not verify.
  unauthenticated = 16,     ///< The caller did not authenticate.
};
inline constexpr std::size_t kStatuses = 17;

/// The enumerator's name. Static storage.
[[nodiscard]] std::string_view to_string(Status status) noexcept;
/// The status for an error returned by a handler.
[[nodiscard]] Status status_of(ErrorCode code) noexcept;
/// The nearest ErrorCode; `failed` for ok.
[[nodiscard]] ErrorCode error_of(Status status) noexcept;

/// Why a call failed. A value.
struct Failure {
  Status status = Status::unknown;
  std::string message = {};   ///< For people; cut to limits::kCauseBytes in transit.
  Duration retry_after = {};  ///< The server asks for a pause of this length. Zero: none.
  /// True if no handler has seen the request, so it had no effect. False if that is unknown.
  bool not_started = false;
};

/// Pairs sent with a request or a response. As in HTTP, keys may repeat and are lower case by convention.
using Metadata = std::vector<std::pair<std::string, std::string>>;

namespace detail {
/// A response, or why there is none. Its members are out of line: each method of a client would have them otherwise.
struct Outcome {
  Outcome();
  Outcome(Failure why, BlockRef response, Metadata pairs);
  Outcome(const Outcome&);
  Outcome(Outcome&&) noexcept;
  Outcome& operator=(const Outcome&);
  Outcome& operator=(Outcome&&) noexcept;
  ~Outcome();

  Failure failure{Status::ok};
  BlockRef block;
  Metadata metadata;
};

/// A unary call's outcome, from the reply to its question; its block is taken out. Null: the deadline has passed.
[[nodiscard]] Outcome read_outcome(Message* reply, const Method& method);
}  // namespace detail

/// The outcome of a call: a table or a Failure. Also what a server's handler returns. Converts to Result<Table<R>> if
/// the exact status does not matter. R is void if there is only success.
template <class R>
class [[nodiscard]] Response {
 public:
  Response(Table<R> table) { outcome_.block = std::move(table).take_block(); }  // NOLINT: implicit by design, as below
  Response(Failure failure) { outcome_.failure = std::move(failure); }
  Response(Status status, std::string message = {}) : Response(Failure{status, std::move(message)}) {}
  Response(const Error& error) : Response(Failure{status_of(error.code), error.detail}) {}
  Response(ErrorCode code) : Response(Error{code}) {}
  Response(const Result<Table<R>>& result) : Response(result ? Response{*result} : Response{result.error()}) {}
  explicit Response(detail::Outcome outcome) : outcome_(std::move(outcome)) {}
  /// Internal.
  Response(Message* reply, const Method& method) : outcome_(detail::read_outcome(reply, method)) {}

  [[nodiscard]] bool ok() const noexcept { return outcome_.failure.status == Status::ok; }
  explicit operator bool() const noexcept { return ok(); }
  [[nodiscard]] Status status() const noexcept { return outcome_.failure.status; }
  [[nodiscard]] const Failure& failure() const noexcept { return outcome_.failure; }
  /// Only if ok.
  [[nodiscard]] Table<R> operator*() const { return Table<R>{outcome_.block}; }
  [[nodiscard]] const R* operator->() const { return flatbuffers::GetRoot<R>(outcome_.block.bytes().data()); }
  /// Metadata of the response or the failure.
  [[nodiscard]] const Metadata& metadata() const noexcept { return outcome_.metadata; }
  [[nodiscard]] Metadata& metadata() noexcept { return outcome_.metadata; }

  operator Result<Table<R>>() const {  // NOLINT: implicit by design
    if (ok()) return **this;
    return Error{error_of(status()), outcome_.failure.message};
  }
  [[nodiscard]] detail::Outcome& outcome() noexcept { return outcome_; }

 private:
  detail::Outcome outcome_;
};

template <>
class [[nodiscard]] Response<void> {
 public:
  Response() = default;
  Response(Failure failure) { outcome_.failure = std::move(failure); }  // NOLINT: implicit by design, as all below
  Response(Status status, std::string message = {}) : Response(Failure{status, std::move(message)}) {}
  Response(const Error& error) : Response(Failure{status_of(error.code), error.detail}) {}
  explicit Response(detail::Outcome outcome) : outcome_(std::move(outcome)) {}
  [[nodiscard]] bool ok() const noexcept { return outcome_.failure.status == Status::ok; }
  explicit operator bool() const noexcept { return ok(); }
  [[nodiscard]] Status status() const noexcept { return outcome_.failure.status; }
  [[nodiscard]] const Failure& failure() const noexcept { return outcome_.failure; }
  [[nodiscard]] const Metadata& metadata() const noexcept { return outcome_.metadata; }
  [[nodiscard]] Metadata& metadata() noexcept { return outcome_.metadata; }
  operator Result<void>() const {  // NOLINT: implicit by design
    if (ok()) return {};
    return Error{error_of(status()), outcome_.failure.message};
  }
  [[nodiscard]] detail::Outcome& outcome() noexcept { return outcome_; }

 private:
  detail::Outcome outcome_;
};

// --- contracts, generated by pannier_add_service ---------------------------------------------------------------------

enum class Kind : std::uint8_t { unary, client_stream, server_stream, bidi };

/// One method of a service. Static storage.
struct Method {
  TypeInfo info;  ///< The id is the hash of the full name, "shop.OrderService.GetOrder". Verifies requests.
  const TypeInfo* request;
  const TypeInfo* response;
  Kind kind;
  bool idempotent;            ///< Calling it twice has the effect of calling it once.
  std::uint32_t deadline_ms;  ///< 0: kDefaultDeadline.
};

/// A service's compiled-in description, for reflection. Static storage.
struct Service {
  std::string_view name;
  std::span<const Method* const> methods;
  std::string_view schema;  ///< flatc's binary schema.
};

namespace detail {
template <class Q, class R, Kind kMethodKind>
struct Contract {
  using Request = Q;
  using Answer = R;
  static constexpr Kind kKind = kMethodKind;
  static constexpr Method describe(std::string_view name, bool idempotent, std::uint32_t deadline_ms) {
    return Method{TypeInfo{type_id_of(name), name, nullptr, &verify_table<Q>},
                  &type_info<Q>(),
                  &type_info<R>(),
                  kMethodKind,
                  idempotent,
                  deadline_ms};
  }
};
}  // namespace detail

// --- client ----------------------------------------------------------------------------------------------------------

struct CallOptions {
  /// What a call without options has.
  [[nodiscard]] static const CallOptions& none() noexcept;

  Duration deadline = {};  ///< From now; zero: the method's. Never beyond that of the question being answered.
  Metadata metadata = {};
  Urgency urgency = Urgency::normal;
  /// The server keeps the result until the deadline, for dependent calls: see Call::with.
  bool keep_result = false;
};

/// A call that was sent. A value that refers to its actor; use it in that actor's turns.
class InFlight {
 public:
  InFlight() = default;
  InFlight(NodeActor& actor, Ref to, TimerId question, std::uint64_t id) noexcept
      : actor_(&actor), to_(to), question_(question), id_(id) {}
  /// Cancels the call: it ends as `cancelled`, in a turn of its own, unless its outcome has arrived. The handler is
  /// told if it has not answered yet. No effect on an ended call.
  void cancel() const;
  /// Identifies the call at the server. Zero: it cannot be referred to.
  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
  [[nodiscard]] Ref to() const noexcept { return to_; }

 private:
  NodeActor* actor_ = nullptr;
  Ref to_;
  TimerId question_{};
  std::uint64_t id_ = 0;
};

/// An InFlight whose result is an R.
template <class R>
class InFlightOf : public InFlight {
 public:
  using InFlight::InFlight;
  InFlightOf() = default;
  explicit InFlightOf(const InFlight& call) noexcept : InFlight(call) {}
};

namespace detail {

struct Argument {
  std::uint64_t call;
  std::uint16_t from;
  std::uint16_t to;
  std::uint8_t size;
};

/// A call before it is sent. Its members are out of line, as those of Outcome.
struct Spec {
  Spec(NodeActor* caller, Ref server, const Method* called, BlockRef table, const CallOptions& how);
  Spec(const Spec&);
  Spec(Spec&&) noexcept;
  Spec& operator=(const Spec&);
  Spec& operator=(Spec&&) noexcept;
  ~Spec();
  /// That the request uses another call's result.
  void refer_to(const Argument& argument);

  NodeActor* actor;
  Ref to;
  const Method* method;
  BlockRef request;
  CallOptions options;
  std::vector<Argument> arguments;
};

/// Sends a unary call.
[[nodiscard]] InFlight start(const Spec& spec, Callback<void(Message* reply)>&& outcome);
/// The same, and takes the request out.
[[nodiscard]] InFlight start(Spec&& spec, Callback<void(Message* reply)>&& outcome);

template <class Field>
constexpr std::uint8_t argument_size() {
  if constexpr (std::is_same_v<std::remove_cv_t<Field>, const flatbuffers::String*>) {
    return 0;
  } else {
    static_assert(std::is_arithmetic_v<Field> || std::is_enum_v<Field>, "only scalars and texts can be referred to");
    return static_cast<std::uint8_t>(sizeof(Field));
  }
}
template <class T, std::uint16_t kField>
using FieldOf = typename T::Traits::template FieldType<(kField - 4) / 2>;

}  // namespace detail

/// A unary call not yet sent. A value that a policy may store, copy and send repeatedly. It refers to its actor and is
/// sent in one of the actor's turns.
template <class R>
class [[nodiscard]] Call {
 public:
  using response_type = R;
  explicit Call(detail::Spec spec) : spec_(std::move(spec)) {}

  /// Sends it. `function` takes a Response<R> or a Result<Table<R>>, exactly once, in a turn of its own, by the
  /// deadline. Dropped if the actor stops or restarts first.
  template <class F>
  requires std::invocable<F&, Response<R>> InFlightOf<R> then(F function)
  const& { return InFlightOf<R>{detail::start(spec_, told(std::move(function)))}; }
  template <class F>
  requires std::invocable<F&, Response<R>> InFlightOf<R> then(F function) && {
    auto outcome = told(std::move(function));
    return InFlightOf<R>{detail::start(std::move(spec_), std::move(outcome))};
  }
  /// Sends it and discards the outcome.
  void forget() const {
    then([](const Response<R>&) {});
  }

  [[nodiscard]] NodeActor& actor() const noexcept { return *spec_.actor; }
  [[nodiscard]] const Method& method() const noexcept { return *spec_.method; }
  [[nodiscard]] Ref destination() const noexcept { return spec_.to; }
  /// The bytes of the request.
  [[nodiscard]] const BlockRef& request() const noexcept { return spec_.request; }
  [[nodiscard]] CallOptions& options() noexcept { return spec_.options; }
  [[nodiscard]] const CallOptions& options() const noexcept { return spec_.options; }
  /// The same call to another server.
  [[nodiscard]] Call to(Ref destination) const {
    Call copy = *this;
    copy.spec_.to = destination;
    return copy;
  }

 protected:
  detail::Spec spec_;

 private:
  template <class F>
  [[nodiscard]] auto told(F function) const {
    return [function = std::move(function), method = spec_.method](Message* reply) mutable {
      function(Response<R>{reply, *method});
    };
  }
};

/// A call whose request is a Q, so it may use results that are not available yet.
template <class Q, class R>
class [[nodiscard]] CallOf : public Call<R> {
 public:
  using Call<R>::Call;

  /// Makes the server set a field of the request from a field of `earlier`'s result, once available: two dependent
  /// calls cost one round trip. `earlier` went to the same server with keep_result. Scalars and texts only. The request
  /// must already hold a value in that field other than the schema's default; it is replaced.
  ///     orders.route(make<RouteRequest>(1, "?")).with<RouteRequest::VT_TO, Order::VT_ADDRESS>(order)
  template <std::uint16_t kTo, std::uint16_t kFrom, class E>
  [[nodiscard]] CallOf with(const InFlightOf<E>& earlier) && {
    using To = detail::FieldOf<Q, kTo>;
    static_assert(std::is_same_v<To, detail::FieldOf<E, kFrom>>, "the fields are of different types");
    this->spec_.refer_to({earlier.id(), kFrom, kTo, detail::argument_size<To>()});
    return std::move(*this);
  }
  /// The whole result of `earlier` is the request.
  [[nodiscard]] CallOf with(const InFlightOf<Q>& earlier) && {
    this->spec_.refer_to({earlier.id(), 0, 0, 0});
    return std::move(*this);
  }
};

namespace detail {
class ClientStream;

/// Support for the templates below. Within turns of the actor.
class StreamHandle {
 public:
  explicit StreamHandle(std::shared_ptr<ClientStream> state) : state_(std::move(state)) {}

 protected:
  Result<void> write_block(const BlockRef& block);
  void close_writes();
  void when_ready(Callback<void()> function);
  void read_block(Callback<void(const BlockRef*)> function, bool all);
  void when_ended(Callback<void(Outcome)> function);
  void cancel_stream();
  std::shared_ptr<ClientStream> state_;
};

[[nodiscard]] std::shared_ptr<ClientStream> start_stream(const Spec& spec);
}  // namespace detail

/// The caller's end of a streaming call. The call lasts until it ends or its deadline, not as long as this handle. A
/// value; copies share the call. Use it in its actor's turns, where its functions run too.
///
/// The server ends the call with a status, and `then` is told once in any case. `Send` is void if only the server
/// streams, `Receive` if only the caller does. `Final` comes with the status.
template <class Send, class Receive, class Final>
class Stream : public detail::StreamHandle {
 public:
  using StreamHandle::StreamHandle;

  /// Queues a message. Errors, after which nothing was taken: full, if kStreamBytes are waiting for the other side (see
  /// on_ready); closed, if the call has ended or this half was closed; invalid_argument, if it exceeds kStreamBytes.
  template <class T = Send>
  Result<void> write(const Table<T>& message) requires(!std::is_void_v<T>) {
    static_assert(std::is_same_v<T, Send>);
    return write_block(message.block());
  }
  /// Calls `function`, in a turn of its own, each time there is room again after full.
  void on_ready(Callback<void()> function) requires(!std::is_void_v<Send>) { when_ready(std::move(function)); }
  /// Closes this half: nothing more will be written.
  void close() requires(!std::is_void_v<Send>) { close_writes(); }

  /// Passes the next message to `function` as a std::optional<Table<Receive>>, empty at the end. Unread messages wait
  /// here and then at the server: that is the backpressure. One read at a time.
  template <class F, class T = Receive>
  void read(F function) requires(!std::is_void_v<T>) {
    read_block(
        [function = std::move(function)](const BlockRef* block) mutable {
          function(block == nullptr ? std::optional<Table<T>>{} : std::optional<Table<T>>{Table<T>{*block}});
        },
        false);
  }
  /// Calls `function` with each message, a const Table<Receive>&, as it arrives.
  template <class F, class T = Receive>
  Stream& each(F function) requires(!std::is_void_v<T>) {
    read_block(
        [function = std::move(function)](const BlockRef* block) mutable {
          if (block != nullptr) function(Table<T>{*block});
        },
        true);
    return *this;
  }

  /// Calls `function` with a Response<Final>, once, after all messages from the server were read.
  template <class F>
  requires std::invocable<F&, Response<Final>> Stream& then(F function) {
    when_ended([function = std::move(function)](detail::Outcome outcome) mutable {
      function(Response<Final>{std::move(outcome)});
    });
    return *this;
  }
  /// Ends the call as `cancelled` and tells the handler.
  void cancel() { cancel_stream(); }
};

/// Base of the generated client classes: an actor's connection to one server. Lives in the actor; cheap.
class Client {
 public:
  /// `actor` is the caller and outlives this.
  Client(NodeActor& actor, Ref server) noexcept : actor_(&actor), server_(server) {}
  /// By name, here or on another node: "orders", "hub/orders".
  Client(NodeActor& actor, std::string_view server);
  [[nodiscard]] Ref server() const noexcept { return server_; }

  /// By method: `orders.call<OrderService::GetOrder>(request)`.
  template <class M>
  auto call(Table<typename M::Request> request, const CallOptions& options = CallOptions::none()) const
      requires(M::kKind == Kind::unary) {
    return CallOf<typename M::Request, typename M::Answer>{
        detail::Spec{actor_, server_, &M::kMethod, std::move(request).take_block(), options}};
  }
  template <class M>
  auto call(const Table<typename M::Request>& request, const CallOptions& options = CallOptions::none()) const
      requires(M::kKind == Kind::server_stream) {
    return Stream<void, typename M::Answer, void>{
        detail::start_stream({actor_, server_, &M::kMethod, request.block(), options})};
  }
  template <class M>
  auto call(const CallOptions& options = CallOptions::none()) const
      requires(M::kKind == Kind::client_stream || M::kKind == Kind::bidi) {
    constexpr bool kBidi = M::kKind == Kind::bidi;
    using Received = std::conditional_t<kBidi, typename M::Answer, void>;
    using Final = std::conditional_t<kBidi, void, typename M::Answer>;
    return Stream<typename M::Request, Received, Final>{
        detail::start_stream({actor_, server_, &M::kMethod, BlockRef{}, options})};
  }

 private:
  NodeActor* actor_;
  Ref server_;
};

/// As `client.call<M>(request)`, for a method of any service: `call<OrderService::GetOrder>(orders, request)`.
template <class M>
auto call(const Client& client, const Table<typename M::Request>& request,
          const CallOptions& options = CallOptions::none()) {
  return client.template call<M>(request, options);
}

// --- server ----------------------------------------------------------------------------------------------------------

/// The caller. Valid in the turn that begins a call.
struct Caller {
  std::string_view node;  ///< The linked node; empty: this node.
  MonoTime deadline = kNever;
  std::span<const std::pair<std::string, std::string>> metadata = {};
  /// The key's first value; empty if it has none.
  [[nodiscard]] std::string_view value(std::string_view key) const noexcept;
};

namespace detail {

class ServerCall;

/// A handler's share of a call. When the last one is dropped, an unfinished call ends as `internal`.
class ServingHandle {
 public:
  ServingHandle() = default;
  explicit ServingHandle(const std::shared_ptr<ServerCall>& call);

  /// The caller cancelled, the deadline passed, or the call ended: nobody waits for the answer.
  [[nodiscard]] bool cancelled() const noexcept;
  /// Calls `function` when the call is cancelled before the handler has finished; in the next turn if that has already
  /// happened.
  void on_cancel(Callback<void()> function);
  [[nodiscard]] MonoTime deadline() const noexcept;

 protected:
  void finish_with(Outcome outcome);
  Result<void> write_block(const BlockRef& block);
  void when_ready(Callback<void()> function);
  void read_block(Callback<void(const BlockRef*)> function, bool all);

 private:
  struct Hold;
  std::shared_ptr<Hold> hold_;
};

}  // namespace detail

/// The server's end of a call, to answer it later. A value; copies share the call. Use it in its actor's turns. The
/// first `finish` ends the call. If dropped, it ends as `internal`.
template <class Receive, class Send, class Final>
class Serving : public detail::ServingHandle {
 public:
  using ServingHandle::ServingHandle;
  using response_type = Final;

  /// Ends the call with a Table<Final>, a Failure or a Status. Earlier writes go first.
  void finish(Response<Final> response) { finish_with(std::move(response.outcome())); }
  void finish() requires std::is_void_v<Final> { finish_with({}); }

  /// As Stream::write, with its errors.
  template <class T = Send>
  Result<void> write(const Table<T>& message) requires(!std::is_void_v<T>) {
    static_assert(std::is_same_v<T, Send>);
    return write_block(message.block());
  }
  void on_ready(Callback<void()> function) requires(!std::is_void_v<Send>) { when_ready(std::move(function)); }

  /// As Stream::read; also ends when the call has ended, see cancelled.
  template <class F, class T = Receive>
  void read(F function) requires(!std::is_void_v<T>) {
    read_block(
        [function = std::move(function)](const BlockRef* block) mutable {
          function(block == nullptr ? std::optional<Table<T>>{} : std::optional<Table<T>>{Table<T>{*block}});
        },
        false);
  }
  /// Calls `message` with each const Table<Receive>&, then `end` once.
  template <class F, class End, class T = Receive>
  void each(F message, End end) requires(!std::is_void_v<T>) {
    read_block(
        [message = std::move(message), end = std::move(end)](const BlockRef* block) mutable {
          if (block == nullptr) return end();
          message(Table<T>{*block});
        },
        true);
  }
};

/// A unary call to answer later.
template <class R>
using Reply = Serving<void, void, R>;
/// Of a server stream.
template <class R>
using Writer = Serving<void, R, void>;
/// Of a client stream.
template <class Q, class R>
using Reader = Serving<Q, void, R>;
/// Of a bidirectional stream.
template <class Q, class R>
using Exchange = Serving<Q, R, void>;

namespace detail {

class ServerCore;

/// A call on its way to its handler.
class Arrival {
 public:
  [[nodiscard]] const std::byte* request() const noexcept { return bytes_; }
  /// Answers now.
  void answer(Outcome& outcome);
  /// Answers later. Once.
  [[nodiscard]] std::shared_ptr<ServerCall> defer();

 private:
  friend class ServerCore;
  ServerCore* core_ = nullptr;
  NodeActor* actor_ = nullptr;
  Message* message_ = nullptr;  // null: from an earlier turn
  const Method* method_ = nullptr;
  std::uint64_t caller_ = 0;
  std::uint64_t id_ = 0;
  bool keep_ = false;
  const std::byte* bytes_ = nullptr;  // the message's, or request_'s
  BlockRef request_;
  std::shared_ptr<ServerCall> call_;
};

struct Served {
  const Method* method;
  void (*serve)(NodeActor& actor, Arrival& arrival);
};

/// The server's half of the protocol, without types.
class ServerCore {
 public:
  ServerCore();
  ~ServerCore();
  ServerCore(const ServerCore&) = delete;
  ServerCore& operator=(const ServerCore&) = delete;

  /// Handles a message that belongs to a call. Empty if it does not.
  [[nodiscard]] std::optional<Result<void>> take(NodeActor& actor, std::span<const Served> served, Message& message);
  [[nodiscard]] const Caller& caller() const noexcept { return caller_; }
  /// Unfinished calls.
  [[nodiscard]] std::size_t calls() const noexcept;

 private:
  friend class Arrival;
  friend class ServerCall;
  struct Calls;
  Result<void> begin_bare(NodeActor& actor, const Served& served, Message& message);
  Result<void> begin(NodeActor& actor, std::span<const Served> served, Message& message, const wire::Call& call);
  Result<void> begin_dependent(NodeActor& actor, const Served& served, Arrival arrival, const wire::Call& call,
                               const Metadata& metadata);
  void fill(NodeActor& actor, const Served& served, Arrival arrival,
            std::vector<std::pair<std::shared_ptr<ServerCall>, Argument>> earlier);
  Result<void> serve(NodeActor& actor, const Served& served, Arrival& arrival);
  static Result<void> refuse(NodeActor& actor, const Message& message, Status status, std::string why);
  void drop(const Arrival& arrival);
  void cancelled(std::uint64_t caller, std::uint64_t id);

  Caller caller_;
  std::unique_ptr<Calls> calls_;
};

/// Passes a message that is no call to the class's handlers.
[[nodiscard]] Result<void> hand_on(NodeActor& actor, const ActorType& type, Message& message);

template <class Self, class M>
void serve(NodeActor& base, Arrival& arrival) {
  Self& self = static_cast<Self&>(base);
  using Q = typename M::Request;
  using R = typename M::Answer;
  if constexpr (M::kKind == Kind::unary || M::kKind == Kind::server_stream) {
    using Later = std::conditional_t<M::kKind == Kind::unary, Reply<R>, Writer<R>>;
    const Q& request = *flatbuffers::GetRoot<Q>(arrival.request());
    if constexpr (requires { M::invoke(self, request, Later{}); }) {
      M::invoke(self, request, Later{arrival.defer()});
    } else if constexpr (M::kKind == Kind::unary) {
      static_assert(
          requires { Response<R>(M::invoke(self, request)); },
          "a method of the service has no function in the class: write Response<R> method(const Q&), or "
          "void method(const Q&, rpc::Reply<R>)");
      Response<R> response = M::invoke(self, request);
      arrival.answer(response.outcome());
    } else {
      static_assert(
          M::kKind == Kind::unary,
          "a method of the service has no function in the class: write void method(const Q&, rpc::Writer<R>)");
    }
  } else {
    using Later = std::conditional_t<M::kKind == Kind::client_stream, Reader<Q, R>, Exchange<Q, R>>;
    static_assert(
        requires { M::invoke(self, Later{}); },
        "a method of the service has no function in the class: write void method(rpc::Reader<Q, R>), or "
        "void method(rpc::Exchange<Q, R>)");
    M::invoke(self, Later{arrival.defer()});
  }
}

}  // namespace detail

/// Base of the generated server classes: an actor that answers calls besides the messages in `Types`. A handler that
/// throws fails its actor as usual. Its caller gets `internal`; callers of other unfinished calls get `unavailable`.
template <class Self, class... Types>
class Server : public Actor<Self, Types...> {
 public:
  /// Internal: takes every message before the handlers.
  Result<void> intercept(Message& message) {
    if (auto taken = core_.take(*this, Self::served(), message)) return std::move(*taken);
    return detail::hand_on(*this, this->behaviour(), message);
  }

 protected:
  /// The caller. Valid in the turn that begins a call.
  [[nodiscard]] const Caller& caller() const noexcept { return core_.caller(); }
  [[nodiscard]] std::size_t calls_in_hand() const noexcept { return core_.calls(); }

 private:
  detail::ServerCore core_;
};

// --- Reflection ------------------------------------------------------------------------------------------------------

/// Starts an actor that tells whoever asks which services there are, with their schemas: what `pannier call` stands on.
/// `services` are such as OrderService::reflected(). Answers pannier.rpc.ReflectionService.
Result<Ref> spawn_reflection(Node& node, std::vector<const Service*> services, std::string name = "reflection");

}  // namespace pannier::rpc
