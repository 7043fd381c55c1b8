#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/actor/service.h"
#include "runtime/queue/queue.h"

namespace pannier {

/// Takes what consumers say of their deliveries to the node's queue. Outlives every actor, since one may hold a
/// delivery to its end. Any thread; once the queue has stopped it does nothing: the row is still on disk, and is
/// delivered again.
class DeliveryDesk final : public SettleSink {
 public:
  explicit DeliveryDesk(System& system) : system_(system) {}
  void settle(Settle settle) noexcept override;

 private:
  System& system_;
};

/// Puts the queue on a node: takes its messages from actors and the router, lends it timers, and sends what it gives
/// out.
class QueueService final : public Service, private QueueHost {
 public:
  /// `system` and `store` outlive the service. `lanes` passed check().
  QueueService(System& system, Store& store, std::vector<LaneOptions> lanes, QueueOptions options);
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

  template <class T>
  void tell_router(T value) {
    port_->worker().send_reserved(native_message(MessageKind::tell, system_.router, std::move(value)));
  }

  System& system_;
  Queue queue_;
  ServicePort* port_ = nullptr;
};

}  // namespace pannier
