#pragma once

#include <array>
#include <chrono>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <pannier/actor_base.h>
#include <pannier/link.h>
#include <pannier/queue.h>
#include <pannier/topic.h>

namespace pannier {

class QueueControl;

/// The timeout of an ask that names none.
inline constexpr Duration kAskTimeout = std::chrono::seconds{5};

/// What a node adds to the kernel's ActorBase: topics and lanes. Derive actors from Actor<> below.
class NodeActor : public ActorBase {
 protected:
  // --- publish -----------------------------------------------------------------------------------------------------
  /// Publishes to each current subscriber, at most once, here and on linked nodes that subscribed. Success: the node
  /// has the message; copies it could not pass on are counted by cause (topic_counters). full: nothing was published.
  /// With `retain`, an empty message clears the retained value, as in MQTT.
  Result<void> publish(std::string_view topic, const AnyTable& message, PublishOptions options = {});
  /// Clears the retained value of `topic`, here and on linked nodes. Subscribers are not told.
  Result<void> clear_retained(std::string_view topic);
  /// Subscribes until the actor ends: publications whose topic matches arrive as messages. Retained values that match
  /// come first, as fast as the mailbox takes them.
  Result<void> subscribe_type(std::string_view filter, TypeId type);
  /// Subscribes to every type. The class must handle AnyTable.
  Result<void> subscribe_any(std::string_view filter) { return subscribe_type(filter, TypeId{}); }
  Result<void> unsubscribe(std::string_view filter);
  /// Tells all linked nodes that this one is going to sleep: they do not close the link for silence before `span` has
  /// passed, 24 h at most. The next record ends that.
  void announce_sleep(Duration span);
  /// This node's publication and subscription counters, with drops by cause.
  [[nodiscard]] Pending<TopicCounters> topic_counters();
  /// The number of the publication being handled; none in other turns, or if its publisher does not number it.
  [[nodiscard]] PublicationNumber publication_number() const;
  /// What the publisher's history still holds of a gap, oldest first, as much as fits one answer: ask again behind the
  /// last one. Empty: nothing of it is left. unreachable: the publisher is not there.
  [[nodiscard]] Pending<std::vector<MissedPublication>> fetch_missed(PublicationGap gap);
  /// The ways from this node to the others that it can reach now, by name, 1,000 at most; or only the one to `node`,
  /// empty where there is none.
  [[nodiscard]] Pending<std::vector<NodeRoute>> routes(std::string_view node = {});
  /// What each peer that uses anything of this node uses, and was refused (PeerLimits). 1,000 at most.
  [[nodiscard]] Pending<std::vector<PeerUse>> peer_uses();

