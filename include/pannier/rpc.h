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

/// Typed calls between actors, here and on other nodes: docs/services.md. Link pannier::rpc; pannier_add_service makes
/// the classes of a service from its schema.
namespace pannier::rpc {

// --- Bounds ----------------------------------------------------------------------------------------------------------

/// The deadline of a call whose method and caller say nothing.
inline constexpr Duration kDefaultDeadline = std::chrono::seconds{5};
inline constexpr Duration kLongestDeadline = std::chrono::hours{24};
/// What one end of a stream holds that the other has not taken, and so the largest message of a stream.
inline constexpr std::size_t kStreamBytes = 64 * 1024;
/// Messages and bytes that travel together; one may be larger.
inline constexpr std::size_t kTurnItems = 256;
inline constexpr std::size_t kTurnBytes = 32 * 1024;
/// Calls that one server has in hand and not yet ended; one more is refused with resource_exhausted.
inline constexpr std::size_t kServerCalls = 4096;
/// Results that one server keeps for calls that refer to them; past that none is kept.
inline constexpr std::size_t kKeptBytes = 1024 * 1024;
/// Of one call.
inline constexpr std::size_t kMetadataEntries = 32;
inline constexpr std::size_t kMetadataBytes = 8 * 1024;
inline constexpr std::size_t kArguments = 16;

// --- How a call ends -------------------------------------------------------------------------------------------------

/// How a call ended. The set is closed; names and numbers are gRPC's, so that a gateway passes them on unchanged.
enum class Status : std::uint8_t {
  ok = 0,
  cancelled = 1,            ///< The caller took it back, or left.
  unknown = 2,              ///< A status that this build does not know.
  invalid_argument = 3,     ///< The request is wrong, whatever the state of the server.
  deadline_exceeded = 4,    ///< The deadline passed first. Whether the server acted is unknown.
  not_found = 5,            ///< What the request names does not exist.
  already_exists = 6,       ///< What the request would make exists.
  permission_denied = 7,    ///< The caller may not do this.
  resource_exhausted = 8,   ///< A bound or a quota is reached: try later, or shed.
  failed_precondition = 9,  ///< The server's state does not allow it, and trying again changes nothing.
  aborted = 10,             ///< A conflict with another call: try the whole transaction again.
  out_of_range = 11,        ///< Past the end of what there is.
  unimplemented = 12,       ///< The server does not know this method.
  internal = 13,            ///< The server's handler failed, or broke its contract.
  unavailable = 14,         ///< No link leads there, the link was lost, or the server has restarted.
  data_loss = 15,           ///< Bytes that do not verify.
  unauthenticated = 16,     ///< The caller did not say who it is.
};
inline constexpr std::size_t kStatuses = 17;

/// The name as it stands in the enum. Static storage.
[[nodiscard]] std::string_view to_string(Status status) noexcept;
/// What an error means that a handler returns.
[[nodiscard]] Status status_of(ErrorCode code) noexcept;
/// The nearest error of the runtime, for who decides on those; `failed` for ok.
[[nodiscard]] ErrorCode error_of(Status status) noexcept;

/// How a call ended, when it did not end well. A value.
struct Failure {
  Status status = Status::unknown;
  std::string message = {};   ///< For a person; past limits::kCauseBytes it is cut on the way.
  Duration retry_after = {};  ///< The server asks not to be called again before; zero: it says nothing.
  /// No handler has seen the request, so that it certainly had no effect. False where that is unknown.
  bool not_started = false;
};

/// Pairs beside the request or the response. Keys as in HTTP: lower case by convention, may repeat.
using Metadata = std::vector<std::pair<std::string, std::string>>;

namespace detail {
/// A response, or why there is none.
struct Outcome {
  Failure failure{Status::ok};
  BlockRef block;
  Metadata metadata;
};
}  // namespace detail

/// What a call came to: a table, or the Failure in its place. At a server it is what a handler returns. It becomes a
/// Result<Table<R>> for who does not care which status it was. R is void where only success is told.
template <class R>
class [[nodiscard]] Response {
 public:
  Response(const Table<R>& table) { outcome_.block = table.block(); }  // NOLINT: implicit by design, as all below
  Response(Failure failure) { outcome_.failure = std::move(failure); }
  Response(Status status, std::string message = {}) : Response(Failure{status, std::move(message)}) {}
  Response(const Error& error) : Response(Failure{status_of(error.code), error.detail}) {}
  Response(ErrorCode code) : Response(Error{code}) {}
  Response(const Result<Table<R>>& result) : Response(result ? Response{*result} : Response{result.error()}) {}
  explicit Response(detail::Outcome outcome) : outcome_(std::move(outcome)) {}

