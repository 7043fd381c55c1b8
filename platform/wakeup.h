#pragma once

#include "platform/clock.h"

namespace pannier {

/// Where one loop sleeps, and how others wake it. A notification is sticky: one that comes while nobody
/// waits ends the next wait at once, so no wake-up is ever lost. Several before one wait count as one.
class Wakeup {
 public:
  virtual ~Wakeup() = default;

  /// Any thread. Never blocks, never fails.
  virtual void notify() noexcept = 0;

  /// As notify(), by a loop at the end of a step that leaves it nothing to do: where this loop sleeps, the thread that
  /// is in the caller's step may drive it next, which spares it the wake-up of another thread.
  virtual void hand_over() noexcept { notify(); }

  /// The owner's thread only. Returns after a notification, or at `deadline` (kNever: only then); may return early.
  virtual void wait_until(MonoTime deadline) noexcept = 0;

  /// True where nothing but notify() and time ends a wait, so that a driver may look at Loop::pending for a while
  /// before it sleeps. False where sockets are waited for as well: they would go unseen meanwhile.
  [[nodiscard]] virtual bool notified_only() const noexcept { return false; }
};

}  // namespace pannier
