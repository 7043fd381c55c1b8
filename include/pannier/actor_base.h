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

/// What a full mailbox does with one more message. System messages (stop, down, replies) have room of their own.
enum class WhenFull : std::uint8_t {
  reject,       ///< The sender gets ErrorCode::full, and keeps what it wanted to send.
  drop_newest,  ///< The new message goes to the dead letters.
  drop_oldest,  ///< The oldest one goes to the dead letters, the new one is taken.
  /// At most one tell or publication of a key waits: a newer one takes its place in the line, and the older one goes to
  /// the dead letters. One more key than there is room for is rejected. The key is the type and the topic, or the type
  /// and what the actor class says: `static std::string_view key(const Position& p)`, or a number or an enumerator.
  /// What is urgent, asked or delivered has no key, and goes first.
  keep_latest,
  /// Tables that were told or published go to the durable lane "mailbox.<name>" and come back from there in order, as
  /// deliveries, when there is room. The actor has a name, the node a store. Anything else is rejected.
  spill,
};

struct MailboxOptions {
  std::uint32_t messages = limits::kMailboxMessages;
  std::uint32_t bytes = limits::kMailboxBytes;  ///< Of payload.
  WhenFull when_full = WhenFull::reject;
};

/// Whether a supervisor starts a child again (OTP's words).
enum class Restart : std::uint8_t {
  permanent,  ///< Always, also when it stopped by itself.
  transient,  ///< After a failure only.
  temporary,  ///< Never.
};

/// Which children are restarted when one of them fails (OTP's words).
enum class Strategy : std::uint8_t {
  one_for_one,   ///< That one.
  rest_for_one,  ///< That one and those that were started after it.
  one_for_all,   ///< All.
};

/// How an actor supervises its children. More than `max_restarts` within `period` fail the supervisor itself.
struct Supervision {
  Strategy strategy = Strategy::one_for_one;
  std::uint32_t max_restarts = 5;
  Duration period = std::chrono::seconds{60};
  /// Before the first restart of a period; doubles with each further one, up to `backoff_cap`.
  Duration backoff_base = std::chrono::milliseconds{100};
  Duration backoff_cap = std::chrono::seconds{10};

  friend bool operator==(const Supervision&, const Supervision&) = default;
};

struct SpawnOptions {
  std::string name = {};  ///< Empty: known by its reference only.
  MailboxOptions mailbox = {};
  Restart restart = Restart::transient;
  Supervision children = {};
  /// How long a stop waits for this actor before it goes on without it and names it.
  Duration stop_limit = std::chrono::seconds{5};
  /// A handler that runs longer fails its actor, once it has returned; zero: no limit.
  Duration handler_budget{};
  /// The worker that it is pinned to; kAnyWorker: a child stays with its parent, others go round.
  std::uint32_t worker = kAnyWorker;

  static constexpr std::uint32_t kAnyWorker = 0xffffffff;
};

class ActorBase;
class Worker;
struct Cell;

/// How one message type reaches one actor class. Made at compile time.
struct Handler {
  TypeId type;
  const TypeInfo* info;
  /// Checks, calls the member function, replies where it answers. An error is the actor's failure unless it is
  /// `rejected` or `malformed`: then the message was at fault.
  Result<void> (*handle)(ActorBase& actor, Message& message);
  /// What WhenFull::keep_latest keeps the latest of, beside the type; null where the class does not say.
  std::string (*key)(Message& message);
};

/// What the runtime knows of an actor class. One static object a class, and one for each of its behaviours.
struct ActorType {
  std::string_view name;
  std::span<const Handler> handlers;
  void (*on_start)(ActorBase& actor);
  void (*on_stop)(ActorBase& actor);
  void (*destroy)(ActorBase& actor) noexcept;
  /// Takes every message before the handlers do; null for all but the runtime's own services.
  Result<void> (*intercept)(ActorBase& actor, Message& message);
  /// Takes tables of types that are not in `handlers`; null where the class has no handler for AnyTable.
  Result<void> (*any)(ActorBase& actor, Message& message);
};

/// How to build an actor, at first and at each restart: what its start message brings, kept for its whole life in a
/// piece of pool memory. As small as it can be, since every idle actor has one.
class Recipe {
 public:
  explicit Recipe(const SpawnOptions& options);
  virtual ~Recipe() = default;
  Recipe(const Recipe&) = delete;
  Recipe& operator=(const Recipe&) = delete;

