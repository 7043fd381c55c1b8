#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <pannier/actor.h>
#include <pannier/sim.h>

namespace pannier::testkit {

/// A type's name without its namespace: "Job" for "shop::Job" and "shop.Job".
[[nodiscard]] std::string short_name(std::string_view type);

/// What a probe has received and the test has not taken yet. Shared by the probe's actor, which fills it, and the
/// test's handles, which may outlive the node.
struct Mail {
  explicit Mail(sim::Simulator& sim) : simulator(sim) {}

  sim::Simulator& simulator;
  System* system = nullptr;  ///< Null once the actor has ended; the node may be gone too.
  std::deque<MessagePtr> messages;

  /// "Job from planner", for an explanation.
  [[nodiscard]] std::string describe(const Message& message) const;
  /// The right to settle `message`, a delivery of a living node.
  [[nodiscard]] Delivery delivery(const Message& message) const;
  /// The end of every explanation: the time, and the seed that reproduces it.
  [[nodiscard]] std::string at() const;

  /// Beyond it a probe rejects messages.
  static constexpr std::size_t kMessages = 65536;
};

/// Held by the probe's actor, and by its start message before that. The probe ends with it.
struct MailHold {
  explicit MailHold(std::shared_ptr<Mail> held) : mail(std::move(held)) {}
  MailHold(const MailHold&) = delete;
  MailHold& operator=(const MailHold&) = delete;
  ~MailHold() { mail->system = nullptr; }
  std::shared_ptr<Mail> mail;
};

/// The actor behind a probe. Collects every message and runs the test's orders in turns of its own.
class ProbeActor final : public Actor<ProbeActor, Down> {
 public:
  using Order = std::function<void(ProbeActor&)>;

  explicit ProbeActor(std::shared_ptr<MailHold> hold) : hold_(std::move(hold)) {}

  /// Internal: takes every message before the handlers.
  Result<void> intercept(Message& message);
  void on(const Down&) {}  // listed, so that the runtime delivers it

  using Actor::after;
  using Actor::ask;
  using Actor::cancel;
  using Actor::commit;
  using Actor::consume_lane;
  using Actor::enqueue;
  using Actor::every;
  using Actor::local;
  using Actor::now;
  using Actor::on_room;
  using Actor::publish;
  using Actor::read_state;
  using Actor::ref;
  using Actor::spawn;
  using Actor::stop;
  using Actor::subscribe_any;
  using Actor::subscribe_type;
  using Actor::tell;
  using Actor::unsubscribe;
  using Actor::watch;

 private:
  std::shared_ptr<MailHold> hold_;
};

/// A message that a probe received. The test must answer or settle it: otherwise a question ends in its deadline and a
/// delivery stays unsettled. Move-only. May outlive its node.
template <class T>
class Received {
 public:
  /// Internal: made by Probe, which has checked that the message is a T.
  Received(std::shared_ptr<Mail> mail, MessagePtr message) : mail_(std::move(mail)), message_(std::move(message)) {}

  /// The table's accessor or the native value. Lives as long as this object.
  [[nodiscard]] const T& operator*() const noexcept {
    if constexpr (FlatTable<T>) {
      return *flatbuffers::GetRoot<T>(message_->block.bytes().data());
    } else if (message_->inline_bytes != 0) {
      return *static_cast<const T*>(message_->inline_value());
    } else {
      return *reinterpret_cast<const T*>(message_->block.bytes().data());
    }
  }
  [[nodiscard]] const T* operator->() const noexcept { return &**this; }
  /// A share of the table, to keep or send on.
  template <FlatTable Same = T>
  [[nodiscard]] Table<Same> table() const {
    return Table<Same>{message_->block};
  }

  /// Null if the sender is no actor.
  [[nodiscard]] LocalRef sender() const noexcept { return LocalRef{message_->sender}; }
  /// The topic of a publication, the key of a delivery. Lives as long as this object.
  [[nodiscard]] std::string_view label() const noexcept { return message_->label_text(); }
  [[nodiscard]] MessageKind kind() const noexcept { return message_->kind; }

