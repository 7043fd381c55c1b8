// A peer with a valid name that takes more than its share (docs/security.md). It is a raw peer that writes its records
// by hand; beside it an honest node goes on.

#include <doctest/doctest.h>

#include <map>
#include <tuple>

#include <pannier/simulation.h>
#include "runtime/store/store.h"
#include "tests/runtime/link/wire_peer.h"

namespace pannier::testing {
namespace {

using namespace std::chrono_literals;
using testkit::Machine;
using testkit::SimNode;
using testkit::Simulation;
using Uses = std::map<std::string, PeerUse::Of>;

struct Auditor : Actor<Auditor> {
  Auditor(std::string peer, Uses* uses) : peer_(std::move(peer)), uses_(uses) {}
  void on_start() {
    peer_uses().then([this](const Result<std::vector<PeerUse>>& all) {
      REQUIRE(all);
      for (const PeerUse& use : *all) {
        if (use.peer != peer_) continue;
        for (const PeerUse::Of& of : use.resources) (*uses_)[of.resource] = of;
      }
      stop();
    });
  }

 private:
  std::string peer_;
  Uses* uses_;
};

struct HubClerk : Actor<HubClerk, AnyTable> {
  explicit HubClerk(std::size_t* came) : came_(came) {}
  void on(const AnyTable&) { ++*came_; }

 private:
  std::size_t* came_;
};

/// Notes which node asks.
struct LabelReader : Actor<LabelReader, AnyTable> {
  explicit LabelReader(std::vector<std::string>* askers) : askers_(askers) {}
  void on(const AnyTable&, Responder responder) {
    askers_->emplace_back(label());
    responder.refuse(ErrorCode::rejected);
  }

 private:
  std::vector<std::string>* askers_;
};
struct LabelAsker : Actor<LabelAsker> {
  explicit LabelAsker(std::string to) : to_(std::move(to)) {}
  void on_start() {
    ask<AnyTable>(ref(to_), AnyTable{TypeId{1}, nullptr, {}}, 1s).then([](const auto&) {});
  }

 private:
  std::string to_;
};

/// Handles whatever comes by the lane `orders`.
struct LaneTaker : Actor<LaneTaker, AnyTable> {
  explicit LaneTaker(std::size_t* came) : came_(came) {}
  void on_start() { REQUIRE(consume<AnyTable>("orders")); }
  void on(const AnyTable&, Delivery delivery) {
    ++*came_;
    delivery.ack();
  }
  void on(const AnyTable&) {}

 private:
  std::size_t* came_;
};

struct Guarded {
  Uses uses(const std::string& peer) {
    Uses uses;
    REQUIRE(hub->spawn<Auditor>(SpawnOptions{}, peer, &uses));
    sim.advance(100ms);
    return uses;
  }
  wire::Record row(std::string_view lane, std::uint64_t sequence) const {
    return {.kind = wire::Kind::row, .type = TypeId{1}, .id = sequence, .first = lane, .payload = bytes};
  }

  [[nodiscard]] AnyTable table() const { return {TypeId{1}, nullptr, BlockRef::copy_of(bytes)}; }