  // --- queue -------------------------------------------------------------------------------------------------------
  /// Stores `message` until it has taken effect in the lane at `address`: "lane" on this node or "node/lane". The
  /// receipt follows the commit.
  Pending<Receipt> enqueue(std::string_view address, std::string_view key, const AnyTable& message,
                           EnqueueOptions options = {});
  template <FlatTable T>
  Pending<Receipt> enqueue(const Lane<T>& lane, std::string_view key, const Table<T>& message,
                           EnqueueOptions options = {}) {
    return enqueue(lane.name(), key, AnyTable{message}, std::move(options));
  }
  template <FlatTable T>
  Pending<Receipt> enqueue(const RemoteLane<T>& lane, std::string_view key, const Table<T>& message,
                           EnqueueOptions options = {}) {
    return enqueue(lane.address, key, AnyTable{message}, std::move(options));
  }
  /// As Batch::enqueue_topic; the receipt names the first message.
  Pending<Receipt> enqueue_topic(std::string_view topic, std::string_view key, const AnyTable& message,
                                 EnqueueOptions options = {}) {
    return commit(std::move(Batch{}.enqueue_topic(topic, key, message, std::move(options))));
  }
  /// Stores all of `batch` in one transaction.
  Pending<Receipt> commit(Batch batch);
  /// As `delivery.ack(batch)`, with the outcome. After an error nothing is stored and the delivery is retried;
  /// rejected: the delivery was already settled.
  Pending<Receipt> commit(Delivery delivery, Batch batch);
  /// Consumes the lane: its messages arrive as deliveries, shared with the lane's other consumers. Ends when the actor
  /// stops or restarts. A second call changes the options. Errors of the queue are logged.
  Result<void> consume_lane(std::string_view lane, ConsumeOptions options);
  /// Takes ready messages from the lane, as one type or as AnyTable. Empty if none was ready within the wait. Unsettled
  /// messages are retried after the visibility timeout or when the actor ends. full: too many fetches are waiting.
  template <class T>
  [[nodiscard]] Pending<std::vector<Fetched<T>>> fetch(std::string_view lane, const FetchOptions& options = {}) {
    return Pending<std::vector<Fetched<T>>>{fetch_question(lane, options)};
  }
  template <FlatTable T>
  [[nodiscard]] Pending<std::vector<Fetched<T>>> fetch(const Lane<T>& lane, const FetchOptions& options = {}) {
    return fetch<T>(lane.name(), options);
  }
  /// Replays what the lane retains (LaneOptions::retention), as deliveries in order from this reader's position. ack
  /// advances the position; retry repeats without limit; dead_letter skips the message. Messages acknowledged out of
  /// order may repeat after a crash. With a window of 1, effects in the batch happen once. One actor per reader.
  Result<void> replay_lane(std::string_view lane, ReplayOptions options);
  /// The application's state under keys that start with `prefix`, in key order, at most `limit` entries.
  [[nodiscard]] Pending<std::vector<StateRow>> read_state(std::string_view prefix, std::size_t limit = 100'000);

  /// More requests to the queue: find, cancel and redrive messages, change lanes, query tables.
  [[nodiscard]] QueueControl queue() noexcept;

 private:
  friend class ActorHandle;
  [[nodiscard]] Result<void> check_lane(std::string_view lane) const;
  detail::PendingAsk fetch_question(std::string_view lane, const FetchOptions& options);
};

/// Requests to the node's queue beyond enqueue, commit and consume: see Actor::queue(). Refers to the actor and is
/// valid within one of its turns. Every answer arrives in a turn of its own (Pending). Without a store every answer is
/// closed.
class QueueControl {
 public:
  explicit QueueControl(ActorBase& actor) noexcept : actor_(actor) {}

  /// Finds the message of a receipt and why it waits. not_found: delivered, expired, cancelled, or never here.
  [[nodiscard]] Pending<RowStatus> where(Sequence id);
  /// Erases a message before it leaves. not_found: it is not here. in_use: it is being sent or handled.
  [[nodiscard]] Pending<Cancelled> cancel(Sequence id);
  /// Replaces a lane's options. Stored messages stay. invalid_argument: see check(LaneOptions).
  [[nodiscard]] Pending<void> set_lane(LaneOptions options);
  /// Runs one SELECT on the application's own tables. Sees everything committed before. Returns at most
  /// limits::kQueryRows rows. rejected: with SQLite's text. unsupported: the store has no SQL.
  template <class... Values>
  [[nodiscard]] Pending<std::vector<SqlRow>> query(std::string sql, Values&&... values) {
    return query(SqlStatement{std::move(sql), {sql_value(std::forward<Values>(values))...}});
  }
  [[nodiscard]] Pending<std::vector<SqlRow>> query(SqlStatement statement);
  /// Answers once the application's tables have changed since the answer `seen`, at once for SqlVersion{}: for
  /// following a table without polling. Any batch with SQL counts as a change. full: too many wait.
  [[nodiscard]] Pending<SqlVersion> sql_changed(SqlVersion seen);
  /// Makes dead letters ready again, in order, behind the other messages of their lane, with their attempts reset.
  /// Bounded per call. not_found: no dead letter has that number.
  [[nodiscard]] Pending<DeadLetterCount> redrive(DeadLetterSelection selection);
  /// Erases dead letters. Bounded per call.
  [[nodiscard]] Pending<DeadLetterCount> purge(DeadLetterSelection selection);
  /// Forgets a reader's position in the lane's retained messages (Actor::replay).
  [[nodiscard]] Pending<void> forget_reader(std::string lane, std::string reader);
  /// Counters and loads of every stream; rows too if requested.
  [[nodiscard]] Pending<QueueStatus> inspect(Inspect request = {});

 private:
  ActorBase& actor_;
};

/// An actor's own functions, for an object that works in its name: a member of the actor, or what such a member keeps
/// for one call. A value that refers to the actor: it must not outlive it, and is used in the actor's turns only. Each
/// function does what the actor's own of that name does.
///
///     struct Heartbeat {
///       explicit Heartbeat(pannier::NodeActor& actor) : in{actor} { in.after(1s, [this] { in.tell(desk, beat()); }); }
///       pannier::ActorHandle in;
///     };
class ActorHandle {
 public:
  explicit ActorHandle(NodeActor& actor) noexcept : actor_(&actor) {}
  [[nodiscard]] NodeActor& actor() const noexcept { return *actor_; }
  [[nodiscard]] Ref self() const noexcept { return actor_->self(); }