  [[nodiscard]] bool ok() const noexcept { return outcome_.failure.status == Status::ok; }
  explicit operator bool() const noexcept { return ok(); }
  [[nodiscard]] Status status() const noexcept { return outcome_.failure.status; }
  [[nodiscard]] const Failure& failure() const noexcept { return outcome_.failure; }
  /// Only where ok.
  [[nodiscard]] Table<R> operator*() const { return Table<R>{outcome_.block}; }
  [[nodiscard]] const R* operator->() const { return flatbuffers::GetRoot<R>(outcome_.block.bytes().data()); }
  /// Beside the response, or the failure.
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

// --- Contracts: what pannier_add_service generates -------------------------------------------------------------------

enum class Kind : std::uint8_t { unary, client_stream, server_stream, bidi };

/// One method of a service. Static storage.
struct Method {
  TypeInfo info;  ///< Its id is the hash of its full name, "shop.OrderService.GetOrder"; verifies requests.
  const TypeInfo* request;
  const TypeInfo* response;
  Kind kind;
  bool idempotent;            ///< Calling it twice does what calling it once does.
  std::uint32_t deadline_ms;  ///< 0: kDefaultDeadline.
};

/// A service as it was compiled in, for reflection. Static storage.
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

// --- Calling ---------------------------------------------------------------------------------------------------------

struct CallOptions {
  Duration deadline = {};  ///< From now; zero: as the method says. Never beyond that of the question being answered.
  Metadata metadata = {};
  Urgency urgency = Urgency::normal;
  /// The result stays at the server until the deadline, so that later calls may refer to it: see Call::with.
  bool keep_result = false;
};

/// A call that was sent. A value that refers to its actor, and is used in that actor's turns.
class InFlight {
 public:
  InFlight() = default;
  InFlight(ActorBase& actor, Ref to, TimerId question, std::uint64_t id) noexcept
      : actor_(&actor), to_(to), question_(question), id_(id) {}
  /// Takes the call back: it ends as `cancelled`, as a turn of its own, unless its outcome is here already. The handler
  /// learns of it after one way, where it has not answered before. No effect on one that ended.
  void cancel() const;
  /// Names the call at the server; zero: it cannot be referred to.
  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
  [[nodiscard]] Ref to() const noexcept { return to_; }

 private:
  ActorBase* actor_ = nullptr;
  Ref to_;
  TimerId question_{};
  std::uint64_t id_ = 0;
};

/// An InFlight whose result is known to be an R.
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

/// A unary call before it is sent.
struct Spec {
  ActorBase* actor;
  Ref to;
  const Method* method;
  BlockRef request;
  CallOptions options;
  std::vector<Argument> arguments;
};

[[nodiscard]] InFlight start(const Spec& spec, Callback<void(Message* reply)> outcome);
[[nodiscard]] Outcome read_outcome(const Message* reply, const Method& method);

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

/// A unary call that is described and not yet sent. A value: a policy may keep it, copy it, send it more than once. It
/// refers to its actor, and is sent in one of that actor's turns.
template <class R>
class [[nodiscard]] Call {
 public:
  using response_type = R;
  explicit Call(detail::Spec spec) : spec_(std::move(spec)) {}

