#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "platform/sim/simulator.h"
#include "runtime/actor/actor.h"

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
  using Actor::tell;
  using Actor::unsubscribe;
  using Actor::watch;

 private:
  std::shared_ptr<MailHold> hold_;
};

}  // namespace pannier::testkit
