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

/// A type's name without what it stands in: "Job" of "shop::Job" and of "shop.Job".
[[nodiscard]] std::string short_name(std::string_view type);

/// What a probe has been sent and the test has not asked for yet. Shared by the probe's actor, which fills it, and the
/// test's handles on it, which may outlive the node.
struct Mail {
  explicit Mail(sim::Simulator& sim) : simulator(sim) {}

  sim::Simulator& simulator;
  System* system = nullptr;  ///< Null once the actor has ended, and with it its node maybe.
  std::deque<MessagePtr> messages;

  /// "Job from planner", for an explanation.
  [[nodiscard]] std::string describe(const Message& message) const;
  /// The right to settle `message`, which is a delivery of a living node.
  [[nodiscard]] Delivery delivery(const Message& message) const;
  /// The end of every explanation: when it was, and the seed that makes it happen again.
  [[nodiscard]] std::string at() const;

  /// Past that a probe rejects what it is sent.
  static constexpr std::size_t kMessages = 65536;
};

/// Held by the actor behind a probe, and before its start by the way to it: once that is gone, so is the probe.
struct MailHold {
  explicit MailHold(std::shared_ptr<Mail> held) : mail(std::move(held)) {}
  MailHold(const MailHold&) = delete;
  MailHold& operator=(const MailHold&) = delete;
  ~MailHold() { mail->system = nullptr; }
  std::shared_ptr<Mail> mail;
};

/// The actor behind a probe: it keeps every message, and does what the test tells it to in a turn of its own. What an
/// actor may do, the test may do through it.
class ProbeActor final : public Actor<ProbeActor, Down> {
 public:
  using Order = std::function<void(ProbeActor&)>;

  explicit ProbeActor(std::shared_ptr<MailHold> hold) : hold_(std::move(hold)) {}

  /// Internal: takes every message before any handler could.
  Result<void> intercept(Message& message);
  void on(const Down&) {}  // listed, so that the runtime hands it over

  using Actor::after;
  using Actor::ask;
  using Actor::cancel;
  using Actor::commit;
  using Actor::consume_lane;
  using Actor::enqueue;
  using Actor::every;
  using Actor::local;
  using Actor::now;
  using Actor::publish;
  using Actor::read_state;
  using Actor::ref;
  using Actor::spawn;
  using Actor::stop;
  using Actor::subscribe_any;
  using Actor::subscribe_type;
  using Actor::on_room;
  using Actor::tell;
  using Actor::unsubscribe;
  using Actor::watch;

 private:
  std::shared_ptr<MailHold> hold_;
};

/// One message that a probe was sent, in the test's hands. It says nothing to anybody unless the test does: a question
/// that is let go runs into its deadline, a delivery that is let go stays undone. Move it; it may outlive its node.
template <class T>
class Received {
 public:
  /// Internal: made by Probe, which has checked that the message is a T.
  Received(std::shared_ptr<Mail> mail, MessagePtr message) : mail_(std::move(mail)), message_(std::move(message)) {}

  /// The table's accessor, or the native value. Lives as long as this does.
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
  /// A share of the table, to keep or to send on.
  template <FlatTable Same = T>
  [[nodiscard]] Table<Same> table() const {
    return Table<Same>{message_->block};
  }

  /// Nobody where the sender is no actor.
  [[nodiscard]] LocalRef sender() const noexcept { return LocalRef{message_->sender}; }
  /// The topic of a publication, the key of a delivery. Lives as long as this does.
  [[nodiscard]] std::string_view label() const noexcept {
    const auto text = message_->label.bytes();
    return {reinterpret_cast<const char*>(text.data()), text.size()};
  }
  [[nodiscard]] MessageKind kind() const noexcept { return message_->kind; }

  // --- Of a question -----------------------------------------------------------------------------------------------
  /// A table or a native value. rejected: it was no question, or has its answer. closed: the node asked is down.
  template <class Answer>
  Result<void> reply(const Answer& answer) {
    if (auto open = take_turn(MessageKind::ask); !open) return open;
    Responder{*mail_->system, *message_}.reply(answer);
    return {};
  }
  /// The asker gets `code` in place of an answer.
  Result<void> refuse(ErrorCode code) {
    if (auto open = take_turn(MessageKind::ask); !open) return open;
    Responder{*mail_->system, *message_}.refuse(code);
    return {};
  }

