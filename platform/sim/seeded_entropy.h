#pragma once

#include <array>
#include <cstdint>

#include "platform/clock.h"
#include "platform/entropy.h"

namespace pannier::sim {

/// Reproducible randomness: xoshiro256** seeded by splitmix64 (Blackman and Vigna, "Scrambled linear pseudorandom
/// number generators", 2021; public-domain reference at prng.di.unimi.it). The same seed gives the same numbers on
/// every machine and compiler, which the standard library's distributions do not promise. Never fit for keys.
/// One thread.
class SeededEntropy final : public Entropy {
 public:
  explicit SeededEntropy(std::uint64_t seed) noexcept;

  void fill(std::span<std::byte> out) noexcept override;

  /// The next 64 bits.
  std::uint64_t next() noexcept;
  /// Uniform in [0, bound); 0 for a bound of 0. The bias of at most bound / 2^64 is of no matter to a simulation.
  std::uint64_t below(std::uint64_t bound) noexcept;
  /// True with this probability (0: never, 1: always). Draws a number either way, so that changing one probability
  /// leaves the sequence in step.
  bool chance(double probability) noexcept;
  /// Uniform in [0, 1).
  double uniform() noexcept;
  /// Exponentially distributed with this mean.
  Duration exponential(Duration mean) noexcept;

 private:
  std::array<std::uint64_t, 4> state_;
};

}  // namespace pannier::sim
