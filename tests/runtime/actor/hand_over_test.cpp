#include <doctest/doctest.h>

#include <array>
#include <utility>
#include <vector>

#include <pannier/node.h>
#include <pannier/sim.h>
#include <pannier/simulation.h>
#include "testkit/memory_store.h"

// When a worker lets the thread that is in its step go on with the worker that it woke (Wakeup::hand_over), and when
// that one must be woken at once.
namespace pannier::testing {
namespace {

struct Go {};
struct Hello {};

struct Greeter : Actor<Greeter, Go> {
  explicit Greeter(LocalRef greeted) : greeted_(greeted) {}
  void on(const Go&) { CHECK(tell(greeted_, Hello{}).ok()); }
  LocalRef greeted_;
};
struct Greeted : Actor<Greeted, Hello> {
  void on(const Hello&) {}
};

struct Counted final : Wakeup {
  void notify() noexcept override { ++notified; }
  void hand_over() noexcept override { ++handed_over; }
  void wait_until(MonoTime) noexcept override {}
  int notified = 0;
  int handed_over = 0;
};

/// Greeters on worker 0, whom they greet on worker 1. How that was woken by the step in which they did.
std::pair<int, int> told_by(int greeters, Store* store) {
  sim::VirtualClock clock;
  sim::SeededEntropy entropy(1);
  testkit::RecordedLog log;
  std::array<Counted, 2> wakeups;
  auto node = Node::create({.name = "here"}, {{clock, entropy, log}, {&wakeups[0], &wakeups[1]}, nullptr, store});
  REQUIRE(node);
  const auto settle = [&] {
    for (int i = 0; i < 20; ++i) (*node)->loops()[static_cast<std::size_t>(i % 2)]->step(clock.now());
  };
  SpawnOptions there;
  there.worker = 1;
  const auto greeted = (*node)->spawn<Greeted>(there);
  REQUIRE(greeted);
  SpawnOptions here;
  here.worker = 0;
  std::vector<LocalRef> all;
  for (int i = 0; i < greeters; ++i) {
    const auto greeter = (*node)->spawn<Greeter>(here, LocalRef{*greeted});
    REQUIRE(greeter);
    all.emplace_back(*greeter);
  }
  settle();
  for (const LocalRef& greeter : all) REQUIRE((*node)->tell(greeter, Go{}).ok());
  wakeups[1] = Counted{};
  (*node)->loops()[0]->step(clock.now());
  const std::pair told{wakeups[1].notified, wakeups[1].handed_over};
  settle();
  return told;
}

TEST_CASE("a worker that has nothing left to do hands over to the one that it sent to") {
  CHECK(told_by(1, nullptr) == std::pair{0, 1});
}

TEST_CASE("a worker with more to do, or with a disk to sync first, wakes the one that it sent to at once") {
  CHECK(told_by(2, nullptr) == std::pair{1, 0});
  sim::SeededEntropy entropy(2);
  testkit::MemoryStore store(entropy);
  CHECK(told_by(1, &store) == std::pair{1, 0});
}

}  // namespace
}  // namespace pannier::testing
