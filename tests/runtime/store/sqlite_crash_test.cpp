#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include <pannier/sim.h>
#include <pannier/sqlite_store.h>
#include "runtime/store/store.h"
#include "tests/contract/store_contract.h"
#include "tests/runtime/store/sqlite_support.h"
#include "tests/support/child_process.h"
#include "tests/support/fixtures.h"

namespace {

using namespace pannier;
using namespace pannier::contract;
using pannier::testing::open_or_fail;
using pannier::testing::refusal;
using pannier::testing::TempFolder;
using pannier::testing::written_payload;

struct Child : pannier::testing::ChildProcess {
  explicit Child(std::vector<std::string> arguments) : ChildProcess(with_program(std::move(arguments))) {}
  static std::vector<std::string> with_program(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), PANNIER_STORE_WRITER);
    return arguments;
  }
};

}  // namespace

TEST_CASE("what was acknowledged is there after kill -9 in mid-work, and no sequence comes twice") {
  TempFolder folder;
  const std::string path = folder.file("node.db");
  sim::SeededEntropy random(2026);
  std::set<Sequence> acknowledged;  // Committed and not about to be erased.
  std::set<Sequence> ever;          // Every number that was acknowledged, over all runs.
  std::set<Sequence> erasing;       // Announced; may or may not be gone.
  std::set<std::uint64_t> incarnations;
  constexpr int kKills = 24;
  for (int run = 0; run < kKills; ++run) {
    const std::string pages = run % 3 == 0 ? "1" : (run % 3 == 1 ? "8" : "256");  // Kills within checkpoints, too.
    std::uint64_t lines_left = 1 + random.below(600);
    {
      Child child({"write", path, pages, std::to_string(run)});
      std::string line;
      bool running = true;
      while (child.line(line)) {
        INFO(line);
        REQUIRE(line.front() != '!');
        std::istringstream words(line);
        char sign = 0;
        Sequence sequence = 0;
        words >> sign >> sequence;
        if (sign == '+') {
          CHECK(ever.insert(sequence).second);
          acknowledged.insert(sequence);
        } else if (sign == '-') {
          acknowledged.erase(sequence);
          erasing.insert(sequence);
        }
        // What it printed before it died counts as well, so that reading goes on after the kill.
        if (running && --lines_left == 0) {
          child.kill_and_wait();
          running = false;
        }
      }
      CHECK_FALSE(running);
    }
    const StorePtr store = open_or_fail({.path = path, .entropy = random});
    CHECK(incarnations.insert(store->incarnation()).second);
    std::set<Sequence> found;
    const Result<StreamId> stream = store->stream(Box::outbox, "hub", "orders");
    if (!stream.ok()) {  // Killed before its first commit was acknowledged.
      CHECK(acknowledged.empty());
      continue;
    }
    REQUIRE(store
                ->read(*stream, RowState::ready, 0, 10'000'000,
                       [&](const Row& row) {
                         CHECK(text_of(row.payload) == written_payload(row.sequence));
                         found.insert(row.sequence);
                         return true;
                       })
                .ok());
    CHECK(store->counters().corrupt_pages == 0);
    CHECK(stream_of(*store, *stream)[RowState::ready].messages == found.size());
    for (const Sequence sequence : acknowledged) CHECK(found.contains(sequence));
    // What is there was acknowledged, or announced, or belongs to the one group whose answer the kill cut
    // off.
    std::size_t unanswered = 0;
    for (const Sequence sequence : found) {
      if (!acknowledged.contains(sequence) && !erasing.contains(sequence)) ++unanswered;
    }
    CHECK(unanswered <= 20);
    if (!ever.empty()) CHECK(*store->next_sequence() > *ever.rbegin());
    for (const Sequence sequence : found) {
      acknowledged.insert(sequence);
      ever.insert(sequence);
    }
  }
  CHECK(ever.size() > 1000);
  MESSAGE(kKills << " kills, " << ever.size() << " rows acknowledged or found, " << acknowledged.size() << " alive");
}

TEST_CASE("a database that another process holds is in_use, and free once that is killed") {
  TempFolder folder;
  const std::string path = folder.file("node.db");
  sim::SeededEntropy random(1);
  Child child({"hold", path});
  std::string line;
  REQUIRE(child.line(line));
  REQUIRE(line == "ready");
  CHECK(refusal({.path = path, .entropy = random}).code == ErrorCode::in_use);
  child.kill_and_wait();
  CHECK(open_or_fail({.path = path, .entropy = random}) != nullptr);
}
