// Rows, acknowledgements and incarnations between two nodes, as the queues at both ends give and get them.

#include <doctest/doctest.h>

#include <numeric>

#include <pannier/simulation.h>
#include "runtime/actor/system.h"
#include "runtime/link/router_messages.h"
#include "runtime/store/store.h"
#include "tests/runtime/link/wire_peer.h"
#include "tests/runtime/script.h"

namespace pannier::testing {
namespace {

using namespace std::chrono_literals;
using testkit::Simulation;

/// Stands where the queue of a node without a store would be.
struct Clerk : Actor<Clerk, IncomingRow, StreamAck, ProducerIncarnations, LinkProgress, LinkUp, LinkDown> {
  explicit Clerk(Script* script) : script_(script) {}
  void on(const IncomingRow& row) {
    script_->note(row.lane + "/" + row.key + " of " + std::to_string(row.incarnation));
  }
  void on(const StreamAck& ack) {
    script_->note("taken " + std::to_string(ack.taken) + " of " + std::to_string(ack.incarnation) +
                  (ack.refused ? " refused" : ""));
  }
  void on(const ProducerIncarnations& lives) {
    std::uint64_t sum = 0;
    for (const std::uint64_t each : lives.incarnations) sum += each;
    script_->note(lives.node + " lives " + std::to_string(lives.incarnations.size()) + " sum " + std::to_string(sum));
  }
  void on(const LinkProgress& moved) { script_->note("rows move to " + moved.node); }
  void on(const LinkUp&) {}
  void on(const LinkDown&) {}

