#include <algorithm>
#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <pannier/sim.h>
#include <pannier/sqlite_store.h>
#include "runtime/store/store.h"
#include "tests/contract/store_support.h"
#include "tests/runtime/store/sqlite_support.h"
#include "tests/support/fixtures.h"

namespace {

using namespace pannier;
using namespace pannier::contract;
using pannier::testing::open_or_fail;
using pannier::testing::TempFolder;

/// The files of a store as a kill -9 would leave them, under another name.
void copy_as_killed(const std::string& from, const std::string& to) {
  for (const char* part : {"", "-wal", "-notes"}) {
    std::filesystem::remove(to + part);
    if (std::filesystem::exists(from + part)) std::filesystem::copy_file(from + part, to + part);
  }
}

struct Bench {
  TempFolder folder;
  sim::SeededEntropy random{3};
  SqliteOptions options{.path = folder.file("node.db"), .entropy = random};
  StorePtr store = open_or_fail(options);
  StreamId stream = make_stream(*store);

  std::uint64_t syncs_of(Durability durability, bool with_row = true) {
    const std::uint64_t before = store->counters().fsyncs;
    transact(
        *store,
        [&] {
          if (with_row) REQUIRE(store->put(row_of(stream, *store->next_sequence(), "x")).ok());
        },
        durability);
    return store->counters().fsyncs - before;
  }
  StorePtr after_kill(std::uint64_t quick_check_bytes = 64 << 20) {
    const std::string path = folder.file("killed.db");
    copy_as_killed(options.path, path);
    return open_or_fail({.path = path, .entropy = random, .quick_check_bytes = quick_check_bytes});
  }
};

/// Counts to the end; the steps that it took.
std::size_t count_all(Store& store) {
  std::size_t steps = 1;
  while (true) {
    const Result<bool> more = store.count_some();
    REQUIRE(more.ok());
    if (!*more) return steps;
    ++steps;
  }
}

}  // namespace

TEST_CASE(
    "a commit syncs once where it must survive the machine, and not at all where it need only survive the process") {
  Bench bench;
  CHECK(bench.syncs_of(Durability::fsynced) == 1);
  CHECK(bench.syncs_of(Durability::committed) == 0);
  CHECK(bench.syncs_of(Durability::memory) == 0);
  // What was committed without a sync is there for the next process.
  CHECK(bench.after_kill()->find_stream(bench.stream)->loads[0].messages == 3);
  CHECK(bench.syncs_of(Durability::fsynced) == 1);
  // A group of nothing has nothing to sync, but for those before it.
  CHECK(bench.syncs_of(Durability::fsynced, false) == 0);
  CHECK(bench.syncs_of(Durability::committed) == 0);
  CHECK(bench.syncs_of(Durability::fsynced, false) == 1);
}

TEST_CASE("the checkpoint within a commit that asked for no sync still syncs the log before the database") {
  TempFolder folder;
  sim::SeededEntropy random(3);
  const StorePtr store = open_or_fail({.path = folder.file("node.db"), .entropy = random, .checkpoint_pages = 8});
  const StreamId stream = make_stream(*store);
  constexpr std::size_t kCommits = 60;
  const std::uint64_t before = store->counters().fsyncs;
  std::array<std::size_t, 3> commits_by_syncs{};
  for (std::size_t i = 0; i < kCommits; ++i) {
    const std::uint64_t so_far = store->counters().fsyncs;
    transact(
        *store, [&] { REQUIRE(store->put(row_of(stream, *store->next_sequence(), "x")).ok()); }, Durability::committed);
    const std::uint64_t syncs = store->counters().fsyncs - so_far;
    REQUIRE(syncs <= 2);
    ++commits_by_syncs[syncs];
  }
  const std::uint64_t syncs = store->counters().fsyncs - before;
  // Each checkpoint syncs the log and the database, and the log's new header after it: none of them is left out.
  CHECK(syncs >= 3 * (kCommits / 16));
  CHECK(syncs < kCommits);
  CHECK(commits_by_syncs[2] >= kCommits / 16);
  CHECK(commits_by_syncs[1] + 1 >= commits_by_syncs[2]);
}

TEST_CASE("a store keeps no more than the place of its file does, as its options say") {
  Bench bench;
  CHECK(bench.store->strongest() == Durability::fsynced);
  bench.store.reset();
  bench.options.strongest = Durability::committed;
  bench.store = open_or_fail(bench.options);
  CHECK(bench.store->strongest() == Durability::committed);
}

