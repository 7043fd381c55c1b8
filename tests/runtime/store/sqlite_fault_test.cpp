#include <sqlite3.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <pannier/sim.h>
#include <pannier/sqlite_store.h>
#include "platform/sim/disk.h"
#include "runtime/store/sim/sqlite_disk.h"
#include "runtime/store/sqlite/gather.h"
#include "runtime/store/store.h"
#include "tests/contract/store_contract.h"

namespace {

using namespace pannier;
using namespace pannier::contract;

struct Bench {
  sim::Disk disk{5};
  sim::SqliteDisk vfs{disk};
  sim::SeededEntropy random{5};
  SqliteOptions options{.path = "node.db", .entropy = random, .vfs = vfs.name()};
  StorePtr store;

  Bench() { open(); }
  void open() {
    store.reset();
    Result<StorePtr> opened = open_sqlite_store(options);
    REQUIRE(opened.ok());
    store = std::move(*opened);
  }
  /// What is found is what was synced, and what is found is sound.
  void fail_power_and_open() {
    disk.cut_power(sim::Loss::all);
    disk.restore_power();
    open();
  }
  /// Puts one row; the error of the commit where that fails.
  Result<Sequence> try_put(StreamId stream) {
    REQUIRE(store->begin().ok());
    const Sequence sequence = *store->next_sequence();
    REQUIRE(store->put(row_of(stream, sequence, "payload")).ok());
    const Result<void> done = store->commit(Durability::fsynced);
    if (done) return sequence;
    store->rollback();
    return done.error();
  }
};

std::uint64_t size_of(sim::Disk& disk, const std::string& name) {
  const auto file = disk.open(name, false);
  REQUIRE(file.ok());
  return (*file)->size().value_or(0);
}

}  // namespace

TEST_CASE("a commit of many rows goes to the disk in few writes") {
  Bench bench;
  const StreamId stream = make_stream(*bench.store);
  const std::uint64_t before = bench.disk.operations();
  const std::uint64_t bytes = bench.store->counters().bytes_written;
  put_rows(*bench.store, stream, 2000);
  const std::uint64_t operations = bench.disk.operations() - before;
  CHECK(bench.store->counters().bytes_written - bytes > std::uint64_t{20} * 4120);
  CHECK(operations < 10);  // A call for each page and one for its header would be more than forty.
}

TEST_CASE("what is held back for one file is neither written nor lost by what is done to another") {
  struct File {
    sqlite3_file head{};
    std::string content;
    int answer = SQLITE_OK;
  };
  static constexpr sqlite3_io_methods kMethods = [] {
    sqlite3_io_methods methods{};
    methods.xWrite = [](sqlite3_file* file, const void* from, int size, sqlite3_int64) {
      auto* ours = reinterpret_cast<File*>(file);
      ours->content.append(static_cast<const char*>(from), static_cast<std::size_t>(size));
      return ours->answer;
    };
    return methods;
  }();
  File database{{&kMethods}, {}, SQLITE_IOERR};
  File log{{&kMethods}, {}};
  WriteGather gather;
  const auto bytes = std::as_bytes(std::span{"page", 4});
  CHECK(gather.write(&database.head, bytes, 0) == SQLITE_OK);
  CHECK(gather.write(&database.head, bytes, 4) == SQLITE_OK);
  CHECK(gather.flush(&log.head) == SQLITE_OK);  // As when it is closed, the answer of which SQLite does not look at.
  CHECK(database.content.empty());
  CHECK(gather.flush(&database.head) == SQLITE_IOERR);
  CHECK(database.content == "pagepage");
  CHECK(gather.flush(&database.head) == SQLITE_OK);
}

TEST_CASE("a group whose fsync failed is not stored, not acknowledged, and does not come back") {
  // One failure hits the commit; more of them also the checkpoint of the close that follows, which then
  // leaves the log.
  for (std::uint64_t failures = 1; failures <= 6; ++failures) {
    INFO(failures);
    Bench bench;
    const StreamId stream = make_stream(*bench.store);
    std::vector<Sequence> rows = put_rows(*bench.store, stream, 3);
    bench.disk.fail_syncs(failures);
    CHECK(bench.try_put(stream).error().code == ErrorCode::storage_io);
    CHECK(read_sequences(*bench.store, stream) == rows);
    CHECK(stream_of(*bench.store, stream)[RowState::ready].messages == 3);
    bench.disk.fail_syncs(0);
    const Result<Sequence> next = bench.try_put(stream);  // The store goes on by itself, on a file opened anew.
    REQUIRE(next.ok());
    rows.push_back(*next);
    bench.fail_power_and_open();
    CHECK(read_sequences(*bench.store, stream) == rows);
    bench.open();
    CHECK(read_sequences(*bench.store, stream) == rows);
  }
}

