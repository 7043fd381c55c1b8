#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "platform/posix/loop_threads.h"

namespace pannier::posix {

/// Whether loops do what a loop should: end each step, and begin another when notified. What a watchdog of the
/// process rests on. It asks by waking each loop, so that one that sleeps because a notification was lost shows as
/// well as one that is stuck in a handler or a disk. One thread at a time; the threads outlive the probe.
class ProgressProbe {
 public:
  /// Asks for the first time.
  explicit ProgressProbe(LoopThreads& threads);

  /// The number of a loop that has not ended a step since the last ask().
  [[nodiscard]] std::optional<std::size_t> stuck() const noexcept;
  /// Wakes every loop, to be looked at later.
  void ask() noexcept;

 private:
  LoopThreads& threads_;
  std::vector<std::uint32_t> steps_;
};

}  // namespace pannier::posix
