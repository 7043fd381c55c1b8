#pragma once

#include <atomic>
#include <string>
#include <thread>

#include "platform/clock.h"
#include "platform/loop.h"
#include "platform/posix/event_wakeup.h"

namespace pannier::posix {

/// Drives one Loop on a thread of its own: steps it while it has work, sleeps in its wake-up when it has none. There is
/// no periodic wake-up: an idle loop costs nothing.
class LoopThread {
 public:
  /// Starts at once. `loop` and `clock` must outlive this object; from here until join() only the new thread steps the
  /// loop. `name` is what `top -H` shows; the kernel keeps 15 bytes of it.
  LoopThread(Loop& loop, const Clock& clock, std::string name);
  /// Asks to stop and joins without a limit.
  ~LoopThread();
  LoopThread(const LoopThread&) = delete;
  LoopThread& operator=(const LoopThread&) = delete;

  /// Any thread. The loop ends after the step that it is in; what is due then is not done. Returns at once.
  void request_stop() noexcept;

  /// The constructing thread only. Asks to stop and waits for it at most `limit`. False: the loop is still within a
  /// step (the thread goes on; call again, or let the destructor wait). True: it has ended, all its writes are visible.
  [[nodiscard]] bool join(Duration limit);

 private:
  void run() noexcept;

  Loop& loop_;
  const Clock& clock_;
  std::string name_;
  EventWakeup ended_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> has_ended_{false};
  std::thread thread_;
};

}  // namespace pannier::posix
