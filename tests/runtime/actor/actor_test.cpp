#include <pannier/actor.h>

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>

#include "tests/runtime/shell.h"

namespace pannier::testing {
namespace {

using namespace std::chrono_literals;

struct Add {
  int amount;
};
struct Total {};
struct Break {};

struct Counter : Actor<Counter, Add, Total, Break, Number> {
  void on(const Add& add) { sum_ += add.amount; }
  int on(const Total&) { return sum_; }
  void on(const Break&) { throw std::runtime_error("asked to break"); }
  Table<Number> on(const Number& number) { return make<Number>(number.value() + 1); }

 private:
  int sum_ = 0;
};

struct Asker : Actor<Asker, Add> {
  Asker(Script* script, Ref other) : script_(script), other_(other) {}
  void on(const Add& add) {
    ask<Number>(other_, make<Number>(add.amount), 1s).then([this](Result<Table<Number>> answer) {
      script_->note(answer ? "answer " + std::to_string((*answer)->value())
                           : std::string{to_string(answer.error().code)});
    });
  }

 private:
  Script* script_;
  Ref other_;
};

struct TotalAsker : Actor<TotalAsker, Add> {
  TotalAsker(Script* script, LocalRef other) : script_(script), other_(other) {}
  void on(const Add&) {
    ask<int>(other_, Total{}, 1s).then([this](Result<int> total) {
      script_->note(total ? "total " + std::to_string(*total) : std::string{to_string(total.error().code)});
    });
  }

 private:
  Script* script_;
  LocalRef other_;
};

TEST_CASE("an actor handles what it is told, one message after another, and answers what it is asked") {
  Script script;
  Shell shell;
  const auto counter = *shell->spawn<Counter>();
  const auto asker = *shell->spawn<TotalAsker>(SpawnOptions{}, &script, LocalRef{counter});
  for (int i = 1; i <= 10; ++i) REQUIRE(shell->tell(counter, Add{i}));
  REQUIRE(shell->tell(asker, Add{0}));
  shell.run_for(1ms);
  CHECK(script.take() == "total 55");
}

TEST_CASE("a question in tables gets its answer, or says why there is none") {
  Script script;
  Shell shell;
  const auto counter = *shell->spawn<Counter>();
  const auto asker = *shell->spawn<Asker>(SpawnOptions{}, &script, Ref{counter});
  const auto lost = *shell->spawn<Asker>(SpawnOptions{}, &script, shell->ref("nobody"));
  const auto abroad = *shell->spawn<Asker>(SpawnOptions{}, &script, shell->ref("there/counter"));
  REQUIRE(shell->tell(asker, Add{41}));
  shell.run_for(1ms);
  REQUIRE(shell->tell(lost, Add{1}));
  shell.run_for(1ms);
  REQUIRE(shell->tell(abroad, Add{1}));
  shell.run_for(1ms);
  CHECK(script.take() == "answer 42; not_found; unreachable");
}

TEST_CASE("an actor that throws is built anew behind the same address, and its mailbox is kept") {
  Script script;
  Shell shell;
  const auto counter = *shell->spawn<Counter>();
  const auto asker = *shell->spawn<TotalAsker>(SpawnOptions{}, &script, LocalRef{counter});
  REQUIRE(shell->tell(counter, Add{5}));
  REQUIRE(shell->tell(counter, Break{}));
  REQUIRE(shell->tell(counter, Add{7}));
  shell.run_for(1s);
  REQUIRE(shell->tell(asker, Add{0}));
  shell.run_for(1ms);
  CHECK(script.take() == "total 7");
  CHECK(shell->dead_letters(DeadLetterReason::handler_failed) == 1);
  CHECK_FALSE(shell->failed());
}

TEST_CASE("a message to an actor that has stopped is refused, and never reaches its successor") {
  Shell shell;
  struct Stopper : Actor<Stopper, Add> {
    void on(const Add&) { stop(); }
  };
  const auto first = *shell->spawn<Stopper>();
  REQUIRE(shell->tell(first, Add{1}));
  shell.run_for(1ms);
  const auto second = *shell->spawn<Stopper>();
  CHECK(second.id().slot() == first.id().slot());
  const auto sent = shell->tell(first, Add{1});
  REQUIRE_FALSE(sent);
  CHECK(sent.error().code == ErrorCode::closed);
}

TEST_CASE("a node that is told to stop stops all its actors, and says so") {
  Shell shell;
  for (int i = 0; i < 100; ++i) REQUIRE(shell->spawn<Counter>());
  shell.run_for(1ms);
  shell->stop();
  CHECK(shell.run_until([&] { return shell->stopped(); }, 10s));
}

}  // namespace
}  // namespace pannier::testing
