#pragma once

#include "platform/clock.h"
#include "platform/wakeup.h"

namespace pannier {

/// A step machine that someone else drives: a thread in production (posix::LoopThread), the simulator in virtual
/// time (sim::Simulator). It owns no thread and asks no clock; the same code runs under both.
class Loop {
 public:
  virtual ~Loop() = default;

  /// Does a bounded amount of the work that is due at `now`, which stands still meanwhile. Returns when to be called
  /// again without a notification: `now` when work is left, kNever when only a notification can bring work.
  /// Always from the same thread, or with a happens-before edge between two calls.
  virtual MonoTime step(MonoTime now) = 0;

  /// Any thread. True when another thread has brought work for the next step; costs one load. A loop that cannot tell
  /// says false, and is woken as ever.
  [[nodiscard]] virtual bool pending() const noexcept { return false; }

  /// Where the driver waits between two steps. Lives as long as the loop.
  virtual Wakeup& wakeup() noexcept = 0;
};

}  // namespace pannier