  [[nodiscard]] MonoTime now() const noexcept { return actor_->now(); }
  [[nodiscard]] WallTime wall_now() const { return actor_->wall_now(); }
  [[nodiscard]] MonoTime deadline() const noexcept { return actor_->deadline(); }
  [[nodiscard]] std::uint64_t random() const noexcept { return actor_->random(); }
  [[nodiscard]] Ref ref(std::string_view name) const { return actor_->ref(name); }
  void log(LogLevel level, std::string_view line) const { actor_->log(level, line); }

  TimerId after(Duration delay, Callback<void()> function) const { return actor_->after(delay, std::move(function)); }
  void cancel(TimerId timer) const { actor_->cancel(timer); }
  Result<void> tell(Ref to, const AnyTable& message, Urgency urgency = Urgency::normal) const {
    return actor_->tell(to, message, urgency);
  }
  /// A tell that was made by native_message or any_message.
  Result<void> send(MessagePtr message) const { return actor_->send(std::move(message)); }
  /// Asks. `outcome` gets the reply, which may be a refusal, or null once `timeout` has passed: exactly once, in a turn
  /// of its own.
  TimerId ask(MessagePtr question, Duration timeout, Callback<void(Message* reply)>&& outcome) const {
    return actor_->ask_message({actor_, std::move(question), timeout}, std::move(outcome));
  }

  Pending<Receipt> enqueue(std::string_view address, std::string_view key, const AnyTable& message,
                           EnqueueOptions options = {}) const {
    return actor_->enqueue(address, key, message, std::move(options));
  }
  Pending<Receipt> commit(Batch batch) const { return actor_->commit(std::move(batch)); }
  Pending<Receipt> commit(Delivery delivery, Batch batch) const {
    return actor_->commit(std::move(delivery), std::move(batch));
  }
  Result<void> publish(std::string_view topic, const AnyTable& message, PublishOptions options = {}) const {
    return actor_->publish(topic, message, options);
  }
  [[nodiscard]] Pending<std::vector<StateRow>> read_state(std::string_view prefix, std::size_t limit = 100'000) const {
    return actor_->read_state(prefix, limit);
  }

