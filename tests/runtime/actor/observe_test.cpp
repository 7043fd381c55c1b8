// What a node shows of itself to those who run it.

#include <doctest/doctest.h>

#include <algorithm>

#include "runtime/actor/observer.h"
#include "tests/runtime/script.h"

namespace pannier::testing {
namespace {

using namespace std::chrono_literals;

struct Work {
  Duration takes{};
};
struct Unknown {};

struct Worker : Actor<Worker, Work> {
  explicit Worker(sim::Simulator* simulator) : simulator_(simulator) {}
  void on(const Work& work) { simulator_->clock().advance_to(simulator_->now() + work.takes); }

 private:
  sim::Simulator* simulator_;
};

struct Eyes : Observer {
  explicit Eyes(Script* to) : script(to) {}
  void on_handled(const Handled& handled) noexcept override {
    if (!handled.type.ends_with("Work")) return;
    script->note("handled in " + std::to_string(handled.took / 1us) + " us");
  }
  void on_dead_letter(const DeadLetter& letter) noexcept override {
    script->note("dead: " + std::string{to_string(letter.reason)});
  }
  Script* script;
};

TEST_CASE("an observer sees what is handled and how long it took, and each dead letter with its reason") {
  sim::Simulator simulator{1};
  Script script;
  Eyes eyes{&script};
  SimNode node{simulator, "here", {.disk = false, .observer = &eyes}};
  const auto worker = *node->spawn<Worker>(SpawnOptions{}, &simulator);
  REQUIRE(node->tell(worker, Work{3ms}));
  REQUIRE(node->tell(worker, Unknown{}));
  simulator.run_for(1s);
  CHECK(script.take() == "handled in 3000 us; dead: unhandled");
}

TEST_CASE("a handler that overruns its time budget fails its actor, which is started again") {
  sim::Simulator simulator{1};
  SimNode node{simulator, "here"};
  const auto worker = *node->spawn<Worker>(SpawnOptions{.handler_budget = 10ms}, &simulator);
  REQUIRE(node->tell(worker, Work{9ms}));
  simulator.run_for(1s);
  CHECK(node->dead_letters() == 0);
  REQUIRE(node->tell(worker, Work{11ms}));
  simulator.run_for(1s);
  CHECK(node->dead_letters(DeadLetterReason::handler_failed) == 1);
  REQUIRE(node->tell(worker, Work{1ms}));
  simulator.run_for(1s);
  CHECK(node->dead_letters() == 1);
}

TEST_CASE("the living actors can be listed, with what they have done and what waits for them") {
  sim::Simulator simulator{1};
  SimNode node{simulator, "here"};
  const auto worker = *node->spawn<Worker>(SpawnOptions{.name = "worker"}, &simulator);
  for (int i = 0; i < 3; ++i) REQUIRE(node->tell(worker, Work{}));
  REQUIRE(node->tell(worker, Unknown{}));
  simulator.run_for(1ms);
  REQUIRE(node->tell(worker, Work{}));
  const auto actors = node->actors();
  const auto found = std::find_if(actors.begin(), actors.end(), [](const auto& each) { return each.name == "worker"; });
  REQUIRE(found != actors.end());
  CHECK(found->handled == 3);
  CHECK(found->rejected == 1);
  CHECK(found->queued == 1);
  CHECK(found->failures == 0);
}

}  // namespace
}  // namespace pannier::testing
