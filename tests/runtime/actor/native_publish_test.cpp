// Native values and the topics of one process.

#include <doctest/doctest.h>

#include <memory>
#include <string>

#include "runtime/link/router_messages.h"
#include "tests/runtime/shell.h"

namespace pannier::testing {
namespace {

using namespace std::chrono_literals;

struct SharedPosition {
  std::shared_ptr<int> metres;  // shows how many copies there are
};

struct Watcher : Actor<Watcher, SharedPosition> {
  explicit Watcher(Script* script) : script_(script) {}
  void on_start() { CHECK(subscribe<SharedPosition>("fleet/+/position")); }
  void on(const SharedPosition& position) {
    script_->note(std::string{label()} + " " + std::to_string(*position.metres) + " shared by " +
                  std::to_string(position.metres.use_count()));
  }

 private:
  Script* script_;
};

TEST_CASE("a native value that is published is shared by its subscribers, not copied for each") {
  Script script;
  Shell shell;
  for (int i = 0; i < 3; ++i) REQUIRE(shell->spawn<Watcher>(SpawnOptions{}, &script));
  const auto hand = *shell->spawn<Hand>();
  shell.run_for(1ms);
  shell.let(hand,
            [](Hand& self) { CHECK(self.publish("fleet/7/position", SharedPosition{std::make_shared<int>(42)})); });
  CHECK(script.take() ==
        "fleet/7/position 42 shared by 1; fleet/7/position 42 shared by 1; fleet/7/position 42 shared by 1");
}

TEST_CASE("a late subscriber gets the last native value, where the publisher keeps it") {
  Script script;
  Shell shell;
  const auto hand = *shell->spawn<Hand>();
  shell.let(hand, [](Hand& self) {
    CHECK(self.publish("fleet/7/position", SharedPosition{std::make_shared<int>(42)}, {.retain = true}));
  });
  REQUIRE(shell->spawn<Watcher>(SpawnOptions{}, &script));
  shell.run_for(1ms);
  CHECK(script.take() == "fleet/7/position 42 shared by 1");
}

TEST_CASE("bytes that claim to be a native value are rejected, not taken for one") {
  Script script;
  Shell shell;
  const auto watcher = *shell->spawn<Watcher>(SpawnOptions{}, &script);
  const std::array<std::byte, 16> bytes{};
  REQUIRE(shell->tell(watcher, AnyTable{type_info<SharedPosition>().id, nullptr, BlockRef::copy_of(bytes)}));
  shell.run_for(1ms);
  CHECK(script.take().empty());
  CHECK(shell->dead_letters(DeadLetterReason::unhandled) == 1);
}

}  // namespace
}  // namespace pannier::testing
