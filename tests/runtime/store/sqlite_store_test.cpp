#include <pannier/sqlite_store.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <pannier/sim.h>
#include "runtime/store/store.h"
#include "tests/contract/store_contract.h"
#include "tests/runtime/store/sqlite_support.h"
#include "tests/support/fixtures.h"

namespace {

using namespace pannier;
using namespace pannier::contract;
using pannier::testing::load;
using pannier::testing::open_or_fail;
using pannier::testing::refusal;
using pannier::testing::TempFolder;

}  // namespace

TEST_CASE("a database that this process holds already is in_use, and its holder goes on") {
  TempFolder folder;
  sim::SeededEntropy random(1);
  const SqliteOptions options{.path = folder.file("node.db"), .entropy = random};
  const StorePtr store = open_or_fail(options);
  CHECK(refusal(options).code == ErrorCode::in_use);
  const StreamId stream = make_stream(*store);
  CHECK(put_rows(*store, stream, 3).size() == 3);
}

TEST_CASE("a path that cannot be is refused by name") {
  TempFolder folder;
  sim::SeededEntropy random(1);
  CHECK(refusal({.path = folder.file("missing/node.db"), .entropy = random}).code == ErrorCode::not_found);
  CHECK_FALSE(open_sqlite_store({.path = folder.file(""), .entropy = random}).ok());
  CHECK(open_sqlite_store({.path = "", .entropy = random}).error().code == ErrorCode::invalid_argument);
}

TEST_CASE("the files of a new store are for their owner alone, and a file that is there keeps its modes") {
  namespace fs = std::filesystem;
  constexpr fs::perms kOwner = fs::perms::owner_read | fs::perms::owner_write;
  const TempFolder folder;
  sim::SeededEntropy random(1);
  const std::string path = folder.file("node.db");
  {
    const StorePtr store = open_or_fail({.path = path, .entropy = random});
    put_rows(*store, make_stream(*store), 3);
    std::size_t files = 0;
    for (const auto& file : fs::directory_iterator(folder.path())) {
      CAPTURE(file.path().string());
      CHECK(fs::status(file.path()).permissions() == kOwner);
      ++files;
    }
    CHECK(files >= 3);  // the log and the notes as well
  }
  fs::permissions(path, kOwner | fs::perms::group_read);
  const StorePtr again = open_or_fail({.path = path, .entropy = random});
  CHECK(fs::status(path).permissions() == (kOwner | fs::perms::group_read));
}

TEST_CASE("at its cap a store refuses new messages, still removes, and then takes messages again") {
  TempFolder folder;
  sim::SeededEntropy random(1);
  constexpr std::uint64_t kCap = 1024 * 1024;
  const std::string path = folder.file("node.db");
  const StorePtr store = open_or_fail({.path = path, .entropy = random, .max_bytes = kCap});
  const StreamId stream = make_stream(*store);
  const std::string payload(2000, 'p');
  std::vector<Sequence> rows;
  ErrorCode end{};
  while (true) {
    REQUIRE(store->begin().ok());
    const Sequence sequence = *store->next_sequence();
    Result<void> done = store->put(row_of(stream, sequence, payload));
    if (done) done = store->commit(Durability::fsynced);
    if (!done) {
      end = done.error().code;
      CHECK(done.error().detail.find(path) != std::string::npos);
      store->rollback();
      break;
    }
    rows.push_back(sequence);
    REQUIRE(rows.size() < 1000);
  }
  CHECK(end == ErrorCode::storage_full);
  CHECK(rows.size() > 200);
  CHECK(read_sequences(*store, stream) == rows);
  CHECK(load(path).size() <= kCap);

  // Marks and watermarks have room kept for them.
  REQUIRE(store->begin().ok());
  REQUIRE(store->mark(stream, rows[0], {RowState::dead_lettered, 5, "poison"}).ok());
  REQUIRE(store->put_watermark({"tablet-3", 1, "orders", 5}).ok());
  REQUIRE(store->commit(Durability::fsynced).ok());

  // Acknowledgements drain it, one by one and together.
  for (std::size_t i = 1; i < 60; ++i) {
    REQUIRE(store->begin().ok());
    REQUIRE(store->erase(stream, rows[i]).ok());
    REQUIRE(store->commit(Durability::fsynced).ok());
  }
  REQUIRE(store->begin().ok());
  REQUIRE(store->erase_through(stream, rows[rows.size() - 2]).ok());
  REQUIRE(store->commit(Durability::fsynced).ok());
  CHECK(read_sequences(*store, stream) == std::vector<Sequence>{rows.back()});
  CHECK(put_rows(*store, stream, 100).size() == 100);
}

