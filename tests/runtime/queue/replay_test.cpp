// What a lane has kept is read again by readers that have names.

#include "tests/runtime/queue/queue_bench.h"

namespace pannier::testing {
namespace {

LaneOptions keeping(RetentionOptions keep) {
  LaneOptions lane;
  lane.retention = keep;
  lane.backoff = {Backoff::Kind::constant, 1s};
  return lane;
}

TEST_CASE("a lane keeps what was handled, up to its limits, and nothing else") {
  LaneBench bench{keeping({.messages = 3})};
  bench.consumer("", {}, finish());
  bench.enqueue({1, 2, 3, 4, 5});
  CHECK(bench.load(RowState::retained) == 3);
  CHECK(bench.load(RowState::ready) == 0);
}

TEST_CASE("what a lane keeps for a time goes when that is over, though nothing else happens, after a restart too") {
  LaneBench bench{keeping({.age = 60s})};
  bench.consumer("", {}, finish());
  bench.enqueue(1);
  bench.run(30s);
  bench.enqueue(2);
  bench.run(20s);
  CHECK(bench.load(RowState::retained) == 2);
  bench.run(11s);
  CHECK(bench.load(RowState::retained) == 1);
  bench.restart();
  bench.run(28s);
  CHECK(bench.load(RowState::retained) == 1);
  bench.run(3s);
  CHECK(bench.load(RowState::retained) == 0);
}

TEST_CASE("a reader is given what was kept, in order, and goes on where it was, in another life as well") {
  LaneBench bench{keeping({.messages = 100})};
  bench.consumer("", {}, finish());
  bench.enqueue({1, 2, 3});
  bench.script.take();
  bench.reader("r", {.reader = "analytics", .window = 2}, finish());
  CHECK(bench.script.take() == "r1; r2; r3");
  bench.restart();
  bench.consumer("", {}, finish());
  bench.enqueue(4);
  bench.script.take();
  bench.reader("r", {.reader = "analytics"}, finish());
  CHECK(bench.script.take() == "r4");
  const QueueStatus status = bench.status();
  REQUIRE(status.readers.size() == 1);
  CHECK(status.readers[0].reader == "analytics");
  CHECK(status.readers[0].sequence == 4);
}

TEST_CASE("readers do not disturb each other, and each begins where it asked to") {
  LaneBench bench{keeping({.messages = 100})};
  bench.consumer("", {}, finish());
  bench.enqueue({1, 2, 3});
  bench.script.take();
  bench.reader("a", {.reader = "a", .window = 1}, bench.keep());
  bench.reader("b", {.reader = "b", .from = Replay::sequence(2)}, finish());
  bench.reader("c", {.reader = "c", .from = Replay::latest}, finish());
  CHECK(bench.script.take() == "a1; b2; b3");
  bench.enqueue(4);
  bench.run();
  CHECK(bench.script.take() == "4; b4; c4");
  bench.take(1).ack();
  bench.run();
  CHECK(bench.script.take() == "a2");
}

TEST_CASE("what a reader retries comes again to it after the backoff, and its place waits for that") {
  LaneBench bench{keeping({.messages = 100})};
  bench.consumer("", {}, finish());
  bench.enqueue({1, 2});
  bench.script.take();
  const auto reader = bench.reader("r", {.reader = "r"}, bench.keep());
  bench.take(1).retry();
  bench.take(2).ack();
  bench.run(900ms);
  CHECK(bench.script.take() == "r1; r2");
  CHECK(bench.status().readers.at(0).sequence == 0);
  bench.run(200ms);
  CHECK(bench.script.take() == "r1");
  bench.stop(reader);  // what was not settled, and what was done behind it, comes again
  bench.reader("s", {.reader = "r"}, finish());
  CHECK(bench.script.take() == "s1; s2");
  CHECK(bench.status().readers.at(0).sequence == 2);
}

TEST_CASE("a reader sees a message that was handled late in its place, not after those behind it") {
  LaneBench bench{keeping({.messages = 100})};
  bench.enqueue({1, 2, 3});
  bench.consumer("", {}, bench.keep());
  bench.reader("r", {.reader = "r"}, finish());
  bench.script.take();
  bench.take(3).ack();
  bench.take(2).ack();
  bench.run();
  CHECK(bench.script.take().empty());
  bench.take(1).ack();
  bench.run();
  CHECK(bench.script.take() == "r1; r2; r3");
}

TEST_CASE("a reader that is too slow for what is kept goes on with the oldest that is left, and that is counted") {
  LaneBench bench{keeping({.messages = 2})};
  bench.consumer("", {}, finish());
  bench.enqueue({1, 2});
  const auto first = bench.reader("r", {.reader = "r", .window = 1}, bench.keep());
  bench.stop(first);
  bench.enqueue({3, 4, 5});
  bench.script.take();
  bench.reader("r", {.reader = "r"}, finish());
  CHECK(bench.script.take() == "r4; r5");
  CHECK(bench.status().readers.at(0).gaps == 3);
}

TEST_CASE("an effect in a reader's batch and its place are one transaction: a failed commit brings the message again") {
  LaneBench bench{keeping({.messages = 100})};
  bench.consumer("", {}, finish());
  bench.enqueue(1);
  bench.script.take();
  bench.reader("r", {.reader = "r", .window = 1}, [&](std::int64_t, const Delivery& delivery) {
    if (bench.script.lines.size() == 1) bench.node.disk().fail_commits(1);
    delivery.ack(std::move(Batch{}.put_state("seen", make<Number>(1))));
  });
  bench.run(5s);
  CHECK(bench.script.take() == "r1; r1");
  CHECK(bench.status().readers.at(0).sequence == 1);
}

TEST_CASE(
    "a reader that ends while its acknowledgement fails to be stored loses nothing: its successor gets the message") {
  LaneBench bench{keeping({.messages = 100}), {.commit_delay = 50ms}};
  bench.consumer("", {}, finish());
  bench.enqueue(1);
  bench.run(1s);
  bench.script.take();
  const auto first = bench.reader("a", {.reader = "r"}, bench.keep());
  bench.run(1s);
  CHECK(bench.script.take() == "a1");
  bench.take(1).ack();
  bench.run(1ms);
  bench.node.disk().fail_commits(1);
  bench.stop(first);  // the group that has its place in it still waits for company
  bench.run(1s);
  bench.reader("b", {.reader = "r"}, finish());
  bench.run(1s);
  CHECK(bench.script.take() == "b1");
}

TEST_CASE("a name has one reader at a time, and is free again when that ends or the lane forgets it") {
  LaneBench bench{keeping({.messages = 100})};
  bench.consumer("", {}, finish());
  bench.enqueue(1);
  bench.script.take();
  const auto first = bench.reader("a", {.reader = "r"}, finish());
  bench.reader("b", {.reader = "r"}, finish());
  CHECK(bench.script.take() == "a1");
  CHECK(bench.node.log().last_error().find("is in use by") != std::string::npos);
  bench.stop(first);
  bench.asked<void>([](QueueControl queue) { return queue.forget_reader("jobs", "r"); });
  CHECK(bench.status().readers.empty());
  bench.reader("c", {.reader = "r"}, finish());
  CHECK(bench.script.take() == "c1");
}

TEST_CASE("what a reader dead-letters is passed over and counted, and stays kept") {
  LaneBench bench{keeping({.messages = 100})};
  bench.consumer("", {}, finish());
  bench.enqueue({1, 2});
  bench.script.take();
  bench.reader("r", {.reader = "r"}, [](std::int64_t value, const Delivery& delivery) {
    value == 1 ? delivery.dead_letter("makes no sense") : delivery.ack();
  });
  CHECK(bench.status().readers.at(0).sequence == 2);
  CHECK(bench.status().readers.at(0).passed_over == 1);
  CHECK(bench.load(RowState::retained) == 2);
}

}  // namespace
}  // namespace pannier::testing
