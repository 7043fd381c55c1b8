#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "runtime/message/block.h"
#include "runtime/queue/batch.h"

namespace pannier {

enum class Outcome : std::uint8_t { ack, retry, dead_letter, extend };

/// How a consumer settles a delivery, on its way to the queue. Internal.
struct Settle {
  std::uint64_t delivery = 0;
  Outcome outcome = Outcome::retry;
  std::optional<Duration> delay = {};  ///< retry: none means the lane's backoff. extend: the new visibility timeout.
  std::string cause;
  Batch batch;
};

/// Where deliveries report how they were settled: the node's queue. Any thread.
class SettleSink {
 public:
  virtual ~SettleSink() = default;
  virtual void settle(Settle settle) noexcept = 0;
};

/// A message of a lane in a consumer's hands. Settle it once with ack, retry or dead_letter; later calls do nothing. A
/// delivery whose last copy is destroyed unsettled is retried. After its visibility timeout, if it has one, settling it
/// does nothing. Copies share one state. Any thread; it must not outlive its node.
class Delivery {
 public:
  /// Internal: made by the dispatcher.
  Delivery(SettleSink& sink, std::uint64_t id);

  /// The message has taken effect and is not delivered again once this is committed. A crash before that delivers it
  /// again, so an effect that must happen once goes into `effects`, which share the commit.
  void ack(Batch effects = {}) const;
  /// Delivers the message again, at the earliest after `delay`, or as the lane's backoff says. Once the attempts are
  /// used up it is dead-lettered with `cause`.
  void retry(std::optional<Duration> delay = {}, std::string cause = "retry asked for") const;
  /// Dead-letters the message with `cause`. The next message goes on.
  void dead_letter(std::string cause) const;
  /// Restarts the visibility timeout, now with this length. Does not settle the delivery.
  void extend(Duration visibility) const;

  /// Internal: its number, and that the queue has settled it by way of a commit.
  [[nodiscard]] std::uint64_t id() const noexcept;
  void mark_settled() const noexcept;

 private:
  struct State;
  [[nodiscard]] State& state() const noexcept;
  BlockRef state_;
};

}  // namespace pannier
