// A question has exactly one outcome. Each of them, as the asker sees it.

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "tests/runtime/shell.h"

namespace pannier::testing {
namespace {

using namespace std::chrono_literals;

struct Riddle {
  int kind;
};
struct Unheard {};

/// Answers well, badly or late, as it is asked to.
struct Oracle : Actor<Oracle, Riddle> {
  enum : int { answer, keep, fail_with_an_error, throw_up, refuse, answer_all, forget };
  void on(const Riddle& riddle, Responder responder) {
    switch (riddle.kind) {
      case answer: responder.reply(42); break;
      case keep: kept_.push_back(responder); break;
      case fail_with_an_error: throw std::runtime_error("no idea"); break;
      case throw_up: throw 7; break;
      case refuse: responder.refuse(ErrorCode::rejected); break;
      case answer_all:
        for (const Responder& each : kept_) each.reply(1);
        kept_.clear();
        break;
      case forget: break;
      default: break;
    }
  }

 private:
  std::vector<Responder> kept_;
};

struct Deaf : Actor<Deaf, int> {
  void on(const int&) {}
};

struct Temple {
  Temple() {
    oracle = *shell->spawn<Oracle>(SpawnOptions{.name = "oracle", .children = {}});
    hand = *shell->spawn<Hand>(SpawnOptions{.name = "hand"});
    shell.run_for(1ms);
  }
  /// Asks, and returns what the asker has heard by then.
  template <class Question>
  std::string ask(LocalRef whom, Question question) {
    shell.let(hand, [&, question](Hand& self) {
      id = self.ask<int>(whom, Question{question}, 1s).then([this](Result<int> answer) { note(answer); });
    });
    return heard.take();
  }
  void note(const Result<int>& answer) { heard.note(answer ? std::to_string(*answer) : outcome(answer.error())); }
  std::string after(Duration span) {
    shell.run_for(span);
    return heard.take();
  }
  Script heard;
  TimerId id{};
  Shell shell;
  ActorRef<Oracle> oracle;
  ActorRef<Hand> hand;
};

TEST_CASE("a question is answered, and that is all") {
  Temple temple;
  CHECK(temple.ask(temple.oracle, Riddle{Oracle::answer}) == "42");
  CHECK(temple.after(2s) == "");
  CHECK(temple.shell->dead_letters() == 0);
}

TEST_CASE("a question that nobody answers times out; the answer that comes later is dropped, and counted") {
  Temple temple;
  CHECK(temple.ask(temple.oracle, Riddle{Oracle::keep}) == "");
  CHECK(temple.after(990ms) == "");
  CHECK(temple.after(20ms) == "timeout");
  REQUIRE(temple.shell->tell(temple.oracle, Riddle{Oracle::answer_all}));
  CHECK(temple.after(1ms) == "");
  CHECK(temple.shell->dead_letters(DeadLetterReason::late_reply) == 1);
}

TEST_CASE("a question to a node that no link leads to is unreachable, at once") {
  Temple temple;
  temple.shell.let(temple.hand, [&](Hand& self) {
    self.ask<Number>(self.ref("elsewhere/oracle"), make<Number>(1), 1s).then([&](Result<Table<Number>> answer) {
      temple.note(answer ? Result<int>{1} : answer.error());
    });
  });
  CHECK(temple.heard.take() == "unreachable");
}

TEST_CASE("a question to a name that nobody has is not found, at once") {
  Temple temple;
  temple.shell.let(temple.hand, [&](Hand& self) {
    self.ask<Number>(self.ref("nobody"), make<Number>(1), 1s).then([&](Result<Table<Number>> answer) {
      temple.note(answer ? Result<int>{1} : answer.error());
    });
  });
  CHECK(temple.heard.take() == "not_found");
}

TEST_CASE("a question to an actor that has stopped is closed, at once; to one that stops with it in the mailbox, too") {
  Temple temple;
  CHECK(temple.ask(temple.oracle, Riddle{Oracle::keep}) == "");
  temple.shell.let(temple.hand, [&](Hand& self) { self.stop(temple.oracle); });
  CHECK(temple.heard.take() == "failed");  // its responder went with it
  CHECK(temple.ask(temple.oracle, Riddle{Oracle::answer}) == "closed");
}

TEST_CASE("a question of a type that is not handled is rejected, and so is one that is handled but not as a question") {
  Temple temple;
  const auto deaf = *temple.shell->spawn<Deaf>();
  CHECK(temple.ask(deaf, Unheard{}) == "rejected");
  CHECK(temple.ask(deaf, 1) == "rejected");
  CHECK(temple.ask(temple.oracle, Riddle{Oracle::refuse}) == "rejected");
}

TEST_CASE("a question whose handler fails, or lets it go without a word, has failed") {
  Temple temple;
  CHECK(temple.ask(temple.oracle, Riddle{Oracle::fail_with_an_error}) == "failed");
  temple.shell.run_for(1s);  // started again
  CHECK(temple.ask(temple.oracle, Riddle{Oracle::throw_up}) == "failed");
  temple.shell.run_for(1s);
  CHECK(temple.ask(temple.oracle, Riddle{Oracle::forget}) == "failed");
  CHECK(temple.after(2s) == "");
}

TEST_CASE("a question that is taken back is cancelled; the answer that comes later is dropped, and counted") {
  Temple temple;
  CHECK(temple.ask(temple.oracle, Riddle{Oracle::keep}) == "");
  temple.shell.let(temple.hand, [&](Hand& self) {
    self.cancel(temple.id);
    temple.heard.note("taken back");
  });
  CHECK(temple.heard.take() == "taken back; cancelled");  // in a turn of its own
  REQUIRE(temple.shell->tell(temple.oracle, Riddle{Oracle::answer_all}));
  CHECK(temple.after(2s) == "");
  CHECK(temple.shell->dead_letters(DeadLetterReason::late_reply) == 1);
}

TEST_CASE("a question that has its outcome cannot be taken back any more") {
  Temple temple;
  CHECK(temple.ask(temple.oracle, Riddle{Oracle::answer}) == "42");
  temple.shell.let(temple.hand, [&](Hand& self) { self.cancel(temple.id); });
  CHECK(temple.after(2s) == "");
  CHECK(temple.shell->dead_letters() == 0);
}

TEST_CASE("a question to a full mailbox is full, at once") {
  Temple temple;
  SpawnOptions options = on_first_worker({.mailbox = {.messages = 1}});
  const auto small = *temple.shell->spawn<Oracle>(options);
  SpawnOptions beside = on_first_worker();
  const auto hand = *temple.shell->spawn<Hand>(beside);
  temple.shell.let(hand, [&](Hand& self) {
    for (int i = 0; i < 2; ++i) {
      self.ask<int>(small, Riddle{Oracle::answer}, 1s).then([&](Result<int> answer) { temple.note(answer); });
    }
  });
  CHECK(temple.heard.take_sorted() == "42; full");
}

TEST_CASE("an asker that stops takes its questions with it: no function of it runs any more") {
  Temple temple;
  CHECK(temple.ask(temple.oracle, Riddle{Oracle::keep}) == "");
  temple.shell.let(temple.hand, [](Hand& self) { self.stop(); });
  REQUIRE(temple.shell->tell(temple.oracle, Riddle{Oracle::answer_all}));
  CHECK(temple.after(2s) == "");
  CHECK(temple.shell->dead_letters(DeadLetterReason::no_such_actor) == 1);
}

TEST_CASE("a hundred thousand timers are no questions: one can still ask") {
  Temple temple;
  temple.shell.let(temple.hand, [](Hand& self) {
    for (int i = 0; i < 100'000; ++i) self.after(1h, [] {});
  });
  CHECK(temple.ask(temple.oracle, Riddle{Oracle::answer}) == "42");
}

}  // namespace
}  // namespace pannier::testing
