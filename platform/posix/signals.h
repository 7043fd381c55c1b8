#pragma once

#include <optional>

#include <pannier/platform.h>

namespace pannier::posix {

/// Waits for the signals that end a program. Construct it first in main, before any thread: threads inherit the blocked
/// SIGINT and SIGTERM, which then stay pending until wait(). Ignores SIGPIPE, which would kill the process when a peer
/// closes. One per process. The destructor discards pending signals, unblocks both and restores the defaults.
class StopSignals {
 public:
  StopSignals() noexcept;
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// Blocks until either signal arrives and returns its number.
  int wait() noexcept;
  /// As wait(), for at most `limit`. Empty if none came.
  std::optional<int> wait_for(Duration limit) noexcept;
};

}  // namespace pannier::posix
