// Several nodes of one simulation: links that are cut, nodes that die and come back, disks that fail.

#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include <pannier/simulation.h>
#include "tests/runtime/schema/messages.fbs.h"
#include "tests/support/fixtures.h"
#include "tests/testkit/outcome.h"

namespace pannier::testkit {
namespace {

using namespace std::chrono_literals;
using testing::Number;

struct Pair {
  explicit Pair(Machine of_tablet = {}) {
    hub = &sim.add({.name = "hub", .listen = {"sim://hub"}});
    tablet = &sim.add({.name = "tablet", .links = {{"hub", "sim://hub"}}}, std::move(of_tablet));
    orders.emplace(hub->probe("orders"));
    cook.emplace(tablet->probe("cook"));
    sim.advance(1s);
  }
  Simulation sim{5};
  SimNode* hub = nullptr;
  SimNode* tablet = nullptr;
  std::optional<Probe> orders;
  std::optional<Probe> cook;
};

TEST_CASE("linked nodes talk by name; a cut link says unreachable once it is noticed, a healed one works again") {
  Pair pair;
  const Ref orders = (*pair.tablet)->ref("hub/orders");
  REQUIRE(pair.cook->tell(orders, make<Number>(1)));
  REQUIRE(pair.orders->expect<Number>());
  pair.sim.network().cut("hub", "tablet", sim::Cut::reported);
  pair.sim.advance(1s);
  CHECK(outcome(pair.cook->ask<Number>(orders, make<Number>(2))) == "unreachable");
  pair.sim.network().heal("hub", "tablet");
  pair.sim.advance(60s);
  CHECK(pair.orders->expect_nothing(0s));
  REQUIRE(pair.cook->tell(orders, make<Number>(3)));
  const auto got = pair.orders->expect<Number>();
  REQUIRE(got);
  CHECK((*got)->value() == 3);
}

TEST_CASE("a message that a node has taken outlives its crash, on a disk in memory or in a file") {
  const testing::TempFolder folder;
  for (const std::string& file : {std::string{}, folder.file("tablet.db")}) {
    Pair pair{{.file = file}};
    pair.sim.network().cut("hub", "tablet", sim::Cut::silent);
    REQUIRE(pair.cook->enqueue("hub/orders", "table-4", make<Number>(7)));
    pair.tablet->crash();
    CHECK_FALSE(pair.tablet->up());
    pair.sim.advance(60s);
    pair.sim.network().heal_all();
    REQUIRE(pair.tablet->start());
    REQUIRE(pair.orders->consume("orders"));
    auto order = pair.orders->expect<Number>(60s);
    REQUIRE(order);
    CHECK((*order)->value() == 7);
    CHECK(order->ack());
    CHECK(pair.orders->expect_nothing(60s));
  }
}

TEST_CASE("a node that dies within a commit has stored all of it or nothing, and nobody hears its answer") {
  for (const bool stored : {false, true}) {
    Pair pair;
    pair.tablet->crash_in_store_call(4, stored);  // begin, put, the clocks, commit
    const auto receipt = pair.cook->enqueue("hub/orders", "", make<Number>(7), 5s);
    REQUIRE_FALSE(receipt);
    CHECK(outcome(receipt) == "timeout");
    CHECK_FALSE(pair.tablet->up());
    REQUIRE(pair.orders->consume("orders"));
    CHECK(pair.orders->expect_nothing(30s));
    REQUIRE(pair.tablet->start());
    CHECK(pair.orders->expect<Number>(60s).ok() == stored);
  }
}

TEST_CASE("a full disk and a failed fsync refuse what comes, until they are mended") {
  Pair pair;
  pair.tablet->disk().fill_disk(true);
  CHECK(outcome(pair.cook->enqueue("hub/orders", "", make<Number>(1))) == "storage_full");
  REQUIRE(pair.tablet->restart());
  pair.cook.emplace(pair.tablet->probe("cook"));
  CHECK(outcome(pair.cook->enqueue("hub/orders", "", make<Number>(2))) == "storage_full");
  pair.tablet->disk().fill_disk(false);
  pair.tablet->disk().fail_commits(1);
  CHECK(outcome(pair.cook->enqueue("hub/orders", "", make<Number>(3))) == "storage_io");
  CHECK(pair.cook->enqueue("hub/orders", "", make<Number>(4)));
  REQUIRE(pair.orders->consume("orders"));
  const auto order = pair.orders->expect<Number>(10s);
  REQUIRE(order);
  CHECK((*order)->value() == 4);
}

TEST_CASE("each life of a node starts what main would start; a stop is in order, and the next life goes on") {
  struct Counter : Actor<Counter, Number> {
    Table<Number> on(const Number&) { return make<Number>(++count_); }
    void on_stop() { log(LogLevel::warning, "counted " + std::to_string(count_)); }
    int count_ = 0;
  };
  Pair pair{{.workers = 3, .boot = [](Node& node) { CHECK(node.spawn<Counter>(SpawnOptions{.name = "counter"})); }}};
  const auto count = [&] {
    const auto answer = pair.orders->ask<Number>((*pair.hub)->ref("tablet/counter"), make<Number>(0));
    return answer ? (*answer)->value() : -1;
  };
  CHECK(count() == 1);
  CHECK(count() == 2);
  REQUIRE(pair.tablet->stop());
  CHECK(pair.tablet->log().has("counted 2"));
  CHECK(count() == -1);
  REQUIRE(pair.tablet->start());
  pair.sim.advance(60s);
  CHECK(count() == 1);
}

TEST_CASE("a node without a disk refuses to keep anything") {
  Pair pair{{.disk = false}};
  CHECK(outcome(pair.cook->enqueue("hub/orders", "", make<Number>(1))) == "not_found");
}

}  // namespace
}  // namespace pannier::testkit
