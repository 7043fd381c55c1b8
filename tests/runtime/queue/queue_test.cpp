#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/store/store.h"
#include "testkit/faulty_store.h"
#include "tests/runtime/queue/queue_bench.h"

namespace pannier::testing {
namespace {

/// Keeps its deliveries until it is stopped, and says nothing.
struct Keeper : Actor<Keeper, Number> {
  explicit Keeper(Script* script) : script_(script) {}
  void on_start() { CHECK(consume<Number>("orders", {.max_attempts = 2})); }
  void on(const Number& number, Delivery delivery) {
    script_->note("holds " + std::to_string(number.value()));
    kept_.push_back(std::move(delivery));
  }

 private:
  Script* script_;
  std::vector<Delivery> kept_;
};

TEST_CASE("a consumer that is stopped gives back what it holds, and no attempt is counted for that") {
  Bench bench;
  bench.enqueue("orders", "k", 1);
  bench.script.take();
  for (int life = 0; life < 5; ++life) {
    const auto keeper = *bench.node->spawn<Keeper>(SpawnOptions{}, &bench.script);
    bench.run(1s);
    CHECK(bench.script.take() == "holds 1");
    let(bench.simulator, *bench.node, bench.hand, [keeper](Hand& self) { self.stop(keeper); });
    bench.run(1s);
  }
  const QueueStatus status = bench.status(10);
  REQUIRE(status.rows.size() == 1);
  CHECK(status.rows[0].state == RowState::ready);
  CHECK(status.rows[0].attempts == 0);
}

TEST_CASE("a node uses so many lanes and no more: the next one is refused, the others go on") {
  Bench bench;
  for (std::size_t i = 0; i < limits::kLanes; ++i) bench.enqueue("lane" + std::to_string(i), "", 1);
  bench.script.take();
  bench.enqueue("one-too-many", "", 2);
  bench.enqueue("lane7", "", 3);
  CHECK(bench.script.take() == "2 full; 3 stored");
}

TEST_CASE("a receipt comes only after the commit; a commit that fails fails everyone who waited for it") {
  Bench bench;
  bench.node.disk().fail_commits(1);
  let(bench.simulator, *bench.node, bench.hand, [&](Hand& actor) {
    for (const int value : {1, 2, 3}) {
      actor.enqueue("lane", "", make<Number>(value)).then([&bench, value](Result<Receipt> receipt) {
        bench.script.note(std::to_string(value) + (receipt ? " stored" : " " + outcome(receipt.error())));
      });
    }
  });
  CHECK(bench.script.take() == "1 storage_io; 2 storage_io; 3 storage_io");
  CHECK(bench.status().streams.size() <= 1);
  bench.enqueue("lane", "", 4);
  CHECK(bench.script.take() == "4 stored");
  REQUIRE(bench.status().streams.size() == 1);
  CHECK(bench.status().streams[0][RowState::ready].messages == 1);
}

TEST_CASE("a batch is stored whole or not at all, also where the numbers give out in the middle of it") {
  Bench bench;
  bench.node.disk().fail_sequence_after(1);
  const auto store_three = [&](Hand& actor) {
    Batch batch;
    batch.enqueue("one", "", make<Number>(1)).enqueue("two", "", make<Number>(2)).put_state("s", make<Number>(3));
    actor.commit(std::move(batch)).then([&](Result<Receipt> receipt) {
      bench.script.note(receipt ? "stored" : outcome(receipt.error()));
    });
  };
  let(bench.simulator, *bench.node, bench.hand, store_three);
  CHECK(bench.script.take() == "storage_io");
  for (const StreamStatus& stream : bench.status().streams) CHECK(stream[RowState::ready].messages == 0);
  CHECK(bench.state("s") == 0);
  let(bench.simulator, *bench.node, bench.hand, store_three);
  CHECK(bench.script.take() == "stored");
  CHECK(bench.status().streams.size() == 2);
  CHECK(bench.state("s") == 1);
}

TEST_CASE("a batch without anything in it is answered at once") {
  Bench bench;
  let(bench.simulator, *bench.node, bench.hand, [&](Hand& actor) {
    actor.commit({}).then([&](Result<Receipt> receipt) { bench.script.note(receipt ? "done" : "refused"); });
  });
  CHECK(bench.script.text() == "done");
}

TEST_CASE("lanes first used in a group that failed do not mix up their messages later") {
  Bench bench;
  bench.node.disk().fail_commits(1);
  bench.enqueue("there/first", "", 1);
  bench.enqueue("there/second", "", 2);
  bench.enqueue("there/first", "", 3);
  CHECK(bench.script.take() == "1 storage_io; 2 stored; 3 stored");
  for (const RowStatus& row : bench.status(10).rows) {
    CHECK(row.sequence == (row.lane == "second" ? 2 : 3));
  }
  CHECK(bench.status(10).rows.size() == 2);
}

TEST_CASE("a lane at its quota refuses, drains, and takes messages again") {
  Bench bench{{{.name = "small", .max_messages = 2}}};
  for (const int value : {1, 2, 3}) bench.enqueue("small", "", value);
  CHECK(bench.script.take() == "1 stored; 2 stored; 3 full");
  bench.consume("small", {}, [&](std::int64_t value, const Delivery& d) {
    bench.script.note("handled " + std::to_string(value));
    d.ack();
  });
  bench.run();
  bench.enqueue("small", "", 4);
  CHECK(bench.script.take() == "handled 1; handled 2; 4 stored; handled 4");
}

TEST_CASE("a poison message is dead-lettered with its cause after its attempts, and the next of its key goes on") {
  Bench bench;
  for (const int value : {1, 2}) bench.enqueue("lane", "key", value);
  bench.script.take();
  bench.consume("lane", {.max_attempts = 3}, [&](std::int64_t value, const Delivery& d) {
    bench.script.note(std::to_string(value));
    if (value == 1) d.retry(50ms, "the printer is out of paper");
    if (value == 2) d.ack();
  });
  bench.run(10s);
  CHECK(bench.script.text() == "1; 1; 1; 2");
  const QueueStatus status = bench.status(10);
  REQUIRE(status.rows.size() == 1);
  CHECK(status.rows[0].state == RowState::dead_lettered);
  CHECK(status.rows[0].attempts == 3);
  CHECK(status.rows[0].waits_for == "dead-lettered: the printer is out of paper");
}

TEST_CASE("a handler that throws is the cause of a retry, and in the end of dead-lettering") {
  Bench bench;
  bench.enqueue("lane", "key", 1);
  bench.consume("lane", {.max_attempts = 2},
                [](std::int64_t, const Delivery&) { throw std::runtime_error("no such printer"); });
  bench.run(10s);
  const QueueStatus status = bench.status(10);
  REQUIRE(status.rows.size() == 1);
  CHECK(status.rows[0].attempts == 2);
  CHECK(status.rows[0].waits_for.find("no such printer") != std::string::npos);
}

TEST_CASE("one of a key is in hand at a time, in order; other keys pass, up to the window") {
  Bench bench;
  const std::vector<std::pair<std::string, int>> messages = {{"a", 1}, {"a", 2}, {"b", 3},
                                                             {"c", 4}, {"d", 5}, {"b", 6}};
  for (const auto& [key, value] : messages) bench.enqueue("lane", key, value);
  bench.script.take();
  std::map<std::int64_t, Delivery> hands;
  bench.consume("lane", {.window = 3}, [&](std::int64_t value, const Delivery& d) {
    bench.script.note(std::to_string(value));
    hands.emplace(value, d);
  });
  bench.run();
  CHECK(bench.script.take() == "1; 3; 4");
  hands.extract(3).mapped().ack();
  bench.run();
  CHECK(bench.script.take() == "5");
  hands.extract(1).mapped().retry(1s);  // 2 still waits for it
  bench.run();
  CHECK(bench.script.take() == "6");
  for (const std::int64_t value : {4, 5, 6}) hands.extract(value).mapped().ack();
  bench.run(990ms - 10ms);
  CHECK(bench.script.take() == "");
  bench.run(100ms);
  CHECK(bench.script.take() == "1");
  hands.extract(1).mapped().ack();
  bench.run();
  CHECK(bench.script.take() == "2");
  hands.clear();
}

TEST_CASE("a consumer that is built anew gets again what it had in its hands") {
  Bench bench;
  for (const int value : {1, 2, 3}) bench.enqueue("lane", "", value);
  bench.script.take();
  bool broken = false;
  bench.consume("lane", {}, [&](std::int64_t value, const Delivery& d) {
    bench.script.note(std::to_string(value));
    if (value == 2 && !std::exchange(broken, true)) throw std::runtime_error("x");
    d.ack({});
  });
  bench.run(10s);
  CHECK(bench.script.lines.size() >= 4);
  CHECK(std::count(bench.script.lines.begin(), bench.script.lines.end(), "1") == 1);
  CHECK(std::count(bench.script.lines.begin(), bench.script.lines.end(), "2") == 2);
  for (const StreamStatus& stream : bench.status().streams)
    CHECK(stream[RowState::ready].messages + stream.in_flight == 0);
}

TEST_CASE("what was not done before a crash is delivered after it; what was done is not") {
  Bench bench;
  for (const int value : {1, 2}) bench.enqueue("lane", "", value);
  bench.script.take();
  std::vector<Delivery> kept;
  const Act act = [&](std::int64_t value, const Delivery& d) {
    bench.script.note(std::to_string(value));
    if (value == 1) d.ack(std::move(Batch{}.put_state("effect", make<Number>(1))));
    if (value == 2) kept.push_back(d);
  };
  bench.consume("lane", {}, act);
  bench.run();
  CHECK(bench.script.take() == "1; 2");
  CHECK(bench.state("effect") == 1);
  kept.clear();
  bench.restart();
  bench.consume("lane", {}, act);
  bench.run();
  CHECK(bench.script.take() == "2");
  kept.clear();
}

TEST_CASE("on a full disk nothing new is taken, what is done is still kept, and then there is room again") {
  Bench bench;
  for (const int value : {1, 2}) bench.enqueue("lane", "", value);
  bench.script.take();
  bench.node.disk().fill_disk(true);
  bench.enqueue("lane", "", 3);
  bench.consume("lane", {}, [&](std::int64_t value, const Delivery& d) {
    bench.script.note("handled " + std::to_string(value));
    Batch effects;
    if (value == 2) effects.enqueue("elsewhere/lane", "", make<Number>(20));
    d.ack(effects);
  });
  bench.run(1s);
  // 2 waits: its effect needs room. 1 shared its group, and is done again without it.
  CHECK(bench.script.take() == "3 storage_full; handled 1; handled 2; handled 1");
  CHECK(bench.status().handled == 1);
  bench.node.disk().fill_disk(false);
  bench.run(1s);
  CHECK(bench.status().handled == 2);
  bench.enqueue("lane", "", 4);
  CHECK(bench.script.take() == "4 stored; handled 4");
}

TEST_CASE("a row that is gone from under its delivery fails nobody else") {
  Bench bench;
  for (const int value : {1, 2}) bench.enqueue("lane", "", value);
  std::vector<Delivery> hands;
  int handed_out = 0;
  bench.consume("lane", {}, [&](std::int64_t, const Delivery& d) {
    ++handed_out;
    hands.push_back(d);
  });
  bench.run();
  REQUIRE(hands.size() == 2);
  const auto lane = bench.node.store().stream(Box::inbox, "", "lane");
  REQUIRE(lane);
  REQUIRE(bench.node.store().begin());
  REQUIRE(bench.node.store().erase(*lane, 1));
  REQUIRE(bench.node.store().commit(Durability::fsynced));
  hands[1].ack(std::move(Batch{}.put_state("kept", make<Number>(2))));  // both words share a group
  hands[0].dead_letter("damaged");
  bench.run(1s);
  CHECK(bench.state("kept") == 1);
  CHECK(handed_out == 2);
  hands.clear();
}

TEST_CASE("rows that could not be read are read later") {
  Bench bench;
  for (const int value : {1, 2}) bench.enqueue("lane", "", value);
  bench.script.take();
  bench.restart();
  bench.node.disk().fail_reads(1);
  bench.consume("lane", {}, [&](std::int64_t value, const Delivery& d) {
    bench.script.note(std::to_string(value));
    d.ack();
  });
  bench.run(10s);
  CHECK(bench.script.take() == "1; 2");
}

TEST_CASE("ten thousand messages of a backlog are handled in order, however few are held in memory") {
  Bench bench;
  let(bench.simulator, *bench.node, bench.hand, [](Hand& actor) {
    Batch batch;
    for (int i = 1; i <= 10'000; ++i) batch.enqueue("lane", "", make<Number>(i));
    actor.commit(std::move(batch)).forget();
  });
  bench.restart();
  std::int64_t last = 0;
  bool in_order = true;
  bench.consume("lane", {.window = 64}, [&](std::int64_t value, const Delivery& d) {
    in_order = in_order && value == last + 1;
    last = value;
    d.ack();
  });
  bench.run(10s);
  CHECK(in_order);
  CHECK(last == 10'000);
}

}  // namespace
}  // namespace pannier::testing
