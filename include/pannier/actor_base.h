#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <pannier/limits.h>
#include <pannier/message.h>
#include <pannier/platform.h>
#include <pannier/result.h>

namespace pannier {

/// What a full mailbox does with another message. System messages (stop, down, replies) have reserved capacity.
enum class WhenFull : std::uint8_t {
  reject,       ///< The sender gets ErrorCode::full and keeps the message.
  drop_newest,  ///< The new message is dropped as a dead letter.
  drop_oldest,  ///< The oldest message is dropped as a dead letter and the new one taken.
  /// Keeps one pending tell or publication per key: a newer one takes over the older one's place, and the older becomes
  /// a dead letter. A new key beyond the bound is rejected. The key is the type and topic, or the type and what the
  /// class declares: `static std::string_view key(const Position& p)`, or a number or enumerator. Urgent messages, asks
  /// and deliveries have no key and go first.
  keep_latest,
  /// Tables told or published overflow to the durable lane "mailbox.<name>" and return in order, as deliveries, when
  /// there is room. Needs a named actor and a node with a store. Other messages are rejected.
  spill,
};

struct MailboxOptions {
  std::uint32_t messages = limits::kMailboxMessages;
  std::uint32_t bytes = limits::kMailboxBytes;  ///< Of payload.
  WhenFull when_full = WhenFull::reject;
};

/// Whether a supervisor restarts a child (as in OTP).
enum class Restart : std::uint8_t {
  permanent,  ///< Always, even if it stopped by itself.
  transient,  ///< Only after a failure.
  temporary,  ///< Never.
};

/// Which children restart when one fails (as in OTP).
enum class Strategy : std::uint8_t {
  one_for_one,   ///< Only the failed one.
  rest_for_one,  ///< The failed one and those started after it.
  one_for_all,   ///< All.
};

/// How an actor supervises its children. More than `max_restarts` within `period` fail the supervisor itself.
struct Supervision {
  Strategy strategy = Strategy::one_for_one;
  std::uint32_t max_restarts = 5;
  Duration period = std::chrono::seconds{60};
  /// Delay before the first restart of a period. Doubles with each further restart, up to `backoff_cap`.
  Duration backoff_base = std::chrono::milliseconds{100};
  Duration backoff_cap = std::chrono::seconds{10};

  friend bool operator==(const Supervision&, const Supervision&) = default;
};

struct SpawnOptions {
  std::string name = {};  ///< Empty: reachable by reference only.
  MailboxOptions mailbox = {};
  Restart restart = Restart::transient;
  Supervision children = {};
  /// How long a stop waits for this actor before it goes on without it and logs its name.
  Duration stop_limit = std::chrono::seconds{5};
  /// A handler that runs longer fails its actor after it returns. Zero: no limit.
  Duration handler_budget{};
  /// Pins the actor to a worker. kAnyWorker: a child runs with its parent, others are spread in turn.
  std::uint32_t worker = kAnyWorker;

  static constexpr std::uint32_t kAnyWorker = 0xffffffff;
};

class ActorBase;
class ActorHandle;
class Worker;
struct Cell;

/// How one message type reaches one actor class. Made at compile time.
struct Handler {
  TypeId type;
  const TypeInfo* info;
  /// Verifies, calls the handler and sends its reply. `rejected` and `malformed` blame the message; any other error
  /// fails the actor.
  Result<void> (*handle)(ActorBase& actor, Message& message);
  /// The key for WhenFull::keep_latest, besides the type. Null if the class declares none.
  std::string (*key)(Message& message);
};

/// What the runtime knows of an actor class. One static object per class and behaviour.
struct ActorType {
  std::string_view name;
  std::span<const Handler> handlers;
  void (*on_start)(ActorBase& actor);
  void (*on_stop)(ActorBase& actor);
  void (*destroy)(ActorBase& actor) noexcept;
  /// Receives every message before the handlers. Null except for the runtime's own services.
  Result<void> (*intercept)(ActorBase& actor, Message& message);
  /// Handles tables of types not in `handlers`. Null if the class does not handle AnyTable.
  Result<void> (*any)(ActorBase& actor, Message& message);
};

/// How to build an actor, first and at each restart. Carried by the start message and kept in pool memory for the
/// actor's life. Small, because every idle actor has one.
class Recipe {
 public:
  explicit Recipe(const SpawnOptions& options);
  virtual ~Recipe() = default;
  Recipe(const Recipe&) = delete;
  Recipe& operator=(const Recipe&) = delete;

