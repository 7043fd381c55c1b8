#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace pannier::delivery {

/// Deterministic randomness for generated days and traces: the same seed gives the same numbers on every machine,
/// compiler and library, unlike std::uniform_int_distribution. Integers only: floating point may differ between
/// processors. Not for secrets.
///
/// splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014).
class Random {
 public:
  explicit constexpr Random(std::uint64_t seed) noexcept : state_(seed) {}

  /// A generator for one part, so that changes in its use leave the others unchanged.
  [[nodiscard]] static constexpr Random for_part(std::uint64_t seed, std::uint64_t part) noexcept {
    Random mixer{seed ^ (part * 0xd1342543de82ef95ULL)};
    return Random{mixer.next()};
  }

  constexpr std::uint64_t next() noexcept {
    state_ += 0x9e3779b97f4a7c15ULL;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31U);
  }

  /// Uniform in [0, bound); 0 for a bound of 0. The bias of the modulo is below 1e-9 for the bounds used here.
  constexpr std::int64_t below(std::int64_t bound) noexcept {
    return bound <= 0 ? 0 : static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(bound));
  }

  /// Uniform in [low, high], both included.
  constexpr std::int64_t between(std::int64_t low, std::int64_t high) noexcept { return low + below(high - low + 1); }

  /// A value from a distribution given by equidistant quantiles, from minimum to maximum, interpolated linearly.
  template <std::size_t N>
  constexpr std::int64_t from_quantiles(const std::array<std::int64_t, N>& quantiles) noexcept {
    static_assert(N >= 2);
    constexpr std::int64_t kFine = 1'000;
    const std::int64_t at = below(static_cast<std::int64_t>(N - 1) * kFine);
    const auto step = static_cast<std::size_t>(at / kFine);
    return quantiles[step] + (quantiles[step + 1] - quantiles[step]) * (at % kFine) / kFine;
  }

  /// An index, chosen in proportion to its weight. Weights are not negative and their sum is positive.
  template <class Weights>
  constexpr std::size_t weighted(const Weights& weights) noexcept {
    std::int64_t sum = 0;
    for (const std::int64_t weight : weights) sum += weight;
    std::int64_t rest = below(sum);
    std::size_t index = 0;
    for (const std::int64_t weight : weights) {
      if (rest < weight) return index;
      rest -= weight;
      ++index;
    }
    return 0;
  }

 private:
  std::uint64_t state_;
};

}  // namespace pannier::delivery