  /// Sends it. `function` takes a Response<R>, or a Result<Table<R>>: exactly once, as a turn of its own, at the
  /// deadline at the latest. It is dropped if the actor stops or restarts before.
  template <class F>
  requires std::invocable<F&, Response<R>> InFlightOf<R> then(F function)
  const {
    return InFlightOf<R>{
        detail::start(spec_, [function = std::move(function), method = spec_.method](Message* reply) mutable {
          function(Response<R>{detail::read_outcome(reply, *method)});
        })};
  }
  /// Sends it and lets the outcome go.
  void forget() const {
    then([](const Response<R>&) {});
  }

  [[nodiscard]] ActorBase& actor() const noexcept { return *spec_.actor; }
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
};

/// A call whose request is known to be a Q: it may refer to results that are not here yet.
template <class Q, class R>
class [[nodiscard]] CallOf : public Call<R> {
 public:
  using Call<R>::Call;

  /// The server sets a field of the request from a field of `earlier`'s result, once it is there: two dependent calls
  /// cost one round trip. `earlier` was sent to the same server with keep_result. Scalars and texts; the request must
  /// hold some value in that field already, which is replaced, and which must not be the schema's default.
  ///     orders.route(make<RouteRequest>(1, "?")).with<RouteRequest::VT_TO, Order::VT_ADDRESS>(order)
  template <std::uint16_t kTo, std::uint16_t kFrom, class E>
  [[nodiscard]] CallOf with(const InFlightOf<E>& earlier) && {
    using To = detail::FieldOf<Q, kTo>;
    static_assert(std::is_same_v<To, detail::FieldOf<E, kFrom>>, "the fields are of different types");
    this->spec_.arguments.push_back({earlier.id(), kFrom, kTo, detail::argument_size<To>()});
    return std::move(*this);
  }
  /// The whole result of `earlier` is the request.
  [[nodiscard]] CallOf with(const InFlightOf<Q>& earlier) && {
    this->spec_.arguments.push_back({earlier.id(), 0, 0, 0});
    return std::move(*this);
  }
};

namespace detail {
class ClientStream;

/// What the templates below stand on. All within turns of the actor.
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

/// The caller's end of a streaming call, which goes on until it has ended: what it was given waits for its deadline,
/// not for this handle. A value; copies share the call. Used in turns of its actor, as its functions are.
///
/// The server ends the call, with a status; whatever happens, `then` is told once. `Send` is void where the server
/// alone streams, `Receive` where the caller alone does; `Final` is what comes with the status.
template <class Send, class Receive, class Final>
class Stream : public detail::StreamHandle {
 public:
  using StreamHandle::StreamHandle;

  /// Takes a message. full: the other side has not taken kStreamBytes yet, see on_ready; closed: the call has ended, or
  /// this half was closed; invalid_argument: it is larger than kStreamBytes. Then nothing was taken.
  template <class T = Send>
  Result<void> write(const Table<T>& message) requires(!std::is_void_v<T>) {
    static_assert(std::is_same_v<T, Send>);
    return write_block(message.block());
  }
  /// `function` is called, as a turn of its own, each time that there is room again after a full.
  void on_ready(Callback<void()> function) requires(!std::is_void_v<Send>) { when_ready(std::move(function)); }
  /// Nothing more will be written.
  void close() requires(!std::is_void_v<Send>) { close_writes(); }

  /// `function` takes the next message, a std::optional<Table<Receive>>: nothing when there will be none. Until it is
  /// read a message waits here, and the next ones at the server: that is the backpressure. One read at a time.
  template <class F, class T = Receive>
  void read(F function) requires(!std::is_void_v<T>) {
    read_block(
        [function = std::move(function)](const BlockRef* block) mutable {
          function(block == nullptr ? std::optional<Table<T>>{} : std::optional<Table<T>>{Table<T>{*block}});
        },
        false);
  }
  /// `function` takes each message, a const Table<Receive>&, as it comes.
  template <class F, class T = Receive>
  Stream& each(F function) requires(!std::is_void_v<T>) {
    read_block(
        [function = std::move(function)](const BlockRef* block) mutable {
          if (block != nullptr) function(Table<T>{*block});
        },
        true);
    return *this;
  }

