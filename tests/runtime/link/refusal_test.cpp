// Names that are wrong, or that two machines have.

#include <doctest/doctest.h>

#include <array>

#include <pannier/simulation.h>
#include "runtime/store/store.h"
#include "tests/support/temp_folder.h"

namespace pannier::testing {
namespace {

using namespace std::chrono_literals;
using testkit::Machine;
using testkit::Simulation;

constexpr PublicKey kKey{std::byte{7}};

/// A machine that dials a hub under a key which may bear one name only.
struct Depot {
  testkit::SimNode& dial(const std::string& name, const std::string& hub_name = "hub", Machine machine = {}) {
    transports.push_back(sim.network().make_transport(name, kKey));
    machine.transport = transports.back().get();
    return sim.add({.name = name, .links = {{hub_name, "sim://hub"}}}, machine);
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

TEST_CASE("of two machines with copies of one store the first stays linked, and the second hears why it is refused") {
  Depot depot;
  auto& one = depot.dial("van");
  depot.sim.advance(2min);
  auto& two = depot.dial("van");
  depot.sim.advance(10min);
  CHECK(two.log().has("two machines run copies of one store"));
  CHECK(two.log().warnings() <= 2);
  CHECK(depot.hub.log().has("two machines run copies of one store"));
  CHECK(depot.hub.log().warnings() <= 2);
  CHECK(!one.log().has("is down"));
  one.crash();  // the other one has its turn once the first is gone
  depot.sim.advance(1min);
  CHECK(two.log().has("link to hub is up"));
}

TEST_CASE("a machine that lost its power is linked again while the hub still believes in the old link") {
  const TempFolder folder;  // each opening of a file has an incarnation of its own
  Depot depot;
  auto& van = depot.dial("van", "hub", {.file = folder / "van.db"});
  depot.sim.advance(10s);
  depot.sim.network().cut("van", "hub", sim::Cut::silent);
  van.crash();
  depot.sim.advance(1s);
  depot.sim.network().heal_all();
  REQUIRE(van.start());
  depot.sim.advance(15s);
  CHECK(depot.hub.log().has("'van' is linked to 'hub' already"));  // at first
  auto sender = van.probe();
  REQUIRE(sender.enqueue("hub/jobs", "", AnyTable{TypeId{1}, nullptr, {}}));
  depot.sim.advance(1s);
  CHECK(depot.hub.store().find_stream(Box::inbox, {}, "jobs") != nullptr);
}

TEST_CASE("two machines without stores, of one name and key, take the link from each other, and the log says so") {
  Depot depot;
  auto& one = depot.dial("van", "hub", {.disk = false});
  depot.sim.advance(2min);
  CHECK(depot.hub.log().warnings() == 0);
  auto& two = depot.dial("van", "hub", {.disk = false});
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

TEST_CASE("handshakes that end without a word after a link was lost are a hub that is away, and it is dialled soon") {
  constexpr PublicKey kHub{std::byte{5}};
  Simulation sim{11};
  auto own = sim.network().make_transport("hub", kHub);
  auto other = sim.network().make_transport("proxy", PublicKey{std::byte{6}});
  auto& hub = sim.add({.name = "hub", .listen = {"sim://hub"}}, {.transport = own.get()});
  auto& van = sim.add({.name = "van", .links = {{"hub", "sim://hub", kHub}}});
  sim.advance(1min);
  hub.crash();
  own.reset();
  REQUIRE(other->listen("sim://hub"));
  sim.advance(30s);
  CHECK(van.log().has("unreachable"));
  other.reset();
  const std::uint64_t before = sim.network().counters().dials;
  sim.advance(10s);
  CHECK(sim.network().counters().dials - before >= 5);  // every 2 s at most; after a refusal every 30 s
}

}  // namespace
}  // namespace pannier::testing
