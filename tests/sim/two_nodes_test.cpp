#include <doctest/doctest.h>

#include "tests/sim/chaos.h"

namespace pannier::testing {
namespace {

struct Tally {
  std::uint64_t power_cuts = 0;
  std::uint64_t deaths = 0;
  std::size_t effects = 0;
  void add(const Chaos& chaos) {
    power_cuts += chaos.power_cuts();
    deaths += chaos.deaths();
    effects += chaos.effects_asked_for();
  }
};

/// A device that dials a hub; both enqueue to each other, and the hub answers every message.
std::string two_nodes(std::uint64_t seed, Chaos::Plan plan, std::uint32_t workers, Tally* tally = nullptr) {
  Chaos chaos{seed, std::move(plan)};
  Host& hub = chaos.add({.node = {.name = "hub", .listen = {"sim://hub"}},
                         .consumes = {"orders", "news"},
                         .answers_to = "device/answers",
                         .workers = workers});
  Host& device = chaos.add(
      {.node = {.name = "device", .links = {{"hub", "sim://hub"}}, .lanes = {{.name = "news", .priority = 2}}},
       .consumes = {"answers", "jobs"},
       .workers = workers});
  chaos.allow(device, "hub/orders", "hub");
  chaos.allow(device, "hub/news", "hub");
  chaos.allow(hub, "device/jobs", "device");
  chaos.answers("hub", "device");
  const bool rested = chaos.run();
  if (tally != nullptr) tally->add(chaos);
  return chaos.broken_promises() + (rested ? "" : "it does not come to rest\n");
}

TEST_CASE("two nodes in any trouble: each message takes effect once, in order of its key") {
  run_seeds(200, "two nodes in any*", [](std::uint64_t seed) { return two_nodes(seed, {}, 1); });
}

TEST_CASE("two nodes of three workers each keep the same promises") {
  run_seeds(40, "two nodes of three*", [](std::uint64_t seed) { return two_nodes(seed, {}, 3); });
}

TEST_CASE("two nodes on SQLite keep the same promises, on disks whose power fails at any point") {
  Tally tally;
  run_seeds(300, "two nodes on SQLite*",
            [&](std::uint64_t seed) { return two_nodes(seed, {.on_disk = true}, 1, &tally); });
  MESSAGE(tally.deaths << " deaths, " << tally.power_cuts << " of them with the power; " << tally.effects
                       << " effects asked for");
  CHECK(tally.power_cuts > 0);
}

TEST_CASE("the same seed gives the same run, to the step") {
  const auto digest_of = [](std::uint64_t seed) {
    Chaos chaos{seed, {}};
    Host& hub = chaos.add({.node = {.name = "hub", .listen = {"sim://hub"}}, .consumes = {"orders"}});
    Host& device = chaos.add({.node = {.name = "device", .links = {{"hub", "sim://hub"}}}});
    chaos.allow(device, "hub/orders", hub.name());
    REQUIRE(chaos.run());
    return chaos.digest();
  };
  CHECK(digest_of(5) == digest_of(5));
  CHECK(digest_of(5) != digest_of(6));
}

}  // namespace
}  // namespace pannier::testing