  [[nodiscard]] virtual const ActorType& type() const noexcept = 0;
  /// Builds into pool memory. May throw whatever the constructor throws.
  virtual ActorBase* build() = 0;
  /// The options that matter after the start: restart, children, handler_budget, and the mailbox if its policy is
  /// keep_latest or spill. Others may be defaults.
  [[nodiscard]] const SpawnOptions& options() const noexcept;

  ActorId parent;

 private:
  std::unique_ptr<const SpawnOptions> special_;  // null if all of these are defaults, as is usual
};

struct DeleteRecipe {
  void operator()(Recipe* recipe) const noexcept {
    recipe->~Recipe();
    Pool::release(recipe);
  }
};
/// The payload of a start message.
using RecipePtr = std::unique_ptr<Recipe, DeleteRecipe>;
[[nodiscard]] inline RecipePtr& recipe_of(Message& start) noexcept {
  return *static_cast<RecipePtr*>(start.inline_value());
}

/// Tells supervisors and watchers that an actor has ended, and why.
struct Down {
  Ref actor;
  bool failed = false;
  Error error{ErrorCode::closed};  ///< The cause of a failure.
};

struct System;

/// The right to answer one question, later or elsewhere. The first answer counts. If the last copy is destroyed without
/// an answer, the asker gets `failed`. For a plain tell it does nothing. Any thread. Must not outlive its node.
class Responder {
 public:
  /// Internal: made by the dispatcher.
  Responder(System& system, const Message& question);

  void reply(const AnyTable& answer) const;
  template <class T>
  requires(!FlatTable<T> && !std::convertible_to<T, AnyTable> &&
           !std::same_as<T, ErrorCode>) void reply(T answer) const {
    send(native_message(MessageKind::reply, {}, std::move(answer)));
  }
  /// Answers with `error`, its text included.
  void refuse(const Error& error) const;
  /// Internal: disarms this responder and its copies, because the question will be handled again with a new one.
  void withdraw() const noexcept;

 private:
  struct State;
  void send(MessagePtr answer) const;
  BlockRef state_;
};

}  // namespace pannier

/// The keys of mailboxes that keep only the latest message of each.
namespace pannier::detail {

/// Verifies a table's structure, once. Error: malformed.
[[nodiscard]] Result<void> verified(Message& message);
/// The payload, or null if there is none.
[[nodiscard]] const void* value_of(Message& message) noexcept;

/// Self declares a key for T.
template <class Self, class T>
concept Keyed = requires(const T& value) {
  Self::key(value);
};

template <class Self, class T>
std::string key_in(Message& message) {
  const void* value = value_of(message);
  if constexpr (FlatTable<T>) {
    if (value == nullptr || !verified(message)) return {};
    value = flatbuffers::GetRoot<T>(value);
  }
  if (value == nullptr) return {};
  const auto key = Self::key(*static_cast<const T*>(value));
  if constexpr (std::convertible_to<decltype(key), std::string_view>) {
    return std::string{std::string_view{key}};
  } else {
    static_assert(std::is_integral_v<decltype(key)> || std::is_enum_v<decltype(key)>,
                  "a key is text, a number or an enumerator");
    return {reinterpret_cast<const char*>(&key), sizeof(key)};
  }
}

template <class Self, class T>
constexpr auto key_reader() {
  std::string (*reader)(Message&) = nullptr;
  if constexpr (Keyed<Self, T>) reader = &key_in<Self, T>;
  return reader;
}

}  // namespace pannier::detail

namespace pannier {

class Worker;
struct System;

/// What the current turn is part of: the deadline and ask chain of the question being answered, or a delivery. The turn
/// of a reply inherits it.
struct Waiting {
  MonoTime deadline = kNever;
  BlockRef chain = {};
  bool delivery = false;
};

namespace detail {
/// An ask without its types.
struct PendingAsk {
  ActorBase* asker;
  MessagePtr question;
  Duration timeout;
};
}  // namespace detail

/// A request not yet sent. `then` sends it and names a function of this actor to receive the outcome, exactly once, in
/// a turn of its own. The function is dropped if the actor stops or restarts first. Without `then`, the request is sent
/// when this value is destroyed, within the same turn.
template <class T>
class Pending;

/// What the kernel gives every actor: tell and ask, timers, life cycle. Actor<> adds topics and lanes. Call these from
/// the actor's own turns only (handlers, timers, on_start, on_stop, outcomes). None blocks. Arguments passed by
/// reference are read before the call returns.
class ActorBase {
 public:
  ActorBase(const ActorBase&) = delete;
  ActorBase& operator=(const ActorBase&) = delete;

