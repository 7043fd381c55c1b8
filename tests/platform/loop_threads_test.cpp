#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include "platform/posix/event_wakeup.h"
#include "platform/posix/loop_threads.h"
#include "platform/posix/system_clock.h"

namespace pannier::posix {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;

/// Counts up to a number when notified, and then sleeps for ever.
class Counter final : public Loop {
 public:
  MonoTime step(MonoTime now) override {
    ++steps;
    if (count < wanted.load()) {
      ++count;
      return now;
    }
    done.notify();
    return kNever;
  }
  Wakeup& wakeup() noexcept override { return wakeup_; }

  std::atomic<int> wanted{0};
  int count = 0;  ///< The loop's thread alone, until it is joined.
  int steps = 0;
  EventWakeup done;

 private:
  EventWakeup wakeup_;
};

TEST_CASE("a loop is stepped while there is work, sleeps without, and stops when asked") {
  Counter counter;
  const SystemClock clock;
  Loop* const loops[] = {&counter};
  LoopThreads threads{loops, clock};
  counter.done.wait_until(kNever);
  counter.wanted.store(100);
  counter.wakeup().notify();
  counter.done.wait_until(kNever);
  REQUIRE(threads.join(seconds{60}));
  REQUIRE(threads.join(seconds{0}));
  CHECK(counter.count == 100);
  // 100 to count, one to find nothing at the start and one at the end; early returns of a wait add a few.
  CHECK(counter.steps < 110);
}

/// A place to sleep where each sleep lasts as long as the script says, on a clock that goes on with each look at it.
class ScriptedSleep final : public Wakeup, public Clock {
 public:
  explicit ScriptedSleep(std::vector<Duration> lengths) : lengths_(std::move(lengths)) {}

  void notify() noexcept override { stop_.notify(); }
  void wait_until(MonoTime) noexcept override {
    if (looks_before.size() == lengths_.size()) {
      through.notify();
      stop_.wait_until(kNever);
      return;
    }
    now_ += lengths_[looks_before.size()];
    looks_before.push_back(looks_);
    looks_ = 0;
  }
  bool look() const noexcept {
    ++looks_;
    return false;
  }
  [[nodiscard]] bool notified_only() const noexcept override { return true; }
  [[nodiscard]] MonoTime now() const noexcept override { return now_ += std::chrono::microseconds{1}; }
  [[nodiscard]] WallTime wall_now() const noexcept override { return {}; }
  [[nodiscard]] std::uint64_t boot() const noexcept override { return 0; }

  std::vector<int> looks_before;  ///< For work, before each sleep.
  EventWakeup through;

