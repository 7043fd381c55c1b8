#pragma once

#include <optional>

#include <pannier/platform.h>

namespace pannier::posix {

/// How a program learns that it should end or, where it asks for that, read its configuration again. Construct it first
/// in main, before any thread: threads inherit the blocked SIGINT and SIGTERM, so that the signals wait for wait()
/// instead of interrupting somebody. Ignores SIGPIPE, which would kill the process when a peer closes. One a process;
/// the destructor takes what still waits, unblocks both and restores the default.
class StopSignals {
 public:
  StopSignals() noexcept;
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// From now on wait() returns SIGHUP as well, which ends a process otherwise. Before any thread starts.
  void take_hangups() noexcept;
  /// Blocks until one of them arrives, and returns its number.
  int wait() noexcept;
  /// As wait(), but at most for `limit`; empty when none came.
  std::optional<int> wait_for(Duration limit) noexcept;

 private:
  bool hangups_ = false;
};

}  // namespace pannier::posix