TEST_CASE("a group larger than the cap is refused whole") {
  TempFolder folder;
  sim::SeededEntropy random(1);
  const StorePtr store = open_or_fail({.path = folder.file("node.db"), .entropy = random, .max_bytes = 512 * 1024});
  const StreamId stream = make_stream(*store);
  const std::vector<Sequence> before = put_rows(*store, stream, 5);
  const std::string payload(100 * 1024, 'p');
  REQUIRE(store->begin().ok());
  Result<void> done;
  for (int i = 0; i < 10 && done; ++i) done = store->put(row_of(stream, *store->next_sequence(), payload));
  REQUIRE_FALSE(done.ok());
  CHECK(done.error().code == ErrorCode::storage_full);
  CHECK(store->commit(Durability::fsynced).error().code == ErrorCode::storage_full);
  store->rollback();
  CHECK(read_sequences(*store, stream) == before);
  CHECK(put_rows(*store, stream, 5).size() == 5);
}

TEST_CASE("sequences go on past a lease, in transactions and out of them, across restarts") {
  TempFolder folder;
  sim::SeededEntropy random(1);
  const SqliteOptions options{.path = folder.file("node.db"), .entropy = random, .sequence_block = 16};
  Sequence highest = 0;
  for (int run = 0; run < 5; ++run) {
    const StorePtr store = open_or_fail(options);
    const StreamId stream = make_stream(*store);
    for (int i = 0; i < 20; ++i) {
      const Sequence outside = *store->next_sequence();
      CHECK(outside > highest);
      const std::vector<Sequence> rows = put_rows(*store, stream, 3);
      CHECK(rows.front() > outside);
      REQUIRE(store->begin().ok());
      highest = *store->next_sequence();
      CHECK(highest > rows.back());
      store->rollback();  // With whatever lease it wrote.
    }
  }
}

TEST_CASE("bytes written and fsyncs are counted where SQLite writes them") {
  TempFolder folder;
  sim::SeededEntropy random(1);
  const StorePtr store = open_or_fail({.path = folder.file("node.db"), .entropy = random});
  const StreamId stream = make_stream(*store);
  const Store::Counters before = store->counters();
  put_rows(*store, stream, 1);
  const Store::Counters after = store->counters();
  CHECK(after.commits == before.commits + 1);
  CHECK(after.fsyncs >= before.fsyncs + 1);
  CHECK(after.bytes_written >= before.bytes_written + 4096);
  CHECK(after.bytes_written <= before.bytes_written + 3 * 4200);  // One message: one leaf, no page of counters.
}

TEST_CASE("a sequence that was leased within a transaction or a part comes once, whatever becomes of the two") {
  TempFolder folder;
  sim::SeededEntropy random(1);
  const SqliteOptions options{.path = folder.file("node.db"), .entropy = random, .sequence_block = 2};
  Sequence highest = 0;
  for (int run = 0; run < 3; ++run) {
    const StorePtr store = open_or_fail(options);
    const StreamId stream = make_stream(*store);
    const auto draw = [&] {
      const Sequence drawn = *store->next_sequence();
      CHECK(drawn > highest);
      highest = drawn;
      return drawn;
    };
    for (int i = 0; i < 10; ++i) {
      REQUIRE(store->begin().ok());
      for (int n = 0; n < 5; ++n) REQUIRE(store->put(row_of(stream, draw(), "x")).ok());
      REQUIRE(store->begin_part().ok());
      for (int n = 0; n < 5; ++n) REQUIRE(store->put(row_of(stream, draw(), "x")).ok());
      REQUIRE(store->end_part(i % 2 == 0).ok());
      REQUIRE(store->put(row_of(stream, draw(), "x")).ok());
      if (i % 3 == 0) {
        store->rollback();
      } else {
        REQUIRE(store->commit(Durability::fsynced).ok());
      }
    }
    const std::vector<Sequence> rows = read_sequences(*store, stream);
    CHECK(stream_of(*store, stream)[RowState::ready].messages == rows.size());
  }
}

