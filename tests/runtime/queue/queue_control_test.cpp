#include <algorithm>
#include <string>
#include <vector>

#include <pannier/sim.h>
#include "runtime/store/store.h"
#include "tests/runtime/queue/queue_bench.h"

namespace pannier::testing {
namespace {

TEST_CASE("a message is cancelled before it leaves, by the number of its receipt") {
  Bench bench;
  bench.enqueue("hub/orders", "k", 1);
  const Sequence id = bench.last.sequence;
  const auto cancelled = bench.ask<Cancelled>([id](QueueControl queue) { return queue.cancel(id); });
  REQUIRE(cancelled);
  CHECK_FALSE(cancelled->may_have_left);
  CHECK(bench.waiting("orders").empty());
  CHECK(bench.counters("orders").cancelled == 1);
  const auto again = bench.ask<Cancelled>([id](QueueControl queue) { return queue.cancel(id); });
  REQUIRE_FALSE(again);
  CHECK(again.error().code == ErrorCode::not_found);
}

TEST_CASE("of a message of an earlier life nobody can say that it has not left") {
  Bench bench;
  bench.enqueue("hub/orders", "k", 1);
  const Sequence id = bench.last.sequence;
  bench.restart();
  const auto cancelled = bench.ask<Cancelled>([id](QueueControl queue) { return queue.cancel(id); });
  REQUIRE(cancelled);
  CHECK(cancelled->may_have_left);
}

TEST_CASE("what is in somebody's hands is not cancelled") {
  Bench bench;
  std::vector<Delivery> held;
  bench.consume("orders", {}, [&](std::int64_t, const Delivery& delivery) { held.push_back(delivery); });
  bench.enqueue("orders", "k", 1);
  const Sequence id = bench.last.sequence;
  const auto cancelled = bench.ask<Cancelled>([id](QueueControl queue) { return queue.cancel(id); });
  REQUIRE_FALSE(cancelled);
  CHECK(cancelled.error().code == ErrorCode::in_use);
  CHECK(bench.waiting("orders") == "1");
  held.front().ack();
  bench.run(1s);
  CHECK(bench.waiting("orders").empty());
}

TEST_CASE("a cancelled message is not handed out later, and the next of its key is") {
  Bench bench;
  bench.enqueue("orders", "k", 1);
  const Sequence id = bench.last.sequence;
  bench.enqueue("orders", "k", 2);
  REQUIRE(bench.ask<Cancelled>([id](QueueControl queue) { return queue.cancel(id); }));
  bench.script.take();
  bench.consume("orders", {}, [&](std::int64_t value, const Delivery& delivery) {
    bench.script.note(std::to_string(value));
    delivery.ack();
  });
  bench.run(1s);
  CHECK(bench.script.take() == "2");
}

TEST_CASE("a lane gets other options while it is in use, and loses nothing") {
  Bench bench{{{.name = "orders", .max_messages = 1}}};
  bench.enqueue("orders", "", 1);
  bench.enqueue("orders", "", 2);
  CHECK(bench.script.take() == "1 stored; 2 full");
  REQUIRE(bench.ask<void>([](QueueControl queue) { return queue.set_lane({.name = "orders", .max_messages = 2}); }));
  bench.enqueue("orders", "", 3);
  REQUIRE(bench.ask<void>([](QueueControl queue) { return queue.set_lane({.name = "orders", .max_messages = 1}); }));
  bench.enqueue("orders", "", 4);
  CHECK(bench.script.take() == "3 stored; 4 full");
  CHECK(bench.waiting("orders") == "1 3");
  const auto wrong = bench.ask<void>([](QueueControl queue) { return queue.set_lane({.name = "Orders"}); });
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().code == ErrorCode::invalid_argument);
}

TEST_CASE("where a message is: its lane, its place, and why it waits") {
  Bench bench;
  for (const int value : {1, 2, 3}) bench.enqueue("hub/orders", "k" + std::to_string(value), value);
  const Sequence id = bench.last.sequence;
  const auto where = bench.ask<RowStatus>([id](QueueControl queue) { return queue.where(id); });
  REQUIRE(where);
  CHECK(where->box == Box::outbox);
  CHECK(where->node == "hub");
  CHECK(where->lane == "orders");
  CHECK(where->key == "k3");
  CHECK(where->position == 2);
  CHECK(where->waits_for == "no link to hub");
  const auto nowhere = bench.ask<RowStatus>([](QueueControl queue) { return queue.where(4711); });
  REQUIRE_FALSE(nowhere);
  CHECK(nowhere.error().code == ErrorCode::not_found);
}

/// A tablet that sends to a hub, over a path whose bandwidth the test sets.
struct Uplink {
  explicit Uplink(std::vector<LaneOptions> lanes) {
    hub = std::make_unique<SimNode>(simulator, &network, NodeOptions{.name = "hub", .listen = {"sim://hub"}});
    tablet = std::make_unique<SimNode>(
        simulator, &network,
        NodeOptions{.name = "tablet", .links = {{.node = "hub", .address = "sim://hub"}}, .lanes = std::move(lanes)});
    hand = *(*tablet)->spawn<Hand>();
  }
  void consume(const std::string& lane) {
    REQUIRE((*hub)->spawn<Consumer>(SpawnOptions{}, lane, ConsumeOptions{.window = 256},
                                    Act{[this, lane](std::int64_t value, const Delivery& delivery) {
                                      arrived.push_back(lane);
                                      script.note(lane + " " + std::to_string(value));
                                      delivery.ack();
                                    }}));
  }
  void enqueue(const std::string& address, std::int64_t value, EnqueueOptions options = {}) {
    let(simulator, **tablet, hand,
        [=](Hand& self) { self.enqueue(address, "", make<Number>(value), options).forget(); });
  }
  void enqueue_many(const std::string& address, int count) {
    let(simulator, **tablet, hand, [=](Hand& self) {
      for (int value = 0; value < count; ++value) self.enqueue(address, "", make<Number>(value)).forget();
    });
  }
  void narrow(std::uint64_t bytes_per_second) {
    sim::PathOptions options;
    options.bytes_per_second = bytes_per_second;
    network.set_direction("tablet", "hub", options);
  }

