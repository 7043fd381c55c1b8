#include <chrono>
#include <memory>
#include <vector>

#include <doctest/doctest.h>
#include <pannier/sim.h>

namespace pannier::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Writes its name down at each step, wakes the next one, and is due again after `period`.
class Ticker final : public Loop {
 public:
  Ticker(Simulator& simulator, int name, std::vector<int>& journal, Duration period)
      : wakeup_(simulator), name_(name), journal_(journal), period_(period) {}
  MonoTime step(MonoTime now) override {
    journal_.push_back(name_);
    last = now;
    ++steps;
    return period_ == Duration::max() ? kNever : now + period_;
  }
  Wakeup& wakeup() noexcept override { return wakeup_; }

  MonoTime last{};
  int steps = 0;

 private:
  FlagWakeup wakeup_;
  int name_;
  std::vector<int>& journal_;
  Duration period_;
};

std::vector<int> journal_of(std::uint64_t seed, std::uint64_t* digest = nullptr) {
  Simulator simulator{seed};
  std::vector<int> journal;
  std::vector<std::unique_ptr<Ticker>> tickers;
  for (int i = 0; i < 8; ++i) {
    tickers.push_back(std::make_unique<Ticker>(simulator, i, journal, milliseconds{10}));
    simulator.add(*tickers.back());
  }
  simulator.run_for(seconds{1});
  if (digest != nullptr) *digest = simulator.digest();
  return journal;
}

TEST_CASE("the same seed gives the same run, another seed another") {
  std::uint64_t first = 0;
  std::uint64_t again = 0;
  std::uint64_t other = 0;
  CHECK(journal_of(1, &first) == journal_of(1, &again));
  CHECK(first == again);
  CHECK(journal_of(1) != journal_of(2, &other));
  CHECK(first != other);
}

TEST_CASE("time jumps to what is due, and what is due at the end is done") {
  Simulator simulator{1};
  std::vector<int> journal;
  Ticker ticker{simulator, 0, journal, seconds{10}};
  simulator.add(ticker);
  const MonoTime start = simulator.now();
  simulator.run_for(seconds{30});
  CHECK(simulator.now() == start + seconds{30});
  CHECK(ticker.steps == 4);
  CHECK(ticker.last == start + seconds{30});
}

TEST_CASE("a loop without work is stepped for a notification alone, and several count as one") {
  Simulator simulator{1};
  std::vector<int> journal;
  Ticker ticker{simulator, 0, journal, Duration::max()};
  simulator.add(ticker);
  simulator.run_for(seconds{100});
  CHECK(ticker.steps == 1);
  ticker.wakeup().notify();
  ticker.wakeup().notify();
  simulator.run_for(seconds{100});
  CHECK(ticker.steps == 2);
}

TEST_CASE("run_until stops where its predicate holds, and says when it never did") {
  Simulator simulator{1};
  std::vector<int> journal;
  Ticker ticker{simulator, 0, journal, seconds{1}};
  simulator.add(ticker);
  const MonoTime start = simulator.now();
  CHECK(simulator.run_until([&] { return ticker.steps == 5; }, seconds{100}));
  CHECK(simulator.now() == start + seconds{4});
  CHECK(!simulator.run_until([] { return false; }, seconds{6}));
  CHECK(simulator.now() == start + seconds{10});
}

TEST_CASE("a loop may remove itself and others in mid-step: a crash") {
  Simulator simulator{3};
  std::vector<int> journal;
  auto victim = std::make_unique<Ticker>(simulator, 1, journal, milliseconds{1});
  simulator.add(*victim);

  struct Killer final : Loop {
    Killer(Simulator& the_simulator, std::unique_ptr<Ticker>& the_victim)
        : simulator(the_simulator), flag(the_simulator), victim(the_victim) {}
    MonoTime step(MonoTime) override {
      simulator.remove(*victim);
      victim.reset();
      simulator.remove(*this);
      return kNever;
    }
    Wakeup& wakeup() noexcept override { return flag; }
    Simulator& simulator;
    FlagWakeup flag;
    std::unique_ptr<Ticker>& victim;
  };
  Killer killer{simulator, victim};
  simulator.add(killer);
  simulator.run_for(seconds{1});
  CHECK(victim == nullptr);
  const std::uint64_t steps = simulator.steps();
  simulator.run_for(seconds{1});
  CHECK(simulator.steps() == steps);
}

TEST_CASE("a loop that never rests does not stop the time, and is counted") {
  Simulator simulator{1};
  std::vector<int> journal;
  Ticker busy{simulator, 0, journal, Duration::zero()};
  simulator.add(busy);
  simulator.run_for(std::chrono::microseconds{250});
  CHECK(simulator.busy_instants() == 3);
}

TEST_CASE("the wall clock may step while monotonic time does not") {
  VirtualClock clock;
  const MonoTime mono = clock.now();
  const WallTime wall = clock.wall_now();
  clock.step_wall(-seconds{3600});
  CHECK(clock.now() == mono);
  CHECK(clock.wall_now() == wall - seconds{3600});
  clock.advance_to(mono + seconds{5});
  clock.advance_to(mono);
  CHECK(clock.now() == mono + seconds{5});
  CHECK(clock.wall_now() == wall - seconds{3595});
}

TEST_CASE("the generator repeats itself from its seed, and its distributions have their means") {
  SeededEntropy a{42};
  SeededEntropy b{42};
  SeededEntropy c{43};
  CHECK(a.next() == b.next());
  CHECK(a.next() != c.next());
  double sum = 0;
  int hits = 0;
  for (int i = 0; i < 100'000; ++i) {
    sum += static_cast<double>(a.exponential(milliseconds{10}).count());
    hits += a.chance(0.25) ? 1 : 0;
    REQUIRE(a.below(7) < 7);
  }
  CHECK(sum / 100'000 == doctest::Approx(10e6).epsilon(0.02));
  CHECK(hits / 100'000.0 == doctest::Approx(0.25).epsilon(0.03));
  CHECK(!a.chance(0));
  CHECK(a.chance(1));
}

}  // namespace
}  // namespace pannier::sim
