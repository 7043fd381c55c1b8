#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "platform/posix/loop_threads.h"

namespace pannier::posix {

/// Checks that loops finish each step and begin another when notified, for the process's watchdog. It wakes each loop,
/// so that one asleep after a lost notification is found like one stuck in a handler or on a disk. One thread at a
/// time. The threads outlive the probe.
class ProgressProbe {
 public:
  /// Asks for the first time.
  explicit ProgressProbe(LoopThreads& threads);

  /// A loop that has not completed a step since the last ask().
  [[nodiscard]] std::optional<std::size_t> stuck() const noexcept;
  /// Wakes every loop, to be checked later.
  void ask() noexcept;

 private:
  LoopThreads& threads_;
  std::vector<std::uint32_t> steps_;
};

}  // namespace pannier::posix
