#pragma once

#include <chrono>
#include <cstdint>

#include <pannier/platform.h>

namespace pannier::delivery {

/// The day's time, shared by all processes of a run: it began at `start_ms` of the wall clock and runs `speed` times as
/// fast. All instants and durations in messages use it, in milliseconds. At speed 1 it is the time of day.
class DayClock {
 public:
  static constexpr std::int64_t kMinuteMs = 60'000;

  DayClock() = default;
  DayClock(std::int64_t start_ms, double speed) : start_ms_(start_ms), speed_(speed) {}

  /// Milliseconds since 1970-01-01 UTC, in the day's time.
  [[nodiscard]] std::int64_t now_ms(WallTime wall) const noexcept {
    const double wall_ms = std::chrono::duration<double, std::milli>(wall.time_since_epoch()).count();
    return start_ms_ + static_cast<std::int64_t>((wall_ms - static_cast<double>(start_ms_)) * speed_);
  }
  /// The instant of a minute of the day.
  [[nodiscard]] std::int64_t minute_ms(std::int32_t minute) const noexcept { return start_ms_ + minute * kMinuteMs; }
  /// The minute of the day.
  [[nodiscard]] std::int32_t minute(WallTime wall) const noexcept {
    return static_cast<std::int32_t>((now_ms(wall) - start_ms_) / kMinuteMs);
  }
  /// The delay of a timer from `wall` until `day_ms`; zero if that has passed.
  [[nodiscard]] Duration until(std::int64_t day_ms, WallTime wall) const noexcept {
    const auto left = static_cast<double>(day_ms - now_ms(wall));
    if (left <= 0) return Duration::zero();
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::milli>(left / speed_));
  }

 private:
  std::int64_t start_ms_ = 0;
  double speed_ = 1;
};

}  // namespace pannier::delivery
