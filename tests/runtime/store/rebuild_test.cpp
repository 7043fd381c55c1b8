// Damage to a store's file: the node starts with what is sound, and says what is not.

#include <algorithm>
#include <cstdio>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include <doctest/doctest.h>

#include <pannier/sim.h>
#include <pannier/sqlite_store.h>
#include "platform/sim/disk.h"
#include "runtime/store/sim/sqlite_disk.h"
#include "runtime/store/store.h"
#include "tests/runtime/store/damage_support.h"
#include "tests/runtime/store/sqlite_support.h"
#include "tests/support/campaign.h"
#include "tests/support/fixtures.h"

namespace pannier::testing {
namespace {

using namespace pannier::contract;

/// Of what a file of 80 pages held, on average over all damages of one page.
constexpr int kLeastPercent = 95;

/// A sound file that every case damages anew, and what of it the store then shows.
class Damages {
 public:
  struct Tally {
    std::uint64_t damages = 0;
    std::uint64_t rebuilds = 0;
    std::uint64_t rows = 0;
    std::uint64_t rows_left = 0;
    std::uint64_t least_left = ~std::uint64_t{0};
    std::uint64_t application = 0;
    std::uint64_t application_left = 0;
  };

  explicit Damages(const SqliteOptions& options) : Damages(*open_or_fail(options)) {}
  explicit Damages(Store& store) {
    removed_ = fill_with_everything(store);
    was_ = content_of(store);
    REQUIRE(was_.payloads.size() > 300);
  }

  /// Opens what was damaged, looks, closes, and opens once more.
  void look(const SqliteOptions& options, const std::function<void()>& look_at_files) {
    std::string found;
    Content is;
    {
      Result<StorePtr> opened = open_sqlite_store(options);
      INFO((opened ? std::string() : opened.error().text()));
      REQUIRE(opened.ok());
      found = findings_of(**opened);
      INFO(found);
      is = content_of(**opened);
      judge(is, found);
      CHECK(*(*opened)->next_sequence() > was_.payloads.rbegin()->first);
    }
    if (!found.empty()) look_at_files();
    ++tally_.damages;
    if (!found.empty()) ++tally_.rebuilds;
    tally_.rows += was_.payloads.size();
    tally_.rows_left += left(is);
    tally_.least_left = std::min<std::uint64_t>(tally_.least_left, left(is));
    tally_.application += was_.application.size();
    tally_.application_left += is.application.size();
    const StorePtr again = open_or_fail(options);
    CHECK(again->findings().empty());
    CHECK(content_of(*again) == is);
  }

  /// What came of all of them, in one line.
  [[nodiscard]] std::string summary() const {
    const auto percent = static_cast<int>(100 * tally_.rows_left / tally_.rows);
    const auto of_application = static_cast<int>(100 * tally_.application_left / tally_.application);
    CHECK(tally_.rebuilds > tally_.damages / 2);
    CHECK(tally_.least_left < was_.payloads.size());
    CHECK(percent >= kLeastPercent);
    CHECK(of_application >= kLeastPercent);
    return std::to_string(tally_.damages) + " damages, " + std::to_string(tally_.rebuilds) + " rebuilds, " +
           std::to_string(percent) + "% of the messages left, at least " + std::to_string(tally_.least_left) + " of " +
           std::to_string(was_.payloads.size()) + "; " + std::to_string(of_application) + "% of the application's rows";
  }

  /// What is there is as it was; or it is dead-lettered, with a cause.
  void judge(const Content& is) {
    for (const auto& [id, payload] : is.payloads) {
      // An older file may show again what left it since.
      if (!is_older_ok_) CHECK_FALSE(removed_.contains(id));
      if (removed_.contains(id)) continue;
      const auto known = was_.payloads.find(id);
      REQUIRE(known != was_.payloads.end());
      CHECK(payload == known->second);
      CHECK((is.states.at(id) == was_.states.at(id) || is.states.at(id) == RowState::dead_lettered));
    }
    for (const auto& [producer, sequence] : is.watermarks) CHECK(was_.watermarks.at(producer) == sequence);
    for (const auto& [key, value] : is.state) CHECK(was_.state.at(key) == value);
  }
  void may_be_older() { is_older_ok_ = true; }

 private:
  /// Messages that are there as they should be.
  [[nodiscard]] std::uint64_t left(const Content& is) const {
    return static_cast<std::uint64_t>(std::count_if(
        is.payloads.begin(), is.payloads.end(), [this](const auto& each) { return !removed_.contains(each.first); }));
  }

