// Each target of ./dev fuzz for a moment, on inputs that a seed gives.

#include <doctest/doctest.h>

#include <pannier/sim.h>
#include "tests/fuzz/targets.h"
#include "tests/support/campaign.h"

namespace pannier::fuzz {
namespace {

/// A few bytes changed, some cut off, something of another seed behind.
Bytes changed(sim::SeededEntropy& dice, const std::vector<Bytes>& seeds) {
  Bytes bytes = seeds[dice.below(seeds.size())];
  if (dice.chance(0.3)) {
    const Bytes& more = seeds[dice.below(seeds.size())];
    bytes.insert(bytes.end(), more.begin(), more.end());
  }
  for (std::uint64_t i = dice.below(8); i > 0 && !bytes.empty(); --i) {
    const std::size_t at =
        dice.chance(0.7) ? dice.below(std::min<std::size_t>(bytes.size(), 80)) : dice.below(bytes.size());
    bytes[at] = static_cast<std::byte>(dice.chance(0.3) ? 0xff : dice.next());
  }
  if (dice.chance(0.2)) bytes.resize(dice.below(bytes.size() + 1));
  return bytes;
}

TEST_CASE("whatever the bytes, they are refused or heeded, and nothing else happens") {
  for (const Target& target : targets()) {
    CAPTURE(target.name);
    const std::vector<Bytes> seeds = target.seeds();
    for (const Bytes& seed : seeds) target.run(seed);
    const bool whole_node = target.name == "session";
    sim::SeededEntropy dice{17};
    for (std::uint64_t left = testing::campaign_share(whole_node ? 500 : 50'000); left > 0; --left) {
      target.run(changed(dice, seeds));
    }
    CHECK(seeds.size() > 1);
  }
}

}  // namespace
}  // namespace pannier::fuzz
