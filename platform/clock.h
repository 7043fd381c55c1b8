#pragma once

#include <chrono>
#include <cstdint>

namespace pannier {

using Duration = std::chrono::nanoseconds;

/// Tag of the monotonic clock: never steps, counts from an arbitrary start, means nothing to another process.
struct Monotonic {
  using duration = Duration;
  using rep = Duration::rep;
  using period = Duration::period;
  using time_point = std::chrono::time_point<Monotonic>;
  static constexpr bool is_steady = true;
};
using MonoTime = Monotonic::time_point;

/// "Never": what a loop returns when only a wake-up can bring it work.
inline constexpr MonoTime kNever = MonoTime::max();

/// `from` and `delay` on; kNever where no clock reaches that. `from` is not before the clock's zero.
[[nodiscard]] constexpr MonoTime later(MonoTime from, Duration delay) noexcept {
  return delay < kNever - from ? from + delay : kNever;
}

/// Nanoseconds since 1970-01-01 UTC. For people and for tables only: it steps, so no decision rests on it alone.
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

/// Where time comes from. Time is passed in, and stands still within a step (kj `timer.h`).
/// Callable from any thread. Implementations: posix::SystemClock, sim::VirtualClock.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual MonoTime now() const noexcept = 0;
  [[nodiscard]] virtual WallTime wall_now() const noexcept = 0;
  /// Which run of the monotonic clock this is: readings of now() may be compared, across processes too, where this is
  /// the same. Another one after each boot of the machine; 0 where the system does not tell, and then nothing may be.
  [[nodiscard]] virtual std::uint64_t boot() const noexcept = 0;
};

}  // namespace pannier