 private:
  NodeActor* actor_;
};

namespace detail {

/// Self has an `on` for these arguments, preceded by the behaviour if there is one.
template <class Self, class Behaviour, class... Args>
concept Handles = (std::is_void_v<Behaviour> &&
                   requires(Self & self, Args&&... args) { self.on(std::forward<Args>(args)...); }) ||
                  (!std::is_void_v<Behaviour> &&
                   requires(Self & self, Args&&... args) { self.on(Behaviour{}, std::forward<Args>(args)...); });

/// Self has a handler for T: it takes the accessor, the native value, the value to keep, or a share of the table; or
/// the value and a Delivery or Responder.
template <class Self, class Behaviour, class T>
concept HandlesPlain = Handles<Self, Behaviour, const T&> || Handles<Self, Behaviour, T>;
template <class Self, class Behaviour, class T>
concept HandlesAny = HandlesPlain<Self, Behaviour, T> || Handles<Self, Behaviour, const T&, Delivery> ||
    Handles<Self, Behaviour, const T&, Responder> ||(FlatTable<T>&& Handles<Self, Behaviour, const Table<T>&>);

template <class Behaviour, class Self, class... Args>
decltype(auto) call_on(Self& self, Args&&... args) {
  if constexpr (std::is_void_v<Behaviour>) {
    return self.on(std::forward<Args>(args)...);
  } else {
    return self.on(Behaviour{}, std::forward<Args>(args)...);
  }
}

[[nodiscard]] inline bool wants_reply(const Message& message) noexcept { return message.kind == MessageKind::ask; }

template <class T>
inline constexpr bool kIsResult = false;
template <class T>
inline constexpr bool kIsResult<Result<T>> = true;

template <class T>
MessagePtr to_reply(T&& value) {
  if constexpr (std::convertible_to<T, AnyTable>) {
    return any_message(MessageKind::reply, {}, value);
  } else {
    return native_message(MessageKind::reply, {}, std::forward<T>(value));
  }
}

void send_reply(ActorBase& actor, const Message& question, MessagePtr reply);
void send_refusal(ActorBase& actor, const Message& question, ErrorCode code);
[[nodiscard]] Delivery delivery_of(ActorBase& actor, const Message& message);
void end_delivery(ActorBase& actor, const Message& message);
[[nodiscard]] Responder responder_of(ActorBase& actor, const Message& message);
/// The handler stashed the message. Any reply or settlement in this turn is void.
[[nodiscard]] bool stashed(const ActorBase& actor) noexcept;
[[nodiscard]] Result<void> verified(Message& message);
[[nodiscard]] inline void* shared_value(const Message& message) noexcept {
  return const_cast<std::byte*>(message.block.bytes().data());
}

/// Turns the handler's return value into a reply or an error for the asker. Ignored if nobody asked.
template <class Return>
void answer(ActorBase& actor, const Message& message, Return&& returned) {
  if (!wants_reply(message) || stashed(actor)) return;
  if constexpr (kIsResult<std::remove_cvref_t<Return>>) {
    if (!returned) {
      send_refusal(actor, message, returned.error().code);
    } else {
      send_reply(actor, message, to_reply(std::move(*returned)));
    }
  } else {
    send_reply(actor, message, to_reply(std::forward<Return>(returned)));
  }
}

/// Calls one overload of `on`. Unless the handler replies or settles itself (`kSaysItself`), a question whose handler
/// returns nothing is rejected, and a delivery is acknowledged on return.
template <class Behaviour, bool kSaysItself, class Self, class... Args>
Result<void> call(Self& self, const Message& message, Args&&... args) {
  using Return = std::remove_cvref_t<decltype(call_on<Behaviour>(self, std::forward<Args>(args)...))>;
  if constexpr (std::is_void_v<Return>) {
    if (!kSaysItself && wants_reply(message)) return ErrorCode::rejected;
    call_on<Behaviour>(self, std::forward<Args>(args)...);
  } else if constexpr (std::same_as<Return, Result<void>>) {
    if (auto handled = call_on<Behaviour>(self, std::forward<Args>(args)...); !handled) return handled;
  } else {
    answer(self, message, call_on<Behaviour>(self, std::forward<Args>(args)...));
  }
  if (!kSaysItself && message.kind == MessageKind::delivery && !stashed(self)) end_delivery(self, message);
  return {};
}

/// Picks the overload of `on` that fits the kind of message.
template <class Behaviour, class T, class Self, class Value>
Result<void> pick(Self& self, const Message& message, Value&& value) {
  if constexpr (Handles<Self, Behaviour, const T&, Delivery>) {
    if (message.kind == MessageKind::delivery) {
      const Delivery delivery = delivery_of(self, message);
      auto handled = call<Behaviour, true>(self, message, value, delivery);
      if (stashed(self)) delivery.mark_settled();
      return handled;
    }
  }
  if constexpr (Handles<Self, Behaviour, const T&, Responder>) {
    const Responder responder = responder_of(self, message);
    auto handled = call<Behaviour, true>(self, message, value, responder);
    if (stashed(self)) responder.withdraw();
    return handled;
  } else if constexpr (Handles<Self, Behaviour, Value>) {
    return call<Behaviour, false>(self, message, std::forward<Value>(value));
  } else {
    return ErrorCode::rejected;
  }
}

/// Leads from a message to `Self::on(const T&)` or `Self::on(Behaviour, const T&)`. One instance per handler, found
/// through the actor's table. As much code as possible lives outside, for compile time and code size
/// (docs/benchmarks.md).
template <class Self, class Behaviour, class T>
Result<void> handle(ActorBase& base, Message& message) {
  static_assert(HandlesAny<Self, Behaviour, T>,
                "a type in Actor<Self, Types...> has no handler: write void on(const Type&), "
                "on(const Type&, Delivery) or on(const Type&, Responder)");
  Self& self = static_cast<Self&>(base);
  if constexpr (std::same_as<T, AnyTable>) {
    return pick<Behaviour, T>(self, message, AnyTable{message.type, message.info, message.block});
  } else if constexpr (FlatTable<T>) {
    if (auto good = verified(message); !good) return good;
    if constexpr (Handles<Self, Behaviour, const Table<T>&>) {
      return call<Behaviour, false>(self, message, Table<T>{message.block});
    } else {
      return pick<Behaviour, T>(self, message, *flatbuffers::GetRoot<T>(message.block.bytes().data()));
    }
  } else {
    // An inline value belongs to this receiver and may be moved from. One in a block is shared by a fan-out and
    // read-only.
    if (message.inline_bytes == 0 && !message.block) return ErrorCode::rejected;
    void* const value = message.inline_bytes != 0 ? message.inline_value() : shared_value(message);
    if constexpr (std::is_trivially_copyable_v<T> && Handles<Self, Behaviour, const T&>) {
      return pick<Behaviour, T>(self, message, *static_cast<const T*>(value));
    } else {
      if (message.inline_bytes != 0) return pick<Behaviour, T>(self, message, std::move(*static_cast<T*>(value)));
      return pick<Behaviour, T>(self, message, *static_cast<const T*>(value));
    }
  }
}

/// The handler of T under a behaviour: the behaviour's own, or else the general one.
template <class Self, class Behaviour, class T>
constexpr auto handler_of() {
  if constexpr (!std::is_void_v<Behaviour> && HandlesAny<Self, Behaviour, T>) {
    return &handle<Self, Behaviour, T>;
  } else {
    return &handle<Self, void, T>;
  }
}

/// The handler's argument type for a question: T for a Table<T>.
template <class T>
struct QuestionOf {
  using type = T;
};
template <FlatTable T>
struct QuestionOf<Table<T>> {
  using type = T;
};

/// The type that A's handler for T returns, without Result.
template <class A, class T>
struct ReplyOf {
  template <class R>
  struct Unwrapped {
    using type = R;
  };
  template <class R>
  struct Unwrapped<Result<R>> {
    using type = R;
  };
  static auto returned() {
    if constexpr (Handles<A, void, const T&>) {
      return std::type_identity<decltype(std::declval<A&>().on(std::declval<const T&>()))>{};
    } else if constexpr (Handles<A, void, T>) {
      return std::type_identity<decltype(std::declval<A&>().on(std::declval<T>()))>{};
    } else if constexpr (FlatTable<T> && Handles<A, void, const Table<T>&>) {
      return std::type_identity<decltype(std::declval<A&>().on(std::declval<const Table<T>&>()))>{};
    } else {
      return std::type_identity<void>{};
    }
  }
  using type = typename Unwrapped<std::remove_cvref_t<typename decltype(returned())::type>>::type;
  static_assert(!std::is_void_v<type>,
                "that handler does not return its answer: name the type, as in ask<R>(to, question)");
};

template <class Self, class Behaviour, class T, class... Types>
constexpr Result<void> (*any_handler())(ActorBase&, Message&) {
  if constexpr (std::same_as<T, AnyTable>) {
    return handler_of<Self, Behaviour, AnyTable>();
  } else if constexpr (sizeof...(Types) > 0) {
    return any_handler<Self, Behaviour, Types...>();
  } else {
    return nullptr;
  }
}

}  // namespace detail

/// State and handlers, one message at a time. `Types` are the messages it handles, each by a member function `on`. A
/// type without a handler does not compile; neither does telling an ActorRef<Self> any other type.
///
///     struct Courier : pannier::Actor<Courier, Position, StatusRequest, Job> {
///       void on(const Position& p);                        // tell, publish, or a delivery acknowledged on return
///       auto on(const StatusRequest&);                     // ask: the return value is the reply
///       void on(const RouteRequest&, pannier::Responder);  // ask: replies later
///       void on(const Job&, pannier::Delivery);            // a delivery that the handler settles
///     };
///
/// `become<Offline>()` changes the behaviour: from then on `on(Offline, const Job&)` handles a Job, if the class has
/// it.
///
/// A handler that throws or returns an error fails its actor: the state is dropped and the supervisor decides. The
/// message being handled is not handled again: a question is answered `failed`, a delivery is retried.
template <class Self, class... Types>
class Actor : public NodeActor {
 public:
  template <class T>
  static constexpr bool kHandles = (std::same_as<T, Types> || ...);
  template <class Behaviour = void>
  static const ActorType& actor_type() noexcept;