  [[nodiscard]] virtual const ActorType& type() const noexcept = 0;
  /// Builds into pool memory. May throw what the constructor throws.
  virtual ActorBase* build() = 0;
  /// What of SpawnOptions counts after the start: restart, children, handler_budget, and the mailbox where its policy
  /// is keep_latest or spill. The rest may be the default.
  [[nodiscard]] const SpawnOptions& options() const noexcept;

  ActorId parent;

 private:
  std::unique_ptr<const SpawnOptions> special_;  // null where all of that is the default, as it mostly is
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

/// Why an actor has ended: what its supervisor and those who watch it are told.
struct Down {
  Ref actor;
  bool failed = false;
  Error error{ErrorCode::closed};  ///< Of a failure: what it was.
};

struct System;

/// The right to answer one question, later or elsewhere. The first answer counts; a responder whose last copy goes
/// without an answer answers `failed`, so that nobody waits for nothing. Of a plain tell it is inert. Any thread; it
/// must not outlive its node.
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
  /// The asker gets `code` in place of an answer.
  void refuse(ErrorCode code) const;
  /// Internal: the question will be handled again, with another responder. This one and its copies are inert.
  void withdraw() const noexcept;

 private:
  struct State;
  void send(MessagePtr answer) const;
  BlockRef state_;
};

}  // namespace pannier

/// What an actor class says of its messages to a mailbox that keeps the latest of each key.
namespace pannier::detail {

/// Checks a table's structure, once. malformed: it does not hold.
[[nodiscard]] Result<void> verified(Message& message);
/// Where the payload stands; null: there is none.
[[nodiscard]] const void* value_of(Message& message) noexcept;

/// The class says of what in a T the latest is kept.
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

/// On whose behalf a question was asked: the deadline of the question that was being answered, and who waits for that
/// one; or a delivery that was being handled. The turn that the reply makes goes on under the same.
struct Waiting {
  MonoTime deadline = kNever;
  BlockRef chain = {};
  bool delivery = false;
};

namespace detail {
/// An ask without its types: what Asking<R> stands on.
struct PendingAsk {
  ActorBase* asker;
  MessagePtr question;
  Duration timeout;
};
}  // namespace detail

/// Something about to be sent, whose outcome `then` gives to a function of this actor: exactly once, as a turn of its
/// own, never from within the call. If the actor stops or restarts meanwhile the function is dropped. Without `then` it
/// is sent when the value is destroyed, within the same turn.
template <class T>
class Pending;

/// What the kernel gives every actor: whom it tells and asks, its timers and its life. Actor<> adds topics and lanes.
/// Each call is made from the actor's own turns (handlers, timers, on_start, on_stop, outcomes); none blocks.
/// References in arguments are read before the call returns.
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

  void on_start() {}  ///< Hide it to do something when the actor starts, and after each restart.
  void on_stop() {}   ///< Hide it to do something before the state goes.

  [[nodiscard]] Ref self() const noexcept;
  [[nodiscard]] Worker& worker() const noexcept { return worker_; }
  [[nodiscard]] System& system() const noexcept;

 protected:
  ActorBase();
  ~ActorBase() = default;

  // --- Who and when ----------------------------------------------------------------------------------------------
  /// Of the message being handled; nobody in other turns, or where the sender is no actor.
  [[nodiscard]] Ref sender() const noexcept;
  /// The topic of the publication, the key of the delivery, or the name of the linked node that asked the question
  /// (empty: asked here), that is being handled. Borrowed for the turn.
  [[nodiscard]] std::string_view label() const noexcept;
  /// Stands still within a turn.
  [[nodiscard]] MonoTime now() const noexcept;
  [[nodiscard]] WallTime wall_now() const noexcept;
  [[nodiscard]] std::uint64_t random() const noexcept;
  void log(LogLevel level, std::string_view line) const;
  void log(std::string_view line) const { log(LogLevel::info, line); }

  /// The actor of that name, here or on another node ("hub/planner"); it need not exist yet. The reference is good for
  /// as long as this actor lives, unless it asks for more than limits::kNamesHeld others after it: ask for those where
  /// they are used. A name that breaks the rules gives nobody, and sending to nobody is not_found.
  [[nodiscard]] Ref ref(std::string_view name) const;

  /// The actor of that name on this node, for native payloads. Nobody for a name of another node.
  [[nodiscard]] LocalRef local(std::string_view name) const;