TEST_CASE("a store of many streams opens fast, and a group costs what it changes") {
  TempFolder folder;
  sim::SeededEntropy random(1);
  const SqliteOptions options{.path = folder.file("node.db"), .entropy = random};
  constexpr int kMany = 20'000;
  {
    const StorePtr store = open_or_fail(options);
    transact(*store, [&] {
      for (int i = 0; i < kMany; ++i) REQUIRE(store->stream(Box::outbox, "node-" + std::to_string(i), "orders").ok());
    });
  }
  const StorePtr store = open_or_fail(options);
  CHECK(count_streams(*store) == kMany);
  const StreamId stream = *store->stream(Box::outbox, "node-7", "orders");
  put_rows(*store, stream, 1);  // With the lease of this open.
  const std::uint64_t before = store->counters().bytes_written;
  put_rows(*store, stream, 1);
  CHECK(store->counters().bytes_written - before <= 3 * 4200);
}

TEST_CASE("a store of the parts that were named has these and no others") {
  TempFolder folder;
  sim::SeededEntropy random(1);
  const SqliteOptions options{.path = folder.file("node.db"), .entropy = random};
  {
    const StorePtr store = open_or_fail(options);
    const StreamId stream = make_stream(*store);
    transact(*store, [&] { REQUIRE(store->tokens()->put_token(stream, "token", 7, at_ms(10)).ok()); });
  }
  {
    Result<StorePtr> store = open_sqlite_store(options, {with_state});
    REQUIRE(store.ok());
    CHECK((*store)->state() != nullptr);
    CHECK((*store)->tokens() == nullptr);
    CHECK((*store)->retention() == nullptr);
    CHECK((*store)->sql() == nullptr);
    // What another part keeps still holds its stream.
    const StreamId stream = *(*store)->stream(Box::outbox, "hub", "orders");
    transact(**store, [&] { CHECK_FALSE(*(*store)->erase_stream(stream)); });
  }
  const StorePtr store = open_or_fail(options);
  CHECK(*store->tokens()->token(*store->stream(Box::outbox, "hub", "orders"), "token", at_ms(9)) == 7);
}

TEST_CASE("a file that is older than what was given out gives the same numbers again, under another incarnation") {
  for (const bool log_was_removed : {true, false}) {  // else a backup was put back
    CAPTURE(log_was_removed);
    TempFolder folder;
    sim::SeededEntropy random(1);
    const SqliteOptions options{.path = folder.file("node.db"), .entropy = random, .sequence_block = 16};
    std::vector<Sequence> first;
    std::vector<Sequence> second;
    std::uint64_t of_first = 0;
    std::uint64_t of_second = 0;
    {
      const StorePtr store = open_or_fail(options);
      first = put_rows(*store, make_stream(*store), 5);
      of_first = store->incarnation();
    }
    const std::string backup = load(options.path);
    std::string as_killed;
    std::string notes;
    {
      const StorePtr store = open_or_fail(options);
      second = put_rows(*store, make_stream(*store), 100);
      of_second = store->incarnation();
      as_killed = load(options.path);
      notes = load(options.path + "-notes");
    }
    pannier::testing::save(options.path, log_was_removed ? as_killed : backup);
    if (log_was_removed) pannier::testing::save(options.path + "-notes", notes);
    const StorePtr store = open_or_fail(options);
    CHECK(store->counters().broken_syncs == 1);
    CHECK(read_sequences(*store, make_stream(*store)) == first);
    CHECK(store->incarnation_of(first.front()) == of_first);
    const std::vector<Sequence> third = put_rows(*store, make_stream(*store), 100);
    CHECK(std::find(second.begin(), second.end(), third.front()) != second.end());
    for (const Sequence each : third) {
      const std::uint64_t bears = store->incarnation_of(each);
      CHECK(bears != of_first);
      CHECK(bears != of_second);
    }
  }
}
