#pragma once

#include <optional>

#include <pannier/platform.h>

namespace pannier::posix {

/// Waits for the signals that end a program or make it read its configuration again. Construct it first in main, before
/// any thread: threads inherit the blocked SIGINT, SIGTERM and SIGHUP, which then stay pending until wait(). Ignores
/// SIGPIPE, which would kill the process when a peer closes, and SIGUSR1 and SIGUSR2, which mean nothing here. One per
/// process. The destructor discards pending signals, unblocks them and restores the defaults.
class StopSignals {
 public:
  StopSignals() noexcept;
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// Blocks until one of the signals arrives and returns its number.
  int wait() noexcept;
  /// As wait(), for at most `limit`. Empty if none came.
  std::optional<int> wait_for(Duration limit) noexcept;
};

}  // namespace pannier::posix
