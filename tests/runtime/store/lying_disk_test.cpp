// The store on a disk that reports syncs which it has not done, and whose power then fails. No program can keep its
// promises on such a disk. It can say so: what of the losses is noticed is counted here.

#include <array>
#include <memory>
#include <string>

#include <doctest/doctest.h>

#include <pannier/sqlite_store.h>
#include "platform/sim/disk.h"
#include "runtime/store/sim/sqlite_disk.h"
#include "runtime/store/store.h"
#include "tests/runtime/store/damage_support.h"
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
  StorePtr store;
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
    const Result<void> done = perform(*store, group);
    INFO((done ? std::string() : done.error().text()));
    REQUIRE(done.ok());
    REQUIRE(store->commit(Durability::fsynced).ok());
    model.apply(group);
  }
  for (const sim::Loss loss : sim::kLosses) {
    sim::Disk left = disk.after_power_cut(loss, dice.next());
    const sim::SqliteDisk left_vfs(left);
    options.vfs = left_vfs.name();
    if (keeps_the_note) left.keep_as_seen("node.db-notes", disk);
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
      ++(warned || (*opened)->counters().corrupt_pages > 0 ? tally.warned : tally.unnoticed);
    }
  }
}

}  // namespace

TEST_CASE("a disk that lies about syncs is always told, where the notes that it was given are there to tell it") {
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
      if (lies == 1.0) CHECK(sum.lost() > 0);
      if (keeps_the_note) CHECK(sum.unnoticed == 0);
    }
  }
}

TEST_CASE("a page that has gone back to what it was, or has rotted, is told at the next start, the application's too") {
  for (const bool goes_back : {true, false}) {
    CAPTURE(goes_back);
    sim::Disk disk(1);
    const sim::SqliteDisk vfs(disk);
    sim::SeededEntropy dice(1);
    const SqliteOptions options{.path = "node.db", .entropy = dice, .reserve_bytes = 16384, .vfs = vfs.name()};
    const auto write_total = [&](Store& store, const std::string& total) {
      contract::transact(store, [&] {
        REQUIRE(store.sql()->execute({"INSERT OR REPLACE INTO orders VALUES (1, ?1)", {total}}).ok());
      });
    };
    {
      const auto store = open_or_fail(options);
      contract::transact(*store, [&] {
        REQUIRE(store->sql()->execute({"CREATE TABLE orders (id INTEGER PRIMARY KEY, total TEXT)", {}}).ok());
      });
      write_total(*store, "12.50");
    }
    const std::string before = read_file(disk, "node.db");
    write_total(*open_or_fail(options), "99.90");
    std::string after = read_file(disk, "node.db");
    const std::size_t at = after.find("99.90") / kPage * kPage;
    REQUIRE(before.substr(at, kPage).find("12.50") != std::string::npos);
    if (goes_back) {
      after.replace(at, kPage, before, at, kPage);
    } else {
      after[after.find("99.90")] = '0';
    }
    write_file(disk, "node.db", after);
    {
      const auto store = open_or_fail(options);
      CHECK(store->counters().broken_syncs == 1);
      const std::string page = "the first is page " + std::to_string(at / kPage + 1);
      REQUIRE(store->findings().size() == (goes_back ? 1 : 2));  // What has rotted is damage as well.
      CHECK(store->findings()[0].find(page) != std::string::npos);
      write_total(*store, "1.00");
    }
    // What was told is known by then.
    CHECK(open_or_fail(options)->findings().empty());
  }
}

}  // namespace pannier::testing
