// A message that ends real processes, on a real file.

#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <pannier/sim.h>
#include <pannier/sqlite_store.h>
#include "tests/support/fixtures.h"

namespace pannier::testing {
namespace {

struct Life {
  std::string given;  ///< The numbers that its handler was given, in order.
  bool aborted = false;
};

Life live(const std::string& arguments) {
  Life life;
  FILE* output = popen((std::string{PANNIER_POISON_NODE} + " " + arguments + " 2>/dev/null").c_str(), "r");
  REQUIRE(output != nullptr);
  std::array<char, 64> line{};
  while (fgets(line.data(), line.size(), output) != nullptr) {
    std::string text{line.data()};
    text.pop_back();
    life.given += (life.given.empty() ? "" : " ") + text;
  }
  const int status = pclose(output);
  // The shell tells of a signal by 128 and its number, or passes it on where it has become the program.
  life.aborted = WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) > 128);
  if (!life.aborted) CHECK(status == 0);
  return life;
}

TEST_CASE(
    "a message that aborts its process each time is dead-lettered after three lives, and its neighbours are handled") {
  TempFolder folder;
  const std::string file = folder.file("node.db");
  REQUIRE(live(file + " fill 6").given == "stored");
  std::vector<std::string> lives;
  Life life;
  for (int n = 0; n < 10; ++n) {
    life = live(file + " handle 2");
    lives.push_back(life.given);
    if (!life.aborted) break;
  }
  CHECK_FALSE(life.aborted);
  // Whether 1 is stored as done before 2 aborts is a matter of luck: else it is tried alone, first.
  const std::string all = lives.size() == 4 ? lives[0] + " | " + lives[1] + " | " + lives[2] + " | " + lives[3] : "";
  INFO(all);
  CHECK((all == "1 2 | 2 | 2 | 3 4 5 6" || all == "1 2 | 1 2 | 2 | 3 4 5 6"));

  sim::SeededEntropy entropy{1};
  auto store = open_sqlite_store({.path = file, .entropy = entropy});
  REQUIRE(store);
  const auto lane = (*store)->stream(Box::inbox, "", "jobs");
  REQUIRE(lane);
  CHECK((*(*store)->find_stream(*lane))[RowState::ready].messages == 0);
  std::string parked;
  REQUIRE((*store)->read(*lane, RowState::dead_lettered, 0, 10, [&](const Row& row) {
    parked += std::to_string(row.id()) + " after " + std::to_string(row.attempts) + ": " + std::string{row.cause};
    return true;
  }));
  CHECK(parked == "2 after 3: the process ended while it was in a handler's hands");
}

}  // namespace
}  // namespace pannier::testing