 private:
  Script* script_;
};

struct Pair {
  Pair() {
    hub->system().queue = hub.spawn<Clerk>(SpawnOptions{}, &script).id();
    sim.advance(1s);
    script.take();  // each end has told its incarnations
  }
  template <class T>
  void say(testkit::SimNode& node, T message) {
    const auto hand = node.spawn<Hand>(SpawnOptions{});
    let(sim.simulator(), *node, hand,
        [&](Hand& self) { CHECK(self.tell(LocalRef{node->system().router}, std::move(message))); });
    sim.advance(1s);
  }
  static OutgoingRow row(std::string key, std::uint64_t incarnation, std::size_t bytes = 10) {
    OutgoingRow row;
    row.node = "hub";
    row.lane = "orders";
    row.sequence = 1;
    row.key = std::move(key);
    row.payload = BlockRef::copy_of(std::vector<std::byte>(bytes, std::byte{7}));
    row.incarnation = incarnation;
    return row;
  }
  Simulation sim{5};
  Script script;
  testkit::SimNode& hub = sim.add({.name = "hub", .listen = {"sim://hub"}}, {.disk = false});
  testkit::SimNode& van = sim.add({.name = "van", .links = {{"hub", "sim://hub"}}});
};

TEST_CASE("a row is of the incarnation that it names, else of the one in hello; its key is the same either way") {
  Pair pair;
  const std::uint64_t own = pair.van.store().incarnation();
  pair.say(pair.van, Pair::row("k1", 0));
  pair.say(pair.van, Pair::row("k2", own));
  pair.say(pair.van, Pair::row("k3", 77));
  pair.say(pair.van, Pair::row("", 78));
  const std::string hello = std::to_string(own);
  CHECK(pair.script.take() == "orders/k1 of " + hello + "; orders/k2 of " + hello + "; orders/k3 of 77; orders/ of 78");
}

TEST_CASE("a large row in pieces is of the incarnation that it names") {
  Pair pair;
  pair.sim.network().set_path("hub", "van", {.bytes_per_second = 8000});
  pair.say(pair.van, Pair::row("k", 77, limits::kPayloadBytes));
  pair.sim.advance(60s);
  CHECK(pair.script.take() == "orders/k of 77");
}

TEST_CASE("an acknowledgement says which incarnation it counts in") {
  Pair pair;
  pair.van->system().queue = pair.van.spawn<Clerk>(SpawnOptions{}, &pair.script).id();
  pair.say(pair.hub, StreamAck{"van", "orders", 5, false, {}, 77});
  pair.say(pair.hub, StreamAck{"van", "orders", 6, false, {}, 0});
  pair.say(pair.hub, StreamAck{"van", "orders", 6, true, ErrorCode::full, 78});
  CHECK(pair.script.take() == "taken 5 of 77; taken 6 of 0; taken 6 of 78 refused");
}

TEST_CASE("a producer says which incarnations of it are in use, up to 1,024") {
  Pair pair;
  pair.say(pair.van, SendIncarnations{"hub", {1, 2, ~std::uint64_t{0} - 5}});
  pair.say(pair.van, SendIncarnations{"hub", {}});
  std::vector<std::uint64_t> most(limits::kIncarnations);
  std::iota(most.begin(), most.end(), 0);
  pair.say(pair.van, SendIncarnations{"hub", most});
  CHECK(pair.script.take() ==
        "van lives 3 sum " + std::to_string(std::uint64_t{0} - 3) + "; van lives 0 sum 0; van lives 1024 sum 523776");
  most.push_back(1);
  pair.say(pair.van, SendIncarnations{"hub", most});
  CHECK(pair.script.take() == "");
}

TEST_CASE("while a large row crosses a slow line, its sender hears that it moves, and nothing once it has arrived") {
  Pair pair;
  pair.van->system().queue = pair.van.spawn<Clerk>(SpawnOptions{}, &pair.script).id();
  pair.sim.network().set_path("hub", "van", {.bytes_per_second = 4000});
  pair.say(pair.van, Pair::row("k", 0, 200'000));
  for (int tens = 0; tens < 4; ++tens) {
    pair.sim.advance(10s);
    CHECK(pair.script.take().find("rows move to hub") != std::string::npos);
  }
  pair.sim.advance(60s);
  pair.script.take();
  pair.sim.advance(60s);
  CHECK(pair.script.take() == "");
}

TEST_CASE("of two marks for the same bytes the first is echoed: the second was sent later and took less time") {
  testkit::Simulation sim{3};
  sim.add({.name = "hub", .listen = {"sim://hub"}});
  WirePeer peer{sim, "van"};
  sim.advance(100ms);
  peer.read();
  peer.echoes.clear();
  peer.send(
      {{.kind = wire::Kind::mark, .id = 1000, .number = 5}, {.kind = wire::Kind::mark, .id = 1000, .number = 200'005}});
  sim.advance(100ms);
  peer.send({{.kind = wire::Kind::mark, .id = 2000, .number = 5}});
  sim.advance(100ms);
  peer.read();
  REQUIRE(peer.echoes.size() == 2);
  CHECK(peer.echoes[0].first == 1000);
  CHECK(peer.echoes[1].second > peer.echoes[0].second);  // by the 100 ms between; with the second mark's it were less
  CHECK(peer.echoes[1].second - peer.echoes[0].second < 200'000);
}

TEST_CASE("records that break the rules cost the link, and the peer is told why") {
  const std::vector<std::byte> bytes(2000);
  const std::vector<wire::Record> bad{
      {.kind = wire::Kind::row, .flags = wire::kIncarnation, .first = "orders", .second = "short"},
      {.kind = wire::Kind::lives, .payload = std::span{bytes}.first(12)},
      {.kind = wire::Kind::lives, .payload = std::span{bytes}.first(1999)},
      {.kind = wire::Kind::piece, .code = 2, .number = 200, .payload = std::span{bytes}.first(100)},
      {.kind = wire::Kind::piece, .code = 1, .id = 16, .number = 200, .payload = std::span{bytes}.first(100)},
      {.kind = wire::Kind::piece, .number = wire::kRecordBytes + 16, .payload = std::span{bytes}.first(100)},
      {.kind = wire::Kind::piece, .number = 100, .payload = std::span{bytes}.first(100)},  // no record
  };
  for (const wire::Record& record : bad) {
    CAPTURE(static_cast<int>(record.kind));
    Simulation sim{5};
    auto& hub = sim.add({.name = "hub", .listen = {"sim://hub"}});
    WirePeer peer{sim, "van"};
    sim.advance(1s);
    peer.send({record});
    sim.advance(1s);
    peer.read();
    CHECK(peer.closed);
    CHECK(peer.code == wire::code_of(ErrorCode::malformed));
    CHECK(!peer.goodbye.empty());
    CHECK(hub.log().has("link to van is down: malformed"));
  }
}

TEST_CASE("a hello, a goodbye or a mark in pieces costs the link") {
  for (const wire::Kind kind : {wire::Kind::hello, wire::Kind::heartbeat, wire::Kind::goodbye, wire::Kind::piece,
                                wire::Kind::mark, wire::Kind::echo}) {
    CAPTURE(static_cast<int>(kind));
    std::vector<std::byte> inner;
    REQUIRE(wire::append(inner, {.kind = kind, .first = "van"}));
    Simulation sim{5};
    sim.add({.name = "hub", .listen = {"sim://hub"}});
    WirePeer peer{sim, "van"};
    sim.advance(1s);
    peer.send({{.kind = wire::Kind::piece, .number = inner.size(), .payload = inner}});
    sim.advance(1s);
    peer.read();
    CHECK(peer.code == wire::code_of(ErrorCode::malformed));
  }
}

TEST_CASE("what a peer writes into its goodbye cannot reach the terminal") {
  Simulation sim{5};
  auto& hub = sim.add({.name = "hub", .listen = {"sim://hub"}});
  WirePeer peer{sim, "van"};
  sim.advance(1s);
  const std::string nasty = "\x1b[2Jgone" + std::string(240, 'x');
  peer.send({{.kind = wire::Kind::goodbye, .code = wire::code_of(ErrorCode::rejected), .first = nasty}});
  sim.advance(1s);
  CHECK(hub.log().has("rejected: the peer says: \\x1b[2Jgonexxx"));
  CHECK_FALSE(hub.log().has("\x1b"));
  CHECK_FALSE(hub.log().has(std::string(limits::kGoodbyeBytes, 'x')));
}

}  // namespace
}  // namespace pannier::testing