  // --- Of a delivery: as Delivery says. rejected: it is none, or is settled. closed: its node is down ---------------
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
  /// The one time that something may be said.
  Result<void> take_turn(MessageKind kind) {
    if (message_->kind != kind) return Error{ErrorCode::rejected, "It is no " + std::string{name_of(kind)} + "."};
    if (mail_->system == nullptr) return Error{ErrorCode::closed, "The probe that it came to has ended."};
    if (std::exchange(settled_, true)) return Error{ErrorCode::rejected, "It had its answer before."};
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

/// How long an expectation waits at most, of virtual time: it returns at once when what it waits for has come.
inline constexpr Duration kWithin = std::chrono::seconds{1};

namespace detail {
template <class P>
struct PendingOf;
template <class T>
struct PendingOf<Pending<T>> {
  using type = T;
};
}  // namespace detail

/// An actor in the test's hands: a queryable mailbox in the place of whoever the tested actor talks to (Akka's
/// TestProbe), and a voice of its own. It is its reference: give it to actors, send to it.
///
/// An expectation lets virtual time pass until it is met or its time is up. One that is not met takes nothing, and its
/// error explains in one line what was expected, what came instead, when, and under which seed.
/// A value; copies share the mailbox. It may outlive its node, and then says `closed`. One thread, the simulator's.
class Probe : public LocalRef {
 public:
  /// Internal: see SimNode::probe.
  Probe(LocalRef self, std::shared_ptr<Mail> mail) : LocalRef(self), mail_(std::move(mail)) {}

  // --- What comes --------------------------------------------------------------------------------------------------
  /// The next message must be a T. timeout: nothing came; rejected: it is something else, and stays the next one.
  template <class T>
  Result<Received<T>> expect(Duration within = kWithin) {
    if (!wait(within)) return nothing_came(type_info<T>(), within);
    Message& next = *mail_->messages.front();
    if (auto fits = check(next, type_info<T>()); !fits) return fits.error();
    return Received<T>{mail_, take(0)};
  }
  /// The next T, whatever comes before it. What is passed over stays, in its order.
  template <class T>
  Result<Received<T>> find(Duration within = kWithin) {
    const auto index = search(type_info<T>(), within);
    if (!index) return nothing_came(type_info<T>(), within);
    return Received<T>{mail_, take(*index)};
  }
  /// Lets all of `span` pass. rejected: something came, at once when it does.
  Result<void> expect_nothing(Duration span);
  /// What has come and was not asked for yet: "Job from planner; Down". Empty: nothing.
  [[nodiscard]] std::string waiting() const;
  void forget() { mail_->messages.clear(); }

  /// This probe in the place of an A, for who wants a typed reference.
  template <class A>
  [[nodiscard]] ActorRef<A> as() const noexcept {
    return ActorRef<A>{id()};
  }

  // --- What it does, each in a turn of its own ---------------------------------------------------------------------
  /// A native value or a table. What the receiver does about it comes after this call.
  template <class T>
  Result<void> tell(LocalRef to, T&& value) {
    return act([&](ProbeActor& self) { return self.tell(to, std::forward<T>(value)); });
  }
  Result<void> tell(Ref to, const AnyTable& value) {
    return act([&](ProbeActor& self) { return self.tell(to, value); });
  }
  /// Asks, and lets time pass until the outcome is there. R, receiver and question as Actor::ask has them.
  template <class R, class To, class Question>
  auto ask(To to, Question&& question, Duration timeout = kWithin) {
    return outcome([&](ProbeActor& self) { return self.ask<R>(to, std::forward<Question>(question), timeout); },
                   timeout + kWithin);
  }
  /// Lets time pass until the receipt is there.
  Result<Receipt> enqueue(std::string_view address, std::string_view key, const AnyTable& message,
                          Duration within = kWithin);
  /// The application's state under keys that start with `prefix`.
  Result<std::vector<StateRow>> read_state(std::string_view prefix);
  Result<void> publish(std::string_view topic, const AnyTable& value, PublishOptions options = {}) {
    return act([&](ProbeActor& self) { return self.publish(topic, value, options); });
  }
  /// It gets what is published on topics that match, of any type; on this node from now on.
  Result<void> subscribe(std::string_view filter) {
    return act([&](ProbeActor& self) { return self.subscribe_any(filter); }, true);
  }
  /// It gets the messages of the lane from now on, as deliveries.
  Result<void> consume(std::string_view lane, ConsumeOptions options = {}) {
    return act([&](ProbeActor& self) { return self.consume_lane(lane, options); }, true);
  }
  /// It gets a Down once `actor` has ended.
  Result<void> watch(Ref actor) {
    return let([actor](ProbeActor& self) { self.watch(actor); });
  }
  Result<void> stop(Ref actor) {
    return let([actor](ProbeActor& self) { self.stop(actor); });
  }
  /// Anything else that an actor may do; returns when it is done. closed: the probe, or its node, has ended; timeout:
  /// its worker does not run. After an error the order has not been run, and never will be.
  Result<void> let(ProbeActor::Order order);

 private:
  /// Until a message waits that nobody has asked for.
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
  /// What becomes of the Pending that `begin` gives.
  template <class Begin>
  auto outcome(Begin&& begin, Duration within) {
    using Value = typename detail::PendingOf<std::invoke_result_t<Begin, ProbeActor&>>::type;
    const auto kept = std::make_shared<std::optional<Result<Value>>>();
    auto begun = let([&](ProbeActor& self) {
      begin(self).then([kept](Result<Value> result) { kept->emplace(std::move(result)); });
    });
    if (!begun) return Result<Value>{begun.error()};
    if (!mail_->simulator.run_until([&] { return kept->has_value(); }, within)) {
      return Result<Value>{Error{ErrorCode::timeout, "There is no outcome" + mail_->at() + "."}};
    }
    return Result<Value>{std::move(**kept)};
  }

  std::shared_ptr<Mail> mail_;
};

inline Result<std::vector<StateRow>> Probe::read_state(std::string_view prefix) {
  return outcome([&](ProbeActor& self) { return self.read_state(prefix); }, kWithin);
}

}  // namespace pannier::testkit
