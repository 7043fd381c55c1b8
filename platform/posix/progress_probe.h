#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "platform/posix/loop_thread.h"

namespace pannier::posix {

/// Whether loop threads do what a loop should: end each step, and begin another when notified. What a watchdog of the
/// process rests on. It asks by waking each loop, so that one that sleeps because a notification was lost shows as
/// well as one that is stuck in a handler or a disk. One thread at a time; the threads outlive the probe.
class ProgressProbe {
 public:
  /// Asks for the first time.
  explicit ProgressProbe(std::span<const std::unique_ptr<LoopThread>> threads);

  /// A thread that has not ended a step since the last ask(), or null.
  [[nodiscard]] const LoopThread* stuck() const noexcept;
  /// Wakes every loop, to be looked at later.
  void ask() noexcept;

 private:
  std::span<const std::unique_ptr<LoopThread>> threads_;
  std::vector<std::uint32_t> steps_;
};

}  // namespace pannier::posix
