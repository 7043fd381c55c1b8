#include "testkit/faulty_store.h"
#include "tests/runtime/queue/queue_bench.h"

namespace pannier::testing {
namespace {

TEST_CASE("a full lane that evicts its oldest takes every message, and counts what it gave up") {
  Bench bench{{{.name = "positions", .max_messages = 3, .eviction = Eviction::oldest}}};
  for (const int value : {1, 2, 3, 4, 5}) bench.enqueue("positions", "", value);
  CHECK(bench.script.take() == "1 stored; 2 stored; 3 stored; 4 stored; 5 stored");
  CHECK(bench.waiting("positions") == "3 4 5");
  CHECK(bench.counters("positions").evicted == 2);
}

TEST_CASE("more than a lane holds in one group: the last ones stay, and nothing that was given up is delivered") {
  Bench bench{{{.name = "positions", .max_messages = 3, .eviction = Eviction::oldest}}};
  bench.consume("positions", {.window = 16}, [&](std::int64_t value, const Delivery& delivery) {
    bench.script.note(std::to_string(value));
    delivery.ack();
  });
  bench.run(1s);
  let(bench.simulator, *bench.node, bench.hand, [&](Hand& actor) {
    for (int value = 1; value <= 10; ++value) actor.enqueue("positions", "", make<Number>(value)).forget();
  });
  bench.run(1s);
  CHECK(bench.script.take() == "8; 9; 10");
}

TEST_CASE("what is in a consumer's hands is not given up") {
  Bench bench{{{.name = "positions", .max_messages = 2, .eviction = Eviction::oldest}}};
  std::vector<Delivery> held;
  bench.consume("positions", {.window = 1}, [&](std::int64_t value, const Delivery& delivery) {
    bench.script.note("got " + std::to_string(value));
    held.push_back(delivery);
  });
  bench.run(1s);
  for (const int value : {1, 2, 3}) bench.enqueue("positions", "", value);
  CHECK(bench.waiting("positions") == "1 3");
  held.front().ack();
  bench.run(1s);
  CHECK(bench.script.take() == "1 stored; got 1; 2 stored; 3 stored; got 3");
}

TEST_CASE("a lane that keeps the latest of each key replaces what has not left, full or not") {
  Bench bench{{{.name = "positions", .max_messages = 2, .eviction = Eviction::latest_per_key}}};
  bench.enqueue("positions", "van-1", 1);
  bench.enqueue("positions", "van-2", 2);
  bench.enqueue("positions", "van-1", 3);
  CHECK(bench.waiting("positions") == "2 3");
  bench.enqueue("positions", "van-3", 4);
  CHECK(bench.script.take() == "1 stored; 2 stored; 3 stored; 4 full");
  bench.restart();
  bench.enqueue("positions", "van-2", 5);
  CHECK(bench.waiting("positions") == "3 5");
  CHECK(bench.counters("positions").evicted == 1);
}

TEST_CASE("where a group fails, the latest of a key is the one that stands on disk") {
  Bench bench{{{.name = "positions", .max_messages = 2, .eviction = Eviction::latest_per_key}}};
  bench.enqueue("positions", "van-1", 1);
  bench.node.disk().fail_commits(1);
  bench.enqueue("positions", "van-1", 2);
  CHECK(bench.waiting("positions") == "1");
  bench.enqueue("positions", "van-1", 3);
  CHECK(bench.waiting("positions") == "3");
}

TEST_CASE("past the node's quota an urgent lane takes the room of lower ones, and a plain one is refused") {
  Bench bench{{{.name = "urgent", .priority = 2, .eviction = Eviction::lowest_priority},
               {.name = "middle", .priority = 1},
               {.name = "bulk"}},
              {.max_bytes = 4 * make<Number>(1).block().bytes().size()}};
  bench.enqueue("bulk", "", 1);
  bench.enqueue("middle", "", 2);
  bench.enqueue("bulk", "", 3);
  bench.enqueue("bulk", "", 4);
  bench.enqueue("bulk", "", 5);
  CHECK(bench.script.take() == "1 stored; 2 stored; 3 stored; 4 stored; 5 full");
  for (const int value : {6, 7, 8, 9}) bench.enqueue("urgent", "", value);
  CHECK(bench.waiting("urgent") == "6 7 8 9");
  CHECK(bench.waiting("middle").empty());
  CHECK(bench.waiting("bulk").empty());
  bench.enqueue("urgent", "", 10);
  CHECK(bench.script.take() == "6 stored; 7 stored; 8 stored; 9 stored; 10 full");
}

TEST_CASE("options that cannot be are refused at the start, with the lane's name") {
  const auto refused = [](const LaneOptions& lane) {
    const auto checked = check(lane);
    return checked ? std::string{} : checked.error().detail;
  };
  CHECK(refused({.name = "ok"}).empty());
  CHECK(refused({.name = "No"}).starts_with("lane 'No': "));
  CHECK(refused({.name = "a", .share_percent = 51}).starts_with("lane 'a': share_percent"));
  CHECK(refused({.name = "a", .eviction = Eviction::latest_per_key}).find("max_messages") != std::string::npos);
  CHECK(refused({.name = "a", .max_attempts = 0}).find("max_attempts") != std::string::npos);
  CHECK(refused({.name = "a", .backoff = {.base = 2s, .cap = 1s}}).find("cap") != std::string::npos);
}

}  // namespace
}  // namespace pannier::testing
