#pragma once

#include <chrono>
#include <cstdint>

#include <pannier/platform.h>

namespace pannier::delivery {

/// The day's own time, which all processes of a run share: it began at `start_ms` of the wall clock and runs `speed`
/// times as fast. All instants and spans in messages are in it, in milliseconds. At speed 1 it is the time of day.
class DayClock {
 public:
  static constexpr std::int64_t kMinuteMs = 60'000;

  DayClock() = default;
  DayClock(std::int64_t start_ms, double speed) : start_ms_(start_ms), speed_(speed) {}

  /// Milliseconds since 1970-01-01 UTC, as the day counts them.
  [[nodiscard]] std::int64_t now_ms(WallTime wall) const noexcept {
    const double wall_ms = std::chrono::duration<double, std::milli>(wall.time_since_epoch()).count();
    return start_ms_ + static_cast<std::int64_t>((wall_ms - static_cast<double>(start_ms_)) * speed_);
  }
  /// When this minute of the day is.
  [[nodiscard]] std::int64_t minute_ms(std::int32_t minute) const noexcept { return start_ms_ + minute * kMinuteMs; }
  /// The minute of the day.
  [[nodiscard]] std::int32_t minute(WallTime wall) const noexcept {
    return static_cast<std::int32_t>((now_ms(wall) - start_ms_) / kMinuteMs);
  }
  /// How long a timer runs from `wall` until `day_ms`; zero for what has been.
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
