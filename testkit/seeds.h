#pragma once

#include <cstdint>
#include <vector>

namespace pannier::testkit {

/// The seeds that a test runs with: 1 to `count`, unless the environment says otherwise. PANNIER_SIM_SEED=7 gives that
/// one alone, to run a failure again; PANNIER_SIM_SEEDS=100000 so many from the first, for a long campaign.
[[nodiscard]] std::vector<std::uint64_t> seeds(std::uint64_t count);

}  // namespace pannier::testkit
