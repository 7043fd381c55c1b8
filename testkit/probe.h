#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "testkit/mail.h"
#include "testkit/received.h"

namespace pannier::testkit {

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

}  // namespace pannier::testkit