 protected:
  /// From the next message on, `on(Behaviour, const T&)` handles a T, in any form of a handler. Types without such a
  /// handler still go to `on(const T&)`. `Behaviour` is an empty struct; void restores the general handlers, as does
  /// each restart. Costs one pointer.
  template <class Behaviour = void>
  void become() noexcept {
    static_assert(std::is_void_v<Behaviour> || std::is_empty_v<Behaviour>, "state belongs into the actor");
    static_assert(std::is_void_v<Behaviour> || (detail::HandlesAny<Self, Behaviour, Types> || ...),
                  "the class has no handler on(Behaviour, const Type&)");
    take_behaviour(actor_type<Behaviour>());
  }
  template <class Behaviour>
  [[nodiscard]] bool is() const noexcept {
    return &behaviour() == &actor_type<Behaviour>();
  }

  using ActorBase::tell;

  /// Moves a native value to an actor in this process. On error the value is lost.
  template <class T>
  requires(!std::convertible_to<T, AnyTable>) Result<void> tell(LocalRef to, T&& value,
                                                                Urgency urgency = Urgency::normal) {
    MessagePtr message = native_message(MessageKind::tell, to.id(), std::forward<T>(value));
    message->urgency = urgency;
    return this->send(std::move(message));
  }
  template <class A, class T>
  requires(!std::convertible_to<T, AnyTable>) Result<void> tell(ActorRef<A> to, T&& value,
                                                                Urgency urgency = Urgency::normal) {
    static_assert(A::template kHandles<std::remove_cvref_t<T>>, "that actor does not handle this type");
    return tell(static_cast<LocalRef>(to), std::forward<T>(value), urgency);
  }
  template <class A, FlatTable T>
  Result<void> tell(ActorRef<A> to, const Table<T>& table, Urgency urgency = Urgency::normal) {
    static_assert(A::template kHandles<T>, "that actor does not handle this type");
    return ActorBase::tell(to, table, urgency);
  }

