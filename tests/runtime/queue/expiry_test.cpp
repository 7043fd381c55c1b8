#include "tests/runtime/queue/queue_bench.h"

namespace pannier::testing {
namespace {

using namespace std::chrono_literals;

TEST_CASE("a message that expires while nobody wants it gives its room back, and is counted") {
  Bench bench{{{.name = "offers", .expiry = 1min}}};
  bench.enqueue("offers", "k", 1);
  bench.enqueue("hub/offers", "k", 2);
  bench.enqueue("offers", "k", 3, {.expires_in = 1h});
  bench.run(59s);
  CHECK(bench.waiting("offers") == "2 1 3");
  bench.run(2s);
  CHECK(bench.waiting("offers") == "3");
  CHECK(bench.counters("offers").expired == 2);
}

TEST_CASE("an expiry goes on over a restart, and over a boot as far as the wall clock tells") {
  Bench bench;
  bench.enqueue("orders", "k", 1, {.expires_in = 1min});
  bench.enqueue("orders", "k", 2, {.expires_in = 1h});
  bench.node.crash();
  bench.run(2min);
  bench.start();
  bench.run(1s);
  CHECK(bench.waiting("orders") == "2");
  bench.node.crash();
  bench.simulator.clock().reboot();
  bench.simulator.clock().step_wall(2h);
  bench.start();
  bench.run(1s);
  CHECK(bench.waiting("orders").empty());
}

TEST_CASE("steps of the wall clock expire nothing, neither while the node runs nor at a start within one boot") {
  Bench bench;
  bench.enqueue("orders", "k", 1, {.expires_in = 1h});
  for (const Duration step : {Duration{100h}, Duration{-1000h}, Duration{50'000h}}) {
    bench.simulator.clock().step_wall(step);
    bench.run(1s);
    bench.restart();
    bench.run(1s);
    CHECK(bench.waiting("orders") == "1");
  }
  bench.run(1h);
  CHECK(bench.waiting("orders").empty());
}

TEST_CASE("expired messages make room in a full lane, however deep they stand") {
  Bench bench{{{.name = "orders", .max_messages = 2}}};
  bench.enqueue("orders", "", 1);
  bench.enqueue("orders", "", 2, {.expires_in = 10s});
  bench.run(11s);
  bench.enqueue("orders", "", 3);
  CHECK(bench.waiting("orders") == "1 3");
}

TEST_CASE("a message that is both delayed and expired when it is due is not delivered") {
  Bench bench;
  bench.enqueue("orders", "", 1, {.delay = 1min, .expires_in = 30s});
  bench.run(2min);
  CHECK(bench.waiting("orders").empty());
  CHECK(bench.counters("orders").expired == 1);
}

TEST_CASE("times that cannot be meant are refused with one line") {
  Bench bench;
  bench.enqueue("orders", "", 1, {.delay = -1s});
  bench.enqueue("orders", "", 2, {.expires_in = 24h * 4000});
  CHECK(bench.script.take() == "1 invalid_argument; 2 invalid_argument");
}

}  // namespace
}  // namespace pannier::testing
