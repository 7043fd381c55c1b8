#include "runtime/actor/timers.h"

#include <doctest/doctest.h>

#include <atomic>
#include <map>
#include <vector>

#include <pannier/sim.h>
#include "runtime/actor/cell.h"
#include "tests/runtime/shell.h"

namespace pannier::testing {
namespace {

using namespace std::chrono_literals;

struct Clockwork {
  explicit Clockwork(std::uint32_t first_generation = 1) : timers(first_generation) {}
  TimerId arm(Duration due, int name, Duration period = {}) {
    return timers.arm(cell, MonoTime{due}, period, [this, name](Message*) { fired.push_back(name); });
  }
  /// Fires what is due, as a worker does.
  std::vector<int> at(Duration now) {
    fired.clear();
    while (auto due = timers.pop_due(MonoTime{now})) {
      due.function(nullptr);
      const Duration period = due.period;
      if (period != Duration::zero()) timers.rearm(std::move(due), MonoTime{now} + period);
    }
    return fired;
  }
  Cell cell;
  Timers timers;
  std::vector<int> fired;
};

TEST_CASE("timers fire in the order of their deadlines, equal ones in the order they were armed") {
  Clockwork clock;
  clock.arm(30ms, 3);
  clock.arm(10ms, 1);
  clock.arm(20ms, 2);
  clock.arm(10ms, 11);
  CHECK(clock.timers.next_due() == MonoTime{10ms});
  CHECK(clock.at(9ms).empty());
  CHECK(clock.at(20ms) == std::vector<int>{1, 11, 2});
  CHECK(clock.timers.next_due() == MonoTime{30ms});
  CHECK(clock.at(1s) == std::vector<int>{3});
  CHECK(clock.timers.next_due() == kNever);
}

TEST_CASE("no timer ever has the id of an earlier one, also after 2^32 timers in one place") {
  Clockwork clock{0xfffffffe};
  std::vector<TimerId> ids;
  for (int i = 0; i < 6; ++i) {
    ids.push_back(clock.arm(1h, i));
    CHECK(ids.back() != TimerId{});
    for (int earlier = 0; earlier < i; ++earlier) {
      CHECK(ids[static_cast<std::size_t>(earlier)] != ids.back());
      CHECK_FALSE(clock.timers.cancel(ids[static_cast<std::size_t>(earlier)]));
    }
    REQUIRE(clock.timers.armed() == 1);
    if (i % 2 == 0) {
      CHECK(clock.timers.cancel(ids.back()));
    } else {
      CHECK(clock.at(2h) == std::vector<int>{i});
    }
  }
  // A periodic one keeps its id for as long as it goes on.
  const TimerId periodic = clock.arm(1h, 7, 1h);
  CHECK(clock.at(2h) == std::vector<int>{7});
  CHECK(clock.at(3h) == std::vector<int>{7});
  CHECK(clock.timers.cancel(periodic));
}

TEST_CASE("a timer that is further off than any clock reaches does not fire, and may be cancelled") {
  CHECK(later(MonoTime{5s}, Duration::max()) == kNever);
  CHECK(later(MonoTime{5s}, Duration::max() - 6s) == MonoTime{Duration::max() - 1s});
  Clockwork clock;
  const TimerId never = clock.timers.arm(clock.cell, kNever, Duration::zero(), [](Message*) {});
  CHECK(clock.timers.next_due() == kNever);
  CHECK(clock.at(Duration::max()).empty());
  CHECK(clock.timers.cancel(never));
  CHECK_FALSE(clock.timers.cancel(never));
}

TEST_CASE("a cancelled timer does not fire, and nobody wakes for it") {
  Clockwork clock;
  const TimerId first = clock.arm(10ms, 1);
  clock.arm(20ms, 2);
  CHECK(clock.timers.cancel(first));
  CHECK_FALSE(clock.timers.cancel(first));
  CHECK(clock.timers.next_due() == MonoTime{20ms});
  clock.arm(30ms, 3);  // may take the place of the first one
  CHECK_FALSE(clock.timers.cancel(first));
  CHECK(clock.at(1s) == std::vector<int>{2, 3});
  CHECK_FALSE(clock.timers.cancel(TimerId{}));
  CHECK_FALSE(clock.timers.cancel(TimerId{~0ULL}));
}

TEST_CASE("a periodic timer fires once after a long sleep, keeps its name, and ends when it is cancelled") {
  Clockwork clock;
  const TimerId beat = clock.arm(10ms, 1, 10ms);
  CHECK(clock.at(10ms) == std::vector<int>{1});
  CHECK(clock.at(19ms).empty());
  CHECK(clock.at(10s) == std::vector<int>{1});
  CHECK(clock.timers.next_due() == MonoTime{10s + 10ms});
  CHECK(clock.timers.cancel(beat));
  CHECK(clock.at(20s).empty());
  CHECK(clock.timers.armed() == 0);
}

TEST_CASE("a periodic timer may cancel itself, and arm others, while it fires") {
  Clockwork clock;
  int count = 0;
  TimerId beat{};
  beat = clock.timers.arm(clock.cell, MonoTime{1ms}, 1ms, [&](Message*) {
    if (++count < 3) return;
    clock.timers.cancel(beat);
    for (int i = 0; i < 100; ++i) clock.arm(100ms, i);
  });
  for (int i = 1; i < 10; ++i) static_cast<void>(clock.at(std::chrono::milliseconds{i}));
  CHECK(count == 3);
  CHECK(clock.timers.armed() == 100);
  CHECK(clock.at(100ms).size() == 100);
}

TEST_CASE("a hundred thousand timers, armed and cancelled at random, fire as a sorted list would") {
  sim::SeededEntropy dice{11};
  Clockwork clock;
  std::multimap<std::pair<std::int64_t, int>, TimerId> model;  // by deadline, then by order
  std::vector<std::pair<std::pair<std::int64_t, int>, TimerId>> armed;
  for (int i = 0; i < 100'000; ++i) {
    const auto due = static_cast<std::int64_t>(dice.below(10'000'000));
    const TimerId id = clock.arm(Duration{due}, i);
    model.emplace(std::pair{due, i}, id);
    armed.push_back({{due, i}, id});
    if (dice.chance(0.6)) {
      const auto& [key, victim] = armed[dice.below(armed.size())];
      CHECK(clock.timers.cancel(victim) == (model.erase(key) > 0));
    }
  }
  CHECK(clock.timers.armed() == model.size());
  bool same = true;
  for (Duration now{0}; now <= 10ms; now += 50us) {
    for (const int fired : clock.at(now)) {
      same = same && !model.empty() && model.begin()->first.second == fired;
      if (!model.empty()) model.erase(model.begin());
    }
  }
  CHECK(same);
  CHECK(model.empty());
  CHECK(clock.timers.armed() == 0);
}

TEST_CASE("the timers of one owner end together; a captured object may use the timers as it goes") {
  Clockwork clock;
  Cell other;
  clock.timers.arm(other, MonoTime{5ms}, {}, [&](Message*) { clock.fired.push_back(99); });
  struct Last {
    explicit Last(Clockwork* owner) : clock(owner) {}
    Last(Last&& from) noexcept : clock(std::exchange(from.clock, nullptr)) {}
    ~Last() {
      if (clock != nullptr) clock->timers.cancel(id);
    }
    Clockwork* clock;
    TimerId id{};
  };
  Last last{&clock};
  last.id = clock.arm(7ms, 7);
  clock.timers.arm(clock.cell, MonoTime{6ms}, {}, [kept = std::move(last)](Message*) { CHECK(kept.clock == nullptr); });
  clock.timers.cancel_all(clock.cell);
  CHECK(clock.timers.armed() == 1);
  CHECK(clock.at(1s) == std::vector<int>{99});
}

TEST_CASE("an actor that always arms a timer for now does not stop its worker") {
  struct Restless : Actor<Restless> {
    explicit Restless(std::atomic<int>* turns) : turns_(turns) {}
    void on_start() { again(); }
    void again() {
      ++*turns_;
      after(Duration::zero(), &Restless::again);
    }
    std::atomic<int>* turns_;
  };
  struct Other : Actor<Other, int> {
    explicit Other(std::atomic<int>* heard) : heard_(heard) {}
    void on(const int& value) { *heard_ = value; }
    std::atomic<int>* heard_;
  };
  std::atomic<int> turns{0};
  std::atomic<int> heard{0};
  Shell shell;
  REQUIRE(shell->spawn<Restless>(SpawnOptions{}, &turns));
  const auto other = *shell->spawn<Other>(SpawnOptions{}, &heard);
  REQUIRE(shell->tell(other, 5));
  CHECK(shell.run_until([&] { return heard == 5 && turns > 10; }, 1s));
}

}  // namespace
}  // namespace pannier::testing
