// An actor that changes its behaviour, and sets aside what it cannot handle now.

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>

#include "tests/runtime/shell.h"

namespace pannier::testing {
namespace {

using namespace std::chrono_literals;

struct Job {
  int number;
};
struct Asking {};
struct Connect {};
struct Disconnect {};
struct Stumble {};

/// Works while it is online; until then jobs and questions wait.
struct Courier : Actor<Courier, Job, Asking, Connect, Disconnect, Stumble, Note> {
  struct Online {};

  explicit Courier(Script* script) : script_(script) {}

  void on(const Job& job) {
    const auto kept = stash();
    script_->note((kept ? "keeps " : outcome(kept.error()) + " ") + std::to_string(job.number));
  }
  void on(Online, const Job& job) { script_->note("does " + std::to_string(job.number)); }

  void on(const Asking&, Responder) { CHECK(stash()); }
  int on(Online, const Asking&) { return 42; }

  void on(const Connect&) {
    become<Online>();
    unstash();
  }
  void on(Online, const Connect&) { script_->note("is online already"); }
  void on(const Disconnect&) { become(); }
  void on(const Stumble&) {
    stash().ignore();
    throw std::runtime_error("broken");
  }
  void on(const Note& note) { script_->note((is<Online>() ? "online " : "offline ") + note.text()->str()); }

 private:
  Script* script_;
};

TEST_CASE("a behaviour handles what it has a handler for, and leaves the rest to the general ones") {
  Script script;
  Shell shell;
  const auto courier = *shell->spawn<Courier>(SpawnOptions{}, &script);
  REQUIRE(shell->tell(courier, note("a")));
  REQUIRE(shell->tell(courier, Connect{}));
  REQUIRE(shell->tell(courier, Job{1}));
  REQUIRE(shell->tell(courier, Connect{}));
  REQUIRE(shell->tell(courier, note("b")));
  REQUIRE(shell->tell(courier, Disconnect{}));
  REQUIRE(shell->tell(courier, Job{2}));
  shell.run_for(1ms);
  CHECK(script.take() == "offline a; does 1; is online already; online b; keeps 2");
}

TEST_CASE("what was stashed comes back in its order, before what came later") {
  Script script;
  Shell shell;
  const auto courier = *shell->spawn<Courier>(SpawnOptions{}, &script);
  for (int i = 1; i <= 3; ++i) REQUIRE(shell->tell(courier, Job{i}));
  shell.run_for(1ms);
  CHECK(script.take() == "keeps 1; keeps 2; keeps 3");
  REQUIRE(shell->tell(courier, Connect{}));
  REQUIRE(shell->tell(courier, Job{4}));
  shell.run_for(1ms);
  CHECK(script.take() == "does 1; does 2; does 3; does 4");
}

TEST_CASE("a question that was stashed is answered once, later") {
  Script script;
  Shell shell;
  const auto courier = *shell->spawn<Courier>(SpawnOptions{}, &script);
  const auto hand = *shell->spawn<Hand>();
  shell.let(hand, [&](Hand& self) {
    self.ask<int>(courier, Asking{}, 1s).then([&](Result<int> answer) {
      script.note(answer ? std::to_string(*answer) : outcome(answer.error()));
    });
  });
  CHECK(script.take() == "");
  REQUIRE(shell->tell(courier, Connect{}));
  shell.run_for(2s);
  CHECK(script.take() == "42");
  CHECK(shell->dead_letters() == 0);
}

TEST_CASE("what is stashed counts against the mailbox: there is no room for more than that") {
  Script script;
  Shell shell;
  const auto courier = *shell->spawn<Courier>(SpawnOptions{.mailbox = {.messages = 2}}, &script);
  const auto tell = [&](int number) {
    const auto sent = shell->tell(courier, Job{number});
    shell.run_for(1ms);
    return sent ? "" : outcome(sent.error());
  };
  CHECK(tell(1) == "");
  CHECK(tell(2) == "");
  CHECK(tell(3) == "full");
  CHECK(script.take() == "keeps 1; keeps 2");
}

TEST_CASE("a restart forgets the behaviour and keeps the stash, but not the message that was being handled") {
  Script script;
  Shell shell;
  const auto courier = *shell->spawn<Courier>(SpawnOptions{}, &script);
  REQUIRE(shell->tell(courier, Job{1}));
  REQUIRE(shell->tell(courier, Job{2}));
  REQUIRE(shell->tell(courier, Stumble{}));  // is stashed, too, and then fails
  shell.run_for(1s);
  CHECK(script.take() == "keeps 1; keeps 2; keeps 1; keeps 2");
  CHECK(shell->dead_letters(DeadLetterReason::handler_failed) == 1);
  REQUIRE(shell->tell(courier, Connect{}));
  shell.run_for(1ms);
  CHECK(script.take() == "does 1; does 2");
  REQUIRE(shell->tell(courier, Stumble{}));
  shell.run_for(1s);
  REQUIRE(shell->tell(courier, note("after")));
  shell.run_for(1ms);
  CHECK(script.take() == "offline after");
}

TEST_CASE("an end takes the stash: its questions are answered, the rest goes to the dead letters") {
  Script script;
  Shell shell;
  const auto courier = *shell->spawn<Courier>(SpawnOptions{}, &script);
  const auto hand = *shell->spawn<Hand>();
  REQUIRE(shell->tell(courier, Job{1}));
  shell.let(hand, [&](Hand& self) {
    self.ask<int>(courier, Asking{}, 1s).then([&](Result<int> answer) {
      script.note(answer ? std::to_string(*answer) : outcome(answer.error()));
    });
  });
  shell.let(hand, [&](Hand& self) { self.stop(courier); });
  CHECK(script.take() == "keeps 1; closed");
  CHECK(shell->dead_letters(DeadLetterReason::stopped) == 2);
}

}  // namespace
}  // namespace pannier::testing