  /// Asks for one R. Exactly one outcome arrives before `timeout` has passed: the reply, or timeout, unreachable,
  /// not_found, closed, rejected, failed, full, or cancelled by the asker. R is a table type, AnyTable, or, if `to` is
  /// in this process, a native type.
  template <class R>
  [[nodiscard]] auto ask(Ref to, const AnyTable& question, Duration timeout) {
    using Value = typename detail::OutcomeOf<R>::type;
    return Pending<Value>{{this, any_message(MessageKind::ask, to.id(), question), timeout}};
  }
  template <class R, class T>
  requires(!std::convertible_to<T, AnyTable>) [[nodiscard]] auto ask(LocalRef to, T&& question, Duration timeout) {
    using Value = typename detail::OutcomeOf<R>::type;
    return Pending<Value>{{this, native_message(MessageKind::ask, to.id(), std::forward<T>(question)), timeout}};
  }

  /// Asks an actor of known class. The reply type is what its handler returns.
  template <class A, class T>
  [[nodiscard]] auto ask(ActorRef<A> to, T&& question, Duration timeout = kAskTimeout) {
    using Question = typename detail::QuestionOf<std::remove_cvref_t<T>>::type;
    static_assert(A::template kHandles<Question>, "that actor does not handle this type");
    using Value = typename detail::ReplyOf<A, Question>::type;
    if constexpr (std::convertible_to<T, AnyTable>) {
      return Pending<Value>{{this, any_message(MessageKind::ask, to.id(), question), timeout}};
    } else {
      return Pending<Value>{{this, native_message(MessageKind::ask, to.id(), std::forward<T>(question)), timeout}};
    }
  }

  using NodeActor::publish;
  /// Publishes a native value to subscribers in this process, who share it. It does not cross links.
  template <class T>
  requires(!std::convertible_to<T, AnyTable>) Result<void> publish(std::string_view topic, T value,
                                                                   PublishOptions options = {}) {
    const TypeInfo& info = type_info<T>();
    return NodeActor::publish(topic, AnyTable{info.id, &info, BlockRef::holding(std::move(value))}, options);
  }

  template <class T>
  Result<void> subscribe(std::string_view filter) {
    static_assert(kHandles<T>, "list the type in Actor<Self, Types...> and write its handler");
    return subscribe_type(filter, type_info<T>().id);
  }

  /// Consumes the lane. `Messages` are the expected types; each must have a handler. See consume_lane.
  template <class... Messages>
  Result<void> consume(std::string_view lane, ConsumeOptions options = {}) {
    static_assert((kHandles<Messages> && ...), "list the type in Actor<Self, Types...> and write its handler");
    return consume_lane(lane, options);
  }

  template <FlatTable T>
  Result<void> consume(const Lane<T>& lane, ConsumeOptions options = {}) {
    return consume<T>(lane.name(), options);
  }

