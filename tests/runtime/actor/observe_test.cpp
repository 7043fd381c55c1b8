// What a node shows of itself to those who run it.

#include <doctest/doctest.h>

#include <algorithm>
#include <mutex>
#include <vector>

#include <pannier/observer.h>
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
  void on_handled(const Handled& handled) noexcept override {
    const std::lock_guard hold{mutex};
    seen.push_back(handled);
  }
  void on_dead_letter(const DeadLetter& letter) noexcept override {
    const std::lock_guard hold{mutex};
    dead.push_back(letter);
  }
  /// Of the messages whose type ends so.
  std::vector<Handled> of(std::string_view type) {
    const std::lock_guard hold{mutex};
    std::vector<Handled> found;
    for (const Handled& each : seen) {
      if (each.type.ends_with(type)) found.push_back(each);
    }
    return found;
  }
  std::mutex mutex;
  std::vector<Handled> seen;
  std::vector<DeadLetter> dead;
};

/// Passes an order on, and asks about it on the way.
struct Errand {};
struct Advice {};
struct Clerk : Actor<Clerk, Errand, Advice> {
  explicit Clerk(LocalRef next) : next_(next) {}
  void on(const Errand&) {
    if (!next_) return;
    ask<int>(next_, Advice{}, 1s).then([this](Result<int>) { CHECK(tell(next_, Errand{})); });
  }
  int on(const Advice&) { return 1; }

 private:
  LocalRef next_;
};

TEST_CASE("an observer sees of each message the type, who sent it to whom, and how long it took") {
  Eyes eyes;
  Shell shell{{.observer = &eyes}};
  const auto worker = *shell->spawn<Worker>(SpawnOptions{}, &shell);
  const auto hand = *shell->spawn<Hand>();
  shell.let(hand, [&](Hand& self) { CHECK(self.tell(LocalRef{worker}, Work{3ms})); });
  shell.run_for(10ms);
  const auto seen = eyes.of("Work");
  REQUIRE(seen.size() == 1);
  CHECK(seen[0].sender == hand.id());
  CHECK(seen[0].receiver == worker.id());
  CHECK(seen[0].took == 3ms);
  CHECK(seen[0].ok);
}

TEST_CASE("a message and all that it causes share a trace: the question, its answer, and what follows from that") {
  Eyes eyes;
  Shell shell{{.observer = &eyes}};
  const auto last = *shell->spawn<Clerk>(SpawnOptions{}, LocalRef{});
  const auto first = *shell->spawn<Clerk>(SpawnOptions{}, LocalRef{last});
  REQUIRE(shell->tell(first, Errand{}));
  shell.run_for(1ms);
  REQUIRE(shell->tell(first, Errand{}));
  shell.run_for(1ms);
  const auto errands = eyes.of("Errand");
  const auto questions = eyes.of("Advice");
  const auto answers = eyes.of("int");
  REQUIRE(errands.size() == 4);
  REQUIRE(questions.size() == 2);
  REQUIRE(answers.size() == 2);
  for (std::size_t i = 0; i < 2; ++i) {
    const Trace trace = errands[2 * i].trace;
    CHECK(trace);
    CHECK(errands[2 * i].parent == 0);
    // One after the other, each caused by the one before.
    const Handled* cause = &errands[2 * i];
    for (const Handled* each : {&questions[i], &answers[i], &errands[2 * i + 1]}) {
      CHECK(each->trace.high == trace.high);
      CHECK(each->trace.low == trace.low);
      CHECK(each->trace.span != cause->trace.span);
      CHECK(each->parent == cause->trace.span);
      cause = each;
    }
    CHECK(questions[i].correlation == answers[i].correlation);
  }
  CHECK(errands[0].trace.low != errands[2].trace.low);
}

TEST_CASE("a dead letter names the sender, the receiver, the type and the reason") {
  Eyes eyes;
  Shell shell{{.observer = &eyes}};
  const auto worker = *shell->spawn<Worker>(SpawnOptions{}, &shell);
  const auto hand = *shell->spawn<Hand>();
  shell.let(hand, [&](Hand& self) { CHECK(self.tell(LocalRef{worker}, Unknown{})); });
  REQUIRE(eyes.dead.size() == 1);
  CHECK(eyes.dead[0].sender == hand.id());
  CHECK(eyes.dead[0].receiver == worker.id());
  CHECK(eyes.dead[0].type.ends_with("Unknown"));
  CHECK(eyes.dead[0].reason == DeadLetterReason::unhandled);
}

TEST_CASE("the times of an actor's turns are kept while somebody wants them, and end with its life") {
  Shell shell;
  const auto worker = *shell->spawn<Worker>(SpawnOptions{.name = "worker"}, &shell);
  const auto work = [&](Duration takes, int times) {
    for (int i = 0; i < times; ++i) REQUIRE(shell->tell(worker, Work{takes}));
    shell.run_for(1s);
  };
  work(1ms, 3);
  CHECK(shell->handler_times(worker).total() == 0);  // nobody asked
  shell->time_handlers(true);
  work(1ms, 90);
  work(50ms, 10);
  shell->time_handlers(false);
  work(1ms, 3);
  const HandlerTimes times = shell->handler_times(shell->ref("worker"));
  CHECK(times.total() == 100);
  CHECK(times.counts[HandlerTimes::bucket_of(1ms)] == 90);
  CHECK(times.percentile(0.5) > 1ms);
  CHECK(times.percentile(0.5) <= 2ms);
  CHECK(times.percentile(0.99) > 50ms);
  CHECK(times.percentile(0.99) <= 100ms);
  const auto hand = *shell->spawn<Hand>();
  shell.let(hand, [&](Hand& self) { self.stop(worker); });
  CHECK(shell->handler_times(worker).total() == 0);
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
  SpawnOptions beside = on_first_worker();
  SpawnOptions options = on_first_worker({.name = "worker"});
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