  /// `function` takes a Response<Final>, once, after all messages were read that the server sent.
  template <class F>
  requires std::invocable<F&, Response<Final>> Stream& then(F function) {
    when_ended([function = std::move(function)](detail::Outcome outcome) mutable {
      function(Response<Final>{std::move(outcome)});
    });
    return *this;
  }
  /// Ends as `cancelled`; the handler learns of it after one way.
  void cancel() { cancel_stream(); }
};

/// What the generated client classes derive from: an actor's way to one server. Lives in the actor; cheap.
class Client {
 public:
  /// `actor` is the caller, which outlives this.
  Client(ActorBase& actor, Ref server) noexcept : actor_(&actor), server_(server) {}
  /// By name, here or on another node: "orders", "hub/orders".
  Client(ActorBase& actor, std::string_view server);
  [[nodiscard]] Ref server() const noexcept { return server_; }

  /// By method: `orders.call<OrderService::GetOrder>(request)`.
  template <class M>
  auto call(const Table<typename M::Request>& request, CallOptions options = {}) const
      requires(M::kKind == Kind::unary) {
    return CallOf<typename M::Request, typename M::Answer>{
        detail::Spec{actor_, server_, &M::kMethod, request.block(), std::move(options), {}}};
  }
  template <class M>
  auto call(const Table<typename M::Request>& request, CallOptions options = {}) const
      requires(M::kKind == Kind::server_stream) {
    return Stream<void, typename M::Answer, void>{
        detail::start_stream({actor_, server_, &M::kMethod, request.block(), std::move(options), {}})};
  }
  template <class M>
  auto call(CallOptions options = {}) const requires(M::kKind == Kind::client_stream || M::kKind == Kind::bidi) {
    constexpr bool kBidi = M::kKind == Kind::bidi;
    using Received = std::conditional_t<kBidi, typename M::Answer, void>;
    using Final = std::conditional_t<kBidi, void, typename M::Answer>;
    return Stream<typename M::Request, Received, Final>{
        detail::start_stream({actor_, server_, &M::kMethod, BlockRef{}, std::move(options), {}})};
  }

 private:
  ActorBase* actor_;
  Ref server_;
};

/// As `client.call<M>(request)`, for any method of any service: `call<OrderService::GetOrder>(orders, request)`.
template <class M>
auto call(const Client& client, const Table<typename M::Request>& request, CallOptions options = {}) {
  return client.template call<M>(request, std::move(options));
}

// --- Serving ---------------------------------------------------------------------------------------------------------

/// Who calls, during the turn that begins a call.
struct Caller {
  std::string_view node;  ///< Name of the linked node; empty: an actor of this one.
  MonoTime deadline = kNever;
  std::span<const std::pair<std::string, std::string>> metadata = {};
  /// The first value of the key; empty where there is none.
  [[nodiscard]] std::string_view value(std::string_view key) const noexcept;
};

namespace detail {

class ServerCall;

/// A handler's share of a call; the last one to go ends a call that was not finished, as `internal`.
class ServingHandle {
 public:
  ServingHandle() = default;
  explicit ServingHandle(const std::shared_ptr<ServerCall>& call);

  /// The caller has taken it back, or its deadline has passed, or it has ended: nobody waits for the answer.
  [[nodiscard]] bool cancelled() const noexcept;
  /// `function` is called when that happens before the handler has finished: at once as a turn, where it has already.
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

/// The server's end of a call: the right to answer it later. A value; copies share the call. Used in turns of its
/// actor. A call is ended by `finish`, the first one; one that is let go without ends as `internal`.
template <class Receive, class Send, class Final>
class Serving : public detail::ServingHandle {
 public:
  using ServingHandle::ServingHandle;
  using response_type = Final;

  /// Ends the call: with a Table<Final>, a Failure, a Status. What was written before goes first.
  void finish(Response<Final> response) { finish_with(std::move(response.outcome())); }
  void finish() requires std::is_void_v<Final> { finish_with({}); }

