// The store where SQLite gets no memory: at each of its allocations in turn. A program of its own, since the allocator
// is the process's.

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>

#include <doctest/doctest.h>

#include <pannier/sqlite_store.h>
#include "platform/sim/disk.h"
#include "runtime/store/sim/sqlite_disk.h"
#include "runtime/store/store.h"
#include "tests/runtime/store/damage_support.h"
#include "tests/runtime/store/sqlite_support.h"
#include "tests/support/campaign.h"
#include "tests/support/store_model.h"

namespace pannier::testing {
namespace {

/// SQLite's own allocator, which fails on demand.
struct Memory {
  sqlite3_mem_methods real{};
  std::uint64_t allocations = 0;
  std::uint64_t fail_from = 0;  ///< The number of the first one that fails; 0: none.
  std::uint64_t fail_count = 0;
  std::uint64_t failed = 0;

  [[nodiscard]] bool fails() noexcept {
    const std::uint64_t number = ++allocations;
    if (fail_from == 0 || number < fail_from || number >= fail_from + fail_count) return false;
    ++failed;
    return true;
  }
  void fail(std::uint64_t from, std::uint64_t count) noexcept {
    allocations = 0;
    fail_from = from;
    fail_count = count;
  }

  static Memory& of_the_process() {
    static Memory memory;
    static const bool installed = [] {
      sqlite3_shutdown();
      REQUIRE(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory.real) == SQLITE_OK);
      sqlite3_mem_methods ours = memory.real;
      ours.xMalloc = [](int size) -> void* { return of_the_process().fails() ? nullptr : memory.real.xMalloc(size); };
      ours.xRealloc = [](void* old, int size) -> void* {
        return of_the_process().fails() ? nullptr : memory.real.xRealloc(old, size);
      };
      REQUIRE(sqlite3_config(SQLITE_CONFIG_MALLOC, &ours) == SQLITE_OK);
      REQUIRE(sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) == SQLITE_OK);  // So that each asks the allocator.
      return true;
    }();
    static_cast<void>(installed);
    return memory;
  }
};

struct Tally {
  std::uint64_t points = 0;
  std::uint64_t failed_groups = 0;
  std::uint64_t refused_starts = 0;
};

/// One run of a script in which `count` allocations fail from number `from` on. What went wrong.
std::string run(std::uint64_t seed, std::uint64_t from, std::uint64_t count, Tally& tally, std::uint64_t* last) {
  Memory& memory = Memory::of_the_process();
  sim::Disk disk(seed);
  const sim::SqliteDisk vfs(disk);
  sim::SeededEntropy dice(seed);
  const SqliteOptions options{.path = "node.db",
                              .entropy = dice,
                              .checkpoint_pages = 4,
                              .reserve_bytes = 16384,
                              .batch_bytes = batch_bytes_of(seed),
                              .sequence_block = 32,
                              .vfs = vfs.name()};
  StoreLedger ledger;
  StorePtr store;
  memory.fail(from, count);
  for (int i = 0; i < 8; ++i) {
    if (i == 4) store.reset();
    if (store == nullptr) {
      Result<StorePtr> opened = open_sqlite_store(options);
      if (!opened) {
        ++tally.refused_starts;
        if (opened.error().code == ErrorCode::corrupt) return "taken for damage: " + opened.error().text();
        continue;
      }
      store = std::move(*opened);
    }
    if (!ledger.one_group(*store, dice)) ++tally.failed_groups;
    static_cast<void>(dump(*store));  // What is read meanwhile may fail, and change nothing.
  }
  *last = memory.allocations;
  memory.fail(0, 0);
  ++tally.points;
  if (disk.exists("node.db-damaged1")) return "taken for damage";
  if (store == nullptr) {
    Result<StorePtr> opened = open_sqlite_store(options);
    if (!opened) return "does not open any more: " + opened.error().text();
    store = std::move(*opened);
  }
  if (const Result<void> begun = store->begin(); !begun) return "does not go on: " + begun.error().text();
  store->rollback();
  if (std::string wrong = ledger.wrong_in(*store); !wrong.empty()) return wrong;
  disk.cut_power(sim::Loss::all);
  store.reset();
  disk.restore_power();
  Result<StorePtr> opened = open_sqlite_store(options);
  if (!opened) return "after the power cut: " + opened.error().text();
  return ledger.wrong_after_cut(**opened);
}

}  // namespace

TEST_CASE("each allocation of SQLite fails in turn: an error comes, nothing acknowledged is lost, the store works on") {
  Tally tally;
  run_seeds(1, "each allocation of SQLite fails*", [&](std::uint64_t seed) -> std::string {
    std::uint64_t last = 0;
    std::string wrong = run(seed, 0, 0, tally, &last);
    const std::uint64_t all = last;
    for (std::uint64_t at = 1 + seed % 3; at <= all && wrong.empty(); at += 3) {  // Three seeds have them all.
      wrong = run(seed, at, at % 2 == 0 ? 1 : 30, tally, &last);
      if (!wrong.empty()) return "allocation " + std::to_string(at) + " of " + std::to_string(all) + ": " + wrong;
    }
    return wrong;
  });
  MESSAGE(tally.points << " points: " << tally.failed_groups << " groups failed, " << tally.refused_starts
                       << " starts were refused");
  CHECK(tally.failed_groups > 0);
  CHECK(tally.refused_starts > 0);
}

}  // namespace pannier::testing
