// Names that are wrong, or that two machines have.

#include <doctest/doctest.h>

#include <array>

#include <pannier/simulation.h>

namespace pannier::testing {
namespace {

using namespace std::chrono_literals;
using testkit::Machine;
using testkit::Simulation;

constexpr PublicKey kKey{std::byte{7}};

/// A machine that dials a hub under a key which may bear one name only.
struct Depot {
  testkit::SimNode& dial(const std::string& name, const std::string& hub_name = "hub") {
    transports.push_back(sim.network().make_transport(name, kKey));
    return sim.add({.name = name, .links = {{hub_name, "sim://hub"}}}, {.transport = transports.back().get()});
  }
  std::uint64_t dials_in(Duration span) {
    const std::uint64_t before = sim.network().counters().dials;
    sim.advance(span);
    return sim.network().counters().dials - before;
  }

  Simulation sim{11};
  std::vector<std::unique_ptr<sim::SimTransport>> transports;
  testkit::SimNode& hub = sim.add({.name = "hub", .listen = {"sim://hub"}, .peers = {{.node = "van", .key = kKey}}});
};

TEST_CASE("a dialler whose name is refused hears why, tells it once, and dials ever less often") {
  Depot depot;
  auto& van = depot.dial("wan");
  CHECK(depot.dials_in(10min) < 60);
  CHECK(van.log().has("may not bear the name 'wan'"));
  CHECK(van.log().warnings() <= 2);
  CHECK(depot.hub.log().has("may not bear the name 'wan'"));
  CHECK(depot.hub.log().warnings() <= 2);
}

TEST_CASE("a link to another node than the one named is refused, told at both ends, and dialled ever less often") {
  Depot depot;
  auto& van = depot.dial("van", "hbu");
  CHECK(depot.dials_in(10min) < 60);
  CHECK(van.log().has("'hub' answers where 'hbu' was dialled"));
  CHECK(van.log().warnings() <= 2);
  CHECK(depot.hub.log().has("'hub' answers where 'hbu' was dialled"));
  CHECK(depot.hub.log().warnings() <= 2);
}

TEST_CASE("two machines of one name and key take the link from each other a few times a minute, and the log says so") {
  Depot depot;
  auto& one = depot.dial("van");
  depot.sim.advance(2min);
  CHECK(depot.hub.log().warnings() == 0);
  auto& two = depot.dial("van");
  depot.sim.advance(1min);
  CHECK(depot.hub.log().has("two machines have the name and key of van"));
  CHECK(depot.dials_in(10min) <= 80);
  CHECK(depot.hub.log().warnings() <= 2);
  CHECK(one.log().has("replaced by a newer link"));
  CHECK(two.log().has("replaced by a newer link"));
  CHECK(one.log().warnings() <= 3);
}

TEST_CASE("a complaint that goes on is told again with how often it came") {
  Depot depot;
  auto& van = depot.dial("wan");
  depot.sim.advance(15min);
  CHECK(van.log().has("times more since this was last said"));
}

TEST_CASE("a link that was lost, not refused, is dialled again at once") {
  Depot depot;
  depot.dial("van");
  depot.sim.advance(10s);
  depot.sim.network().cut("van", "hub", sim::Cut::reported);
  depot.sim.advance(1ms);
  depot.sim.network().heal_all();
  CHECK(depot.dials_in(300ms) == 1);
}

}  // namespace
}  // namespace pannier::testing
