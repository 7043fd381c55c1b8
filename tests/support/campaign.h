#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>

#include <doctest/doctest.h>

namespace pannier::testing {

inline std::uint64_t number_from(const char* variable, std::uint64_t fallback) {
  const char* text = std::getenv(variable);
  return text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
}

/// How much of a campaign this run does: PANNIER_CAMPAIGN times `full`, which `./dev campaign` sets to 2. Where it is
/// not set, a fifth, and at least one.
inline std::uint64_t campaign_share(std::uint64_t full) {
  const std::uint64_t times = number_from("PANNIER_CAMPAIGN", 0);
  return times > 0 ? times * full : (full + 4) / 5;
}

/// Runs `one(seed)`, which returns what went wrong, for this run's share of `full` seeds (campaign_share), from 1 on.
/// PANNIER_SIM_SEEDS sets the number of seeds; PANNIER_SIM_SEED sets the first and, alone, runs only that one.
template <class One>
void run_seeds(std::uint64_t full, const char* test, One&& one) {
  const std::uint64_t first = number_from("PANNIER_SIM_SEED", 1);
  const std::uint64_t count =
      number_from("PANNIER_SIM_SEEDS", std::getenv("PANNIER_SIM_SEED") != nullptr ? 1 : campaign_share(full));
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    INFO("seed " << seed << "; again with: PANNIER_SIM_SEED=" << seed << " and -tc='" << std::string{test} << "'");
    const std::string wrong = one(seed);
    CHECK(wrong == "");
  }
}

}  // namespace pannier::testing
