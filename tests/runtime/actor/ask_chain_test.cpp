// Questions asked on behalf of questions: whose deadline counts, and what happens when they come round.

#include <doctest/doctest.h>

#include <string>

#include <pannier/actor.h>
#include "runtime/actor/system.h"
#include "tests/runtime/shell.h"

namespace pannier::testing {
namespace {

using namespace std::chrono_literals;

struct Question {
  int value;
};
struct Begin {};

/// Answers by asking the next actor; writes down what became of that.
struct Relay : Actor<Relay, Question, Begin> {
  Relay(Script* script, std::string next, Duration patience)
      : script_(script), next_(std::move(next)), patience_(patience) {}

  void on(const Begin&) {
    pass_on([](int) {});
  }
  void on(const Question&, Responder responder) {
    pass_on([responder](int value) { responder.reply(value); });
  }

 private:
  template <class Done>
  void pass_on(Done done) {
    const MonoTime asked = now();
    ask<int>(local(next_), Question{1}, patience_).then([this, asked, done](Result<int> answer) {
      const auto waited = std::chrono::duration_cast<std::chrono::milliseconds>(now() - asked).count();
      script_->note(system().describe(self().id()) + " after " + std::to_string(waited) +
                    " ms: " + (answer ? std::to_string(*answer) : answer.error().text()));
      if (answer) done(*answer);
    });
  }

  Script* script_;
  std::string next_;
  Duration patience_;
};

struct Silent : Actor<Silent, Question> {
  void on(const Question&, Responder responder) { kept_.push_back(responder); }

 private:
  std::vector<Responder> kept_;
};

TEST_CASE("an ask that closes a cycle is refused at once, with its path") {
  Script script;
  Shell shell;
  const auto a = *shell->spawn<Relay>(SpawnOptions{.name = "a"}, &script, std::string{"b"}, Duration{10s});
  REQUIRE(shell->spawn<Relay>(SpawnOptions{.name = "b"}, &script, std::string{"c"}, Duration{10s}));
  REQUIRE(shell->spawn<Relay>(SpawnOptions{.name = "c"}, &script, std::string{"a"}, Duration{10s}));
  REQUIRE(shell->tell(a, Begin{}));
  shell.run_for(1ms);
  CHECK(script.take() ==
        "c after 0 ms: rejected: ask cycle detected: a -> b -> c -> a; "
        "b after 0 ms: failed; a after 0 ms: failed");
}

TEST_CASE("a question asked on behalf of another one does not outlive it") {
  Script script;
  Shell shell;
  const auto a = *shell->spawn<Relay>(SpawnOptions{.name = "a"}, &script, std::string{"b"}, Duration{100ms});
  REQUIRE(shell->spawn<Relay>(SpawnOptions{.name = "b"}, &script, std::string{"silent"}, Duration{10s}));
  REQUIRE(shell->spawn<Silent>(SpawnOptions{.name = "silent"}));
  REQUIRE(shell->tell(a, Begin{}));
  shell.run_for(1s);
  CHECK(script.take_sorted() == "a after 100 ms: timeout; b after 100 ms: timeout");
}

}  // namespace
}  // namespace pannier::testing
