#include <doctest/doctest.h>

#include "tests/sim/chaos.h"

namespace pannier::testing {
namespace {

/// A device that dials a hub; both enqueue to each other, and the hub answers every message.
std::string two_nodes(std::uint64_t seed, Chaos::Plan plan, std::uint32_t workers) {
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
  return chaos.broken_promises() + (rested ? "" : "it does not come to rest\n");
}

TEST_CASE("two nodes in any trouble: each message takes effect once, in order of its key") {
  run_seeds(200, "two nodes in any*", [](std::uint64_t seed) { return two_nodes(seed, {}, 1); });
}

TEST_CASE("two nodes of three workers each keep the same promises") {
  run_seeds(40, "two nodes of three*", [](std::uint64_t seed) { return two_nodes(seed, {}, 3); });
}

TEST_CASE("two nodes on SQLite files keep the same promises") {
  run_seeds(4, "two nodes on SQLite*",
            [](std::uint64_t seed) { return two_nodes(seed, {.actions = 60, .on_disk = true}, 1); });
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
