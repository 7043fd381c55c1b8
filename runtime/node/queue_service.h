#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <pannier/link.h>

#include "runtime/actor/service.h"
#include "runtime/link/router_messages.h"
#include "runtime/queue/queue.h"

namespace pannier {

/// Passes settlements from consumers to the node's queue. Outlives every actor, since an actor may hold a delivery to
/// its end. Any thread. Does nothing once the queue has stopped: the row is still on disk and is delivered again.
class DeliveryDesk final : public SettleSink {
 public:
  explicit DeliveryDesk(System& system) : system_(system) {}
  void settle(Settle settle) noexcept override;

 private:
  System& system_;
};

/// The nodes that links are configured to or from. Used only to warn about unknown names.
struct Ways {
  std::vector<std::string> links;
  std::vector<PeerOptions> peers;
  bool anybody = false;  ///< Peers may use any name.

  [[nodiscard]] bool lead_to(std::string_view node) const noexcept;
};

/// The queue as a service: takes its messages from actors and the router, provides timers, and sends its output.
class QueueService final : public Service, private QueueHost {
 public:
  /// `system` and `store` outlive the service. `lanes` passed check().
  QueueService(System& system, Store& store, std::vector<LaneOptions> lanes, QueueOptions options, Ways ways);
  /// As Queue::load.
  [[nodiscard]] Result<void> load() { return queue_.load(); }

  void started(ServicePort& port) override;
  void stopping() override;
  Result<void> handle(Message& message) override;
  bool before_actors(MonoTime) override { return false; }
  bool after_actors(MonoTime now) override { return port_ != nullptr && queue_.step(now); }

 private:
  [[nodiscard]] MonoTime now() const noexcept override { return port_->now(); }
  [[nodiscard]] std::uint64_t random() noexcept override { return port_->random(); }
  TimerId after(Duration delay, Callback<void()> function) override { return port_->after(delay, std::move(function)); }
  void cancel(TimerId timer) noexcept override { port_->cancel(timer); }
  void log(LogLevel level, std::string_view line) override { port_->log(level, line); }
  [[nodiscard]] std::string describe(ActorId actor) const override { return system_.describe(actor); }
  void reply(MessagePtr message) override { port_->worker().send_reserved(std::move(message)); }
  [[nodiscard]] Result<void> deliver(MessagePtr delivery) override { return port_->tell_native(std::move(delivery)); }
  void send_row(OutgoingRow row) override { tell_router(std::move(row)); }
  void send_ack(StreamAck ack) override { tell_router(std::move(ack)); }
  void want_way(std::string_view node) override { tell_router(WantWay{std::string{node}}); }
  void send_incarnations(std::string_view node, std::vector<std::uint64_t> incarnations) override;

  /// Warns, once per name, if no way leads to a destination.
  void look_for_way(const std::string& node);
  void warn_of_no_way(const std::string& node);

  template <class T>
  void tell_router(T value) {
    port_->worker().send_reserved(native_message(MessageKind::tell, system_.router, std::move(value)));
  }

  System& system_;
  Queue queue_;
  Ways ways_;
  std::vector<std::string> forwarded_to_;         // by the lanes that the program named
  std::set<std::string, std::less<>> known_;      // destinations already checked; bounded
  std::set<std::string, std::less<>> hoped_for_;  // of these, those that may lie behind a linked node
  ServicePort* port_ = nullptr;
};

}  // namespace pannier
