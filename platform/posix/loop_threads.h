#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include <pannier/platform.h>
#include "platform/posix/event_wakeup.h"

namespace pannier::posix {

/// Drives loops on as many threads. Steps them while they have work and sleeps otherwise; an idle loop costs nothing.
///
/// Waking a thread costs a hundred times as much as a message, so it is avoided in two ways:
/// - A loop that sleeps at a place() is not tied to a thread. A thread whose step ends with nothing to do but wake
///   another loop trades places with the thread sleeping for it and steps that loop itself (Wakeup::hand_over;
///   docs/decisions/0014-loops-change-threads.md).
/// - If a notification ends a sleep early, the thread polls for the next one briefly before it sleeps again, as long as
///   that pays off (docs/decisions/0008-spin-before-sleep.md).
class LoopThreads {
 public:
  /// About the cost of a sleep and a wake-up: spinning this long is at most twice as bad as the optimum (Karlin, Li,
  /// Manasse, Owicki: "Empirical Studies of Competitive Spinning", 1991).
  static constexpr Duration kSpin = std::chrono::microseconds{20};
  /// kSpin. Zero if this process may use only one core, since nobody can notify while a thread spins.
  [[nodiscard]] static Duration default_spin() noexcept;

  /// Makes places for `count` loops; nothing runs yet. `clock` outlives this object. `spin`: how long to poll for a
  /// notification before a sleep under load; zero: never.
  LoopThreads(std::size_t count, const Clock& clock, Duration spin = default_spin());
  /// Starts at once, for loops with wake-ups of their own.
  LoopThreads(std::span<Loop* const> loops, const Clock& clock, Duration spin = default_spin());
  /// Requests a stop and joins without a time limit.
  ~LoopThreads();
  LoopThreads(const LoopThreads&) = delete;
  LoopThreads& operator=(const LoopThreads&) = delete;

  /// The number of loops there are places for.
  [[nodiscard]] std::size_t places() const noexcept { return seats_.size(); }
  /// Where loop `i` of start() may sleep. Valid as long as this object. Notifications count from now on.
  [[nodiscard]] Wakeup& place(std::size_t i) noexcept;

  /// Starts one thread per loop, for at most places() loops. Until join() returns true, or this object is destroyed,
  /// only these threads step the loops, which must live as long. A loop whose wakeup() is not its place() stays on its
  /// first thread, which `top -H` shows as "worker" with the loop's number. Call it again only after join() returned
  /// true.
  void start(std::span<Loop* const> loops);

  /// Any thread. Each loop ends after its current step; pending work is not done. Returns at once.
  void request_stop() noexcept;
  /// Constructing thread only. Requests a stop and waits at most `limit`. False: a loop is still within a step; call
  /// again or let the destructor wait. True: all have ended and their writes are visible.
  [[nodiscard]] bool join(Duration limit);

  // --- Any thread, of loop `i` after start() ---
  /// The number of loops started.
  [[nodiscard]] std::size_t size() const noexcept { return runners_.size(); }
  /// Steps completed so far, modulo 2^32. Does not change during a step or while the loop sleeps.
  [[nodiscard]] std::uint32_t steps(std::size_t i) const noexcept;
  /// Makes the loop step once more, even if nothing is due.
  void wake(std::size_t i) noexcept;

 private:
  class Seat;
  struct Runner;

  void run(Runner& runner) noexcept;
  void wake_runner(Seat& seat) noexcept;
  void trade(Runner& runner, MonoTime due, Seat& next) noexcept;
  void sleep(MonoTime deadline, bool looks) noexcept;
  [[nodiscard]] bool look_out(const Loop& loop, MonoTime due, const EventWakeup* bed) const noexcept;

  /// A notification within this many spins of a sleep suggests that more will follow.
  static constexpr int kSoon = 50;
  /// The runner whose step this thread is in. Null on other threads and if the loop is bound to its thread.
  static thread_local Runner* current_;

  const Clock& clock_;
  const Duration spin_;
  std::vector<std::unique_ptr<Seat>> seats_;
  std::vector<std::unique_ptr<Runner>> runners_;
  std::mutex mutex_;  ///< Who sleeps for whom. Not taken when notifying a loop that is awake.
  std::atomic<bool> stop_{false};
  std::atomic<std::size_t> running_{0};
  EventWakeup ended_;
};

}  // namespace pannier::posix
