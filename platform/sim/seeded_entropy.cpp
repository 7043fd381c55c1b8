#include <pannier/sim.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace pannier::sim {
namespace {

std::uint64_t splitmix64(std::uint64_t& state) noexcept {
  state += 0x9e3779b97f4a7c15ULL;
  std::uint64_t mixed = state;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ULL;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebULL;
  return mixed ^ (mixed >> 31);
}

}  // namespace

SeededEntropy::SeededEntropy(std::uint64_t seed) noexcept : state_{} {
  for (std::uint64_t& word : state_) word = splitmix64(seed);
}

std::uint64_t SeededEntropy::next() noexcept {
  const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const std::uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

void SeededEntropy::fill(std::span<std::byte> out) noexcept {
  while (!out.empty()) {
    const std::uint64_t value = next();
    const std::size_t size = std::min(out.size(), sizeof value);
    std::memcpy(out.data(), &value, size);
    out = out.subspan(size);
  }
}

std::uint64_t SeededEntropy::below(std::uint64_t bound) noexcept { return bound == 0 ? 0 : next() % bound; }

double SeededEntropy::uniform() noexcept { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

bool SeededEntropy::chance(double probability) noexcept { return uniform() < probability; }

Duration SeededEntropy::exponential(Duration mean) noexcept {
  const double factor = -std::log1p(-uniform());
  return Duration{static_cast<Duration::rep>(factor * static_cast<double>(mean.count()))};
}

}  // namespace pannier::sim