  sim::Simulator simulator{3};
  sim::Network network{simulator};
  Script script;
  std::vector<std::string> arrived;
  std::unique_ptr<SimNode> hub;
  std::unique_ptr<SimNode> tablet;
  ActorRef<Hand> hand;
};

TEST_CASE("an expiry travels as time remaining: the far end counts on from there") {
  Uplink uplink{{}};
  uplink.enqueue("hub/orders", 1, {.expires_in = 1min});
  uplink.simulator.run_for(40s);
  std::optional<StoreTime> expires;
  const auto stream = uplink.hub->store().stream(Box::inbox, "", "orders");
  REQUIRE(stream);
  REQUIRE(uplink.hub->store().read(*stream, RowState::ready, 0, 1, [&](const Row& row) {
    expires = row.expires_at;
    return true;
  }));
  REQUIRE(expires);
  uplink.simulator.run_for(15s);
  CHECK((*uplink.hub->store().find_stream(*stream))[RowState::ready].messages == 1);
  uplink.simulator.run_for(10s);
  CHECK((*uplink.hub->store().find_stream(*stream))[RowState::ready].messages == 0);
}

TEST_CASE("a message that expired while there was no link is never sent") {
  Uplink uplink{{}};
  uplink.consume("orders");
  uplink.simulator.run_for(1s);
  uplink.network.cut("tablet", "hub", sim::Cut::silent);
  uplink.simulator.run_for(20s);
  uplink.enqueue("hub/orders", 1, {.expires_in = 30s});
  uplink.enqueue("hub/orders", 2);
  uplink.simulator.run_for(1min);
  uplink.network.heal("tablet", "hub");
  uplink.simulator.run_for(1min);
  CHECK(uplink.script.take() == "orders 2");
}

TEST_CASE("an urgent message overtakes a backlog on a slow link, and the backlog still gets its share") {
  Uplink uplink{{{.name = "urgent", .priority = 9}, {.name = "bulk", .share_percent = 20}}};
  uplink.consume("urgent");
  uplink.consume("bulk");
  uplink.narrow(16 * 1024);
  uplink.simulator.run_for(2s);
  for (int value = 0; value < 20'000; ++value) uplink.enqueue("hub/bulk", value);
  uplink.arrived.clear();
  uplink.enqueue("hub/urgent", 1);
  uplink.simulator.run_for(4s);  // the bytes of two frames at 16 KiB a second: one on its way, one of its own
  CHECK(std::count(uplink.arrived.begin(), uplink.arrived.end(), "urgent") == 1);
  uplink.arrived.clear();
  for (int value = 0; value < 20'000; ++value) uplink.enqueue("hub/urgent", value);
  uplink.simulator.run_for(20s);
  const auto bulk = std::count(uplink.arrived.begin(), uplink.arrived.end(), "bulk");
  CHECK(bulk > 0);
  CHECK(bulk * 2 < static_cast<std::ptrdiff_t>(uplink.arrived.size()));
}

TEST_CASE("while urgent messages come by, each meets little of a backlog that goes the same way") {
  Uplink uplink{{{.name = "urgent", .priority = 9}, {.name = "bulk"}}};
  uplink.consume("urgent");
  uplink.consume("bulk");
  uplink.narrow(256 * 1024);
  uplink.simulator.run_for(2s);
  for (int group = 0; group < 100; ++group) uplink.enqueue_many("hub/bulk", 500);
  uplink.simulator.run_for(2s);  // the window of the backlog is as wide as the link takes
  std::ptrdiff_t most = 0;
  for (int value = 0; value < 20; ++value) {
    uplink.arrived.clear();
    uplink.enqueue("hub/urgent", value);
    uplink.simulator.run_for(500ms);
    const auto urgent = std::find(uplink.arrived.begin(), uplink.arrived.end(), "urgent");
    REQUIRE(urgent != uplink.arrived.end());
    CHECK(urgent + 1 != uplink.arrived.end());                              // the backlog goes on behind it
    if (value > 0) most = std::max(most, urgent - uplink.arrived.begin());  // the first meets the whole window
  }
  MESSAGE(most << " rows of the backlog before an urgent one at most");
  CHECK(most < 500);  // one frame of them
}

}  // namespace
}  // namespace pannier::testing