  // --- questions ---------------------------------------------------------------------------------------------------
  /// Answers with a table or a native value. rejected: not a question, or already answered. closed: the probe has
  /// ended.
  template <class Answer>
  Result<void> reply(const Answer& answer) {
    if (auto open = take_turn(MessageKind::ask); !open) return open;
    Responder{*mail_->system, *message_}.reply(answer);
    return {};
  }
  /// Answers with the error `code`.
  Result<void> refuse(ErrorCode code) {
    if (auto open = take_turn(MessageKind::ask); !open) return open;
    Responder{*mail_->system, *message_}.refuse(code);
    return {};
  }

  // --- deliveries, as Delivery. rejected: not a delivery, or settled. closed: the probe has ended -------------------
  Result<void> ack(Batch effects = {}) {
    return settle([&](const Delivery& delivery) { delivery.ack(std::move(effects)); });
  }
  Result<void> retry(std::optional<Duration> delay = {}, std::string cause = "retry asked for") {
    return settle([&](const Delivery& delivery) { delivery.retry(delay, std::move(cause)); });
  }
  Result<void> dead_letter(std::string cause) {
    return settle([&](const Delivery& delivery) { delivery.dead_letter(std::move(cause)); });
  }

 private:
  /// Claims the only chance to answer or settle.
  Result<void> take_turn(MessageKind kind) {
    if (message_->kind != kind) return Error{ErrorCode::rejected, "Not a " + std::string{name_of(kind)} + "."};
    if (mail_->system == nullptr) return Error{ErrorCode::closed, "The probe has ended."};
    if (std::exchange(settled_, true)) return Error{ErrorCode::rejected, "Already answered or settled."};
    return {};
  }
  template <class Say>
  Result<void> settle(Say&& say) {
    if (auto open = take_turn(MessageKind::delivery); !open) return open;
    say(mail_->delivery(*message_));
    return {};
  }
  static std::string_view name_of(MessageKind kind) noexcept {
    return kind == MessageKind::ask ? "question" : "delivery";
  }

  std::shared_ptr<Mail> mail_;
  MessagePtr message_;
  bool settled_ = false;
};

/// The default limit of an expectation, in virtual time. It returns as soon as it is met.
inline constexpr Duration kWithin = std::chrono::seconds{1};

namespace detail {
template <class P>
struct PendingOf;
template <class T>
struct PendingOf<Pending<T>> {
  using type = T;
};
}  // namespace detail

/// A queryable mailbox in place of an actor that the tested one talks to (Akka's TestProbe). It can also send. Pass it
/// wherever a reference is expected.
///
/// An expectation lets virtual time pass until it is met or times out. If it fails, no message is taken, and its error
/// says in one line what was expected, what came instead, when, and under which seed. A value; copies share the
/// mailbox. May outlive its node and then returns closed. Simulator's thread only.
class Probe : public LocalRef {
 public:
  /// Internal: see SimNode::probe.
  Probe(LocalRef self, std::shared_ptr<Mail> mail) : LocalRef(self), mail_(std::move(mail)) {}

  // --- receive -----------------------------------------------------------------------------------------------------
  /// Takes the next message, which must be a T. timeout: nothing came. rejected: the next message is something else and
  /// is not taken.
  template <class T>
  Result<Received<T>> expect(Duration within = kWithin) {
    if (!wait(within)) return nothing_came(type_info<T>(), within);
    Message& next = *mail_->messages.front();
    if (auto fits = check(next, type_info<T>()); !fits) return fits.error();
    return Received<T>{mail_, take(0)};
  }
  /// Takes the next T, skipping other messages, which stay in order.
  template <class T>
  Result<Received<T>> find(Duration within = kWithin) {
    const auto index = search(type_info<T>(), within);
    if (!index) return nothing_came(type_info<T>(), within);
    return Received<T>{mail_, take(*index)};
  }
  /// Lets all of `span` pass. rejected: something came; returned at once.
  Result<void> expect_nothing(Duration span);
  /// What has come and was not taken: "Job from planner; Down". Empty if nothing.
  [[nodiscard]] std::string waiting() const;
  void forget() { mail_->messages.clear(); }