  /// Internal: tells the constructor where the actor lives.
  class Birth {
   public:
    Birth(Worker& worker, Cell& cell) noexcept;
    ~Birth();
    Birth(const Birth&) = delete;
    Birth& operator=(const Birth&) = delete;

   private:
    friend class ActorBase;
    Worker& worker_;
    Cell& cell_;
    Birth* outer_;
  };

  void on_start() {}  ///< Hide it to act on start and after each restart.
  void on_stop() {}   ///< Hide it to act before the state is destroyed.

  [[nodiscard]] Ref self() const noexcept;
  [[nodiscard]] Worker& worker() const noexcept { return worker_; }
  [[nodiscard]] System& system() const noexcept;

 protected:
  ActorBase();
  ~ActorBase() = default;

  // --- Who and when ----------------------------------------------------------------------------------------------
  /// The sender of the message being handled. Null in other turns, or if the sender is no actor.
  [[nodiscard]] Ref sender() const noexcept;
  /// The topic of the publication being handled, the key of the delivery, or the node that sent the question (empty:
  /// this node). Borrowed for the turn.
  [[nodiscard]] std::string_view label() const noexcept;
  /// The deadline of the question being answered, also in the turn of an outcome asked for on its behalf. Questions
  /// asked in this turn expire no later. kNever: no question is being answered.
  [[nodiscard]] MonoTime deadline() const noexcept;
  /// Stands still within a turn.
  [[nodiscard]] MonoTime now() const noexcept;
  [[nodiscard]] WallTime wall_now() const noexcept;
  [[nodiscard]] std::uint64_t random() const noexcept;
  void log(LogLevel level, std::string_view line) const;
  void log(std::string_view line) const { log(LogLevel::info, line); }

  /// A reference by name, "planner" or "hub/planner". The actor need not exist yet. Valid for the life of this actor,
  /// unless it asks for more than limits::kNamesHeld other names afterwards; look up names where they are used. An
  /// invalid name gives a null reference; sending to it is not_found.
  [[nodiscard]] Ref ref(std::string_view name) const;

  /// As ref() for an actor of this node, to send it native payloads. Null for a name of another node.
  [[nodiscard]] LocalRef local(std::string_view name) const;

  // --- tell --------------------------------------------------------------------------------------------------------
  /// Sends at most once. full, closed, not_found, unreachable: nothing was sent.
  Result<void> tell(Ref to, const AnyTable& message, Urgency urgency = Urgency::normal);
  /// Calls `then` once there is room for what tell or ask refused with `full`, as a turn of its own; with an error
  /// where there will be none: closed, not_found, unreachable. Half of the mailbox, or a quarter of the credit of an
  /// actor elsewhere, is free then; others may be faster. Dropped if this actor stops or restarts meanwhile. `cancel`
  /// takes it back.
  TimerId on_room(Ref at, Callback<void(Result<void>)> then);

  // --- time --------------------------------------------------------------------------------------------------------
  TimerId after(Duration delay, Callback<void()> function);
  TimerId every(Duration period, Callback<void()> function);
  /// Cancels a timer or a question. A cancelled question ends in `cancelled`, in a turn of its own, unless its reply
  /// has already arrived.
  void cancel(TimerId timer);

  // --- stash -------------------------------------------------------------------------------------------------------
  /// Sets aside the message being handled until unstash. It still counts against the mailbox's bounds. This turn
  /// neither answers nor settles it: the handler's return value, Responder or Delivery have no effect. A handler taking
  /// its message by value or `T&&` must not have moved from it. Errors: full if the mailbox is full; rejected if this
  /// turn has no message that can wait (a timer, a reply, a Down). After an error nothing was stashed.
  [[nodiscard]] Result<void> stash();
  /// Returns the messages stashed in earlier turns to the front of the mailbox, in order of arrival. A restart does the
  /// same. If the actor ends they are treated like the rest of its mailbox.
  void unstash();

