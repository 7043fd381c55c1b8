#include <array>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "platform/sim/seeded_entropy.h"
#include "runtime/queue/sqlite_store.h"
#include "runtime/queue/sqlite_vfs.h"
#include "tests/contract/store_contract.h"
#include "tests/support/fixtures.h"

namespace {

using namespace pannier;
using namespace pannier::contract;
using pannier::testing::TempFolder;

/// What the disk shall do. SQLite's callbacks carry no room for it: one a process.
struct Faults {
  int fail_syncs = 0;   ///< So many more syncs fail.
  int fail_writes = 0;  ///< So many more writes fail,
  int full_writes = 0;  ///< or find no room.
} faults;

int failing_sync(sqlite3_file* file, int flags);
int failing_write(sqlite3_file* file, const void* from, int size, sqlite3_int64 offset);

/// SQLite's default VFS, but that writes and syncs fail on demand. Files keep the default's methods, two
/// replaced, which are the same for all kinds of files.
class FaultVfs {
 public:
  FaultVfs() {
    faults = {};
    vfs_ = *sqlite3_vfs_find(nullptr);
    vfs_.zName = "pannier-test-faults";
    vfs_.pNext = nullptr;
    open_ = vfs_.xOpen;
    vfs_.xOpen = [](sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out) {
      const int rc = open_(vfs, name, file, flags, out);
      if (file->pMethods != nullptr) {
        // SQLite locks the database file alone, and has other methods for it than for logs and journals.
        const std::size_t kind = (flags & SQLITE_OPEN_MAIN_DB) != 0 ? 1 : 0;
        original_ = *file->pMethods;
        replaced_[kind] = original_;
        replaced_[kind].xSync = failing_sync;
        replaced_[kind].xWrite = failing_write;
        file->pMethods = &replaced_[kind];
      }
      return rc;
    };
    REQUIRE(sqlite3_vfs_register(&vfs_, 0) == SQLITE_OK);
  }
  ~FaultVfs() { sqlite3_vfs_unregister(&vfs_); }
  FaultVfs(const FaultVfs&) = delete;
  FaultVfs& operator=(const FaultVfs&) = delete;

  [[nodiscard]] std::string name() const { return vfs_.zName; }
  static const sqlite3_io_methods& original() { return original_; }

 private:
  sqlite3_vfs vfs_{};
  static inline int (*open_)(sqlite3_vfs*, const char*, sqlite3_file*, int, int*) = nullptr;
  static inline sqlite3_io_methods original_{};
  static inline std::array<sqlite3_io_methods, 2> replaced_{};
};

int failing_sync(sqlite3_file* file, int flags) {
  if (faults.fail_syncs > 0) {
    --faults.fail_syncs;
    return SQLITE_IOERR_FSYNC;
  }
  return FaultVfs::original().xSync(file, flags);
}

int failing_write(sqlite3_file* file, const void* from, int size, sqlite3_int64 offset) {
  if (faults.fail_writes > 0) {
    --faults.fail_writes;
    return SQLITE_IOERR_WRITE;
  }
  if (faults.full_writes > 0) {
    --faults.full_writes;
    return SQLITE_FULL;
  }
  return FaultVfs::original().xWrite(file, from, size, offset);
}

struct Bench {
  TempFolder folder;
  FaultVfs vfs;
  sim::SeededEntropy random{5};
  SqliteOptions options{.path = folder.file("node.db"), .entropy = random, .vfs = vfs.name()};
  std::unique_ptr<Store> store;

