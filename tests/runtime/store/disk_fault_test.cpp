// The store on a disk that fails: at each point of a script where something reaches for the disk, a fault begins there,
// and at the end the power fails. What was acknowledged must be there. What was reported as failed must not come back,
// but for one group of those that failed since the disk last synced one: power that fails then may leave its bytes, and
// not those that took it out of the log (docs/storage.md).

#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <pannier/sqlite_store.h>
#include "platform/sim/disk.h"
#include "runtime/store/sim/sqlite_disk.h"
#include "runtime/store/store.h"
#include "tests/support/campaign.h"
#include "tests/support/store_model.h"

namespace pannier::testing {
namespace {

enum class Fault : std::uint8_t { one_sync, some_syncs, syncs_for_long, one_write, some_writes, no_room, reads };
constexpr Fault kFaults[] = {Fault::one_sync,    Fault::some_syncs, Fault::syncs_for_long, Fault::one_write,
                             Fault::some_writes, Fault::no_room,    Fault::reads};

void begin(sim::Disk& disk, Fault fault) {
  switch (fault) {
    case Fault::one_sync: disk.fail_syncs(1); break;
    case Fault::some_syncs: disk.fail_syncs(3); break;
    case Fault::syncs_for_long: disk.fail_syncs(40); break;
    case Fault::one_write: disk.fail_writes(1); break;
    case Fault::some_writes: disk.fail_writes(5); break;
    case Fault::no_room: disk.refuse_writes(2); break;
    case Fault::reads: disk.fail_reads(2); break;
  }
}

void heal(sim::Disk& disk) {
  disk.fail_syncs(0);
  disk.fail_writes(0);
  disk.refuse_writes(0);
  disk.fail_reads(0);
}

struct Tally {
  std::uint64_t runs = 0;
  std::uint64_t failed_groups = 0;
  std::uint64_t refused_starts = 0;
};

/// One run with one fault. `last`: gets the operations of a run without one.
std::string run(std::uint64_t seed, std::uint64_t at, Fault fault, Tally& tally, std::uint64_t* last = nullptr) {
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
  disk.on_operation([&](std::uint64_t index) {
    if (index == at) begin(disk, fault);
  });
  StoreLedger ledger;
  StorePtr store;
  const std::uint64_t groups = 12 + at % 6;  // The first after a new start may be the last.
  for (std::uint64_t i = 0; i < groups; ++i) {
    if (i == 6) store.reset();
    if (store == nullptr) {
      Result<StorePtr> opened = open_sqlite_store(options);
      if (!opened) {  // Refusing is right; whoever starts the node tries again.
        ++tally.refused_starts;
        continue;
      }
      store = std::move(*opened);
    }
    const Durability durability = dice.chance(0.5) ? Durability::fsynced : Durability::committed;
    if (!ledger.one_group(*store, dice, durability)) ++tally.failed_groups;
  }
  heal(disk);
  disk.on_operation({});
  ++tally.runs;
  if (last != nullptr) *last = disk.operations();
  if (store != nullptr && store->begin().ok()) {  // It goes on by itself, and shows what was acknowledged.
    store->rollback();
    if (std::string wrong = ledger.wrong_in(*store); !wrong.empty()) return wrong;
  }
  const bool clean_stop = dice.chance(0.3);
  if (clean_stop) store.reset();
  disk.cut_power(sim::kLosses[1 + dice.below(std::size(sim::kLosses) - 1)]);
  store.reset();
  disk.restore_power();
  Result<StorePtr> opened = open_sqlite_store(options);
  if (!opened) return "after the power cut: " + opened.error().text();
  return ledger.wrong_after_cut(**opened);
}

}  // namespace

TEST_CASE("a disk that fails at any point, then power that fails: what was acknowledged is there, no more than that") {
  Tally tally;
  run_seeds(2, "a disk that fails at any point*", [&](std::uint64_t seed) -> std::string {
    std::uint64_t last = 0;
    std::string wrong = run(seed, ~std::uint64_t{0}, Fault::one_sync, tally, &last);
    for (std::uint64_t at = 0; at < last && wrong.empty(); ++at) {
      for (const Fault fault : kFaults) {
        wrong = run(seed, at, fault, tally);
        if (!wrong.empty()) {
          return "fault " + std::to_string(static_cast<int>(fault)) + " at operation " + std::to_string(at) + ": " +
                 wrong;
        }
      }
    }
    return wrong;
  });
  MESSAGE(tally.runs << " runs, each with a fault: " << tally.failed_groups << " groups failed, "
                     << tally.refused_starts << " starts were refused");
  CHECK(tally.failed_groups > 0);
}

TEST_CASE("a lease whose commit failed gives out nothing: no sequence comes twice after a power cut") {
  sim::Disk disk(1);
  const sim::SqliteDisk vfs(disk);
  sim::SeededEntropy dice(1);
  const SqliteOptions options{
      .path = "node.db", .entropy = dice, .reserve_bytes = 0, .sequence_block = 4, .vfs = vfs.name()};
  Result<StorePtr> store = open_sqlite_store(options);
  REQUIRE(store.ok());
  REQUIRE((*store)->begin().ok());
  const StreamId stream = *(*store)->stream(Box::outbox, "hub", "orders");
  REQUIRE((*store)->commit(Durability::fsynced).ok());
  Sequence last = 0;
  for (int i = 0; i < 4; ++i) last = *(*store)->next_sequence();
  SUBCASE("its sync fails") { disk.fail_syncs(1); }
  SUBCASE("the disk is full") { disk.refuse_writes(1); }
  CHECK_FALSE((*store)->next_sequence().ok());
  for (int i = 0; i < 3; ++i) {
    REQUIRE((*store)->begin().ok());
    Row row;
    row.stream = stream;
    row.sequence = last = *(*store)->next_sequence();
    REQUIRE((*store)->put(row).ok());
    REQUIRE((*store)->commit(Durability::fsynced).ok());
  }
  disk.cut_power(sim::Loss::all);
  store = Error{ErrorCode::cancelled, {}};
  disk.restore_power();
  store = open_sqlite_store(options);
  REQUIRE(store.ok());
  CHECK(*(*store)->next_sequence() > last);
}

TEST_CASE(
    "a disk that fails a sync within a checkpoint: what is said to be synced after that is there after a power cut") {
  run_seeds(40, "a disk that fails a sync within*", [](std::uint64_t seed) -> std::string {
    sim::Disk disk(seed);
    const sim::SqliteDisk vfs(disk);
    sim::SeededEntropy dice(seed);
    const SqliteOptions options{
        .path = "node.db", .entropy = dice, .checkpoint_pages = 16, .reserve_bytes = 0, .vfs = vfs.name()};
    Result<StorePtr> opened = open_sqlite_store(options);
    if (!opened) return opened.error().text();
    StorePtr store = std::move(*opened);
    StoreLedger ledger;
    for (int i = 0; i < 3; ++i) ledger.one_group(*store, dice);
    // Groups that ask for no sync, until one of them brings a checkpoint, whose sync of the log fails, or that of the
    // database, or the first of the close.
    const bool in_close = seed % 4 == 3;
    const std::uint64_t before = disk.syncs();
    disk.on_operation([&, skipped = false](std::uint64_t) mutable {
      if (seed % 2 == 1 || skipped) disk.fail_syncs(1);
      skipped = skipped || disk.syncs() > before;
    });
    for (int i = 0; i < 400 && disk.syncs() == before && !in_close; ++i) {
      ledger.one_group(*store, dice, Durability::committed);
    }
    if (in_close) {
      for (int i = 0; i < 3; ++i) ledger.one_group(*store, dice, Durability::committed);
      store.reset();
    }
    disk.on_operation({});
    disk.fail_syncs(0);
    if (store == nullptr) {
      opened = open_sqlite_store(options);
      if (!opened) return opened.error().text();
      store = std::move(*opened);
    }
    for (std::uint64_t i = 0; i < 1 + seed % 5; ++i) ledger.one_group(*store, dice);
    disk.cut_power(sim::kLosses[1 + seed % 5]);
    store.reset();
    disk.restore_power();
    opened = open_sqlite_store(options);
    if (!opened) return opened.error().text();
    return ledger.wrong_after_cut(**opened);
  });
}

}  // namespace pannier::testing
