#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include <pannier/actor.h>
#include <pannier/sim.h>
#include <pannier/simulation.h>
#include <pannier/sqlite_store.h>
#include "platform/sim/disk.h"
#include "runtime/link/wire.h"
#include "runtime/store/sim/sqlite_disk.h"
#include "runtime/store/store.h"
#include "tests/runtime/script.h"

// What two queues say to each other, where one of them is older, younger, or not there at all.

namespace pannier::testing {
namespace {

using namespace std::chrono_literals;

const NodeOptions kHub{.name = "hub", .listen = {"sim://hub"}};
const NodeOptions kTablet{.name = "tablet", .links = {{.node = "hub", .address = "sim://hub"}}};

/// The values of the rows in a state, all streams together, in the order of their sequences.
std::string values(Store& store, RowState state, std::int64_t from = 0) {
  std::string all;
  std::vector<StreamId> streams;
  store.visit_streams(std::nullopt, std::nullopt, [&](const Stream& stream) {
    streams.push_back(stream.id);
    return true;
  });
  for (const StreamId id : streams) {
    REQUIRE(store.read(id, state, 0, 10'000, [&](const Row& row) {
      const auto number = AnyTable{row.type, nullptr, BlockRef::copy_of(row.payload)}.as<Number>();
      if ((*number)->value() >= from) all += (all.empty() ? "" : " ") + std::to_string((*number)->value());
      return true;
    }));
  }
  return all;
}

std::string range(std::int64_t first, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += (i == 0 ? "" : " ") + std::to_string(first + i);
  return all;
}

void enqueue(testkit::Simulation& sim, SimNode& node, const std::string& address, std::int64_t first, int count = 1,
             EnqueueOptions options = {}) {
  auto hand = node.spawn<Hand>(SpawnOptions{});
  let(sim.simulator(), *node, hand, [=](Hand& actor) {
    for (int i = 0; i < count; ++i) actor.enqueue(address, "k", make<Number>(first + i), options);
  });
}

/// A tablet whose disk the test breaks, and the hub that it sends to. Each life opens the file anew.
struct BrokenDisk {
  testkit::Simulation sim{5};
  SimNode& hub = sim.add(kHub);
  sim::Disk disk{9};
  sim::SqliteDisk vfs{disk};
  sim::SeededEntropy entropy{9};

