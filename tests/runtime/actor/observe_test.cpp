// What a node shows of itself to those who run it.

#include <doctest/doctest.h>

#include <algorithm>

#include "runtime/actor/observer.h"
#include "tests/runtime/shell.h"

namespace pannier::testing {
namespace {

using namespace std::chrono_literals;

struct Work {
  Duration takes{};
};
struct Unknown {};

struct Worker : Actor<Worker, Work> {
  explicit Worker(Shell* shell) : shell_(shell) {}
  void on(const Work& work) { shell_->pass(work.takes); }

 private:
  Shell* shell_;
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
  Script script;
  Eyes eyes{&script};
  Shell shell{{.observer = &eyes}};
  const auto worker = *shell->spawn<Worker>(SpawnOptions{}, &shell);
  REQUIRE(shell->tell(worker, Work{3ms}));
  REQUIRE(shell->tell(worker, Unknown{}));
  shell.run_for(1s);
  CHECK(script.take() == "handled in 3000 us; dead: unhandled");
}

TEST_CASE("a handler that overruns its time budget fails its actor, which is started again") {
  Shell shell;
  const auto worker = *shell->spawn<Worker>(SpawnOptions{.handler_budget = 10ms}, &shell);
  REQUIRE(shell->tell(worker, Work{9ms}));
  shell.run_for(1s);
  CHECK(shell->dead_letters() == 0);
  REQUIRE(shell->tell(worker, Work{11ms}));
  shell.run_for(1s);
  CHECK(shell->dead_letters(DeadLetterReason::handler_failed) == 1);
  REQUIRE(shell->tell(worker, Work{1ms}));
  shell.run_for(1s);
  CHECK(shell->dead_letters() == 1);
}

TEST_CASE("the living actors can be listed, with what they have done and what waits for them") {
  Shell shell;
  SpawnOptions beside;
  beside.worker = 0;
  SpawnOptions options{.name = "worker"};
  options.worker = 0;
  const auto worker = *shell->spawn<Worker>(options, &shell);
  const auto hand = *shell->spawn<Hand>(beside);
  for (int i = 0; i < 3; ++i) REQUIRE(shell->tell(worker, Work{}));
  REQUIRE(shell->tell(worker, Unknown{}));
  shell.run_for(1ms);
  std::vector<ActorStatus> actors;
  shell.let(hand, [&](Hand& self) {
    CHECK(self.tell(LocalRef{worker}, Work{}));
    actors = shell->actors();
  });
  const auto found = std::find_if(actors.begin(), actors.end(), [](const auto& each) { return each.name == "worker"; });
  REQUIRE(found != actors.end());
  CHECK(found->handled == 3);
  CHECK(found->rejected == 1);
  CHECK(found->queued == 1);
  CHECK(found->failures == 0);
}

}  // namespace
}  // namespace pannier::testing