  /// As Stream::write, with the errors of that.
  template <class T = Send>
  Result<void> write(const Table<T>& message) requires(!std::is_void_v<T>) {
    static_assert(std::is_same_v<T, Send>);
    return write_block(message.block());
  }
  void on_ready(Callback<void()> function) requires(!std::is_void_v<Send>) { when_ready(std::move(function)); }

  /// As Stream::read; the end comes as well when the call has ended, see cancelled.
  template <class F, class T = Receive>
  void read(F function) requires(!std::is_void_v<T>) {
    read_block(
        [function = std::move(function)](const BlockRef* block) mutable {
          function(block == nullptr ? std::optional<Table<T>>{} : std::optional<Table<T>>{Table<T>{*block}});
        },
        false);
  }
  /// `message` takes each const Table<Receive>&, `end` is called once after the last.
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

/// A unary call that is answered later.
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
  [[nodiscard]] const std::byte* request() const noexcept { return request_.bytes().data(); }
  [[nodiscard]] const BlockRef& block() const noexcept { return request_; }
  /// Answers now.
  void answer(Outcome& outcome);
  /// Or later. Once.
  [[nodiscard]] std::shared_ptr<ServerCall> defer();

 private:
  friend class ServerCore;
  ServerCore* core_ = nullptr;
  ActorBase* actor_ = nullptr;
  Message* message_ = nullptr;  // null: of an earlier turn
  const Method* method_ = nullptr;
  std::uint64_t caller_ = 0;
  std::uint64_t id_ = 0;
  bool keep_ = false;
  BlockRef request_;
  std::shared_ptr<ServerCall> call_;
};

struct Served {
  const Method* method;
  void (*serve)(ActorBase& actor, Arrival& arrival);
};

/// The server's half of the protocol, without types.
class ServerCore {
 public:
  ServerCore();
  ~ServerCore();
  ServerCore(const ServerCore&) = delete;
  ServerCore& operator=(const ServerCore&) = delete;

  /// Handles a message that belongs to a call. Nothing: it is no such message.
  [[nodiscard]] std::optional<Result<void>> take(ActorBase& actor, std::span<const Served> served, Message& message);
  [[nodiscard]] const Caller& caller() const noexcept { return caller_; }
  /// Calls in hand.
  [[nodiscard]] std::size_t calls() const noexcept;

 private:
  friend class Arrival;
  friend class ServerCall;
  struct Calls;
  Result<void> begin_bare(ActorBase& actor, const Served& served, Message& message);
  Result<void> begin(ActorBase& actor, std::span<const Served> served, Message& message, const wire::Call& call);
  Result<void> begin_dependent(ActorBase& actor, const Served& served, Arrival arrival, const wire::Call& call,
                               const Metadata& metadata);
  void fill(ActorBase& actor, const Served& served, Arrival arrival,
            std::vector<std::pair<std::shared_ptr<ServerCall>, Argument>> earlier);
  Result<void> serve(ActorBase& actor, const Served& served, Arrival& arrival);
  static Result<void> refuse(ActorBase& actor, const Message& message, Status status, std::string why);
  void drop(const Arrival& arrival);
  void cancelled(std::uint64_t caller, std::uint64_t id);

  Caller caller_;
  std::unique_ptr<Calls> calls_;
};

/// Hands a message that is no call to the handlers of the class.
[[nodiscard]] Result<void> hand_on(ActorBase& actor, const ActorType& type, Message& message);

template <class Self, class M>
void serve(ActorBase& base, Arrival& arrival) {
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

/// What the generated server classes derive from: an actor that answers calls beside the messages in `Types`. A handler
/// that throws fails its actor, as any does; the caller gets `internal`, and others that were in hand `unavailable`.
template <class Self, class... Types>
class Server : public Actor<Self, Types...> {
 public:
  /// Internal: takes every message before the handlers do.
  Result<void> intercept(Message& message) {
    if (auto taken = core_.take(*this, Self::served(), message)) return std::move(*taken);
    return detail::hand_on(*this, this->behaviour(), message);
  }

 protected:
  /// Who calls. During the turn that begins a call.
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
