#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include <pannier/simulation.h>
#include "platform/posix/event_wakeup.h"
#include "platform/posix/loop_threads.h"
#include "platform/posix/system_clock.h"
#include "platform/posix/system_entropy.h"
#include "tests/runtime/script.h"

namespace pannier::testing {
namespace {

using namespace std::chrono_literals;

struct Ball {
  int bounces;
};
struct Peer {
  LocalRef ref;
};

/// Passes each ball on to its peer for ever, now and then fails, asks, and starts children that do not live long.
struct Player : Actor<Player, Ball, Peer, Number> {
  explicit Player(std::atomic<std::uint64_t>* handled) : handled_(handled) {}
  void on(const Peer& peer) { peer_ = peer.ref; }
  Table<Number> on(const Number& number) { return make<Number>(number.value()); }
  void on(const Ball& ball) {
    handled_->fetch_add(1, std::memory_order_relaxed);
    if (ball.bounces % 97 == 0) {
      ask<Number>(peer_, make<Number>(ball.bounces), 1s).then([](Result<Table<Number>>) {});
    }
    if (ball.bounces % 211 == 0) {
      SpawnOptions options{.restart = Restart::temporary};
      options.worker = static_cast<std::uint32_t>(ball.bounces) % 4;
      spawn<Player>(options, handled_).ignore();
    }
    if (ball.bounces % 499 == 0) after(10us, [] {});
    tell(peer_, Ball{ball.bounces + 1}).ignore();
  }

 private:
  std::atomic<std::uint64_t>* handled_;
  LocalRef peer_;
};

TEST_CASE("a node under load on four threads stops whole, a thousand times") {
  posix::SystemClock clock;
  posix::SystemEntropy entropy;
  for (int round = 0; round < 1000; ++round) {
    testkit::RecordedLog log;
    std::atomic<std::uint64_t> handled{0};
    posix::EventWakeup stopped;
    posix::LoopThreads threads{4, clock};
    NodeParts parts{{clock, entropy, log}, {}, nullptr, nullptr};
    for (std::size_t i = 0; i < 4; ++i) parts.wakeups.push_back(&threads.place(i));
    auto node = Node::create({.name = "here"}, std::move(parts));
    REQUIRE(node);
    (*node)->on_stopped([&] { stopped.notify(); });
    threads.start((*node)->loops());
    std::vector<ActorRef<Player>> players;
    for (std::uint32_t i = 0; i < 8; ++i) {
      SpawnOptions options;
      options.worker = i % 4;
      players.push_back(*(*node)->spawn<Player>(options, &handled));
    }
    for (std::size_t i = 0; i < 8; ++i) {
      REQUIRE((*node)->tell(players[i], Peer{players[(i + 3) % 8]}));
      REQUIRE((*node)->tell(players[i], Ball{static_cast<int>(i)}));
    }
    while (handled.load(std::memory_order_relaxed) < static_cast<std::uint64_t>(round % 50)) std::this_thread::yield();
    (*node)->stop();
    (*node)->spawn<Player>(SpawnOptions{}, &handled).ignore();  // comes too late, or just in time
    const MonoTime limit = clock.now() + 30s;
    while (!(*node)->stopped() && clock.now() < limit) stopped.wait_until(limit);
    REQUIRE((*node)->stopped());
    REQUIRE(threads.join(10s));
    CHECK_FALSE((*node)->failed());
    node->reset();
  }
}

}  // namespace
}  // namespace pannier::testing