  /// Replays the lane's retained messages to the same handlers. See replay_lane.
  template <class... Messages>
  Result<void> replay(std::string_view lane, ReplayOptions options) {
    static_assert((kHandles<Messages> && ...), "list the type in Actor<Self, Types...> and write its handler");
    return replay_lane(lane, std::move(options));
  }

  /// Builds a reply in place: `return reply<Status>(done_, eta_s_);`
  template <FlatTable R, class... Fields>
  [[nodiscard]] Table<R> reply(Fields&&... fields) const {
    return make<R>(std::forward<Fields>(fields)...);
  }

  using ActorBase::after;
  using ActorBase::every;
  TimerId after(Duration delay, void (Self::*member)()) {
    return ActorBase::after(delay, [this, member] { (static_cast<Self*>(this)->*member)(); });
  }
  TimerId every(Duration period, void (Self::*member)()) {
    return ActorBase::every(period, [this, member] { (static_cast<Self*>(this)->*member)(); });
  }

  /// Spawns a child of this actor from copies of `args`, which are kept for restarts.
  template <class A, class... Args>
  Result<ActorRef<A>> spawn(SpawnOptions options, Args... args);
  template <class A, class... Args>
  requires(!std::same_as<std::tuple_element_t<0, std::tuple<Args..., void>>, SpawnOptions>) Result<ActorRef<A>> spawn(
      Args... args) {
    return spawn<A>(SpawnOptions{}, std::move(args)...);
  }
};

namespace detail {

template <class A, class... Args>
class RecipeFor final : public Recipe {
 public:
  explicit RecipeFor(const SpawnOptions& options, Args... args) : Recipe(options), args_(std::move(args)...) {}
  [[nodiscard]] const ActorType& type() const noexcept override { return A::actor_type(); }
  ActorBase* build() override {
    static_assert(alignof(A) <= 16, "over-aligned actors are not supported");
    void* memory = Pool::allocate(sizeof(A));
    try {
      return std::apply([&](const Args&... args) { return new (memory) A(args...); }, args_);
    } catch (...) {
      Pool::release(memory);
      throw;
    }
  }

 private:
  [[no_unique_address]] std::tuple<Args...> args_;
};

/// The start message of an A. The spawner fills in receiver and parent.
template <class A, class... Args>
[[nodiscard]] MessagePtr start_message(const SpawnOptions& options, Args... args) {
  static_assert(std::is_base_of_v<ActorBase, A>);
  using RecipeType = RecipeFor<A, Args...>;
  static_assert(alignof(RecipeType) <= 16, "over-aligned arguments of an actor are not supported");
  RecipePtr recipe{new (Pool::allocate(sizeof(RecipeType))) RecipeType{options, std::move(args)...}};
  return native_message(MessageKind::start, {}, std::move(recipe));
}

template <class Self, class Behaviour, class... Types>
inline constexpr std::array<Handler, sizeof...(Types)> kHandlers{Handler{
    type_info<Types>().id, &type_info<Types>(), handler_of<Self, Behaviour, Types>(), key_reader<Self, Types>()}...};

}  // namespace detail

template <class Self, class... Types>
template <class Behaviour>
const ActorType& Actor<Self, Types...>::actor_type() noexcept {
  static constexpr ActorType kType{
      type_info<Self>().name,
      std::span<const Handler>{detail::kHandlers<Self, Behaviour, Types...>},
      [](ActorBase& base) { static_cast<Self&>(base).on_start(); },
      [](ActorBase& base) { static_cast<Self&>(base).on_stop(); },
      [](ActorBase& base) noexcept { static_cast<Self&>(base).~Self(); },
      [] {
        Result<void> (*intercept)(ActorBase&, Message&) = nullptr;
        if constexpr (requires(Self & self, Message & message) { self.intercept(message); }) {
          intercept = [](ActorBase& base, Message& message) { return static_cast<Self&>(base).intercept(message); };
        }
        return intercept;
      }(),
      detail::any_handler<Self, Behaviour, Types..., void>()};
  return kType;
}

template <class Self, class... Types>
template <class A, class... Args>
Result<ActorRef<A>> Actor<Self, Types...>::spawn(SpawnOptions options, Args... args) {
  auto id = spawn_recipe(detail::start_message<A>(options, std::move(args)...), options, options.restart);
  if (!id) return id.error();
  return ActorRef<A>{*id};
}

}  // namespace pannier
