#include "tests/runtime/queue/queue_bench.h"

namespace pannier::testing {
namespace {

const std::vector<LaneOptions> kRouted{{.name = "kitchen", .topics = {"order/+/placed"}},
                                       {.name = "audit", .topics = {"order/#", "refund/#"}},
                                       {.name = "orders"}};

void route(Bench& bench, const std::string& topic, std::int64_t value, EnqueueOptions options = {}) {
  let(bench.simulator, *bench.node, bench.hand, [&bench, topic, value, options](Hand& actor) {
    actor.enqueue_topic(topic, "k", make<Number>(value), options).then([&bench, value](Result<Receipt> receipt) {
      bench.script.note(std::to_string(value) + (receipt ? " stored" : " " + receipt.error().text()));
    });
  });
  bench.run();
}

TEST_CASE("a message to a topic is stored in each lane whose filters match, and in no other") {
  Bench bench{kRouted};
  route(bench, "order/17/placed", 1);
  route(bench, "order/17/delivered", 2);
  route(bench, "refund/17", 3);
  CHECK(bench.script.take() == "1 stored; 2 stored; 3 stored");
  CHECK(bench.waiting("kitchen") == "1");
  CHECK(bench.waiting("audit") == "1 2 3");
  CHECK(bench.waiting("orders").empty());
  bench.restart();
  CHECK(bench.waiting("audit") == "1 2 3");
  route(bench, "order/18/delivered", 4);
  CHECK(bench.waiting("audit") == "1 2 3 4");
}

TEST_CASE("a lane that forwards takes topics as well, and set_lane changes what a lane takes while the node runs") {
  Bench bench{{{.name = "up", .forward_to = "hub", .topics = {"order/#"}}}};
  route(bench, "order/17/placed", 1);
  const Stream* stream = bench.node.store().find_stream(Box::outbox, "hub", "up");
  REQUIRE(stream != nullptr);
  CHECK((*stream)[RowState::ready].messages == 1);
  REQUIRE(bench.ask<void>([](QueueControl queue) { return queue.set_lane({.name = "late", .topics = {"order/#"}}); }));
  route(bench, "order/17/placed", 2);
  CHECK(bench.waiting("up") == "1 2");
  CHECK(bench.waiting("late") == "2");
}

TEST_CASE("a topic that no lane takes is refused, and so is what is no topic: nothing of the batch is stored") {
  Bench bench{kRouted};
  route(bench, "position/7", 1);
  CHECK(bench.script.take() ==
        "1 not_found: enqueue: no lane takes topic 'position/7': give the lane that should a filter in `topics`.");
  route(bench, "order/+/placed", 2);
  CHECK(bench.script.take() == "2 invalid_argument: 'order/+/placed' is no topic: '+' and '#' are for subscriptions.");
  let(bench.simulator, *bench.node, bench.hand, [&bench](Hand& actor) {
    Batch batch;
    batch.enqueue("orders", "k", make<Number>(std::int64_t{3}));
    batch.enqueue_topic("position/7", "k", make<Number>(std::int64_t{4}));
    actor.commit(std::move(batch)).then([&bench](Result<Receipt> receipt) {
      bench.script.note(receipt ? "stored" : outcome(receipt.error()));
    });
  });
  bench.run();
  CHECK(bench.script.take() == "not_found");
  CHECK(bench.waiting("orders").empty());
}

TEST_CASE("where one of its lanes is full, a message to a topic is in none of them") {
  std::vector<LaneOptions> lanes = kRouted;
  lanes[0].max_messages = 1;
  Bench bench{lanes};
  route(bench, "order/17/placed", 1);
  route(bench, "order/18/placed", 2);
  CHECK(bench.script.take().starts_with("1 stored; 2 full"));
  CHECK(bench.waiting("kitchen") == "1");
  CHECK(bench.waiting("audit") == "1");
}

TEST_CASE("a message to a topic with a token is in each of its lanes once, and an acknowledgement can send it") {
  Bench bench{kRouted};
  route(bench, "order/17/placed", 1, {.token = "t"});
  route(bench, "order/17/placed", 1, {.token = "t"});
  CHECK(bench.waiting("kitchen") == "1");
  CHECK(bench.waiting("audit") == "1");
  bench.consume("orders", {}, [](std::int64_t value, const Delivery& delivery) {
    delivery.ack(std::move(Batch{}.enqueue_topic("refund/17", "k", make<Number>(value + 1))));
  });
  bench.enqueue("orders", "k", 5);
  bench.run();
  CHECK(bench.waiting("audit") == "1 6");
  CHECK(bench.waiting("orders").empty());
}

TEST_CASE(
    "an acknowledgement that sends to a topic which no lane takes is tried again, and dead-lettered with the cause") {
  std::vector<LaneOptions> lanes = kRouted;
  lanes[2].max_attempts = 2;
  lanes[2].backoff = {.base = 1s, .cap = 1s};
  Bench bench{lanes};
  int deliveries = 0;
  bench.consume("orders", {}, [&](std::int64_t, const Delivery& delivery) {
    ++deliveries;
    delivery.ack(std::move(Batch{}.enqueue_topic("position/7", "k", make<Number>(std::int64_t{6}))));
  });
  bench.enqueue("orders", "k", 5);
  bench.run(10s);
  CHECK(deliveries == 2);
  CHECK(bench.counters("orders").dead_lettered == 1);
  bool told = false;
  for (const RowStatus& row : bench.status().rows) {
    told = told || row.waits_for.find("no lane takes topic 'position/7'") != std::string::npos;
  }
  CHECK(told);
}

TEST_CASE("a lane's filters are checked with its other options") {
  CHECK(check(LaneOptions{.name = "a", .topics = {"a/#/b"}}).error().detail ==
        "lane 'a': 'a/#/b' is no topic filter: '#' comes last.");
  CHECK_FALSE(check(LaneOptions{.name = "a", .topics = std::vector<std::string>(17, "a")}));
  CHECK(check(LaneOptions{.name = "a", .topics = std::vector<std::string>(16, "a")}));
}

}  // namespace
}  // namespace pannier::testing
