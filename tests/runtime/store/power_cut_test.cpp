// The store on a disk whose power fails: at each point of a script where something reaches for the disk, what a cut
// there would leave is opened and held against a model. What was acknowledged must be there, a group wholly or not at
// all.

#include <string>

#include <doctest/doctest.h>

#include <pannier/sqlite_store.h>
#include "platform/sim/disk.h"
#include "runtime/store/sim/sqlite_disk.h"
#include "runtime/store/store.h"
#include "tests/support/campaign.h"
#include "tests/support/store_model.h"

namespace pannier::testing {
namespace {

using sim::Disk;
using sim::Loss;
using sim::SqliteDisk;

/// What may be found after a cut now.
struct Expected {
  std::string before;  ///< What was acknowledged,
  std::string after;   ///< and with the group that is being committed.
  Sequence highest = 0;
  std::uint64_t incarnation = 0;  ///< 0: not opened yet.
};

class PowerCuts {
 public:
  explicit PowerCuts(std::uint64_t seed) : seed_(seed), dice_(seed), checkpoint_pages_(1U << dice_.below(5)) {}

  /// The script, with every cut in it. The first broken promise; empty when all were kept.
  std::string run(int groups) {
    Disk disk(seed_);
    const SqliteDisk vfs(disk);
    disk.on_operation([&](std::uint64_t index) { cut_here(disk, index, true); });
    StoreModel model;
    for (int i = 0; i < groups && wrong_.empty();) {
      Result<StorePtr> opened = open_sqlite_store(options(vfs));
      if (!opened) return opened.error().text();
      Store& store = **opened;
      expected_.incarnation = store.incarnation();
      for (const int end = i + groups / 3; i < end && i < groups && wrong_.empty(); ++i) one_group(store, model);
    }  // Closed and opened again twice in a script: the log is deleted and made anew.
    return wrong_;
  }

  [[nodiscard]] std::uint64_t points() const noexcept { return points_; }
  [[nodiscard]] std::uint64_t with_group() const noexcept { return with_group_; }

 private:
  [[nodiscard]] SqliteOptions options(const SqliteDisk& vfs) {
    return {.path = "node.db",
            .entropy = dice_,
            .checkpoint_pages = checkpoint_pages_,
            .reserve_bytes = 16384,
            .batch_bytes = batch_bytes_of(seed_),
            .sequence_block = 32,
            .vfs = vfs.name()};
  }

  void one_group(Store& store, StoreModel& model) {
    const StoreGroup group = model.draw(dice_, [&] {
      const Result<Sequence> next = store.next_sequence();
      if (next) expected_.highest = *next;
      return next ? *next : Sequence{0};
    });
    const bool give_up = dice_.chance(0.1);
    StoreModel after = model;
    after.apply(group);
    if (!give_up) expected_.after = after.dump();
    Result<void> done = store.begin();
    if (done) done = perform(store, group);
    if (done && give_up) {
      store.rollback();
    } else if (done) {
      done = store.commit(Durability::fsynced);
      model = after;
    }
    if (!done) wrong_ = done.error().text();
    expected_.before = expected_.after;
  }

  void cut_here(const Disk& disk, std::uint64_t index, bool also_in_recovery) {
    for (int i = also_in_recovery ? 2 : 1; i > 0 && wrong_.empty(); --i) {
      const Loss loss = sim::kLosses[dice_.below(std::size(sim::kLosses))];
      Disk left = disk.after_power_cut(loss, dice_.next());
      ++points_;
      std::string cut = "cut before operation " + std::to_string(index) + ", loss " +
                        std::to_string(static_cast<int>(loss)) +
                        (also_in_recovery ? "" : ", in the recovery after the ");
      if (also_in_recovery) outer_cut_ = cut;
      if (!also_in_recovery) cut += outer_cut_;
      const std::string found = look(left, also_in_recovery);
      if (!found.empty() && wrong_.empty()) wrong_ = cut + ": " + found;
    }
  }

  std::string look(Disk& disk, bool cut_in_recovery) {
    const SqliteDisk vfs(disk);
    if (cut_in_recovery) disk.on_operation([&](std::uint64_t index) { cut_here(disk, index, false); });
    Result<StorePtr> store = open_sqlite_store(options(vfs));
    if (!store) return store.error().text();
    if (expected_.incarnation != 0 && (*store)->incarnation() == expected_.incarnation) return "the same incarnation";
    const std::string found = dump(**store);
    if (found != expected_.before && found != expected_.after) {
      return "found:\n" + found + "acknowledged:\n" + expected_.before + "or with the group in work:\n" +
             expected_.after;
    }
    if (found != expected_.before) ++with_group_;
    const Result<Sequence> next = (*store)->next_sequence();
    if (!next) return next.error().text();
    if (*next <= expected_.highest) return "a sequence again: " + std::to_string(*next);
    return {};
  }

  std::uint64_t seed_;
  sim::SeededEntropy dice_;
  std::uint32_t checkpoint_pages_;
  Expected expected_;
  std::string outer_cut_;
  std::string wrong_;
  std::uint64_t points_ = 0;
  std::uint64_t with_group_ = 0;
};

}  // namespace

TEST_CASE("a power cut at any point, in recovery too, loses nothing acknowledged and leaves no group by halves") {
  std::uint64_t points = 0;
  std::uint64_t with_group = 0;
  run_seeds(2, "a power cut at any point*", [&](std::uint64_t seed) {
    PowerCuts cuts(seed);
    std::string wrong = cuts.run(21);
    points += cuts.points();
    with_group += cuts.with_group();
    return wrong;
  });
  MESSAGE(points << " power cuts, " << with_group << " of them left the group that was being committed");
  CHECK(with_group > 0);
}

}  // namespace pannier::testing
