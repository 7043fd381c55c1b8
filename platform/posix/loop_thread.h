#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

#include "platform/clock.h"
#include "platform/loop.h"
#include "platform/posix/event_wakeup.h"

namespace pannier::posix {

/// Drives one Loop on a thread of its own: steps it while it has work, sleeps in its wake-up when it has none. There is
/// no periodic wake-up: an idle loop costs nothing.
///
/// Between threads that talk all the time a sleep and a wake-up cost a hundred times what the message does. So after a
/// sleep that a notification ended soon, the loop looks out for the next one for a short time before it sleeps again,
/// and goes on so while that pays (docs/decisions/0008-spin-before-sleep.md). One that is woken now and then never
/// spins.
class LoopThread {
 public:
  /// About what a sleep and a wake-up cost: spinning as long as that is never worse than twice the best there is
  /// (Karlin, Li, Manasse, Owicki: "Empirical Studies of Competitive Spinning", 1991).
  static constexpr Duration kSpin = std::chrono::microseconds{20};
  /// kSpin; zero where this process may use one core only: nobody could notify while the loop spins.
  [[nodiscard]] static Duration default_spin() noexcept;

  /// Starts at once. `loop` and `clock` must outlive this object; from here until join() only the new thread steps the
  /// loop. `name` is what `top -H` shows; the kernel keeps 15 bytes of it. `spin`: how long to look for a notification
  /// before a sleep, under load; zero: not at all. Only where its Wakeup is notified_only().
  LoopThread(Loop& loop, const Clock& clock, std::string name, Duration spin = default_spin());
  /// Asks to stop and joins without a limit.
  ~LoopThread();
  LoopThread(const LoopThread&) = delete;
  LoopThread& operator=(const LoopThread&) = delete;

  /// Any thread. The loop ends after the step that it is in; what is due then is not done. Returns at once.
  void request_stop() noexcept;

  /// The constructing thread only. Asks to stop and waits for it at most `limit`. False: the loop is still within a
  /// step (the thread goes on; call again, or let the destructor wait). True: it has ended, all its writes are visible.
  [[nodiscard]] bool join(Duration limit);

  /// Any thread. Steps that have ended so far, round and round. Stands still while one lasts and while the loop sleeps.
  [[nodiscard]] std::uint32_t steps() const noexcept { return steps_.load(std::memory_order_acquire); }
  /// Any thread. Makes the loop step once more, though nothing may be due.
  void wake() noexcept { loop_.wakeup().notify(); }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }

 private:
  void run() noexcept;
  [[nodiscard]] bool spin_until_pending(MonoTime due) const noexcept;

  /// A sleep that a notification ended within this many spins tells of a talk that goes on.
  static constexpr int kSoon = 50;

  Loop& loop_;
  const Clock& clock_;
  std::string name_;
  const Duration spin_;
  EventWakeup ended_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> has_ended_{false};
  std::atomic<std::uint32_t> steps_{0};
  std::thread thread_;
};

}  // namespace pannier::posix
