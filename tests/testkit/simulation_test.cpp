// Time and steps: what passes when the test says so, and in which order.

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include <pannier/simulation.h>
#include "tests/runtime/schema/messages.fbs.h"

namespace pannier::testkit {
namespace {

using namespace std::chrono_literals;
using testing::Number;

struct Ball {
  int bounces;
};

/// Passes a ball on until it has bounced three times; a number starts it after a second.
struct Player : Actor<Player, Ball, Number> {
  explicit Player(std::string other) : other_(std::move(other)) {}
  void on(const Ball& ball) {
    if (ball.bounces < 3) CHECK(tell(local(other_), Ball{ball.bounces + 1}));
  }
  void on(const Number&) {
    after(1s, [this] { CHECK(tell(local(other_), Ball{1})); });
  }

 private:
  std::string other_;
};

struct Match {
  explicit Match(std::uint64_t seed = 1, std::uint32_t workers = 1) : sim(seed) {
    sim.add({.name = "court"}, {.workers = workers});
    left = sim.spawn<Player>(SpawnOptions{.name = "left"}, std::string{"right"});
    sim.spawn<Player>(SpawnOptions{.name = "right"}, std::string{"left"});
    sim.settle();
  }
  /// What the next step was: "left Ball".
  std::string step() {
    const auto step = sim.step();
    if (!step) return "quiet";
    return step->actor + " " + step->type + (step->ok ? "" : " failed");
  }
  Simulation sim;
  ActorRef<Player> left;
};

TEST_CASE("a test goes on message by message, and reads who handled what; time stands still meanwhile") {
  for (const std::uint32_t workers : {1U, 4U}) {
    Match match{1, workers};
    const MonoTime began = match.sim.now();
    REQUIRE(match.sim.node()->tell(match.left, Ball{1}));
    CHECK(match.step() == "left Ball");
    CHECK(match.step() == "right Ball");
    CHECK(match.step() == "left Ball");
    CHECK(match.step() == "quiet");
    CHECK(match.sim.now() == began);
  }
}

TEST_CASE("a step says that its handler has failed; what no message of the program begins goes by on the way") {
  struct Fails : Actor<Fails, Ball> {
    void on_start() {
      after(0s, [] {});
    }
    void on(const Ball&) { throw std::runtime_error("no hands"); }
  };
  Match match;
  const auto fails = match.sim.spawn<Fails>(SpawnOptions{.name = "fails"});
  REQUIRE(match.sim.node()->tell(fails, Ball{1}));
  CHECK(match.step() == "fails Ball failed");
  CHECK(match.step() == "quiet");
  CHECK(match.sim.node().log().last_error().find("no hands") != std::string::npos);
}

TEST_CASE("time passes when the test says so: a timer fires in its instant and not before") {
  Match match;
  const MonoTime began = match.sim.now();
  REQUIRE(match.sim.node()->tell(match.left, make<Number>(0)));
  match.sim.advance(999ms);
  CHECK(match.step() == "quiet");
  match.sim.advance(999us);
  CHECK(match.step() == "quiet");
  match.sim.advance(1us);
  CHECK(match.sim.now() - began == 1s);
  CHECK(match.step() == "quiet");  // all of that instant has happened already
}

TEST_CASE("a test stops right after a handler, with what it has caused still on its way") {
  Match match;
  REQUIRE(match.sim.node()->tell(match.left, make<Number>(0)));
  REQUIRE(match.sim.node()->tell(match.left, make<Number>(0)));
  match.sim.settle();
  const auto handled = match.sim.run_until_handled<Ball>(match.sim.node(), match.left, 2s);
  REQUIRE(handled);
  CHECK(match.step() == "right Ball");
  const auto none = match.sim.run_until_handled<Number>(match.sim.node(), match.left, 1s);
  REQUIRE_FALSE(none);
  CHECK(none.error().detail == "court: left has handled no Number (seed 1).");
}

TEST_CASE("the same seed gives the same run, to the step; another one another") {
  const auto digest_of = [](std::uint64_t seed) {
    Match match{seed, 4};
    for (int i = 0; i < 20; ++i) CHECK(match.sim.node()->tell(match.left, Ball{1}));
    match.sim.advance(1s);
    return match.sim.simulator().digest();
  };
  CHECK(digest_of(3) == digest_of(3));
  CHECK(digest_of(3) != digest_of(4));
}

TEST_CASE("seeds are 1 to so many, or what the environment says") {
  struct Environment {
    ~Environment() {
      ::unsetenv("PANNIER_SIM_SEED");
      ::unsetenv("PANNIER_SIM_SEEDS");
    }
  } restored;
  ::unsetenv("PANNIER_SIM_SEED");
  ::unsetenv("PANNIER_SIM_SEEDS");
  using Seeds = std::vector<std::uint64_t>;
  CHECK(seeds(3) == Seeds{1, 2, 3});
  ::setenv("PANNIER_SIM_SEED", "9", 1);
  CHECK(seeds(3) == Seeds{9});
  ::setenv("PANNIER_SIM_SEEDS", "2", 1);
  CHECK(seeds(3) == Seeds{9, 10});
}

}  // namespace
}  // namespace pannier::testkit
