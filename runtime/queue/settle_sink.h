#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <pannier/queue.h>

namespace pannier {

/// How a consumer settles a delivery, on its way to the queue.
struct Settle {
  std::uint64_t delivery = 0;
  Outcome outcome = Outcome::retry;
  std::optional<Duration> delay = {};  ///< retry: none means the lane's backoff. extend: the new visibility timeout.
  std::string cause;
  Batch batch;
  BlockRef trace = {};  ///< Of the turn in which the delivery was handled.
};

/// Where deliveries report how they were settled: the node's queue. Any thread.
class SettleSink {
 public:
  virtual ~SettleSink() = default;
  virtual void settle(Settle settle) noexcept = 0;
};

}  // namespace pannier
