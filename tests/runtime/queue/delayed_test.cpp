#include "testkit/faulty_store.h"
#include "tests/runtime/queue/queue_bench.h"

namespace pannier::testing {
namespace {

/// Handles everything in "orders", and writes it down.
void consume_orders(Bench& bench) {
  bench.consume("orders", {}, [&bench](std::int64_t value, const Delivery& delivery) {
    bench.script.note("handled " + std::to_string(value));
    delivery.ack();
  });
}

TEST_CASE("a delayed message is handled when it is due, after what was enqueued meanwhile") {
  Bench bench;
  consume_orders(bench);
  bench.enqueue("orders", "k", 1, {.delay = 10s});
  bench.enqueue("orders", "k", 2);
  CHECK(bench.script.take() == "1 stored; 2 stored; handled 2");
  bench.run(9s);
  CHECK(bench.script.take().empty());
  bench.run(1s);
  CHECK(bench.script.take() == "handled 1");
}

TEST_CASE("delayed messages are released in the order of their moments, and one timer waits for the earliest") {
  Bench bench;
  consume_orders(bench);
  bench.enqueue("orders", "", 3, {.delay = 30s});
  bench.enqueue("orders", "", 1, {.delay = 10s});
  bench.enqueue("orders", "", 2, {.delay = 20s});
  bench.script.take();
  bench.run(1min);
  CHECK(bench.script.take() == "handled 1; handled 2; handled 3");
}

TEST_CASE("a delay goes on over a restart, and what fell due meanwhile is released at once") {
  Bench bench;
  bench.enqueue("orders", "", 1, {.delay = 10s});
  bench.enqueue("orders", "", 2, {.delay = 60s});
  bench.node.crash();
  bench.run(30s);
  bench.start();
  consume_orders(bench);
  bench.script.take();
  bench.run(1s);
  CHECK(bench.script.take() == "handled 1");
  bench.run(30s);
  CHECK(bench.script.take() == "handled 2");
}

TEST_CASE("more delayed messages than one transaction moves are all released") {
  Bench bench;
  consume_orders(bench);
  const int many = static_cast<int>(limits::kMoveRows) * 3;
  for (int value = 0; value < many; ++value) bench.enqueue("orders", "", value, {.delay = 1h});
  bench.script.take();
  bench.run(1h);
  CHECK(bench.script.lines.size() == static_cast<std::size_t>(many));
}

TEST_CASE("a delayed message that cannot be released for the disk's sake is released later") {
  Bench bench;
  consume_orders(bench);
  bench.enqueue("orders", "", 1, {.delay = 10s});
  bench.script.take();
  bench.node.disk().fail_commits(3);
  bench.run(10s);
  CHECK(bench.script.take().empty());
  bench.run(10s);
  CHECK(bench.script.take() == "handled 1");
}

TEST_CASE("a delayed message counts against its lane's quota, and can be found by its receipt, then and later") {
  Bench bench{{{.name = "orders", .max_messages = 1}}};
  bench.enqueue("orders", "k", 1, {.delay = 10s});
  const Sequence id = bench.last.sequence;
  bench.enqueue("orders", "k", 2);
  CHECK(bench.script.take() == "1 stored; 2 full");
  auto where = bench.ask<RowStatus>([id](QueueControl queue) { return queue.where(id); });
  REQUIRE(where);
  CHECK(where->state == RowState::delayed);
  REQUIRE(where->due_in);
  CHECK(*where->due_in > 9s);
  bench.run(10s);
  where = bench.ask<RowStatus>([id](QueueControl queue) { return queue.where(id); });
  REQUIRE(where);
  CHECK(where->state == RowState::ready);
  CHECK(where->id == id);
  CHECK(where->waits_for == "nobody consumes the lane");
}

}  // namespace
}  // namespace pannier::testing
