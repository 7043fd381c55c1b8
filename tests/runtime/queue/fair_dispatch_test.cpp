#include "tests/runtime/queue/queue_bench.h"

// One key, however many messages it has and however long its first one waits, keeps nothing from other keys.

namespace pannier::testing {
namespace {

/// Fails every message of key "blocked", for ten minutes each time; acknowledges the others.
Act fail_negative() {
  return [](std::int64_t value, const Delivery& delivery) {
    value < 0 ? delivery.retry(10min, "printer off") : delivery.ack();
  };
}

TEST_CASE("no number of messages behind one that waits for its next attempt hides the message of another key") {
  for (const int behind : {10, 255, 256, 300, 3000}) {
    CAPTURE(behind);
    LaneBench bench{{.max_attempts = 1000}};
    for (int i = 0; i <= behind; ++i) bench.enqueue(-1 - i, "blocked");
    bench.enqueue(7, "other");
    bench.run(1s);
    bench.consumer("", {.window = 16}, fail_negative());
    bench.run(10s);
    CHECK(bench.script.take() == "-1; 7");
  }
}

TEST_CASE("no number of keys that wait for their next attempt hides a ready one") {
  LaneBench bench{{.max_attempts = 1000}};
  for (int i = 1; i <= 1000; ++i) bench.enqueue(-i, "blocked-" + std::to_string(i));
  bench.enqueue(7, "other");
  bench.run(1s);
  bench.consumer("", {.window = 16}, fail_negative());
  bench.run(1min);
  CHECK(bench.script.text().ends_with("; 7"));
}

TEST_CASE("no number of messages behind one in a consumer's hands hides the message of another key") {
  LaneBench bench;
  for (int i = 0; i < 1000; ++i) bench.enqueue(i, "held");
  bench.enqueue(7000, "other");
  bench.run(1s);
  bench.consumer("", {.window = 16}, bench.keep());
  bench.run(10s);
  CHECK(bench.script.take() == "0; 7000");
}

TEST_CASE("messages that were passed over come in their order once their key goes on, and none is lost") {
  LaneBench bench;
  const int each = 400;
  for (int i = 0; i < each; ++i) {
    for (int key = 0; key < 5; ++key) bench.enqueue(key * 1000 + i, "key-" + std::to_string(key));
  }
  bench.run(1s);
  std::map<std::int64_t, std::vector<std::int64_t>> came;
  int turn = 0;
  bench.consumer("", {.window = 3}, [&](std::int64_t value, const Delivery& delivery) {
    if (++turn % 7 == 0) return delivery.retry(50ms, "not now");
    came[value / 1000].push_back(value % 1000);
    delivery.ack();
  });
  bench.run(5min);
  REQUIRE(came.size() == 5);
  for (const auto& [key, values] : came) {
    CAPTURE(key);
    CHECK(values.size() == each);
    CHECK(std::is_sorted(values.begin(), values.end()));
  }
}

TEST_CASE("the delay before the next attempt survives a restart") {
  LaneBench bench{{.max_attempts = 1000}};
  bench.enqueue({-1, -2}, "blocked");
  bench.consumer("", {}, fail_negative());
  bench.run(1min);
  CHECK(bench.script.take() == "-1");
  bench.restart();
  bench.consumer("", {}, fail_negative());
  bench.run(8min);
  CHECK(bench.script.take().empty());
  bench.run(2min);
  CHECK(bench.script.take() == "-1");
}

TEST_CASE("a message that arrives behind one that waits for its next attempt waits as well") {
  LaneBench bench{{.max_attempts = 1000}};
  bench.enqueue(-1, "blocked");
  bench.consumer("", {}, fail_negative());
  bench.run(1s);
  bench.enqueue(5, "blocked");
  bench.enqueue(6, "other");
  bench.run(1min);
  CHECK(bench.script.take() == "-1; 6");
}

TEST_CASE("a message that waited for its next attempt and is cancelled lets its key go on") {
  LaneBench bench{{.max_attempts = 1000}};
  bench.Bench::enqueue("jobs", "blocked", -1);
  const Sequence first = bench.last.sequence;
  bench.enqueue({2, 3}, "blocked");
  bench.script.take();
  bench.consumer("", {}, fail_negative());
  bench.run(1s);
  CHECK(bench.script.take() == "-1");
  bench.asked<Cancelled>([first](QueueControl queue) { return queue.cancel(first); });
  bench.run(1s);
  CHECK(bench.script.take() == "2; 3");
}

}  // namespace
}  // namespace pannier::testing