  StorePtr live(std::int64_t first, int count, Duration then = 20s) {
    auto store = open_sqlite_store({.path = "node.db", .entropy = entropy, .vfs = vfs.name()});
    REQUIRE(store);
    SimNode tablet(sim.simulator(), &sim.network(), kTablet, testkit::Machine{.store = store->get()});
    sim.advance(3s);
    enqueue(sim, tablet, "hub/orders", first, count);
    sim.advance(then);
    tablet.crash();
    return std::move(*store);
  }
};

TEST_CASE("messages that are enqueued after a lying disk came back older all arrive, once") {
  BrokenDisk world;
  world.live(1000, 5).reset();
  world.disk.lie_about_syncs(1.0);
  auto second = world.live(2000, 50);
  world.disk.cut_power(sim::Loss::all);
  second.reset();
  world.disk.lie_about_syncs(0);
  world.disk.restore_power();
  world.live(3000, 20).reset();
  CHECK(values(world.hub.store(), RowState::ready) == range(1000, 5) + " " + range(2000, 50) + " " + range(3000, 20));
}

TEST_CASE("messages that are enqueued after someone removed the log all arrive, once") {
  BrokenDisk world;
  world.live(1000, 5).reset();
  auto second = world.live(2000, 50);
  world.disk.cut_power(sim::Loss::none);
  second.reset();
  world.disk.restore_power();
  REQUIRE(world.disk.remove("node.db-wal"));
  world.live(3000, 20).reset();
  CHECK(values(world.hub.store(), RowState::ready) == range(1000, 5) + " " + range(2000, 50) + " " + range(3000, 20));
}

TEST_CASE("a sender's restored backup: what is enqueued afterwards arrives, what had arrived before is dropped") {
  BrokenDisk world;
  world.live(1000, 5, 0s).reset();  // stored, and perhaps not sent yet
  sim::Disk backup = world.disk.after_power_cut(sim::Loss::none, 1);
  world.live(2000, 50).reset();
  world.disk = std::move(backup);
  world.live(3000, 20).reset();
  CHECK(values(world.hub.store(), RowState::ready) == range(1000, 5) + " " + range(2000, 50) + " " + range(3000, 20));
}

TEST_CASE("a receiver's restored backup loses what came since, drops nothing new, and takes nothing twice") {
  for (const bool sender_too : {false, true}) {
    CAPTURE(sender_too);
    testkit::Simulation sim{5};
    sim::Disk disks[] = {sim::Disk{9}, sim::Disk{10}};  // the hub's and the tablet's
    const sim::SqliteDisk vfs[] = {sim::SqliteDisk{disks[0]}, sim::SqliteDisk{disks[1]}};
    sim::SeededEntropy entropy{9};
    const NodeOptions options[] = {kHub, kTablet};
    StorePtr stores[2];
    std::unique_ptr<SimNode> nodes[2];
    const auto stop = [&] {
      for (auto& each : nodes) each.reset();
      for (auto& each : stores) each.reset();
    };
    const auto start = [&] {
      for (int i = 0; i < 2; ++i) {
        auto store = open_sqlite_store({.path = "node.db", .entropy = entropy, .vfs = vfs[i].name()});
        REQUIRE(store);
        stores[i] = std::move(*store);
        nodes[i] = std::make_unique<SimNode>(sim.simulator(), &sim.network(), options[i],
                                             testkit::Machine{.store = stores[i].get()});
      }
      sim.advance(3s);
    };
    const auto send = [&](std::int64_t first) {
      enqueue(sim, *nodes[1], "hub/orders", first, 5);
      sim.advance(20s);
    };
    start();
    send(1000);
    stop();
    sim::Disk backups[] = {disks[0].after_power_cut(sim::Loss::none, 1), disks[1].after_power_cut(sim::Loss::none, 1)};
    start();
    send(2000);
    stop();
    disks[0] = std::move(backups[0]);
    if (sender_too) disks[1] = std::move(backups[1]);
    start();
    send(3000);
    CHECK(values(*stores[0], RowState::ready) == range(1000, 5) + " " + range(3000, 5));
    CHECK(values(*stores[1], RowState::ready).empty());
    stop();
  }
}

TEST_CASE("an acknowledgement for the rows of a tablet's old store means nothing to its new one") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    for (int clog_at = 10; clog_at < 90; clog_at += 8) {
      CAPTURE(seed);
      CAPTURE(clog_at);
      testkit::Simulation sim{seed};
      SimNode& hub = sim.add({.name = "hub", .listen = {"sim://hub"}, .queue = {.commit_delay = 100ms}});
      sim.advance(1s);
      auto old = std::make_unique<SimNode>(sim.simulator(), &sim.network(), kTablet, testkit::Machine{});
      sim.advance(5s);
      enqueue(sim, *old, "hub/orders", 1000, 50);
      sim.advance(10ms);
      old.reset();  // it dies, and is reinstalled with an empty store
      SimNode tablet(sim.simulator(), &sim.network(), kTablet, testkit::Machine{});
      enqueue(sim, tablet, "hub/orders", 2000, 5);
      for (int i = 0; i < 400; ++i) {
        sim.advance(1ms);
        if (i == clog_at) sim.network().clog("tablet", "hub", 300ms);
        if (i > 5 && values(tablet.store(), RowState::ready).empty()) {
          hub.crash();
          break;
        }
      }
      if (!hub.up()) REQUIRE(hub.start());
      sim.advance(2min);
      REQUIRE(values(hub.store(), RowState::ready, 2000) == range(2000, 5));
    }
  }
}

TEST_CASE("a delayed message for another node can be cancelled, though a later one of its lane has arrived") {
  testkit::Simulation sim{3};
  SimNode& hub = sim.add(kHub);
  SimNode& tablet = sim.add(kTablet);
  sim.advance(2s);
  auto hand = tablet.spawn<Hand>(SpawnOptions{});
  Sequence delayed = 0;
  std::string told;
  let(sim.simulator(), *tablet, hand, [&](Hand& actor) {
    actor.enqueue("hub/orders", "k", make<Number>(1), {.delay = 1h}).then([&](Result<Receipt> receipt) {
      REQUIRE(receipt);
      delayed = receipt->sequence;
    });
  });
  enqueue(sim, tablet, "hub/orders", 2);
  sim.advance(2s);
  CHECK(values(hub.store(), RowState::ready) == "2");
  let(sim.simulator(), *tablet, hand, [&](Hand& actor) {
    actor.queue().cancel(delayed).then([&](Result<Cancelled> cancelled) {
      told = cancelled ? (cancelled->may_have_left ? "may have left" : "cancelled") : outcome(cancelled.error());
    });
  });
  sim.advance(2h);
  CHECK(told == "cancelled");
  CHECK(values(hub.store(), RowState::ready) == "2");
}

