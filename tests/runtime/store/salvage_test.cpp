// Damage to a store's file: the node starts with what is sound, and says what is not.

#include <algorithm>
#include <cstdio>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include <doctest/doctest.h>

#include "platform/sim/disk.h"
#include "platform/sim/seeded_entropy.h"
#include "runtime/store/sim/sqlite_disk.h"
#include "runtime/store/sqlite_store.h"
#include "tests/runtime/store/salvage_support.h"
#include "tests/runtime/store/sqlite_support.h"
#include "tests/support/campaign.h"
#include "tests/support/fixtures.h"

namespace pannier::testing {
namespace {

using namespace pannier::contract;

/// A sound file that every case damages anew, and what of it the store then shows.
class Damages {
 public:
  struct Tally {
    std::uint64_t damages = 0;
    std::uint64_t salvages = 0;
    std::uint64_t rows = 0;
    std::uint64_t rows_left = 0;
    std::uint64_t least_left = ~std::uint64_t{0};
    std::uint64_t doubtful = 0;  ///< Removed ones that are parked, since nothing told that they had left.
  };

  explicit Damages(const SqliteOptions& options) {
    const std::unique_ptr<Store> store = open_or_fail(options);
    removed_ = fill_with_everything(*store);
    was_ = content_of(*store);
    REQUIRE(was_.payloads.size() > 300);
  }

  /// Opens what was damaged, looks, closes, and opens once more.
  void look(const SqliteOptions& options, const std::function<void()>& look_at_files) {
    std::string found;
    Content is;
    {
      Result<std::unique_ptr<Store>> opened = open_sqlite_store(options);
      INFO((opened ? std::string() : opened.error().text()));
      REQUIRE(opened.ok());
      found = findings_of(**opened);
      INFO(found);
      is = content_of(**opened);
      judge(is, found, (*opened)->counters().corrupt_rows);
      CHECK(*(*opened)->next_sequence() > was_.payloads.rbegin()->first);
    }
    if (!found.empty()) look_at_files();
    ++tally_.damages;
    if (!found.empty()) ++tally_.salvages;
    tally_.rows += was_.payloads.size();
    tally_.rows_left += left(is);
    tally_.least_left = std::min<std::uint64_t>(tally_.least_left, left(is));
    tally_.doubtful += is.payloads.size() - left(is);
    const std::unique_ptr<Store> again = open_or_fail(options);
    CHECK(again->findings().empty());
    CHECK(content_of(*again) == is);
  }

  /// What came of all of them, in one line.
  [[nodiscard]] std::string summary() const {
    const auto percent = static_cast<int>(100 * tally_.rows_left / tally_.rows);
    CHECK(tally_.salvages > 0);
    CHECK(tally_.least_left < was_.payloads.size());
    return std::to_string(tally_.damages) + " damages, " + std::to_string(tally_.salvages) + " salvages, " +
           std::to_string(percent) + "% of the messages left, at least " + std::to_string(tally_.least_left) + " of " +
           std::to_string(was_.payloads.size()) + "; " + std::to_string(tally_.doubtful) + " parked in doubt";
  }

 private:
  /// Messages that are there as they should be.
  [[nodiscard]] std::uint64_t left(const Content& is) const {
    return static_cast<std::uint64_t>(std::count_if(
        is.payloads.begin(), is.payloads.end(), [this](const auto& each) { return !removed_.contains(each.first); }));
  }

  void judge(const Content& is, const std::string& found, std::uint64_t corrupt_rows) {
    CHECK(is.incarnation == was_.incarnation);
    for (const auto& [id, payload] : is.payloads) {
      if (removed_.contains(id)) {  // Whether it had left was lost with the head of its batch: a person decides.
        CHECK(is.states.at(id) == RowState::parked);
        CHECK(is.causes.at(id).find("may have been delivered") != std::string::npos);
        continue;
      }
      const auto known = was_.payloads.find(id);
      REQUIRE(known != was_.payloads.end());
      CHECK(payload == known->second);
      CHECK((is.states.at(id) == was_.states.at(id) || is.states.at(id) == RowState::parked));
    }
    for (const auto& [producer, sequence] : is.watermarks) CHECK(was_.watermarks.at(producer) == sequence);
    for (const auto& [key, value] : is.state) CHECK(was_.state.at(key) == value);
    // What is missing is told.
    const auto told = [&found](const char* what) { return found.find(what) != std::string::npos; };
    CHECK((left(is) == was_.payloads.size() || !found.empty() || corrupt_rows > 0));
    CHECK((is.watermarks.size() == was_.watermarks.size() || told("watermarks")));
    CHECK((is.state.size() == was_.state.size() || told("state")));
    CHECK((is.application.size() == was_.application.size() || told("application")));
  }