  // --- tell --------------------------------------------------------------------------------------------------------
  /// At most once. full, closed, not_found or unreachable: nothing was sent.
  Result<void> tell(Ref to, const AnyTable& message, Urgency urgency = Urgency::normal);
  /// Calls `then` once there is room for what tell or ask refused with `full`, as a turn of its own; with an error where
  /// there will be none: closed, not_found, unreachable. Half of the mailbox, or a quarter of the credit of an actor
  /// elsewhere, is free then; others may be faster. Dropped if this actor stops or restarts meanwhile. `cancel` takes it
  /// back.
  TimerId on_room(Ref at, Callback<void(Result<void>)> then);

  // --- time --------------------------------------------------------------------------------------------------------
  TimerId after(Duration delay, Callback<void()> function);
  TimerId every(Duration period, Callback<void()> function);
  /// Takes a timer back. A question ends as `cancelled`, as a turn of its own, unless its answer is here already.
  void cancel(TimerId timer);

  // --- Not now -----------------------------------------------------------------------------------------------------
  /// Sets the message that is being handled aside, until unstash. It goes on counting against the mailbox's bounds. It
  /// is not answered or settled by the end of this turn: what the handler returns, and its Responder or Delivery, are
  /// void. A handler that takes its message by value or `T&&` must not have moved it away. full: the mailbox has no
  /// room any more; rejected: this turn has no message that can wait (a timer, a reply, a Down). It was not set aside.
  [[nodiscard]] Result<void> stash();
  /// Puts what was stashed in earlier turns back in front of the mailbox, in the order in which it came. So does a
  /// restart; an end takes it as it takes the rest of the mailbox.
  void unstash();

  // --- life --------------------------------------------------------------------------------------------------------
  /// Stops this actor after this turn, children first.
  void stop();
  /// Asks `actor` to stop; whoever supervises or watches it is told when it has.
  void stop(Ref actor);
  /// Stops the whole node, as Node::stop does.
  void stop_node();
  /// A Down message comes once `actor` has ended; at once where it has.
  void watch(Ref actor);
  /// Puts this actor down as failed after this turn: its supervisor decides.
  void fail(std::string why);
  /// As fail, where `done` is an error: for what the actor cannot be without, as `require(subscribe<Position>("#"))`.
  void require(const Result<void>& done) {
    if (!done) fail(done.error().text());
  }

  // --- What the templates above stand on ---------------------------------------------------------------------------
  Result<void> send(MessagePtr message);
  /// Sends the question and arms its deadline; a refusal comes back through `outcome` as well.
  TimerId ask_message(detail::PendingAsk ask, Callback<void(Message* reply)> outcome);
  Result<ActorId> spawn_recipe(MessagePtr start, const SpawnOptions& options, Restart restart);
  /// The table of handlers from the next message on, until a restart.
  void take_behaviour(const ActorType& type) noexcept;
  [[nodiscard]] const ActorType& behaviour() const noexcept;
  [[nodiscard]] Cell& cell() const noexcept { return cell_; }

 private:
  template <class T>
  friend class Pending;

  /// Under whose deadline, and on whose behalf, the current turn runs.
  [[nodiscard]] Waiting waiting() const;
  /// An outcome that nobody waited for, in the log.
  void log_unheard(const Error& error) const;
  /// The outcome of a question, as a turn of its own.
  void end_question(TimerId id, const Error& error);
  [[nodiscard]] Result<void> check_chain(ActorId asked, const BlockRef& chain) const;

  Worker& worker_;
  Cell& cell_;
};

namespace detail {

/// Reads an outcome out of a reply; null is the deadline.
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

/// The error that stands in a reply's place, with its text where there is one.
[[nodiscard]] Error refusal_of(const Message& reply);

/// The bytes of a reply that must be a table of `wanted`, verified.
[[nodiscard]] Result<BlockRef> reply_block(const Message* reply, const TypeInfo& wanted);
/// The inline value of a reply that must be of `wanted`; lives as long as the reply.
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
  /// What was neither given to `then` nor forgotten is sent all the same, as if forgotten.
  ~Pending() {
    if (ask_.question != nullptr) std::move(*this).forget();
  }

  /// Sends it. `function` takes a Result<T>; the id that comes back takes the question back (ActorBase::cancel), which
  /// is an outcome, too: `cancelled`.
  template <class F>
  requires std::invocable<F&, Result<T>> TimerId then(F function) && {
    ActorBase* asker = ask_.asker;
    return asker->ask_message(std::move(ask_), [function = std::move(function)](Message* reply) mutable {
      function(detail::read_reply<T>(reply));
    });
  }
  /// Sends it and lets the outcome go, apart from a line in the log when it fails.
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