 private:
  std::vector<Duration> lengths_;
  EventWakeup stop_;
  mutable MonoTime now_{};
  mutable int looks_ = 0;
};

TEST_CASE("a thread looks out for the next notification only after a short sleep") {
  struct Idle final : Loop {
    explicit Idle(ScriptedSleep& place) : place_(place) {}
    MonoTime step(MonoTime) override { return kNever; }
    [[nodiscard]] bool pending() const noexcept override { return place_.look(); }
    Wakeup& wakeup() noexcept override { return place_; }
    ScriptedSleep& place_;
  };
  const auto looks = [](Duration spin) {
    ScriptedSleep sleep{{std::chrono::microseconds{100}, seconds{1}, seconds{1}, std::chrono::microseconds{100}}};
    Idle idle{sleep};
    Loop* const loops[] = {&idle};
    LoopThreads threads{loops, sleep, spin};
    sleep.through.wait_until(kNever);
    CHECK(threads.join(seconds{60}));
    return sleep.looks_before;
  };
  const std::vector<int> seen = looks(std::chrono::microseconds{20});
  REQUIRE(seen.size() == 4);
  CHECK(seen[0] == 0);  // nothing is known yet
  CHECK(seen[1] > 0);   // woken soon: it may come again
  CHECK(seen[2] == 0);  // woken late: it would be in vain
  CHECK(seen[3] == 0);
  CHECK(looks(Duration::zero()) == std::vector<int>{0, 0, 0, 0});
}

TEST_CASE("joining a loop that is stuck in a step gives up at its limit") {
  struct Stuck final : Loop {
    MonoTime step(MonoTime) override {
      entered.notify();
      gate.wait_until(kNever);
      return kNever;
    }
    Wakeup& wakeup() noexcept override { return flag; }
    EventWakeup entered;
    EventWakeup gate;
    EventWakeup flag;
  } stuck;
  const SystemClock clock;
  Loop* const loops[] = {&stuck};
  LoopThreads threads{loops, clock};
  stuck.entered.wait_until(kNever);
  CHECK(!threads.join(std::chrono::milliseconds{1}));
  stuck.gate.notify();
  CHECK(threads.join(seconds{60}));
}

TEST_CASE("the same threads' places serve one set of loops after another") {
  const SystemClock clock;
  LoopThreads threads{2, clock};
  for (int round = 0; round < 3; ++round) {
    Counter counter;
    Loop* const loops[] = {&counter};
    threads.start(loops);
    CHECK(threads.size() == 1);
    counter.done.wait_until(kNever);
    counter.wanted.store(10);
    counter.wakeup().notify();
    counter.done.wait_until(kNever);
    REQUIRE(threads.join(seconds{60}));
    CHECK(counter.count == 10);
  }
}

/// Passes tokens on to other loops. In a step it takes those that are there; what is on its way is the sum of all.
class Passer final : public Loop {
 public:
  explicit Passer(Wakeup& place) : place_(place) {}

  MonoTime step(MonoTime) override {
    if (inside_.exchange(true)) on_two_threads = true;
    const int tokens = here.exchange(0);
    // Not in a step that was woken for nothing: nobody has been told of that one.
    if (tokens > 0) driver = std::this_thread::get_id();
    MonoTime due = kNever;
    if (tokens > 0 && on_tokens) due = on_tokens(tokens);
    inside_.store(false);
    return due;
  }
  [[nodiscard]] bool pending() const noexcept override { return here.load() > 0; }
  Wakeup& wakeup() noexcept override { return place_; }

  void give(int tokens, bool hand_over) {
    here.fetch_add(tokens);
    hand_over ? place_.hand_over() : place_.notify();
  }

  std::function<MonoTime(int)> on_tokens;  ///< Set before the loop runs.
  std::atomic<int> here{0};
  std::atomic<bool> on_two_threads{false};
  std::thread::id driver;  ///< Of the last step that had tokens; read by whoever that step has told.

