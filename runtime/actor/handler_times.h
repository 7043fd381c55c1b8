#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "platform/clock.h"

namespace pannier {

/// How long one actor's handlers took, as a histogram: each bucket is twice as wide as the one before it. A value.
struct HandlerTimes {
  static constexpr std::size_t kBuckets = 40;  // the last one: from about five minutes on
  /// How many turns took less than `below(bucket)`, and not less than `below(bucket - 1)`.
  std::array<std::uint32_t, kBuckets> counts{};

  [[nodiscard]] static constexpr Duration below(std::size_t bucket) noexcept {
    return Duration{std::int64_t{1} << bucket};
  }
  [[nodiscard]] static constexpr std::size_t bucket_of(Duration took) noexcept {
    const auto width = static_cast<std::size_t>(std::bit_width(static_cast<std::uint64_t>(took.count())));
    return width < kBuckets ? width : kBuckets - 1;
  }
  [[nodiscard]] std::uint64_t total() const noexcept {
    std::uint64_t sum = 0;
    for (const std::uint32_t count : counts) sum += count;
    return sum;
  }
  /// What that share of the turns (0 to 1) stayed below; at most twice too much. Zero where nothing was timed.
  [[nodiscard]] Duration percentile(double share) const noexcept {
    const double wanted = share * static_cast<double>(total());
    std::uint64_t sum = 0;
    for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
      sum += counts[bucket];
      if (sum > 0 && static_cast<double>(sum) >= wanted) return below(bucket);
    }
    return Duration::zero();
  }
};

/// As one worker writes it, and any thread reads it.
using HandlerTimesCell = std::array<std::atomic<std::uint32_t>, HandlerTimes::kBuckets>;

}  // namespace pannier
