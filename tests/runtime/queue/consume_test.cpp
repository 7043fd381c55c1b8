// Who gets a lane's messages, and when they come again.

#include "tests/runtime/queue/queue_bench.h"

namespace pannier::testing {
namespace {

TEST_CASE("consumers of one lane share its messages by the room they have, and each key keeps its order") {
  LaneBench bench;
  bench.consumer("a", {.window = 2}, bench.keep());
  bench.consumer("b", {.window = 3}, bench.keep());
  bench.enqueue({1, 2, 3, 4, 5, 6});
  bench.run();
  CHECK(bench.script.take() == "b1; a2; b3; a4; b5");  // 6 waits: all hands are full
  bench.take(2).ack();
  bench.run();
  CHECK(bench.script.take() == "a6");
  bench.enqueue({7, 8}, "k");
  for (const int value : {1, 3, 4, 5, 6}) bench.take(value).ack();
  bench.run();
  CHECK(bench.script.take() == "b7");  // 8 is of the same key, whoever is free
  bench.take(7).ack();
  bench.run();
  CHECK(bench.script.take().ends_with("8"));
}

TEST_CASE("a consumer that ends gives what it had to the others") {
  LaneBench bench;
  const auto first = bench.consumer("a", {.window = 4}, bench.keep());
  bench.enqueue({1, 2});
  bench.run();
  bench.consumer("b", {}, finish());
  CHECK(bench.script.take() == "a1; a2");
  bench.stop(first);
  CHECK(bench.script.take() == "b1; b2");
  CHECK(bench.load(RowState::ready) == 0);
}

TEST_CASE("deliveries that wait in the mailbox of a failed consumer are given back, and come once to its new state") {
  LaneBench bench;
  bench.enqueue({1, 2, 3});
  bool failed = false;
  bench.consumer("a", {}, [&](std::int64_t value, const Delivery& delivery) {
    if (value == 1 && !std::exchange(failed, true)) throw std::runtime_error("no paper");
    delivery.ack();
  });
  bench.run(10s);
  std::sort(bench.script.lines.begin(), bench.script.lines.end());
  CHECK(bench.script.take() == "a1; a1; a2; a3");
}

TEST_CASE("a delivery that is not settled in time goes back as a failed attempt, and a late word on it is ignored") {
  LaneBench bench{{.name = "jobs", .backoff = {Backoff::Kind::constant, 1s}}};
  bench.enqueue(1);
  bench.consumer("a", {.max_attempts = 3, .visibility = 5s}, bench.keep());
  bench.run(4900ms);
  CHECK(bench.script.take() == "a1");
  const Delivery late = bench.take(1);
  bench.run(200ms);
  CHECK(bench.rows(RowState::ready) == "1 waits for its next attempt: not settled within 5000 ms");
  late.ack(std::move(Batch{}.put_state("late", make<Number>(1))));
  bench.run(1s);
  CHECK(bench.script.take() == "a1");  // it comes again, whatever the late word said
  CHECK(bench.status().rows.at(0).attempts == 1);
  CHECK(bench.counters().timed_out == 1);
  std::size_t effects = 0;
  REQUIRE(bench.node.store().state()->read_state(
      "late", [&](std::string_view, std::span<const std::byte>) { return ++effects > 0; }));
  CHECK(effects == 0);
  bench.run(20s);
  CHECK(bench.script.take() == "a1");
  CHECK(bench.rows(RowState::dead_lettered) == "1 dead-lettered: not settled within 5000 ms");
}

TEST_CASE("a retry that names no time waits as the lane's backoff says, and people see for how long") {
  LaneBench bench{{.name = "jobs", .max_attempts = 4, .backoff = {Backoff::Kind::exponential, 1s}}};
  bench.enqueue(1);
  bench.consumer("a", {}, [](std::int64_t, const Delivery& delivery) { delivery.retry({}, "no paper"); });
  CHECK(bench.script.take() == "a1");
  const RowStatus row = bench.status().rows.at(0);
  CHECK(row.cause == "no paper");
  REQUIRE(row.due_in);
  CHECK(*row.due_in > 900ms);
  CHECK(*row.due_in <= 1s);
  bench.run(1s);
  CHECK(bench.script.take() == "a1");
  bench.run(1900ms);
  CHECK(bench.script.take().empty());
  bench.run(200ms);
  CHECK(bench.script.take() == "a1");
  bench.run(10s);
  CHECK(bench.script.take() == "a1");  // the fourth of the lane's attempts
  CHECK(bench.rows(RowState::dead_lettered) == "1 dead-lettered: no paper");
  CHECK(bench.counters().retried == 3);
}

TEST_CASE("in a lane without an order, messages of one key do not wait for each other") {
  LaneBench bench{{.name = "jobs", .ordering = Ordering::none}};
  bench.enqueue({1, 2}, "k");
  bench.consumer("a", {}, bench.keep());
  CHECK(bench.script.take() == "a1; a2");
}

TEST_CASE(
    "a lane that dead-letters keys dead-letters what follows with the key of a message that was given up, and others "
    "go on") {
  LaneBench bench{{.name = "jobs", .max_attempts = 1, .dead_letter = DeadLetterScope::key}};
  bench.enqueue({1, 2}, "bad");
  bench.enqueue(3, "good");
  const auto act = [](std::int64_t value, const Delivery& delivery) {
    value == 1 ? delivery.retry({}, "no such table") : delivery.ack();
  };
  bench.consumer("a", {}, act);
  bench.run(1s);
  CHECK(bench.script.take() == "a1; a3");
  CHECK(bench.rows(RowState::dead_lettered) ==
        "1 dead-lettered: no such table; 2 dead-lettered: behind message 1 of its key, a dead letter");

  bench.restart();  // it is known after a restart too
  bench.consumer("b", {}, act);
  bench.enqueue(4, "bad");
  bench.enqueue(5, "good");
  bench.run(1s);
  CHECK(bench.script.take() == "b5");
  CHECK(bench.load(RowState::dead_lettered) == 3);
}

TEST_CASE(
    "ten thousand messages behind one that is dead-lettered are dead-lettered too, and the one of another key is "
    "handled") {
  LaneBench bench{{.name = "jobs", .max_attempts = 1, .dead_letter = DeadLetterScope::key}};
  let(bench.simulator, *bench.node, bench.hand, [](Hand& self) {
    Batch batch;
    for (int i = 1; i <= 10'000; ++i) batch.enqueue("jobs", "bad", make<Number>(i));
    batch.enqueue("jobs", "good", make<Number>(0));
    self.commit(std::move(batch)).forget();
  });
  bench.restart();
  bench.consumer("a", {}, [](std::int64_t value, const Delivery& delivery) {
    value == 1 ? delivery.dead_letter("bad") : delivery.ack();
  });
  bench.run(10s);
  CHECK(bench.script.take() == "a1; a0");
  CHECK(bench.load(RowState::dead_lettered) == 10'000);
}

TEST_CASE("a message whose time is over is never handed out, but stays with whoever has it already") {
  LaneBench bench;
  bench.enqueue(1, "", {.expires_in = 10s});
  bench.enqueue(2, "", {.expires_in = 10s});
  bench.enqueue(3, "", {.expires_in = 1h});
  bench.consumer("a", {.window = 1}, bench.keep());
  CHECK(bench.script.take() == "a1");
  bench.run(11s);
  bench.take(1).ack();
  bench.run();
  CHECK(bench.script.take() == "a3");
  CHECK(bench.counters().expired == 1);
  CHECK(bench.counters().handled == 1);
}

TEST_CASE("a message that expires while it waits for its next attempt is gone") {
  LaneBench bench{{.name = "jobs", .backoff = {Backoff::Kind::constant, 20s}}};
  bench.enqueue(1, "", {.expires_in = 10s});
  bench.consumer("a", {}, [](std::int64_t, const Delivery& delivery) { delivery.retry(); });
  bench.run(60s);
  CHECK(bench.script.take() == "a1");
  CHECK(bench.counters().expired == 1);
  CHECK(bench.load(RowState::ready) == 0);
}

// --- Pulls ----------------------------------------------------------------------------------------------------------

/// Pulls as the test says, and notes what it got.
struct Puller {
  LaneBench& bench;
  void pull(FetchOptions options) {
    let(bench.simulator, *bench.node, bench.hand, [this, options](Hand& self) {
      self.fetch<Number>("jobs", options).then([this](Result<std::vector<Fetched<Number>>> got) {
        REQUIRE(got);
        std::string line = "got";
        for (Fetched<Number>& each : *got) {
          line += " " + each.key + std::to_string(each.payload->value());
          bench.hands.insert_or_assign(each.payload->value(), each.delivery);
        }
        bench.script.note(line);
      });
    });
  }
};

TEST_CASE("a pull takes what is ready, one of a key, and what is not settled in time is ready again") {
  LaneBench bench{{.name = "jobs", .backoff = {Backoff::Kind::constant, 1ms}}};
  Puller puller{bench};
  bench.enqueue({1, 2}, "k");
  bench.enqueue(3, "l");
  bench.enqueue(4, "m");
  puller.pull({.max = 2, .visibility = 30s});
  bench.run();
  CHECK(bench.script.take() == "got k1 l3");
  puller.pull({.max = 10});
  bench.run();
  CHECK(bench.script.take() == "got m4");
  bench.take(1).ack();
  bench.take(4).ack();
  bench.run(29s);
  puller.pull({.max = 10});
  bench.run();
  CHECK(bench.script.take() == "got k2");
  bench.run(2s);
  puller.pull({.max = 10});
  bench.run();
  CHECK(bench.script.take() == "got l3");
  CHECK(bench.status().rows.size() == 2);
}

TEST_CASE("a pull waits for the first message, and comes back empty when none came in time") {
  LaneBench bench;
  Puller puller{bench};
  puller.pull({.max = 10, .wait = 5s});
  bench.run(4s);
  CHECK(bench.script.take().empty());
  bench.enqueue(1);
  bench.run();
  CHECK(bench.script.take() == "got 1");
  puller.pull({.max = 10, .wait = 5s});
  bench.run(4900ms);
  CHECK(bench.script.take().empty());
  bench.run(200ms);
  CHECK(bench.script.take() == "got");
  puller.pull({.max = 10});
  bench.run();
  CHECK(bench.script.take() == "got");
}

}  // namespace
}  // namespace pannier::testing
