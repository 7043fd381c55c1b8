#include <pannier/lane.h>

#include <algorithm>

namespace pannier {

namespace {

/// Anything from `low` to `high`, both included.
Duration between(Duration low, Duration high, std::uint64_t random) noexcept {
  if (high <= low) return low;
  const auto width = static_cast<std::uint64_t>((high - low).count()) + 1;
  return low + Duration{static_cast<Duration::rep>(random % width)};
}

/// `base` times `factor`, and never past `cap`, however large the factor.
Duration scaled(Duration base, std::uint64_t factor, Duration cap) noexcept {
  if (base <= Duration::zero()) return Duration::zero();
  const auto most = static_cast<std::uint64_t>(cap / base);
  return factor > most ? cap : std::min(cap, base * static_cast<Duration::rep>(factor));
}

}  // namespace

Duration Backoff::delay(std::uint32_t attempt, Duration previous, std::uint64_t random) const noexcept {
  const std::uint32_t nth = std::max(attempt, 1U);
  const std::uint64_t doubled = std::uint64_t{1} << std::min(nth - 1, 62U);
  switch (kind) {
    case Kind::constant: return std::min(base, cap);
    case Kind::linear: return scaled(base, nth, cap);
    case Kind::exponential: return scaled(base, doubled, cap);
    case Kind::full_jitter: return between(Duration::zero(), scaled(base, doubled, cap), random);
    case Kind::decorrelated_jitter:
      return std::min(cap, between(base, scaled(std::max(previous, base), 3, cap), random));
  }
  return cap;
}

}  // namespace pannier
