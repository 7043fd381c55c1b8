#include "runtime/actor/actor.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "platform/sim/simulator.h"
#include "testkit/sim_node.h"
#include "tests/runtime/schema/messages.fbs.h"

namespace pannier {
namespace {

using namespace std::chrono_literals;
using testing::Number;

struct Script {
  [[nodiscard]] std::string text() const {
    std::string all;
    for (const std::string& line : lines) all += (all.empty() ? "" : "; ") + line;
    return all;
  }
  std::vector<std::string> lines;
};

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
      script_->lines.push_back(answer ? "answer " + std::to_string((*answer)->value())
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
      script_->lines.push_back(total ? "total " + std::to_string(*total) : std::string{to_string(total.error().code)});
    });
  }

 private:
  Script* script_;
  LocalRef other_;
};

TEST_CASE("an actor handles what it is told, one message after another, and answers what it is asked") {
  sim::Simulator simulator{1};
  testkit::SimNode node{simulator, "here"};
  Script script;
  const auto counter = *node->spawn<Counter>();
  const auto asker = *node->spawn<TotalAsker>(SpawnOptions{}, &script, LocalRef{counter});
  for (int i = 1; i <= 10; ++i) REQUIRE(node->tell(counter, Add{i}));
  REQUIRE(node->tell(asker, Add{0}));
  simulator.run_for(1ms);
  CHECK(script.text() == "total 55");
}

TEST_CASE("a question in tables gets its answer, or says why there is none") {
  sim::Simulator simulator{1};
  testkit::SimNode node{simulator, "here"};
  Script script;
  const auto counter = *node->spawn<Counter>();
  const auto asker = *node->spawn<Asker>(SpawnOptions{}, &script, Ref{counter});
  const auto lost = *node->spawn<Asker>(SpawnOptions{}, &script, *node->ref("nobody"));
  const auto abroad = *node->spawn<Asker>(SpawnOptions{}, &script, *node->ref("there/counter"));
  REQUIRE(node->tell(asker, Add{41}));
  simulator.run_for(1ms);
  REQUIRE(node->tell(lost, Add{1}));
  simulator.run_for(1ms);
  REQUIRE(node->tell(abroad, Add{1}));
  simulator.run_for(1ms);
  CHECK(script.text() == "answer 42; not_found; unreachable");
}

TEST_CASE("an actor that throws is built anew behind the same address, and its mailbox is kept") {
  sim::Simulator simulator{1};
  testkit::SimNode node{simulator, "here"};
  Script script;
  const auto counter = *node->spawn<Counter>();
  const auto asker = *node->spawn<TotalAsker>(SpawnOptions{}, &script, LocalRef{counter});
  REQUIRE(node->tell(counter, Add{5}));
  REQUIRE(node->tell(counter, Break{}));
  REQUIRE(node->tell(counter, Add{7}));
  simulator.run_for(1s);
  REQUIRE(node->tell(asker, Add{0}));
  simulator.run_for(1ms);
  CHECK(script.text() == "total 7");
  CHECK(node->dead_letters(DeadLetterReason::handler_failed) == 1);
  CHECK_FALSE(node->failed());
}

TEST_CASE("a message to an actor that has stopped is refused, and never reaches its successor") {
  sim::Simulator simulator{1};
  testkit::SimNode node{simulator, "here"};
  struct Stopper : Actor<Stopper, Add> {
    void on(const Add&) { stop(); }
  };
  const auto first = *node->spawn<Stopper>();
  REQUIRE(node->tell(first, Add{1}));
  simulator.run_for(1ms);
  const auto second = *node->spawn<Stopper>();
  CHECK(second.id().slot() == first.id().slot());
  const auto sent = node->tell(first, Add{1});
  REQUIRE_FALSE(sent);
  CHECK(sent.error().code == ErrorCode::closed);
}

TEST_CASE("a full mailbox refuses, and takes messages again once it has been emptied") {
  sim::Simulator simulator{1};
  testkit::SimNode node{simulator, "here"};
  SpawnOptions options;
  options.mailbox.messages = 3;
  const auto counter = *node->spawn<Counter>(options);
  for (int i = 0; i < 3; ++i) REQUIRE(node->tell(counter, Add{1}));
  const auto refused = node->tell(counter, Add{1});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::full);
  simulator.run_for(1ms);
  CHECK(node->tell(counter, Add{1}));
}

TEST_CASE("a node that is told to stop stops all its actors, and says so") {
  sim::Simulator simulator{1};
  testkit::SimNode node{simulator, "here"};
  for (int i = 0; i < 100; ++i) REQUIRE(node->spawn<Counter>());
  simulator.run_for(1ms);
  node->stop();
  CHECK(simulator.run_until([&] { return node->stopped(); }, 10s));
}

}  // namespace
}  // namespace pannier