  Content was_;
  std::set<Sequence> removed_;
  Tally tally_;
};

}  // namespace

TEST_CASE("a damaged page, whichever: the node starts, says so, has what was sound, and nothing that was removed") {
  TempFolder folder;
  const std::string path = folder.file("node.db");
  sim::SeededEntropy random(11);
  sim::SeededEntropy dice(11);
  const SqliteOptions options{.path = path, .entropy = random, .reserve_bytes = 0};
  Damages damages(options);
  const std::string sound = load(path);
  for (std::size_t page = 1; page <= sound.size() / kPage; ++page) {
    const Damage how = kDamages[page % std::size(kDamages)];
    INFO("page " << page << ", damage " << static_cast<int>(how));
    std::string file = sound;
    damage(file, page, how, dice);
    for (const char* part : {"-wal", "-witness", "-damaged1"}) std::remove((path + part).c_str());
    save(path, file);
    damages.look(options, [&] { CHECK(load(path + "-damaged1") == file); });
  }
  MESSAGE(damages.summary());
}

TEST_CASE("any page damaged in any way, on a simulated disk") {
  std::string said;
  run_seeds(1, "any page damaged in any way*", [&said](std::uint64_t seed) -> std::string {
    sim::SeededEntropy dice(seed);
    sim::Disk first(seed);
    const auto options = [&](const sim::SqliteDisk& vfs) {
      return SqliteOptions{.path = "node.db", .entropy = dice, .reserve_bytes = 0, .vfs = vfs.name()};
    };
    const sim::SqliteDisk vfs(first);
    Damages damages(options(vfs));
    const std::string sound = read_file(first, "node.db");
    for (std::size_t page = 1; page <= sound.size() / kPage; ++page) {
      for (const Damage how : kDamages) {
        INFO("page " << page << ", damage " << static_cast<int>(how));
        std::string file = sound;
        damage(file, page, how, dice);
        sim::Disk disk(dice.next());
        write_file(disk, "node.db", file);
        const sim::SqliteDisk damaged(disk);
        damages.look(options(damaged), [&] { CHECK(read_file(disk, "node.db-damaged1") == file); });
      }
    }
    said = damages.summary();
    return {};
  });
  MESSAGE(said);
}

TEST_CASE("a power cut at any point of a salvage, and of the one after it: it is done again, with the same outcome") {
  sim::SeededEntropy dice(5);
  const auto options = [&](const sim::SqliteDisk& vfs) {
    return SqliteOptions{.path = "node.db", .entropy = dice, .reserve_bytes = 16384, .vfs = vfs.name()};
  };
  std::string file;
  {
    sim::Disk disk(5);
    const sim::SqliteDisk vfs(disk);
    fill_with_everything(*open_or_fail(options(vfs)));
    file = read_file(disk, "node.db");
  }
  damage(file, pages_with(file, "producer-5").front(), Damage::head, dice);
  damage(file, pages_with(file, written_payload(200)).front(), Damage::zeros, dice);

  sim::Disk disk(6);
  write_file(disk, "node.db", file);
  Content salvaged;
  {
    sim::Disk copy = disk.after_power_cut(sim::Loss::none, 1);
    const sim::SqliteDisk vfs(copy);
    const std::unique_ptr<Store> store = open_or_fail(options(vfs));
    REQUIRE_FALSE(store->findings().empty());
    salvaged = content_of(*store);
  }
  std::uint64_t cuts = 0;
  std::uint64_t done_before = 0;
  const std::function<void(const sim::Disk&, bool)> cut = [&](const sim::Disk& at, bool again) {
    const sim::Loss loss = sim::kLosses[dice.below(std::size(sim::kLosses))];
    sim::Disk left = at.after_power_cut(loss, dice.next());
    ++cuts;
    const sim::SqliteDisk vfs(left);
    // One cut of the second salvage, somewhere.
    const std::uint64_t second = dice.below(400);
    if (again) {
      left.on_operation([&](std::uint64_t index) {
        if (index == second) cut(left, false);
      });
    }
    const Result<std::unique_ptr<Store>> store = open_sqlite_store(options(vfs));
    INFO((store ? std::string() : store.error().text()));
    REQUIRE(store.ok());
    CHECK(content_of(**store) == salvaged);
    CHECK(read_file(left, "node.db-damaged1") == file);
    CHECK_FALSE(left.exists("node.db-damaged2"));
    CHECK_FALSE(left.exists("node.db-salvage"));
    if ((*store)->findings().empty()) ++done_before;
  };
  disk.on_operation([&](std::uint64_t) { cut(disk, true); });
  const sim::SqliteDisk vfs(disk);
  const std::unique_ptr<Store> store = open_or_fail(options(vfs));
  disk.on_operation({});
  CHECK(content_of(*store) == salvaged);
  MESSAGE(cuts << " power cuts, " << done_before << " after the salvage was done");
  CHECK(cuts > 100);
}

}  // namespace pannier::testing
