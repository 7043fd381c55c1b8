#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "platform/clock.h"
#include "platform/concat.h"
#include "platform/log.h"
#include "platform/result.h"
#include "runtime/actor/cell.h"
#include "runtime/actor/timers.h"
#include "runtime/message/any_table.h"
#include "runtime/message/callback.h"
#include "runtime/queue/consume.h"

namespace pannier {

struct TopicCounters;  // runtime/link/topic_counters.h
class QueueControl;
class Worker;
struct System;

struct PublishOptions {
  bool keep_last = false;  ///< Retain the value: a later subscriber gets it, until another one or a clear replaces it.
  Urgency urgency = Urgency::normal;
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

/// What every actor can do. Each call is made from the actor's own turns (handlers, timers, on_start, on_stop,
/// outcomes); none blocks. References in arguments are read before the call returns.
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

  [[nodiscard]] Ref self() const noexcept { return Ref{cell_.id}; }
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

  // --- publish -----------------------------------------------------------------------------------------------------
  /// At most once to each subscriber there is now, on this node and on linked ones that asked for the topic. ok: the
  /// node has it. What it could not pass on is counted by its cause, see topic_counters. full: nothing was published.
  /// An empty message with `keep_last` clears the topic's retained value, as in MQTT.
  Result<void> publish(std::string_view topic, const AnyTable& message, PublishOptions options = {});
  /// Clears the retained value of `topic`, here and on linked nodes. Subscribers are not told.
  Result<void> clear_retained(std::string_view topic);
  /// From now on publications whose topic matches come as messages, after the values retained for such topics; those
  /// come as fast as the mailbox takes them. Ends with the actor's life.
  Result<void> subscribe_type(std::string_view filter, TypeId type);
  /// Publications of every type; the class handles AnyTable.
  Result<void> subscribe_any(std::string_view filter) { return subscribe_type(filter, TypeId{}); }
  Result<void> unsubscribe(std::string_view filter);
  /// What became of the publications and subscriptions of this node, by cause where they were dropped.
  [[nodiscard]] Pending<TopicCounters> topic_counters();

  // --- queue -------------------------------------------------------------------------------------------------------
  /// Keeps `message` on disk until it has taken effect at `address` ("lane" here, "node/lane" there).
  Pending<Receipt> enqueue(std::string_view address, std::string_view key, const AnyTable& message,
                           EnqueueOptions options = {});
  /// Stores all of `batch` in one transaction.
  Pending<Receipt> commit(Batch batch);
  /// As `delivery.ack(batch)`, and tells the outcome. After an error nothing of it is stored and the delivery is
  /// retried; rejected: it was settled before.
  Pending<Receipt> commit(Delivery delivery, Batch batch);
  /// Takes messages of the lane as deliveries from now on, in competition with its other consumers. Ends with the
  /// actor's state. A second call changes the options. What the queue refuses comes back through the log.
  Result<void> consume_lane(std::string_view lane, ConsumeOptions options);
  /// Takes what is ready in the lane now, of one type or as AnyTable. An empty answer: nothing was, in time. What the
  /// actor does not settle is retried after the visibility timeout, or when the actor ends. full: too many fetches
  /// wait.
  template <class T>
  [[nodiscard]] Pending<std::vector<Fetched<T>>> fetch(std::string_view lane, const FetchOptions& options = {}) {
    return Pending<std::vector<Fetched<T>>>{fetch_question(lane, options)};
  }
  /// Reads again what the lane retains (LaneOptions::retention), as deliveries in order, from where this reader has
  /// come to. ack moves it on; retry delivers again, without end; dead_letter passes the message over. What is
  /// acknowledged out of order may come again after a crash: with a window of 1, effects in the batch happen once. One
  /// actor per reader.
  Result<void> replay_lane(std::string_view lane, ReplayOptions options);
  /// The application's state under keys that start with `prefix`, at most `limit` of them, in key order.
  [[nodiscard]] Pending<std::vector<StateRow>> read_state(std::string_view prefix, std::size_t limit = 100'000);

  /// Looking for, cancelling, redriving messages; lanes; the application's tables. Include
  /// runtime/node/queue_control.h.
  [[nodiscard]] QueueControl queue() noexcept;

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
  TimerId ask_message(detail::PendingAsk ask, Timers::Function outcome);
  Result<ActorId> spawn_recipe(MessagePtr start, const SpawnOptions& options, Restart restart);
  /// The table of handlers from the next message on, until a restart.
  void take_behaviour(const ActorType& type) noexcept;
  [[nodiscard]] const ActorType& behaviour() const noexcept;

 private:
  template <class T>
  friend class Pending;

  [[nodiscard]] Result<void> check_lane(std::string_view lane) const;
  detail::PendingAsk fetch_question(std::string_view lane, const FetchOptions& options);
  /// Under whose deadline, and on whose behalf, the current turn runs.
  [[nodiscard]] Waiting waiting() const;
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
  if constexpr (std::same_as<R, AnyTable>) {
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
    if (!outcome) asker->log(LogLevel::warning, "an outcome nobody waited for: " + printable(outcome.error().text()));
  });
}

}  // namespace pannier