 private:
  Wakeup& place_;
  std::atomic<bool> inside_{false};
};

TEST_CASE("a loop that has nothing to do but to wake another leaves its thread to it") {
  constexpr int kHops = 100'000;
  const SystemClock clock;
  LoopThreads threads{2, clock};
  Passer here{threads.place(0)};
  Passer there{threads.place(1)};
  EventWakeup done;
  int hops = 0;
  int on_one_thread = 0;
  const auto pass_to = [&](Passer& other) {
    return [&](int tokens) {
      if (++hops == kHops) {
        done.notify();
        return kNever;
      }
      on_one_thread += other.driver == std::this_thread::get_id() ? 1 : 0;
      other.give(tokens, true);
      return kNever;
    };
  };
  here.on_tokens = pass_to(there);
  there.on_tokens = pass_to(here);
  Loop* const loops[] = {&here, &there};
  threads.start(loops);
  here.give(1, false);
  done.wait_until(kNever);
  REQUIRE(threads.join(seconds{60}));
  CHECK_FALSE((here.on_two_threads || there.on_two_threads));
  // How often is the machine's affair: where the other thread is on its way to sleep, or quick to see its work, it is
  // not spared. A loop that only notifies never leaves its thread.
  CHECK(on_one_thread > 0);
}

/// `first` hands over to `second`, which keeps the thread until `first` has been stepped again. Many rounds, since only
/// where the thread of `second` slept is `second` on the thread of `first`.
int rounds_on_one_thread(const std::function<MonoTime()>& due_after_hand_over, bool notifies) {
  constexpr int kRounds = 1000;
  const SystemClock clock;
  LoopThreads threads{2, clock};
  Passer first{threads.place(0)};
  Passer second{threads.place(1)};
  EventWakeup gate;
  EventWakeup entered;
  EventWakeup round_done;
  std::thread::id handed_by;
  int on_one_thread = 0;
  struct Stepped final : Loop {  // tells of each step of what it wraps
    Stepped(Passer& wrapped, EventWakeup& gate) : inner(wrapped), open(gate) {}
    MonoTime step(MonoTime now) override {
      const bool has_tokens = inner.pending();
      const MonoTime due = inner.step(now);
      if (!has_tokens) open.notify();
      return due;
    }
    [[nodiscard]] bool pending() const noexcept override { return inner.pending(); }
    Wakeup& wakeup() noexcept override { return inner.wakeup(); }
    Passer& inner;
    EventWakeup& open;
  } stepped{first, gate};
  first.on_tokens = [&](int) {
    handed_by = std::this_thread::get_id();
    second.give(1, true);
    return due_after_hand_over();
  };
  second.on_tokens = [&](int) {
    on_one_thread += handed_by == std::this_thread::get_id() ? 1 : 0;
    entered.notify();
    gate.wait_until(kNever);
    round_done.notify();
    return kNever;
  };
  Loop* const loops[] = {&stepped, &second};
  threads.start(loops);
  for (int round = 0; round < kRounds; ++round) {
    first.give(1, false);
    entered.wait_until(kNever);
    if (notifies) threads.place(0).notify();
    round_done.wait_until(kNever);
  }
  CHECK(threads.join(seconds{60}));
  CHECK_FALSE((first.on_two_threads || second.on_two_threads));
  return on_one_thread;
}

TEST_CASE("a loop whose thread has gone to another is stepped when it is notified, however long the other takes") {
  CHECK(rounds_on_one_thread([] { return kNever; }, true) > 0);
}

TEST_CASE("a loop whose thread has gone to another is stepped when its time has come") {
  CHECK(rounds_on_one_thread([] { return mono_now() + microseconds{100}; }, false) > 0);
}

TEST_CASE("no token is lost among four loops that notify, hand over, wait for their time and run, all at random") {
  constexpr int kHops = 200'000;
  constexpr int kTokens = 3;
  const SystemClock clock;
  LoopThreads threads{4, clock};
  std::vector<std::unique_ptr<Passer>> passers;
  for (std::size_t i = 0; i < 4; ++i) passers.push_back(std::make_unique<Passer>(threads.place(i)));
  std::atomic<int> hops{0};
  EventWakeup done;
  for (std::size_t i = 0; i < 4; ++i) {
    std::uint64_t state = i + 1;
    passers[i]->on_tokens = [&, i, state](int tokens) mutable {
      MonoTime due = kNever;
      for (; tokens > 0; --tokens) {
        if (hops.fetch_add(1) + 1 >= kHops) {
          done.notify();
          return kNever;
        }
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        const auto draw = static_cast<std::size_t>(state >> 33U);
        if (draw % 64 == 0) due = mono_now() + microseconds{20};
        if (draw % 64 == 1) due = MonoTime{};
        passers[(i + 1 + draw % 3) % 4]->give(1, draw % 8 != 0);
      }
      return due;
    };
  }
  std::vector<Loop*> loops;
  for (const auto& passer : passers) loops.push_back(passer.get());
  threads.start(loops);
  for (std::size_t i = 0; i < kTokens; ++i) passers[i]->give(1, false);
  done.wait_until(kNever);
  CHECK(threads.join(seconds{60}));
  for (const auto& passer : passers) CHECK_FALSE(passer->on_two_threads);
}

}  // namespace
}  // namespace pannier::posix
