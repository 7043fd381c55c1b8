#include "runtime/store/store.h"
#include "tests/runtime/queue/queue_bench.h"

// Either a message is stored and exactly what had to go is gone and counted, or it is refused and nothing has changed.

namespace pannier::testing {
namespace {

std::string put(Bench& bench, const std::string& lane, const std::string& key, char what, std::size_t bytes,
                EnqueueOptions options = {}) {
  std::string told = "nothing";
  let(bench.simulator, *bench.node, bench.hand, [&](Hand& actor) {
    actor.enqueue(lane, key, note(std::string(bytes, what)), options).then([&](Result<Receipt> receipt) {
      told = receipt ? "stored" : outcome(receipt.error());
    });
  });
  bench.run(20ms);
  return told;
}

/// The first letter of each message that waits, ready ones first.
std::string waiting(Bench& bench, const std::string& lane) {
  std::string all;
  for (const RowState state : {RowState::ready, RowState::delayed}) {
    const Stream* stream = bench.node.store().find_stream(Box::inbox, {}, lane);
    if (stream == nullptr) continue;
    REQUIRE(bench.node.store().read(stream->id, state, 0, 1000, [&](const Row& row) {
      const auto text = AnyTable{row.type, nullptr, BlockRef::copy_of(row.payload)}.as<Note>();
      all += (*text)->text()->str().substr(0, 1);
      return true;
    }));
  }
  return all;
}

TEST_CASE("latest_per_key: a message that the node's quota refuses replaces nothing") {
  Bench bench{{{.name = "status", .max_messages = 1000, .eviction = Eviction::latest_per_key}, {.name = "bulk"}},
              {.max_bytes = 3000}};
  CHECK(put(bench, "status", "order-7", 'A', 100) == "stored");
  CHECK(put(bench, "bulk", "", 'B', 2600) == "stored");
  CHECK(put(bench, "status", "order-7", 'C', 800) == "full");
  CHECK(waiting(bench, "status") == "A");
  CHECK(bench.counters("status").evicted == 0);
}

TEST_CASE("latest_per_key: a message that its lane's quota refuses replaces nothing") {
  Bench bench{{{.name = "status", .max_messages = 1000, .max_bytes = 1000, .eviction = Eviction::latest_per_key}}};
  CHECK(put(bench, "status", "k1", 'A', 100) == "stored");
  CHECK(put(bench, "status", "k2", 'B', 600) == "stored");
  CHECK(put(bench, "status", "k1", 'C', 500) == "full");
  CHECK(waiting(bench, "status") == "AB");
  CHECK(put(bench, "status", "k1", 'D', 200) == "stored");
  CHECK(waiting(bench, "status") == "BD");
  CHECK(bench.counters("status").evicted == 1);
}

TEST_CASE("lowest_priority: where lower lanes cannot give enough they give nothing") {
  Bench bench{{{.name = "urgent", .priority = 2, .eviction = Eviction::lowest_priority},
               {.name = "normal", .priority = 2},
               {.name = "bulk"}},
              {.max_bytes = 4000}};
  CHECK(put(bench, "normal", "", 'N', 3000) == "stored");
  for (int i = 0; i < 4; ++i) CHECK(put(bench, "bulk", "", 'b', 60) == "stored");
  CHECK(put(bench, "urgent", "", 'U', 2000) == "full");
  CHECK(waiting(bench, "bulk") == "bbbb");
  CHECK(bench.counters("bulk").evicted == 0);
}

TEST_CASE("oldest: where what may be evicted is not enough, nothing is") {
  Bench bench{{{.name = "positions", .max_bytes = 1200, .eviction = Eviction::oldest}}};
  std::vector<Delivery> held;
  struct Keep : Actor<Keep, Note> {
    explicit Keep(std::vector<Delivery>* hands) : hands_(hands) {}
    void on_start() { CHECK(consume<Note>("positions", {.window = 1})); }
    void on(const Note& /*note*/, const Delivery& delivery) { hands_->push_back(delivery); }
    std::vector<Delivery>* hands_;
  };
  REQUIRE(bench.node->spawn<Keep>(SpawnOptions{}, &held));
  CHECK(put(bench, "positions", "", 'H', 900) == "stored");
  bench.run(1s);
  CHECK(put(bench, "positions", "", 'W', 60) == "stored");
  CHECK(put(bench, "positions", "", 'X', 500) == "full");
  CHECK(waiting(bench, "positions") == "HW");
  CHECK(bench.counters("positions").evicted == 0);
  for (Delivery& each : held) each.mark_settled();
}

TEST_CASE("latest_per_key replaces ready messages only: dead letters and retained ones of the key stay") {
  LaneBench bench{
      {.max_messages = 1000, .eviction = Eviction::latest_per_key, .max_attempts = 1, .retention = {.messages = 9}}};
  const auto worker = bench.consumer("", {}, [](std::int64_t value, const Delivery& delivery) {
    value < 0 ? delivery.retry({}, "no") : delivery.ack();
  });
  bench.enqueue(-1, "van");
  bench.run(1s);
  bench.enqueue(2, "van");
  bench.run(1s);
  bench.stop(worker);
  bench.enqueue(3, "van");
  bench.run(1s);
  CHECK(bench.load(RowState::dead_lettered) == 1);
  CHECK(bench.load(RowState::retained) == 1);
  CHECK(bench.load(RowState::ready) == 1);
  CHECK(bench.counters().evicted == 0);
}

TEST_CASE(
    "latest_per_key: a delayed message replaces the delayed one of its key now, and the ready one when it is due") {
  Bench bench{{{.name = "status", .max_messages = 1000, .eviction = Eviction::latest_per_key}}};
  CHECK(put(bench, "status", "van", 'A', 10) == "stored");
  CHECK(put(bench, "status", "van", 'B', 10, {.delay = 60s}) == "stored");
  CHECK(put(bench, "status", "van", 'C', 10, {.delay = 60s}) == "stored");
  CHECK(waiting(bench, "status") == "AC");
  bench.run(61s);
  CHECK(waiting(bench, "status") == "C");
  CHECK(put(bench, "status", "van", 'D', 10) == "stored");
  CHECK(waiting(bench, "status") == "D");
  CHECK(bench.counters("status").evicted == 3);
}

TEST_CASE("latest_per_key: a redriven message that was replaced meanwhile does not come back") {
  LaneBench bench{{.max_messages = 1000, .eviction = Eviction::latest_per_key, .max_attempts = 1}};
  const auto worker =
      bench.consumer("", {}, [](std::int64_t, const Delivery& delivery) { delivery.dead_letter("no"); });
  bench.enqueue(1, "van");
  bench.run(1s);
  bench.stop(worker);
  bench.enqueue(2, "van");
  bench.run(1s);
  bench.asked<DeadLetterCount>([](QueueControl queue) { return queue.redrive({.lane = "jobs"}); });
  bench.script.take();
  bench.consumer("", {}, finish());
  bench.run(1s);
  CHECK(bench.script.take() == "2");
  CHECK(bench.counters().evicted == 1);
}

TEST_CASE("a message that was replaced within its own group is not delivered, though a later part of the group fails") {
  LaneBench bench{{.max_messages = 100, .eviction = Eviction::latest_per_key}};
  bench.consumer("", {}, finish());
  let(bench.simulator, *bench.node, bench.hand, [&](Hand& actor) {
    actor.enqueue("jobs", "van", make<Number>(1));
    actor.enqueue("jobs", "van", make<Number>(2));
    Batch refused;
    refused.enqueue("jobs", "van", make<Number>(3)).execute("SELECT nonsense FROM nowhere");
    actor.commit(std::move(refused)).then([&](Result<Receipt> receipt) {
      bench.script.note(receipt ? "stored" : "refused");
    });
  });
  bench.run(1s);
  CHECK(bench.script.take() == "refused; 2");
}

TEST_CASE(
    "an expiry that comes before the delay is over, or after it, erases the message though nobody consumes the lane") {
  for (const Duration expires_in : {Duration{10s}, Duration{60s}}) {
    Bench bench;
    CHECK(put(bench, "orders", "k", 'A', 10, {.delay = 30s, .expires_in = expires_in}) == "stored");
    CHECK(bench.counters("orders").accepted == 1);
    bench.run(2min);
    CHECK(waiting(bench, "orders").empty());
    CHECK(bench.counters("orders").expired == 1);
  }
}

TEST_CASE("a redriven message expires though nobody consumes the lane") {
  LaneBench bench{{.max_attempts = 1}};
  const auto worker =
      bench.consumer("", {}, [](std::int64_t, const Delivery& delivery) { delivery.dead_letter("no"); });
  bench.enqueue(1, "k", {.expires_in = 60s});
  bench.run(1s);
  bench.stop(worker);
  bench.asked<DeadLetterCount>([](QueueControl queue) { return queue.redrive({.lane = "jobs"}); });
  CHECK(bench.load(RowState::ready) == 1);
  bench.run(2min);
  CHECK(bench.load(RowState::ready) == 0);
  CHECK(bench.counters().expired == 1);
}

TEST_CASE("enqueue stores the message though its outcome is dropped") {
  Bench bench;
  let(bench.simulator, *bench.node, bench.hand, [](Hand& actor) { actor.enqueue("orders", "k", note("A")); });
  bench.run();
  CHECK(waiting(bench, "orders") == "A");
}

TEST_CASE("consuming another node's lane, or a lane without a store, is refused at once and says why") {
  struct Eater : Actor<Eater, Number> {
    explicit Eater(Script* script) : script_(script) {}
    void on_start() {
      for (const char* lane : {"hub/orders", "orders"}) {
        const auto taken = consume<Number>(lane);
        script_->note(taken ? "taken" : outcome(taken.error()));
      }
    }
    void on(const Number& /*number*/, const Delivery& /*delivery*/) {}
    Script* script_;
  };
  Bench bench;
  REQUIRE(bench.node->spawn<Eater>(SpawnOptions{}, &bench.script));
  bench.run();
  CHECK(bench.script.take() == "invalid_argument; taken");
  SimNode bare(bench.simulator, nullptr, NodeOptions{.name = "bare"}, testkit::Machine{.disk = false});
  REQUIRE(bare->spawn<Eater>(SpawnOptions{}, &bench.script));
  bench.run();
  CHECK(bench.script.take() == "unsupported; unsupported");
}

TEST_CASE(
    "dead_letter = key: what follows a message whose attempts were used up by crashes is dead-lettered behind it") {
  LaneBench bench{{.max_attempts = 2, .dead_letter = DeadLetterScope::key}};
  bench.enqueue({1, 2, 3}, "order-7");
  for (int life = 0; life < 2; ++life) {
    bool dead = false;
    bench.consumer("", {.window = 4}, [&](std::int64_t, const Delivery& delivery) {
      dead = true;
      delivery.mark_settled();
    });
    for (int i = 0; i < 10'000 && !dead; ++i) bench.run(1ms);
    bench.restart();
  }
  bench.script.take();
  bench.consumer("", {.window = 4}, finish());
  bench.run(20s);
  CHECK(bench.script.take().empty());
  CHECK(bench.load(RowState::dead_lettered) == 3);
}

TEST_CASE(
    "dead_letter = key: what follows a message whose attempts were used up by set_lane is dead-lettered behind it") {
  LaneBench bench{{.max_attempts = 9, .backoff = {.base = 1s, .cap = 1s}, .dead_letter = DeadLetterScope::key}};
  bench.enqueue({1, 2, 3}, "order-7");
  bench.consumer("", {.window = 4},
                 [](std::int64_t value, const Delivery& delivery) { value == 1 ? delivery.retry() : delivery.ack(); });
  bench.run(5s);
  bench.script.take();
  LaneOptions lower = bench.status(0).lanes.at(0).options;
  lower.max_attempts = 2;
  bench.asked<void>([&](QueueControl queue) { return queue.set_lane(lower); });
  bench.run(10s);
  CHECK(bench.script.take().empty());
  CHECK(bench.load(RowState::dead_lettered) == 3);
}

}  // namespace
}  // namespace pannier::testing