  void judge(const Content& is, const std::string& found) {
    judge(is);
    // What is missing is told.
    CHECK((is == was_ || !found.empty()));
    CHECK((is.application.size() == was_.application.size() || found.find("application") != std::string::npos ||
           found.find("table orders") != std::string::npos));
  }

  Content was_;
  bool is_older_ok_ = false;
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
    for (const char* part : {"-wal", "-notes", "-damaged1", "-damaged1-wal"}) std::remove((path + part).c_str());
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

TEST_CASE("a file cut off anywhere, with a log beside it or not, starts, and shows nothing that is wrong") {
  run_seeds(1, "a file cut off anywhere*", [](std::uint64_t seed) -> std::string {
    sim::SeededEntropy dice(seed);
    sim::Disk first(seed);
    const auto options = [&](const sim::SqliteDisk& vfs) {
      return SqliteOptions{
          .path = "node.db", .entropy = dice, .checkpoint_pages = 40, .reserve_bytes = 0, .vfs = vfs.name()};
    };
    const sim::SqliteDisk vfs(first);
    std::string log;
    std::string database;
    std::unique_ptr<Damages> damages;
    {
      const StorePtr store = open_or_fail(options(vfs));
      damages = std::make_unique<Damages>(*store);
      damages->may_be_older();  // Where the log is cut off, or the database lost what the log did not have.
      log = read_file(first, "node.db-wal");
      database = read_file(first, "node.db");
      REQUIRE(log.size() > 32 + 4120);
    }
    const std::string closed = read_file(first, "node.db");
    const auto look = [&](const std::string& file, const std::string& wal) {
      sim::Disk disk(dice.next());
      write_file(disk, "node.db", file);
      if (!wal.empty()) write_file(disk, "node.db-wal", wal);
      const sim::SqliteDisk cut(disk);
      Result<StorePtr> opened = open_sqlite_store(options(cut));
      INFO((opened ? std::string() : opened.error().text()));
      REQUIRE(opened.ok());
      INFO(findings_of(**opened));
      damages->judge(content_of(**opened));
    };
    for (int i = 0; i < 60; ++i) {
      const std::size_t size = i % 4 == 0 ? dice.below(closed.size() / kPage) * kPage : dice.below(closed.size());
      INFO("cut to " << size << " of " << closed.size());
      if (size > 0) look(closed.substr(0, size), "");
      look(database.substr(0, std::min(size, database.size())), log);
      look(database, log.substr(0, dice.below(log.size())));
    }
    return {};
  });
}

TEST_CASE("a power cut at any point of a rebuild, and of the one after it: it is done again, with the same outcome") {
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
  Content rebuilt;
  {
    sim::Disk copy = disk.after_power_cut(sim::Loss::none, 1);
    const sim::SqliteDisk vfs(copy);
    const StorePtr store = open_or_fail(options(vfs));
    REQUIRE_FALSE(store->findings().empty());
    rebuilt = content_of(*store);
  }
  std::uint64_t cuts = 0;
  std::uint64_t done_before = 0;
  const std::function<void(const sim::Disk&, bool)> cut = [&](const sim::Disk& at, bool again) {
    const sim::Loss loss = sim::kLosses[dice.below(std::size(sim::kLosses))];
    sim::Disk left = at.after_power_cut(loss, dice.next());
    ++cuts;
    const sim::SqliteDisk vfs(left);
    // One cut of the second rebuild, somewhere.
    const std::uint64_t second = dice.below(400);
    if (again) {
      left.on_operation([&](std::uint64_t index) {
        if (index == second) cut(left, false);
      });
    }
    const Result<StorePtr> store = open_sqlite_store(options(vfs));
    INFO((store ? std::string() : store.error().text()));
    REQUIRE(store.ok());
    CHECK(content_of(**store) == rebuilt);
    CHECK(read_file(left, "node.db-damaged1") == file);
    CHECK_FALSE(left.exists("node.db-damaged2"));
    CHECK_FALSE(left.exists("node.db-rebuild"));
    if ((*store)->findings().empty()) ++done_before;
  };
  disk.on_operation([&](std::uint64_t) { cut(disk, true); });
  const sim::SqliteDisk vfs(disk);
  const StorePtr store = open_or_fail(options(vfs));
  disk.on_operation({});
  CHECK(content_of(*store) == rebuilt);
  MESSAGE(cuts << " power cuts, " << done_before << " after the rebuild was done");
  CHECK(cuts > 100);
}

}  // namespace pannier::testing
