// Native values and the topics of one process.

#include <doctest/doctest.h>

#include <memory>
#include <string>

#include "runtime/link/router_messages.h"
#include "tests/runtime/script.h"

namespace pannier::testing {
namespace {

using namespace std::chrono_literals;

struct Position {
  std::shared_ptr<int> metres;  // shows how many copies there are
};

struct Watcher : Actor<Watcher, Position> {
  explicit Watcher(Script* script) : script_(script) {}
  void on_start() { CHECK(subscribe<Position>("fleet/+/position")); }
  void on(const Position& position) {
    script_->note(std::string{label()} + " " + std::to_string(*position.metres) + " shared by " +
                  std::to_string(position.metres.use_count()));
  }

 private:
  Script* script_;
};

TEST_CASE("a native value that is published is shared by its subscribers, not copied for each") {
  sim::Simulator simulator{1};
  SimNode node{simulator, "here"};
  Script script;
  for (int i = 0; i < 3; ++i) REQUIRE(node->spawn<Watcher>(SpawnOptions{}, &script));
  const auto hand = *node->spawn<Hand>();
  simulator.run_for(1ms);
  let(simulator, *node, hand,
      [](Hand& self) { CHECK(self.publish("fleet/7/position", Position{std::make_shared<int>(42)})); });
  CHECK(script.take() ==
        "fleet/7/position 42 shared by 1; fleet/7/position 42 shared by 1; fleet/7/position 42 shared by 1");
}

TEST_CASE("a late subscriber gets the last native value, where the publisher keeps it") {
  sim::Simulator simulator{1};
  SimNode node{simulator, "here"};
  Script script;
  const auto hand = *node->spawn<Hand>();
  let(simulator, *node, hand, [](Hand& self) {
    CHECK(self.publish("fleet/7/position", Position{std::make_shared<int>(42)}, {.keep_last = true}));
  });
  REQUIRE(node->spawn<Watcher>(SpawnOptions{}, &script));
  simulator.run_for(1ms);
  CHECK(script.take() == "fleet/7/position 42 shared by 1");
}

TEST_CASE("bytes that claim to be a native value are rejected, not taken for one") {
  sim::Simulator simulator{1};
  SimNode node{simulator, "here"};
  Script script;
  const auto watcher = *node->spawn<Watcher>(SpawnOptions{}, &script);
  const std::array<std::byte, 16> bytes{};
  REQUIRE(node->tell(watcher, AnyTable{type_info<Position>().id, nullptr, BlockRef::copy_of(bytes)}));
  simulator.run_for(1ms);
  CHECK(script.take().empty());
  CHECK(node->dead_letters(DeadLetterReason::unhandled) == 1);
}

}  // namespace
}  // namespace pannier::testing