  Bench() { open(); }
  ~Bench() {
    faults = {};
    store.reset();
  }
  void open() {
    store.reset();
    Result<std::unique_ptr<Store>> opened = open_sqlite_store(options);
    REQUIRE(opened.ok());
    store = std::move(*opened);
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

}  // namespace

TEST_CASE("a group whose fsync failed is not stored, not acknowledged, and does not come back") {
  // One failure hits the commit; more of them also the checkpoint of the close that follows, which then
  // leaves the log.
  for (int failures = 1; failures <= 6; ++failures) {
    INFO(failures);
    Bench bench;
    const StreamId stream = make_stream(*bench.store);
    std::vector<Sequence> rows = put_rows(*bench.store, stream, 3);
    faults.fail_syncs = failures;
    CHECK(bench.try_put(stream).error().code == ErrorCode::storage_io);
    CHECK(read_sequences(*bench.store, stream) == rows);
    CHECK(stream_of(*bench.store, stream)[RowState::ready].messages == 3);
    faults = {};
    const Result<Sequence> next = bench.try_put(stream);  // The store goes on by itself, on a file opened anew.
    REQUIRE(next.ok());
    rows.push_back(*next);
    bench.open();
    CHECK(read_sequences(*bench.store, stream) == rows);
  }
}

TEST_CASE("while the disk fails for good nothing is acknowledged; once it heals the store does") {
  Bench bench;
  const StreamId stream = make_stream(*bench.store);
  const std::vector<Sequence> rows = put_rows(*bench.store, stream, 3);
  const std::uint64_t incarnation = bench.store->incarnation();
  faults.fail_syncs = 1'000'000;
  faults.fail_writes = 1'000'000;
  for (int i = 0; i < 3; ++i) {
    Result<void> done = bench.store->begin();
    if (done) done = bench.store->put(row_of(stream, *bench.store->next_sequence(), "x"));
    if (done) done = bench.store->commit(Durability::fsynced);
    REQUIRE_FALSE(done.ok());
    CHECK(done.error().code == ErrorCode::storage_io);
    bench.store->rollback();
  }
  faults = {};
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
  for (int failures = 1; failures <= 4; ++failures) {
    faults.fail_writes = failures;
    CHECK(bench.try_put(stream).error().code == ErrorCode::storage_io);
    faults = {};
    bench.open();
    CHECK(read_sequences(*bench.store, stream) == rows);
  }
}

TEST_CASE("a full disk refuses the group with storage_full, whole, and the store goes on") {
  Bench bench;
  const StreamId stream = make_stream(*bench.store);
  std::vector<Sequence> rows = put_rows(*bench.store, stream, 3);
  faults.full_writes = 1;
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
  faults.full_writes = 1;  // The lease of new numbers at open.
  bench.open();
  CHECK(read_sequences(*bench.store, stream) == rows);
  REQUIRE(bench.store->begin().ok());
  REQUIRE(bench.store->erase(stream, rows[0]).ok());
  REQUIRE(bench.store->commit(Durability::fsynced).ok());
  const Result<Sequence> next = bench.store->next_sequence();
  REQUIRE(next.ok());
  CHECK(*next > rows.back());
}

TEST_CASE("a full disk takes the reserve, drains by it, and takes messages again once it can be held") {
  Bench bench;
  const std::string reserve = bench.options.path + "-reserve";
  const StreamId stream = make_stream(*bench.store);
  const std::vector<Sequence> rows = put_rows(*bench.store, stream, 3);
  REQUIRE(std::filesystem::file_size(reserve) == bench.options.reserve_bytes);
  faults.full_writes = 1;
  CHECK(bench.try_put(stream).error().code == ErrorCode::storage_full);
  CHECK_FALSE(std::filesystem::exists(reserve));

  faults.full_writes = 1;  // The reserve cannot be had again yet: the next message is refused before it is written.
  REQUIRE(bench.store->begin().ok());
  const Sequence refused = *bench.store->next_sequence();
  CHECK(bench.store->put(row_of(stream, refused, "x")).error().code == ErrorCode::storage_full);
  bench.store->rollback();
  CHECK_FALSE(std::filesystem::exists(reserve));

  REQUIRE(bench.store->begin().ok());
  REQUIRE(bench.store->erase_through(stream, rows.back()).ok());
  REQUIRE(bench.store->commit(Durability::fsynced).ok());

  bool taken = false;
  for (int tries = 0; tries < 100 && !taken; ++tries) {
    REQUIRE(bench.store->begin().ok());
    const Sequence sequence = *bench.store->next_sequence();
    Result<void> done = bench.store->put(row_of(stream, sequence, "x"));
    if (done) done = bench.store->commit(Durability::fsynced);
    if (!done) bench.store->rollback();
    taken = done.ok();
  }
  CHECK(taken);
  CHECK(std::filesystem::file_size(reserve) == bench.options.reserve_bytes);
}
