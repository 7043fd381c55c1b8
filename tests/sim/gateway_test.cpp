#include <doctest/doctest.h>

#include "tests/sim/chaos.h"

namespace pannier::testing {
namespace {

TEST_CASE("a gateway stores what it is given and sends it on: its effect comes once at the far end") {
  run_seeds(60, "a gateway stores*", [](std::uint64_t seed) {
    Chaos chaos{seed, {}};
    chaos.add({.node = {.name = "hub", .listen = {"sim://hub"}}, .consumes = {"orders"}});
    Host& gate = chaos.add({.node = {.name = "gate",
                                     .links = {{"hub", "sim://hub"}},
                                     .listen = {"sim://gate"},
                                     .lanes = {{.name = "orders", .forward_to = "hub"}}}});
    Host& device = chaos.add({.node = {.name = "device", .links = {{"gate", "sim://gate"}}}});
    chaos.allow(device, "gate/orders", "hub");
    chaos.allow(gate, "orders", "hub");
    const bool rested = chaos.run();
    return chaos.broken_promises() + (rested ? "" : "it does not come to rest\n");
  });
}

}  // namespace
}  // namespace pannier::testing