  // --- life --------------------------------------------------------------------------------------------------------
  /// Stops this actor after the current turn, children first.
  void stop();
  /// Asks `actor` to stop. Its supervisor and watchers are told once it has.
  void stop(Ref actor);
  /// Stops the whole node, as Node::stop does.
  void stop_node();
  /// Sends this actor a Down when `actor` has ended, at once if it already has.
  void watch(Ref actor);
  /// Fails this actor after the current turn; its supervisor decides.
  void fail(std::string why);
  /// Calls fail if `done` is an error. For what the actor cannot do without: `require(subscribe<Position>("#"))`.
  void require(const Result<void>& done) {
    if (!done) fail(done.error().text());
  }

  // --- support for the templates -----------------------------------------------------------------------------------
  Result<void> send(MessagePtr message);
  /// Sends the question and arms its deadline. A refusal arrives through `outcome` too.
  TimerId ask_message(detail::PendingAsk ask, Callback<void(Message* reply)> outcome);
  Result<ActorId> spawn_recipe(MessagePtr start, const SpawnOptions& options, Restart restart);
  /// Sets the handler table from the next message on, until a restart.
  void take_behaviour(const ActorType& type) noexcept;
  [[nodiscard]] const ActorType& behaviour() const noexcept;
  [[nodiscard]] Cell& cell() const noexcept { return cell_; }

 private:
  template <class T>
  friend class Pending;
  friend class ActorHandle;

  /// The deadline and ask chain of the current turn.
  [[nodiscard]] Waiting waiting() const;
  /// Logs an error that nobody waits for.
  void log_unheard(const Error& error) const;
  /// Delivers the outcome of a question in a turn of its own.
  void end_question(TimerId id, const Error& error);
  [[nodiscard]] Result<void> check_chain(ActorId asked, const BlockRef& chain) const;

  Worker& worker_;
  Cell& cell_;
};

namespace detail {

/// Reads the outcome from a reply; null means the deadline passed.
template <class R>
Result<R> read_reply(Message* reply);

template <class T>
struct OutcomeOf {
  using type = T;
};
template <FlatTable T>
struct OutcomeOf<T> {
  using type = Table<T>;
};

/// The error carried by a reply, with its text if there is one.
[[nodiscard]] Error refusal_of(const Message& reply);

/// The verified bytes of a reply that must be a table of `wanted`.
[[nodiscard]] Result<BlockRef> reply_block(const Message* reply, const TypeInfo& wanted);
/// The inline value of a reply that must be of `wanted`. Lives as long as the reply.
[[nodiscard]] Result<void*> reply_value(Message* reply, TypeId wanted);

template <class R>
Result<R> read_reply(Message* reply) {
  if constexpr (std::is_void_v<R>) {
    const auto value = reply_value(reply, type_info<Done>().id);
    if (!value) return value.error();
    return {};
  } else if constexpr (std::same_as<R, AnyTable>) {
    if (reply == nullptr) return ErrorCode::timeout;
    if (reply->has_error) return refusal_of(*reply);
    return AnyTable{reply->type, reply->info, reply->block};
  } else if constexpr (requires { typename R::table_type; }) {
    auto block = reply_block(reply, type_info<typename R::table_type>());
    if (!block) return block.error();
    return R{*block};
  } else {
    using Native = typename Carried<R>::type;
    const auto value = reply_value(reply, type_info<Native>().id);
    if (!value) return value.error();
    return Carried<R>::unpack(std::move(*static_cast<Native*>(*value)));
  }
}

}  // namespace detail

template <class T>
class Pending {
 public:
  explicit Pending(detail::PendingAsk ask) : ask_(std::move(ask)) {}
  Pending(Pending&&) noexcept = default;
  Pending& operator=(Pending&&) = delete;
  /// Sends the request as forget() does, unless then() or forget() was called.
  ~Pending() {
    if (ask_.question != nullptr) std::move(*this).forget();
  }

  /// Sends the request. `function` takes a Result<T>. The returned id cancels the question (ActorBase::cancel); its
  /// outcome is then `cancelled`.
  template <class F>
  requires std::invocable<F&, Result<T>> TimerId then(F function) && {
    ActorBase* asker = ask_.asker;
    return asker->ask_message(std::move(ask_), [function = std::move(function)](Message* reply) mutable {
      function(detail::read_reply<T>(reply));
    });
  }
  /// Sends the request and discards the outcome. Failures are logged.
  void forget() &&;

 private:
  detail::PendingAsk ask_;
};

template <class T>
void Pending<T>::forget() && {
  ActorBase* asker = ask_.asker;
  std::move(*this).then([asker](Result<T> outcome) {
    if (!outcome) asker->log_unheard(outcome.error());
  });
}

}  // namespace pannier