TEST_CASE("while the disk fails for good nothing is acknowledged; once it heals the store does") {
  Bench bench;
  const StreamId stream = make_stream(*bench.store);
  const std::vector<Sequence> rows = put_rows(*bench.store, stream, 3);
  const std::uint64_t incarnation = bench.store->incarnation();
  bench.disk.fail_syncs(1'000'000);
  bench.disk.fail_writes(1'000'000);
  for (int i = 0; i < 3; ++i) {
    Result<void> done = bench.store->begin();
    if (done) done = bench.store->put(row_of(stream, *bench.store->next_sequence(), "x"));
    if (done) done = bench.store->commit(Durability::fsynced);
    REQUIRE_FALSE(done.ok());
    CHECK(done.error().code == ErrorCode::storage_io);
    bench.store->rollback();
  }
  bench.disk.fail_syncs(0);
  bench.disk.fail_writes(0);
  REQUIRE(bench.store->begin().ok());
  bench.store->rollback();
  CHECK(bench.store->incarnation() == incarnation);
  CHECK(read_sequences(*bench.store, stream) == rows);
  REQUIRE(bench.try_put(stream).ok());
}

TEST_CASE("a write to the log that fails takes its group with it, whole") {
  Bench bench;
  const StreamId stream = make_stream(*bench.store);
  const std::vector<Sequence> rows = put_rows(*bench.store, stream, 3);
  for (std::uint64_t failures = 1; failures <= 4; ++failures) {
    bench.disk.fail_writes(failures);
    CHECK(bench.try_put(stream).error().code == ErrorCode::storage_io);
    bench.disk.fail_writes(0);
    bench.open();
    CHECK(read_sequences(*bench.store, stream) == rows);
  }
}

TEST_CASE("a full disk refuses the group with storage_full, whole, and the store goes on") {
  Bench bench;
  const StreamId stream = make_stream(*bench.store);
  std::vector<Sequence> rows = put_rows(*bench.store, stream, 3);
  bench.disk.refuse_writes(1);
  CHECK(bench.try_put(stream).error().code == ErrorCode::storage_full);
  CHECK(read_sequences(*bench.store, stream) == rows);
  rows.push_back(*bench.try_put(stream));
  bench.open();
  CHECK(read_sequences(*bench.store, stream) == rows);
}

TEST_CASE("a node starts on a full disk, drains what it has, and takes messages once there is room") {
  Bench bench;
  const StreamId stream = make_stream(*bench.store);
  const std::vector<Sequence> rows = put_rows(*bench.store, stream, 3);
  bench.store.reset();
  bench.disk.refuse_writes(1);
  bench.open();
  CHECK(read_sequences(*bench.store, stream) == rows);
  for (const bool has_room : {false, true}) {  // The first removal gives up the reserve.
    REQUIRE(bench.store->begin().ok());
    REQUIRE(bench.store->erase(stream, rows[0]).ok());
    CHECK(bench.store->commit(Durability::fsynced).ok() == has_room);
    bench.store->rollback();
  }
  const Result<Sequence> next = bench.store->next_sequence();
  REQUIRE(next.ok());
  CHECK(*next > rows.back());
}

TEST_CASE("a full disk takes the reserve, drains by it, and takes messages again once it can be held") {
  for (const bool asked : {false, true}) {
    CAPTURE(asked);
    Bench bench;
    const std::string reserve = bench.options.path + "-reserve";
    const StreamId stream = make_stream(*bench.store);
    const std::vector<Sequence> rows = put_rows(*bench.store, stream, 3);
    REQUIRE(size_of(bench.disk, reserve) == bench.options.reserve_bytes);
    bench.disk.refuse_writes(1);
    CHECK(bench.try_put(stream).error().code == ErrorCode::storage_full);
    CHECK_FALSE(bench.disk.exists(reserve));

    bench.disk.refuse_writes(
        1);  // The reserve cannot be had again yet: the next message is refused before it is written.
    REQUIRE(bench.store->begin().ok());
    const Sequence refused = *bench.store->next_sequence();
    CHECK(bench.store->put(row_of(stream, refused, "x")).error().code == ErrorCode::storage_full);
    bench.store->rollback();
    CHECK_FALSE(bench.disk.exists(reserve));

    REQUIRE(bench.store->begin().ok());
    REQUIRE(bench.store->erase_through(stream, rows.back()).ok());
    REQUIRE(bench.store->commit(Durability::fsynced).ok());

    if (asked) {
      bench.disk.refuse_writes(1);
      CHECK_FALSE(bench.store->has_room());
      CHECK(bench.store->has_room());
    }
    bool taken = false;
    for (int tries = 0; tries < (asked ? 1 : 100) && !taken;
         ++tries) {  // nobody asked: now and then it looks by itself
      REQUIRE(bench.store->begin().ok());
      const Sequence sequence = *bench.store->next_sequence();
      Result<void> done = bench.store->put(row_of(stream, sequence, "x"));
      if (done) done = bench.store->commit(Durability::fsynced);
      if (!done) bench.store->rollback();
      taken = done.ok();
    }
    CHECK(taken);
    CHECK(size_of(bench.disk, reserve) == bench.options.reserve_bytes);
  }
}