  /// This probe as a typed reference to an A.
  template <class A>
  [[nodiscard]] ActorRef<A> as() const noexcept {
    return ActorRef<A>{id()};
  }

  // --- act, each in a turn of its own ------------------------------------------------------------------------------
  /// Sends a native value or a table. The receiver handles it after this call.
  template <class T>
  Result<void> tell(LocalRef to, T&& value) {
    return act([&](ProbeActor& self) { return self.tell(to, std::forward<T>(value)); });
  }
  Result<void> tell(Ref to, const AnyTable& value) {
    return act([&](ProbeActor& self) { return self.tell(to, value); });
  }
  /// Asks, and lets time pass until the outcome. Arguments as for Actor::ask.
  template <class R, class To, class Question>
  auto ask(To to, Question&& question, Duration timeout = kWithin) {
    return outcome([&](ProbeActor& self) { return self.ask<R>(to, std::forward<Question>(question), timeout); },
                   timeout + kWithin);
  }
  /// Enqueues, and lets time pass until the receipt.
  Result<Receipt> enqueue(std::string_view address, std::string_view key, const AnyTable& message,
                          Duration within = kWithin);
  /// The application's state under keys that start with `prefix`.
  Result<std::vector<StateRow>> read_state(std::string_view prefix);
  Result<void> publish(std::string_view topic, const AnyTable& value, PublishOptions options = {}) {
    return act([&](ProbeActor& self) { return self.publish(topic, value, options); });
  }
  /// Subscribes to matching topics, all types. In effect on this node on return.
  Result<void> subscribe(std::string_view filter) {
    return act([&](ProbeActor& self) { return self.subscribe_any(filter); }, true);
  }
  /// Consumes the lane: its messages arrive as deliveries.
  Result<void> consume(std::string_view lane, ConsumeOptions options = {}) {
    return act([&](ProbeActor& self) { return self.consume_lane(lane, options); }, true);
  }
  /// Receives a Down when `actor` has ended.
  Result<void> watch(Ref actor) {
    return let([actor](ProbeActor& self) { self.watch(actor); });
  }
  Result<void> stop(Ref actor) {
    return let([actor](ProbeActor& self) { self.stop(actor); });
  }
  /// Runs `order` in a turn of the probe's actor and returns when it is done. closed: the probe or its node has ended.
  /// timeout: its worker does not run. After an error the order never runs.
  Result<void> let(ProbeActor::Order order);

 private:
  /// Waits for a message that was not taken.
  bool wait(Duration within);
  std::optional<std::size_t> search(const TypeInfo& wanted, Duration within);
  [[nodiscard]] Result<void> check(Message& message, const TypeInfo& wanted) const;
  [[nodiscard]] Error nothing_came(const TypeInfo& wanted, Duration within) const;
  [[nodiscard]] MessagePtr take(std::size_t index);

  template <class Act>
  Result<void> act(Act&& act, bool settle = false) {
    Result<void> acted;
    auto ran = let([&](ProbeActor& self) { acted = act(self); });
    if (ran && settle) mail_->simulator.run_for(Duration::zero());
    return ran ? acted : ran;
  }
  /// The outcome of the Pending that `begin` returns.
  template <class Begin>
  auto outcome(Begin&& begin, Duration within) {
    using Value = typename detail::PendingOf<std::invoke_result_t<Begin, ProbeActor&>>::type;
    const auto kept = std::make_shared<std::optional<Result<Value>>>();
    auto begun = let([&](ProbeActor& self) {
      begin(self).then([kept](Result<Value> result) { kept->emplace(std::move(result)); });
    });
    if (!begun) return Result<Value>{begun.error()};
    if (!mail_->simulator.run_until([&] { return kept->has_value(); }, within)) {
      return Result<Value>{Error{ErrorCode::timeout, "No outcome" + mail_->at() + "."}};
    }
    return Result<Value>{std::move(**kept)};
  }

  std::shared_ptr<Mail> mail_;
};

inline Result<std::vector<StateRow>> Probe::read_state(std::string_view prefix) {
  return outcome([&](ProbeActor& self) { return self.read_state(prefix); }, kWithin);
}

}  // namespace pannier::testkit
