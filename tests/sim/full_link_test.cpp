// What becomes of records where a link or its transport has no room.

#include <doctest/doctest.h>

#include <pannier/simulation.h>
#include "tests/runtime/link/wire_peer.h"
#include "tests/runtime/script.h"

namespace pannier::testing {
namespace {

using namespace std::chrono_literals;
using testkit::Probe;
using testkit::Simulation;

TEST_CASE("a frame that the transport has no room for waits: what was told arrives in full and in order") {
  Simulation sim{5, {.channel_frames = 1}};
  auto& hub = sim.add({.name = "hub", .listen = {"sim://hub"}});
  auto& van = sim.add({.name = "van", .links = {{"hub", "sim://hub"}}});
  Probe desk = hub.probe("desk");
  const auto hand = van.spawn<Hand>(SpawnOptions{});
  sim.advance(1s);
  let(sim.simulator(), *van, hand, [](Hand& self) {
    for (std::int64_t i = 0; i < 1000; ++i) CHECK(self.tell(self.ref("hub/desk"), make<Number>(i)));
  });
  for (std::int64_t i = 0; i < 1000; ++i) {
    const auto number = desk.expect<Number>(10s);
    REQUIRE(number);
    REQUIRE((*number)->value() == i);
  }
}

TEST_CASE("an acknowledgement that finds no room costs the link: it cannot be lost while the link lives") {
  Simulation sim{5, {.channel_frames = 8}};
  auto& hub = sim.add({.name = "hub", .listen = {"sim://hub"}});
  WirePeer peer{sim, "van"};
  sim.advance(1s);
  // Each is refused, and the refusal is an acknowledgement; the peer reads none of them.
  const std::string lane(64, 'A');
  const std::vector<wire::Record> rows(200, {.kind = wire::Kind::row, .id = 1, .first = lane});
  for (int frame = 0; frame < 100 && !hub.log().has("does not keep up"); ++frame) {
    peer.send(rows);
    sim.advance(20ms);
  }
  CHECK(hub.log().has("does not keep up"));
}

TEST_CASE("a sender that outruns a slow link is told so at once, loses nothing, and goes on when it has drained") {
  Simulation sim{5};
  auto& hub = sim.add({.name = "hub", .listen = {"sim://hub"}});
  auto& van = sim.add({.name = "van", .links = {{"hub", "sim://hub"}}});
  sim.network().set_path("hub", "van", {.bytes_per_second = 200'000});
  std::vector<Probe> desks;
  std::vector<Ref> addresses;
  for (int i = 0; i < 8; ++i) {  // so many that the link is full before the credit of any is used up
    desks.push_back(hub.probe("desk-" + std::to_string(i)));
    addresses.push_back(van->ref("hub/desk-" + std::to_string(i)));
  }
  Probe driver = van.probe();
  sim.advance(1s);
  std::size_t told = 0;
  Result<void> last;
  for (; told < 100; ++told) {
    last = driver.tell(addresses[told % 8], note(std::string(100 * 1024, 'x')));
    if (!last) break;
    sim.advance(1ms);
  }
  REQUIRE_FALSE(last);
  CHECK(last.error().code == ErrorCode::full);
  bool room = false;
  REQUIRE(driver.let([&](testkit::ProbeActor& self) {
    self.on_room(addresses[0], [&](Result<void> there_is) { room = there_is.ok(); });
  }));
  sim.advance(1ms);
  CHECK_FALSE(room);
  REQUIRE(sim.run_until([&] { return room; }, 30s));
  CHECK(driver.tell(addresses[told % 8], note("again")));
  sim.advance(30s);
  std::size_t came = 0;
  for (Probe& desk : desks) {
    while (desk.find<Note>(1ms)) ++came;
  }
  CHECK(came == told + 1);
  CHECK(van->dead_letters() == 0);
}

TEST_CASE("what was told and still waited when its link broke is counted") {
  Simulation sim{5};
  sim.add({.name = "hub", .listen = {"sim://hub"}});
  auto& van = sim.add({.name = "van", .links = {{"hub", "sim://hub"}}});
  sim.network().set_path("hub", "van", {.bytes_per_second = 2000});
  Probe driver = van.probe();
  sim.advance(1s);
  for (int i = 0; i < 10; ++i) CHECK(driver.tell(van->ref("hub/desk"), note(std::string(50 * 1024, 'x'))));
  sim.advance(1s);
  CHECK(van->dead_letters() == 0);
  sim.network().cut("hub", "van", sim::Cut::reported);
  sim.advance(1s);
  CHECK(van->dead_letters(DeadLetterReason::no_such_actor) == 10);
}

TEST_CASE("telling a node that no link leads to is unreachable at once") {
  Simulation sim{5};
  auto& van = sim.add({.name = "van", .links = {{"hub", "sim://hub"}}});
  auto& alone = sim.add({.name = "alone"});
  Probe driver = van.probe();
  Probe hermit = alone.probe();
  const auto tell = [](Probe& who, testkit::SimNode& node, const char* whom) {
    return who.tell(node->ref(whom), make<Number>(1));
  };
  CHECK(tell(driver, van, "ghost/desk").error().code == ErrorCode::unreachable);
  CHECK(tell(hermit, alone, "hub/desk").error().code == ErrorCode::unreachable);
  CHECK(tell(driver, van, "hub/desk").error().code == ErrorCode::unreachable);  // the link is not up
  CHECK(van->dead_letters() == 0);
  auto& hub = sim.add({.name = "hub", .listen = {"sim://hub"}});
  Probe desk = hub.probe("desk");
  sim.advance(5s);
  CHECK(tell(driver, van, "hub/desk"));
  CHECK(desk.expect<Number>(1s));
}

}  // namespace
}  // namespace pannier::testing