TEST_CASE("an orderly end leaves the counts, so that a start of any size counts nothing") {
  Bench bench;
  put_rows(*bench.store, bench.stream, 10'000);
  transact(*bench.store, [&] {
    const std::vector<Sequence> rows = read_sequences(*bench.store, bench.stream);
    retain_through(*bench.store, bench.stream, rows[99], at_ms(1));
  });
  const Stream before = stream_of(*bench.store, bench.stream);
  bench.store.reset();
  bench.options.quick_check_bytes = 0;  // As if the file were large.
  bench.store = open_or_fail(bench.options);
  CHECK(bench.store->find_stream(bench.stream)->exact);
  CHECK(bench.store->find_stream(bench.stream)->loads == before.loads);
  CHECK(count_all(*bench.store) == 1);
  // Without a change a second orderly end says the same.
  bench.store.reset();
  bench.store = open_or_fail(bench.options);
  CHECK(bench.store->find_stream(bench.stream)->exact);
}

TEST_CASE("after an unclean end a large file starts with the counts it had last, and counts in steps while it works") {
  Bench bench;
  std::vector<Sequence> rows = put_rows(*bench.store, bench.stream, 20'000);
  bench.store.reset();
  bench.store = open_or_fail(bench.options);  // 20,000 are noted.
  const std::vector<Sequence> more = put_rows(*bench.store, bench.stream, 1000);
  rows.insert(rows.end(), more.begin(), more.end());
  const StorePtr store = bench.after_kill(0);
  CHECK_FALSE(store->find_stream(bench.stream)->exact);
  CHECK((*store->find_stream(bench.stream))[RowState::ready].messages == 20'000);

  REQUIRE(*store->count_some());
  // Behind what was counted and before it, one by one and in ranges across it, with a rollback between.
  const StreamId stream = bench.stream;
  transact(*store, [&] {
    REQUIRE(store->erase(stream, rows[5]).ok());
    REQUIRE(store->erase(stream, rows[19'000]).ok());
    REQUIRE(store->mark(stream, rows[10], {RowState::dead_lettered, 1, "x", kNoMoment}).ok());
    REQUIRE(store->mark(stream, rows[20'500], {RowState::delayed, 1, "x", at_ms(9)}).ok());
    REQUIRE(store->put(row_of(stream, *store->next_sequence(), "new")).ok());
  });
  REQUIRE(store->begin().ok());
  REQUIRE(store->erase_through(stream, rows[15'000]).ok());
  store->rollback();
  transact(*store, [&] { retain_through(*store, stream, rows[8000], at_ms(3)); });
  transact(*store, [&] { REQUIRE(store->erase_through(stream, rows[9000]).ok()); });
  transact(*store, [&] { REQUIRE(store->requeue(stream, rows[10'000], *store->next_sequence()).ok()); });
  CHECK(count_all(*store) > 2);
  CHECK(store->find_stream(stream)->exact);
  CHECK(count_all(*store) == 1);
  for (const RowState state : kAllRowStates) {
    Load counted;
    each_row(*store, stream, state, [&](const Row& row) { counted += {1, row.payload.size()}; });
    CHECK((*store->find_stream(stream))[state] == counted);
  }
  CHECK((*store->find_stream(stream))[RowState::retained].messages == 7999);
}

TEST_CASE("a small file is counted whole after an unclean end") {
  Bench bench;
  put_rows(*bench.store, bench.stream, 300);
  const StorePtr store = bench.after_kill();
  CHECK(store->find_stream(bench.stream)->exact);
  CHECK((*store->find_stream(bench.stream))[RowState::ready].messages == 300);
}

TEST_CASE("what was in somebody's hands when the process died is told once, and only that") {
  Bench bench;
  const std::vector<Sequence> rows = put_rows(*bench.store, bench.stream, 4);
  const std::uint64_t syncs = bench.store->counters().fsyncs;
  for (const Sequence sequence : rows) CHECK(bench.store->note_in_flight(bench.stream, sequence));
  bench.store->clear_in_flight(bench.stream, rows[1]);
  bench.store->clear_in_flight(bench.stream, rows[2]);
  CHECK(bench.store->note_in_flight(bench.stream, rows[2]));
  CHECK(bench.store->counters().fsyncs == syncs);
  const auto left_in = [&](Store& store) {
    std::vector<Sequence> left;
    for (const Store::InFlight& note : store.take_in_flight()) {
      CHECK(note.stream == bench.stream);
      left.push_back(note.sequence);
    }
    std::sort(left.begin(), left.end());
    return left;
  };
  const std::string killed = bench.folder.file("killed.db");
  SUBCASE("as it was left") {
    StorePtr store = bench.after_kill();
    CHECK(left_in(*store) == std::vector<Sequence>{rows[0], rows[2], rows[3]});
    CHECK(left_in(*store).empty());
    store.reset();
    CHECK(left_in(*open_or_fail({.path = killed, .entropy = bench.random})).empty());
  }
  SUBCASE("a note that rotted is none") {
    bench.after_kill().reset();
    copy_as_killed(bench.options.path, killed);
    std::string notes = pannier::testing::load(killed + "-notes");
    notes[12288] = static_cast<char>(notes[12288] ^ 1);
    pannier::testing::save(killed + "-notes", notes);
    CHECK(left_in(*open_or_fail({.path = killed, .entropy = bench.random})) == std::vector<Sequence>{rows[2], rows[3]});
  }
}
