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

/// Drives loops on as many threads: steps them while they have work, sleeps while they have none. There is no periodic
/// wake-up: an idle loop costs nothing.
///
/// To wake a thread costs a hundred times what a message does, so it is avoided in two ways:
/// - A loop that sleeps at one of place() is not tied to a thread. Where one thread ends a step with nothing left to do
///   but to wake another loop, it changes places with the thread that sleeps for that loop, and steps it itself
///   (Wakeup::hand_over; docs/decisions/0014-loops-change-threads.md).
/// - After a sleep that a notification ended soon, a thread looks out for the next one for a short time before it
/// sleeps
///   again, and goes on so while that pays (docs/decisions/0008-spin-before-sleep.md).
class LoopThreads {
 public:
  /// About what a sleep and a wake-up cost: spinning as long as that is never worse than twice the best there is
  /// (Karlin, Li, Manasse, Owicki: "Empirical Studies of Competitive Spinning", 1991).
  static constexpr Duration kSpin = std::chrono::microseconds{20};
  /// kSpin; zero where this process may use one core only: nobody could notify while a thread spins.
  [[nodiscard]] static Duration default_spin() noexcept;

  /// For `count` loops; nothing runs yet. `clock` outlives this object. `spin`: how long to look for a notification
  /// before a sleep, under load; zero: not at all.
  LoopThreads(std::size_t count, const Clock& clock, Duration spin = default_spin());
  /// Starts at once, for loops that all have places to sleep of their own.
  LoopThreads(std::span<Loop* const> loops, const Clock& clock, Duration spin = default_spin());
  /// Asks to stop and joins without a limit.
  ~LoopThreads();
  LoopThreads(const LoopThreads&) = delete;
  LoopThreads& operator=(const LoopThreads&) = delete;

  /// For how many loops there are places.
  [[nodiscard]] std::size_t places() const noexcept { return seats_.size(); }
  /// Where loop `i` of start() may sleep, valid as long as this object. Notifications count from now on.
  [[nodiscard]] Wakeup& place(std::size_t i) noexcept;

  /// One thread a loop, as many loops as were announced or fewer. Again only once join() has said true. From here until
  /// join() only these threads step them; the loops live until join() has said true, or this object has gone. One whose
  /// wakeup() is not its place() keeps to the thread that it began on, which `top -H` shows as "worker" with the loop's
  /// number.
  void start(std::span<Loop* const> loops);

  /// Any thread. Each loop ends after the step that it is in; what is due then is not done. Returns at once.
  void request_stop() noexcept;
  /// The constructing thread only. Asks to stop and waits at most `limit`. False: a loop is still within a step (the
  /// threads go on; call again, or let the destructor wait). True: all have ended, all their writes are visible.
  [[nodiscard]] bool join(Duration limit);

  // --- Any thread, of loop `i` after start() ---
  /// How many loops were started.
  [[nodiscard]] std::size_t size() const noexcept { return runners_.size(); }
  /// Steps that have ended so far, round and round. Stands still while one lasts and while the loop sleeps.
  [[nodiscard]] std::uint32_t steps(std::size_t i) const noexcept;
  /// Makes it step once more, though nothing may be due.
  void wake(std::size_t i) noexcept;

 private:
  class Seat;
  struct Runner;

  void run(Runner& runner) noexcept;
  void wake_runner(Seat& seat) noexcept;
  void trade(Runner& runner, MonoTime due, Seat& next) noexcept;
  void sleep(MonoTime deadline, bool looks) noexcept;
  [[nodiscard]] bool look_out(const Loop& loop, MonoTime due, const EventWakeup* bed) const noexcept;

  /// A sleep that a notification ended within this many spins tells of a talk that goes on.
  static constexpr int kSoon = 50;
  /// Whose step this thread is in; null on a thread that is not ours and where the loop keeps to its thread.
  static thread_local Runner* current_;

  const Clock& clock_;
  const Duration spin_;
  std::vector<std::unique_ptr<Seat>> seats_;
  std::vector<std::unique_ptr<Runner>> runners_;
  std::mutex mutex_;  ///< Who sleeps for whom. Not taken by notifications of what is awake.
  std::atomic<bool> stop_{false};
  std::atomic<std::size_t> running_{0};
  EventWakeup ended_;
};

}  // namespace pannier::posix
