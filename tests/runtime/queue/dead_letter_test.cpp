// What a person decides about dead-lettered messages.

#include "tests/runtime/queue/queue_bench.h"

namespace pannier::testing {
namespace {

struct ParkedBench : LaneBench {
  explicit ParkedBench(LaneOptions jobs = {}) : LaneBench(std::move(jobs)) {}
  /// A consumer that dead-letters everything while the printer has no paper.
  void consume() {
    consumer("", {.window = 1}, [this](std::int64_t, const Delivery& delivery) {
      paper ? delivery.ack() : delivery.dead_letter("no paper");
    });
  }
  DeadLetterCount redrive(DeadLetterSelection selection) {
    const auto answer = asked<DeadLetterCount>([&](QueueControl queue) { return queue.redrive(selection); });
    run();
    return answer;
  }
  DeadLetterCount purge(DeadLetterSelection selection) {
    return asked<DeadLetterCount>([&](QueueControl queue) { return queue.purge(selection); });
  }
  bool paper = false;
};

TEST_CASE("dead-lettered messages that are redriven come again in their order, with the number of their receipt") {
  ParkedBench bench;
  bench.enqueue({1, 2, 3}, "k");
  bench.consume();
  bench.run();
  CHECK(bench.script.take() == "1; 2; 3");
  bench.paper = true;
  CHECK(bench.redrive({.lane = "jobs"}).messages == 3);
  CHECK(bench.script.take() == "1; 2; 3");
  CHECK(bench.status().rows.empty());
  CHECK(bench.counters().redriven == 3);
}

TEST_CASE("one is redriven by its number, others by their key, the rest stays and can be purged") {
  ParkedBench bench;
  bench.enqueue({1, 2}, "k");
  bench.enqueue({3, 4}, "l");
  bench.consume();
  bench.run();
  bench.script.take();
  bench.paper = true;
  CHECK(bench.redrive({.lane = "jobs", .id = 2}).messages == 1);
  CHECK(bench.script.take() == "2");
  CHECK(bench.redrive({.key = "l"}).messages == 2);
  CHECK(bench.script.take() == "3; 4");
  CHECK(bench.redrive({.lane = "other"}).messages == 0);
  CHECK(bench.purge({.lane = "jobs"}).messages == 1);
  CHECK(bench.load(RowState::dead_lettered) == 0);
  CHECK(bench.counters().purged == 1);
}

TEST_CASE("a message that fails again after a redrive is dead-lettered again, and is known by the same number") {
  ParkedBench bench;
  bench.enqueue(1);
  bench.consume();
  bench.run();
  CHECK(bench.redrive({.lane = "jobs"}).messages == 1);
  CHECK(bench.rows(RowState::dead_lettered) == "1 dead-lettered: no paper");
  bench.paper = true;
  CHECK(bench.redrive({.lane = "jobs", .id = 1}).messages == 1);
  CHECK(bench.status().rows.empty());
}

TEST_CASE("a redrive of many goes on where it stopped, and keeps their order") {
  ParkedBench bench;
  constexpr std::int64_t kMany = static_cast<std::int64_t>(limits::kMoveRows) * 2 + 10;
  for (std::int64_t i = 1; i <= kMany; ++i) bench.enqueue(i, "k");
  bench.consume();
  bench.run(5s);
  bench.script.take();
  bench.paper = true;
  DeadLetterCount answer{0, true};
  std::uint64_t redriven = 0;
  while (answer.more) {
    answer = bench.redrive({.lane = "jobs"});
    redriven += answer.messages;
  }
  bench.run(5s);
  CHECK(redriven == kMany);
  std::string expected;
  for (std::int64_t i = 1; i <= kMany; ++i) expected += (i == 1 ? "" : "; ") + std::to_string(i);
  CHECK(bench.script.take() == expected);
}

TEST_CASE("where whole keys are dead-lettered, a key that is redriven is free again, in its order") {
  ParkedBench bench{{.name = "jobs", .dead_letter = DeadLetterScope::key}};
  bench.enqueue({1, 2, 3}, "k");
  bench.consume();
  bench.run();
  CHECK(bench.script.take() == "1");
  bench.enqueue(4, "k");
  CHECK(bench.load(RowState::dead_lettered) == 4);
  bench.paper = true;
  CHECK(bench.redrive({.key = "k"}).messages == 4);
  CHECK(bench.script.take() == "1; 2; 3; 4");
  bench.enqueue(5, "k");
  bench.run();
  CHECK(bench.script.take() == "5");
}

TEST_CASE("a redrive that the disk refuses changes nothing, and says so") {
  ParkedBench bench;
  bench.enqueue(1);
  bench.consume();
  bench.run();
  bench.script.take();
  bench.node.disk().fail_commits(1);
  let(bench.simulator, *bench.node, bench.hand, [&](Hand& self) {
    self.queue().redrive({.lane = "jobs"}).then([&](Result<DeadLetterCount> answer) {
      bench.script.note(answer ? "redriven" : outcome(answer.error()));
    });
  });
  CHECK(bench.script.take() == "storage_io");
  CHECK(bench.load(RowState::dead_lettered) == 1);
}

}  // namespace
}  // namespace pannier::testing
