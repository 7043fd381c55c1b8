// The store on a disk that reports syncs which it has not done, and whose power then fails. No program can keep its
// promises on such a disk. It can say so: what of the losses is noticed is counted here.

#include <array>
#include <memory>
#include <string>

#include <doctest/doctest.h>

#include "platform/sim/disk.h"
#include "runtime/queue/sim/sqlite_disk.h"
#include "runtime/queue/sqlite_store.h"
#include "tests/support/campaign.h"
#include "tests/support/store_model.h"

namespace pannier::testing {
namespace {

struct Tally {
  std::uint64_t cuts = 0;
  std::uint64_t refused = 0;    ///< The store did not open: noticed.
  std::uint64_t warned = 0;     ///< Lost, and said so.
  std::uint64_t unnoticed = 0;  ///< Lost, and did not say so.
  std::uint64_t harmless = 0;   ///< Nothing was lost.
  [[nodiscard]] std::uint64_t lost() const noexcept { return refused + warned + unnoticed; }
};

/// A script on a disk that lies from some point on, and a power cut with each kind of loss at its end.
void run(std::uint64_t seed, double lies, bool keeps_the_note, std::array<Tally, std::size(sim::kLosses)>& tallies) {
  sim::Disk disk(seed);
  const sim::SqliteDisk vfs(disk);
  sim::SeededEntropy dice(seed);
  SqliteOptions options{.path = "node.db",
                        .entropy = dice,
                        .checkpoint_pages = 1U << dice.below(6),
                        .reserve_bytes = 16384,
                        .batch_bytes = batch_bytes_of(seed),
                        .sequence_block = 32,
                        .vfs = vfs.name()};
  StoreModel model;
  std::unique_ptr<Store> store;
  const std::uint64_t groups = 10 + dice.below(30);
  const std::uint64_t first_lie = dice.below(groups);
  for (std::uint64_t i = 0; i < groups; ++i) {
    if (i == first_lie) disk.lie_about_syncs(lies);
    if (i % 16 == 0) {
      store.reset();
      auto opened = open_sqlite_store(options);
      REQUIRE(opened.ok());
      store = std::move(*opened);
    }
    const StoreGroup group = model.draw(dice, [&] { return store->next_sequence().value_or(0); });
    REQUIRE(store->begin().ok());
    REQUIRE(perform(*store, group).ok());
    REQUIRE(store->commit(Durability::fsynced).ok());
    model.apply(group);
  }
  for (const sim::Loss loss : sim::kLosses) {
    sim::Disk left = disk.after_power_cut(loss, dice.next());
    const sim::SqliteDisk left_vfs(left);
    options.vfs = left_vfs.name();
    if (keeps_the_note) left.keep_as_seen("node.db-witness", disk);
    Tally& tally = tallies[static_cast<std::size_t>(loss)];
    ++tally.cuts;
    auto opened = open_sqlite_store(options);
    if (!opened) {
      ++tally.refused;
      continue;
    }
    const bool warned = !(*opened)->findings().empty();
    std::string found = dump(**opened);
    for (const std::string& finding : (*opened)->findings()) found.resize(found.size() - finding.size() - 1);
    if (found == model.dump()) {
      ++tally.harmless;
    } else {
      ++(warned || (*opened)->counters().corrupt_rows > 0 ? tally.warned : tally.unnoticed);
    }
  }
}

}  // namespace

TEST_CASE("a disk that lies about syncs is told, where the note that a commit leaves is there to tell it") {
  const char* const names[] = {"none", "all", "tail", "any", "torn", "one file"};
  for (const double lies : {1.0, 0.3}) {
    for (const bool keeps_the_note : {true, false}) {
      std::array<Tally, std::size(sim::kLosses)> tallies;
      run_seeds(50, "a disk that lies*", [&](std::uint64_t seed) {
        run(seed, lies, keeps_the_note, tallies);
        return std::string{};
      });
      Tally sum;
      std::string text;
      for (const sim::Loss loss : sim::kLosses) {
        const Tally& tally = tallies[static_cast<std::size_t>(loss)];
        text += std::string("; ") + names[static_cast<std::size_t>(loss)] + ": " + std::to_string(tally.unnoticed) +
                " of " + std::to_string(tally.lost());
        sum.refused += tally.refused;
        sum.warned += tally.warned;
        sum.unnoticed += tally.unnoticed;
      }
      MESSAGE("lies " << lies << std::string(keeps_the_note ? ", note kept" : ", note lost as the rest") << ": "
                      << sum.lost() << " lost something, " << sum.refused << " refused, " << sum.warned << " warned, "
                      << sum.unnoticed << " unnoticed, by loss" << text);
      if (!keeps_the_note) continue;
      // What goes to the log alone is always told. What was to go to the database may be lost behind a new log.
      if (lies == 1.0) CHECK(tallies[static_cast<std::size_t>(sim::Loss::all)].unnoticed == 0);
      if (lies == 1.0) CHECK(tallies[static_cast<std::size_t>(sim::Loss::tail)].unnoticed == 0);
      if (sum.lost() >= 50) CHECK(sum.unnoticed * 5 < sum.lost());
    }
  }
}

}  // namespace pannier::testing