TEST_CASE("a hub that runs for a while without its store: messages wait, and arrive in their order") {
  testkit::Simulation sim{3};
  SimNode& tablet = sim.add(kTablet);
  auto bare = std::make_unique<SimNode>(sim.simulator(), &sim.network(), kHub, testkit::Machine{.disk = false});
  sim.advance(5s);
  enqueue(sim, tablet, "hub/orders", 1, 3);
  sim.advance(10min);
  CHECK(values(tablet.store(), RowState::ready) == "1 2 3");
  bare.reset();
  SimNode hub(sim.simulator(), &sim.network(), kHub, testkit::Machine{});
  enqueue(sim, tablet, "hub/orders", 4);
  sim.advance(2min);
  CHECK(values(hub.store(), RowState::ready) == "1 2 3 4");
  CHECK(values(tablet.store(), RowState::dead_lettered).empty());
}

/// A node with a valid name that sends what it likes.
struct Peer : TransportEvents {
  explicit Peer(sim::Network& network) : transport(network.make_transport("evil")) {
    REQUIRE(transport->connect("sim://hub", {}));
  }
  void send(const wire::Record& record) {
    wire::FrameWriter writer;
    REQUIRE(writer.add(record));
    if (open) CHECK(transport->send(channel, writer.frame()));
  }
  void on_open(ChannelId opened, const PeerIdentity& /*peer*/) override {
    open = true;
    channel = opened;
    send({.kind = wire::Kind::hello, .id = 99, .number = 2000, .first = "evil"});
  }
  void on_accept(ChannelId /*channel*/, const PeerIdentity& /*peer*/) override {}
  void on_frame(ChannelId /*channel*/, std::span<const std::byte> /*frame*/) override {}
  void on_closed(ChannelId /*channel*/, const Error& /*why*/) override { open = false; }

  std::unique_ptr<sim::SimTransport> transport;
  ChannelId channel{};
  bool open = false;
};

TEST_CASE("what a peer sends and cannot be stored fails nobody else's messages") {
  const AnyTable payload = make<Number>(7);
  const std::string long_key(300, 'k');
  wire::Record long_keyed{.kind = wire::Kind::row,
                          .type = payload.type(),
                          .id = 1,
                          .first = "orders",
                          .second = long_key,
                          .payload = payload.block().bytes()};
  wire::Record high{.kind = wire::Kind::row,
                    .type = payload.type(),
                    .id = std::uint64_t{1} << 60,
                    .first = "orders",
                    .payload = payload.block().bytes()};
  for (wire::Record bad : {long_keyed, high}) {
    testkit::Simulation sim{3};
    SimNode& hub = sim.add({.name = "hub", .listen = {"sim://hub"}, .queue = {.commit_delay = 50ms}});
    auto hand = hub.spawn<Hand>(SpawnOptions{});
    Peer evil{sim.network()};
    const auto turn = [&](Duration span) {
      for (Duration gone{}; gone < span; gone += 1ms) {
        sim.advance(1ms);
        static_cast<void>(evil.transport->poll(evil));
      }
    };
    turn(200ms);
    REQUIRE(evil.open);
    int stored = 0;
    for (int i = 0; i < 20; ++i) {
      let(sim.simulator(), *hub, hand, [&](Hand& actor) {
        actor.enqueue("orders", "k", make<Number>(i)).then([&](Result<Receipt> receipt) { stored += receipt ? 1 : 0; });
      });
      evil.send(bad);
      ++bad.id;
      turn(100ms);
    }
    CHECK(stored == 20);
  }
}

TEST_CASE("destinations that come and go give their streams back, and cost the others nothing") {
  testkit::Simulation sim{3};
  SimNode& hub = sim.add({.name = "hub"});
  const int count = 5000;
  for (int i = 0; i < count; ++i)
    enqueue(sim, hub, "device-" + std::to_string(i) + "/orders", i, 1, {.expires_in = 60s});
  const auto streams = [&] {
    std::size_t number = 0;
    hub.store().visit_streams(std::nullopt, std::nullopt, [&](const Stream&) { return ++number > 0; });
    return number;
  };
  sim.advance(10s);
  CHECK(streams() == count);
  sim.advance(10min);
  CHECK(streams() <= limits::kIdleStreams);
  enqueue(sim, hub, "device-1/orders", 1);
  sim.advance(1s);
  CHECK(values(hub.store(), RowState::ready) == "1");
}

}  // namespace
}  // namespace pannier::testing
