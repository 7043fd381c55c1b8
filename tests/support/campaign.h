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

/// Runs `one(seed)`, which answers with what went wrong, for each seed of the campaign. How many seeds, and which comes
/// first: PANNIER_SIM_SEEDS and PANNIER_SIM_SEED, for a longer campaign or for one seed again.
template <class One>
void run_seeds(std::uint64_t seeds, const char* test, One&& one) {
  const std::uint64_t first = number_from("PANNIER_SIM_SEED", 1);
  const std::uint64_t count = number_from("PANNIER_SIM_SEEDS", std::getenv("PANNIER_SIM_SEED") != nullptr ? 1 : seeds);
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    INFO("seed " << seed << "; again with: PANNIER_SIM_SEED=" << seed << " and -tc='" << std::string{test} << "'");
    const std::string wrong = one(seed);
    CHECK(wrong == "");
  }
}

}  // namespace pannier::testing
