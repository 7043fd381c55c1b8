#include <doctest/doctest.h>

#include <pannier/sim.h>
#include "runtime/queue/store_clock.h"

namespace pannier {
namespace {

using namespace std::chrono_literals;

/// A machine whose clocks the test moves, and a store that lives through lives of its process.
struct Machine {
  sim::VirtualClock clock;
  ClockAnchor noted;

  Machine() {
    StoreClock life{clock};
    life.load(std::nullopt);
    noted = life.anchor();
  }
  void pass(Duration time) { clock.advance_to(clock.now() + time); }
  /// The time that a new life of the process goes on from, since the note.
  [[nodiscard]] Duration next_life() const {
    StoreClock life{clock};
    life.load(noted);
    return life.now() - noted.store;
  }
};

TEST_CASE("the time of a new store is not 'no moment'") {
  const sim::VirtualClock clock;
  StoreClock store{clock};
  store.load(std::nullopt);
  CHECK(store.now() > kNoMoment);
}

TEST_CASE("a process that starts again within one boot goes on exactly, whatever the wall clock did") {
  Machine machine;
  machine.pass(5s);
  machine.clock.step_wall(-24h);
  CHECK(machine.next_life() == 5s);
  machine.clock.step_wall(10'000h);
  CHECK(machine.next_life() == 5s);
}

TEST_CASE("over a boot the time that the machine was off is taken from the wall clock") {
  Machine machine;
  machine.clock.reboot();
  machine.pass(30s);            // of the new boot
  machine.clock.step_wall(2h);  // the machine was off
  CHECK(machine.next_life() == 2h + 30s);
}

TEST_CASE("a machine that wakes up with its wall clock in the past counts no time, and expires nothing early") {
  Machine machine;
  machine.clock.reboot();
  machine.clock.step_wall(-24h * 365 * 10);
  CHECK(machine.next_life() == 0s);
  machine.clock.step_wall(24h * 365 * 20);  // corrected while it runs: within the life this means nothing
  StoreClock life{machine.clock};
  life.load(machine.noted);
  const StoreTime before = life.now();
  machine.clock.step_wall(24h * 365);
  CHECK(life.now() == before);
}

TEST_CASE("where the system has no boot id, two boots are two: the monotonic clock says nothing, the wall clock does") {
  struct Nameless final : Clock {
    MonoTime mono{1000s};
    WallTime wall{1'700'000'000s};
    [[nodiscard]] MonoTime now() const noexcept override { return mono; }
    [[nodiscard]] WallTime wall_now() const noexcept override { return wall; }
    [[nodiscard]] std::uint64_t boot() const noexcept override { return 0; }
  } clock;
  StoreClock first{clock};
  first.load(std::nullopt);
  const ClockAnchor noted = first.anchor();
  clock.mono += 24h;  // another boot, which has lasted longer than the first one had
  clock.wall += 2h;
  StoreClock second{clock};
  second.load(noted);
  CHECK(second.now() - noted.store == 2h);
}

}  // namespace
}  // namespace pannier