  Simulation sim{5};
  SimNode& hub = sim.add({.name = "hub", .listen = {"sim://hub"}, .lanes = {{.name = "orders"}}}, {.workers = 3});
  SimNode& van = sim.add({.name = "van", .links = {{"hub", "sim://hub"}}});
  WirePeer evil{sim, "evil"};
  std::vector<std::byte> bytes = std::vector<std::byte>(1024);
};

TEST_CASE("a peer that sends rows faster than the disk takes them is charged, refused, and cut when it does not heed") {
  Guarded guarded;
  guarded.sim.advance(1s);
  Loop* disk = guarded.hub->loops()[1];  // no row is stored from here on
  guarded.sim.simulator().remove(*disk);
  const std::vector<std::byte> large(200 * 1024);
  std::size_t sent = 0;
  for (std::uint64_t i = 1; i <= 1000 && guarded.evil.goodbye.empty(); ++i, sent += large.size()) {
    wire::Record row = guarded.row("orders", i);
    row.payload = large;
    if (!guarded.evil.try_send({row})) break;
    guarded.sim.advance(20ms);
    guarded.evil.read();
  }
  guarded.evil.read();
  CHECK(guarded.evil.goodbye.find("refusals are not heeded") != std::string::npos);
  CHECK(sent <= limits::kPeerRowBytes + limits::kUnheededBytes + 2 * large.size());
  guarded.sim.simulator().add(*disk);
  guarded.sim.advance(1s);
  const auto lane = guarded.hub.store().find_stream(Box::inbox, {}, "orders");
  REQUIRE(lane != nullptr);
  CHECK((*lane)[RowState::ready].bytes <= limits::kPeerRowBytes);
  CHECK(guarded.hub.log().has("peer evil is refused what exceeds its limits: row_bytes"));
}

TEST_CASE("lanes that only a peer names are limited, and refused to it alone") {
  Guarded guarded;
  guarded.sim.advance(1s);
  for (std::uint64_t i = 1; i <= 200; ++i) {
    guarded.evil.send({guarded.row("junk-" + std::to_string(i), i)});
    guarded.sim.advance(10ms);
  }
  guarded.sim.advance(1s);
  const Uses uses = guarded.uses("evil");
  CHECK(uses.at("lanes").used == limits::kPeerLanes);
  CHECK(uses.at("lanes").refused == 200 - limits::kPeerLanes);
  // The honest node names a lane of its own.
  auto sender = guarded.van.probe();
  REQUIRE(sender.enqueue("hub/news", "k", guarded.table()));
  guarded.sim.advance(1s);
  CHECK(guarded.hub.store().find_stream(Box::inbox, {}, "news") != nullptr);
}

TEST_CASE("a lane that nobody here knows holds a bounded backlog, and its full quota once somebody uses it") {
  Guarded guarded;
  auto sender = guarded.van.probe();
  const std::vector<std::byte> large(200 * 1024);
  const AnyTable much{TypeId{1}, nullptr, BlockRef::copy_of(large)};
  const std::size_t many = limits::kForeignLaneBytes / large.size() + 10;
  for (std::size_t i = 0; i < many; ++i) REQUIRE(sender.enqueue("hub/unknown", "", much));
  guarded.sim.advance(1min);
  const auto waits = [&] { return (*guarded.hub.store().find_stream(Box::inbox, {}, "unknown"))[RowState::ready]; };
  CHECK(waits().messages == limits::kForeignLaneBytes / large.size());
  CHECK((*guarded.van.store().find_stream(Box::outbox, "hub", "unknown"))[RowState::ready].messages == 10);
  auto local = guarded.hub.probe();
  REQUIRE(local.enqueue("unknown", "", guarded.table()));
  guarded.sim.advance(2min);
  CHECK(waits().messages == many + 1);
}

TEST_CASE(
    "retained values of one peer are limited in number and bytes, and a new one of the same topic takes its place") {
  Guarded guarded;
  guarded.sim.advance(1s);
  const std::vector<std::byte> large(250 * 1024);
  const auto publish = [&](const std::string& topic) {
    guarded.evil.send(
        {{.kind = wire::Kind::publish, .flags = wire::kRetain, .type = TypeId{1}, .first = topic, .payload = large}});
    guarded.sim.advance(20ms);
  };
  for (int i = 0; i < 100; ++i) publish("junk/" + std::to_string(i));
  for (int i = 0; i < 100; ++i) publish("junk/0");
  Uses uses = guarded.uses("evil");
  CHECK(uses.at("retained_bytes").used <= limits::kPeerRetainedBytes);
  CHECK(uses.at("retained_values").used == limits::kPeerRetainedBytes / (large.size() + 6));
  CHECK((*guarded.hub).topics().retained == uses.at("retained_values").used);
  WirePeer other{guarded.sim, "other"};
  other.send(
      {{.kind = wire::Kind::publish, .flags = wire::kRetain, .type = TypeId{1}, .first = "its/own", .payload = large}});
  guarded.sim.advance(1s);
  CHECK((*guarded.hub).topics().retained == uses.at("retained_values").used + 1);
}

TEST_CASE("incarnations that never end leave a bounded number of watermarks, and another peer's rows are taken") {
  Guarded guarded;
  guarded.sim.advance(1s);
  for (std::uint64_t i = 1; i <= 3000; ++i) {
    wire::Record row = guarded.row("orders", 1);
    const std::string incarnation = wire::text_of_u64(i);
    row.flags = wire::kIncarnation;
    row.second = incarnation;
    guarded.evil.send({row});
    if (i % 100 == 0) guarded.sim.advance(100ms);
  }
  const Uses uses = guarded.uses("evil");
  CHECK(uses.at("streams").used == limits::kPeerStreams);
  const auto marks = guarded.hub.store().watermarks();
  REQUIRE(marks);
  CHECK(marks->size() == limits::kPeerStreams);
  auto sender = guarded.van.probe();
  REQUIRE(sender.enqueue("hub/orders", "k", guarded.table()));
  guarded.sim.advance(1s);
  CHECK(guarded.hub.store().watermarks()->size() == limits::kPeerStreams + 1);
}

TEST_CASE("a peer over its rate is refused record by record, and told") {
  Simulation sim{7};
  constexpr PublicKey kKey{std::byte{9}};
  SimNode& hub = sim.add(
      {.name = "hub", .listen = {"sim://hub"}, .peers = {{.node = "evil", .key = kKey, .limits = {.rate = 10}}}});
  std::size_t came = 0;
  REQUIRE(hub->spawn<HubClerk>({.name = "clerk"}, &came));
  WirePeer evil{sim, "evil", kKey};
  sim.advance(1s);
  for (int i = 0; i < 100; ++i) evil.send({{.kind = wire::Kind::tell, .type = TypeId{1}, .first = "clerk"}});
  sim.advance(500ms);
  CHECK(came == 10);
  evil.read();
  CHECK(evil.told_dropped == 90);
  CHECK(hub.log().has("peer evil is refused what exceeds its limits: rate (10 a second)"));
}

TEST_CASE("a question that another node passed on bears that node's name too, which alone is proven") {
  Simulation sim{7};
  SimNode& hub = sim.add({.name = "hub", .listen = {"sim://hub"}});
  sim.add({.name = "town", .links = {{"hub", "sim://hub"}}, .listen = {"sim://town"}});
  SimNode& van = sim.add({.name = "van", .links = {{"town", "sim://town"}}});
  SimNode& shop = sim.add({.name = "shop", .links = {{"hub", "sim://hub"}}});
  std::vector<std::string> askers;
  REQUIRE(hub->spawn<LabelReader>(SpawnOptions{.name = "reader"}, &askers));
  sim.advance(5s);
  for (SimNode* node : {&van, &shop}) {
    REQUIRE((*node)->spawn<LabelAsker>(SpawnOptions{}, "hub/reader"));
    sim.advance(1s);
  }
  CHECK(askers == std::vector<std::string>{"van by way of town", "shop"});
}

TEST_CASE("a key has a bounded number of links") {
  Simulation sim{7};
  constexpr PublicKey kKey{std::byte{9}};
  SimNode& hub = sim.add({.name = "hub",
                          .listen = {"sim://hub"},
                          .peers = {{.node = "t-", .key = kKey, .prefix = true, .limits = {.links = 3}}}});
  std::vector<std::unique_ptr<WirePeer>> peers;
  for (int i = 0; i < 5; ++i) {
    peers.push_back(std::make_unique<WirePeer>(sim, "t-" + std::to_string(i), kKey));
    sim.advance(100ms);
    peers.back()->read();
  }
  CHECK(peers[2]->goodbye.empty());
  CHECK(peers[3]->goodbye == "this peer has 3 links to 'hub' already");
  CHECK(hub.log().has("peer t-* is refused what exceeds its limits: links (3)"));
}

TEST_CASE("a name belongs to the key of its most exact rule: a prefix of another key does not reach it") {
  Simulation sim{7};
  constexpr PublicKey kOperator{std::byte{1}};
  constexpr PublicKey kDriver{std::byte{2}};
  sim.add({.name = "hub",
           .listen = {"sim://hub"},
           .peers = {{.node = "van", .key = kDriver, .prefix = true},
                     {.node = "van-office", .key = kOperator},
                     {.node = "van-x-", .key = kOperator, .prefix = true}}});
  for (const auto& [name, key, may] : {std::tuple{"van-7", kDriver, true},
                                       {"van-office", kDriver, false},
                                       {"van-x-1", kDriver, false},
                                       {"van-office", kOperator, true},
                                       {"van-x-1", kOperator, true},
                                       {"van-7", kOperator, false}}) {
    WirePeer peer{sim, name, key};
    sim.advance(100ms);
    peer.read();
    CAPTURE(std::string{name});
    CHECK(peer.goodbye.empty() == may);
  }
}

TEST_CASE("a lane that is forwarded in a circle is refused where the circle closes, named, and nothing goes round") {
  for (const bool three : {false, true}) {
    CAPTURE(three);
    Simulation sim{3};
    const auto lane = [](std::string to) {
      return std::vector<LaneOptions>{{.name = "loop", .forward_to = std::move(to)}};
    };
    SimNode& b = sim.add({.name = "b", .listen = {"sim://b"}, .lanes = lane(three ? "c" : "a")});
    SimNode& a = sim.add({.name = "a", .links = {{"b", "sim://b"}}, .lanes = lane("b")});
    SimNode* c = three ? &sim.add({.name = "c", .links = {{"b", "sim://b"}}, .lanes = lane("a")}) : nullptr;
    auto sender = a.probe();
    REQUIRE(sender.enqueue("loop", "k", AnyTable{TypeId{1}, nullptr, BlockRef::copy_of(std::vector<std::byte>(64))}));
    sim.advance(10min);
    SimNode& closes = three ? *c : b;
    SimNode& keeps = three ? b : a;
    CHECK(closes.log().has(three ? "in a circle, a -> b -> c -> a" : "in a circle, a -> b -> a"));
    const Stream* stream = keeps.store().find_stream(Box::outbox, three ? "c" : "b", "loop");
    REQUIRE(stream != nullptr);
    CHECK((*stream)[RowState::dead_lettered].messages == 1);
  }
}

TEST_CASE("what a peer says of a message's way reaches the log without control characters") {
  Simulation sim{3};
  SimNode& hub = sim.add({.name = "hub", .listen = {"sim://hub"}, .lanes = {{.name = "loop", .forward_to = "x"}}});
  WirePeer evil{sim, "evil"};
  sim.advance(1s);
  const std::string path = "x \x1b[2Jgone";
  const std::string second = std::string{static_cast<char>(path.size()), '\0'} + path + "key";
  evil.send(
      {{.kind = wire::Kind::row, .flags = wire::kPath, .type = TypeId{1}, .id = 1, .first = "loop", .second = second}});
  sim.advance(1s);
  CHECK(hub.log().has("in a circle, x -> "));
  CHECK_FALSE(hub.log().has("\x1b"));
}

TEST_CASE("filters that come and go, ever new, do not cost a slow neighbour its link, and leave nothing") {
  Guarded guarded;
  guarded.sim.advance(1s);
  guarded.sim.network().set_path("hub", "van", {.bytes_per_second = 2000});
  for (int i = 0; i < 15'000; ++i) {
    const std::string filter = "f/" + std::to_string(i);
    guarded.evil.send(
        {{.kind = wire::Kind::subscribe, .first = filter}, {.kind = wire::Kind::unsubscribe, .first = filter}});
    if (i % 10 == 0) guarded.sim.advance(20ms);
  }
  guarded.evil.read();
  CHECK(guarded.evil.goodbye.empty());
  guarded.sim.advance(1min);
  CHECK(!guarded.hub.log().has("link to van is down"));
  CHECK((*guarded.hub).topics().filters <= 1);
}

TEST_CASE(
    "when a full disk has room again, what other nodes hold back comes within a second, and the log says so once") {
  Guarded guarded;
  guarded.sim.advance(1s);
  guarded.hub.fill_disk(true);
  auto sender = guarded.van.probe();
  for (int i = 0; i < 20; ++i) REQUIRE(sender.enqueue("hub/orders", "k", guarded.table()));
  guarded.sim.advance(10min);  // by now the van asks once a minute
  guarded.hub.fill_disk(false);
  guarded.sim.advance(2s);
  CHECK((*guarded.hub.store().find_stream(Box::inbox, {}, "orders"))[RowState::ready].messages == 20);
  CHECK(guarded.hub.log().has("the store has no room: messages are refused until it has"));
  CHECK(guarded.hub.log().has("the store has room again"));
  CHECK(guarded.hub.log().warnings() <= 1);
}

TEST_CASE("what one peer sends on to a slow neighbour fills half of its queue, and the other half is for the others") {
  Guarded guarded;
  guarded.sim.advance(1s);
  guarded.sim.network().set_path("hub", "van", {.bytes_per_second = 20'000});
  const std::vector<std::byte> large(100 * 1024);
  for (int i = 0; i < 60; ++i) {
    guarded.evil.send(
        {{.kind = wire::Kind::tell, .type = TypeId{1}, .node = "van", .first = "kitchen", .payload = large}});
    guarded.sim.advance(20ms);
  }
  guarded.evil.read();
  const PeerUse::Of relayed = guarded.uses("evil").at("relay_bytes");
  CHECK(relayed.used <= limits::kPeerRelayBytes);
  CHECK(relayed.used + 2 * large.size() > limits::kPeerRelayBytes);
  CHECK(relayed.refused > 20);
  CHECK(guarded.evil.told_dropped >= relayed.refused);  // the van drops some, too: it has no kitchen
  WirePeer other{guarded.sim, "other"};
  for (int i = 0; i < 10; ++i) {
    other.send({{.kind = wire::Kind::tell, .type = TypeId{1}, .node = "van", .first = "kitchen", .payload = large}});
    guarded.sim.advance(20ms);
  }
  other.read();
  CHECK(other.told_dropped == 0);
  guarded.sim.network().set_path("hub", "van", {});
  guarded.sim.advance(3s);
  CHECK(guarded.uses("evil").at("relay_bytes").used == 0);
}

TEST_CASE("when a lane has room again, the senders that it refused go on at once") {
  Simulation sim{4};
  SimNode& hub = sim.add({.name = "hub", .listen = {"sim://hub"}, .lanes = {{.name = "orders", .max_messages = 8}}});
  SimNode& van = sim.add({.name = "van", .links = {{"hub", "sim://hub"}}});
  auto sender = van.probe();
  const AnyTable table{TypeId{1}, nullptr, BlockRef::copy_of(std::vector<std::byte>(64))};
  for (int i = 0; i < 40; ++i) REQUIRE(sender.enqueue("hub/orders", std::to_string(i), table));
  sim.advance(10min);
  std::size_t came = 0;
  REQUIRE(hub->spawn<LaneTaker>(SpawnOptions{}, &came));
  sim.advance(1s);
  CHECK(came == 40);
}

}  // namespace
}  // namespace pannier::testing
