// Messages that end the process, and those that were only near.

#include "tests/runtime/queue/queue_bench.h"

namespace pannier::testing {
namespace {

/// Lives of a node whose consumer dies of `poison`, until one of them survives for a while; what each was given.
std::string lives(LaneBench& bench, std::int64_t poison, int most) {
  std::string story;
  for (int life = 0; life < most; ++life) {
    bool dead = false;
    std::string seen;
    bench.consume("jobs", {.window = 4}, bench.noting("", [&](std::int64_t value, const Delivery& delivery) {
      if (value == poison && !std::exchange(dead, true)) seen = bench.script.take();
      dead ? delivery.mark_settled() : delivery.ack();
    }));
    for (int step = 0; step < 1000 && !dead; ++step) bench.run(1ms);
    story += (story.empty() ? "" : " | ") + (dead ? seen : bench.script.take());
    bench.script.take();  // the dead see nothing more
    if (!dead) return story;
    bench.restart();
  }
  return story + " | and so on";
}

TEST_CASE(
    "a message that ends the process each time is dead-lettered after its attempts, and its neighbours are handled") {
  LaneBench bench{{.name = "jobs", .max_attempts = 3}};
  bench.enqueue({1, 2, 3, 4, 5, 6});
  // In the first life 2, 3 and 4 are in the same hands when it ends, so they are tried alone: 2 ends the second life,
  // and is known from then on.
  CHECK(lives(bench, 2, 20) == "1; 2 | 2 | 2 | 3; 4; 5; 6");
  const QueueStatus status = bench.status();
  REQUIRE(status.rows.size() == 1);
  CHECK(status.rows[0].id == 2);
  CHECK(status.rows[0].attempts == 3);
  CHECK(bench.rows(RowState::dead_lettered) == "2 dead-lettered: the process ended while it was in a handler's hands");
}

TEST_CASE("who was near when the process ended is tried alone once, even where that death used up its attempts") {
  LaneBench bench{{.name = "jobs", .max_attempts = 1}};
  bench.enqueue({1, 2, 3});
  CHECK(lives(bench, 3, 20).ends_with("3 | "));
  CHECK(bench.counters().handled == 0);  // of this life: all others were handled in those before
  CHECK(bench.load(RowState::ready) == 0);
  CHECK(bench.rows(RowState::dead_lettered) == "3 dead-lettered: the process ended while it was in a handler's hands");
}

TEST_CASE("while a message that may have ended the process is tried, nothing else is in anybody's hands, for a while") {
  LaneBench bench;
  bench.enqueue({1, 2});
  bench.consumer("", {}, bench.keep());
  CHECK(bench.script.take() == "1; 2");
  bench.restart();
  bench.enqueue(3);
  bench.consumer("", {}, bench.keep());
  bench.run(4900ms);
  CHECK(bench.script.take() == "1");  // in no hurry: it does no harm
  CHECK(bench.rows(RowState::ready).find("it is tried alone") != std::string::npos);
  bench.run(200ms);
  CHECK(bench.script.take() == "2");
  bench.take(2).ack();
  bench.run();
  CHECK(bench.script.take() == "3");
  CHECK(bench.status().rows.size() == 2);
}

TEST_CASE("what a consumer gave back before the process ended counts no attempt and is suspected of nothing") {
  LaneBench bench;
  bench.enqueue({1, 2});
  const auto consumer = bench.consumer("", {}, bench.keep());
  bench.stop(consumer);
  bench.restart();
  CHECK(bench.status().rows.at(0).attempts == 0);
  bench.script.take();
  bench.consumer("", {}, bench.keep());
  CHECK(bench.script.take() == "1; 2");
}

TEST_CASE("a message that was pulled when the process ended has had an attempt") {
  LaneBench bench;
  bench.enqueue(1);
  let(bench.simulator, *bench.node, bench.hand, [&](Hand& self) {
    self.fetch<Number>("jobs", {.max = 1}).then([&](Result<std::vector<Fetched<Number>>> got) {
      REQUIRE(got);
      bench.hands.insert_or_assign(1, got->at(0).delivery);
    });
  });
  bench.run();
  bench.restart();
  CHECK(bench.status().rows.at(0).attempts == 1);
  CHECK(bench.status().rows.at(0).cause == "the process ended while it was in a handler's hands");
}

}  // namespace
}  // namespace pannier::testing
