// Files damaged in every way, against what SQLite's own `.recover` makes of them. PANNIER_SQLITE names a shell of
// SQLite that has it (built with SQLITE_ENABLE_DBPAGE_VTAB, which Debian's is not); without one only the store is
// measured.

#include <sqlite3.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <pannier/sim.h>
#include <pannier/sqlite_store.h>
#include "platform/sim/disk.h"
#include "runtime/store/sim/sqlite_disk.h"
#include "runtime/store/sqlite/format.h"
#include "runtime/store/store.h"
#include "tests/runtime/store/damage_support.h"
#include "tests/runtime/store/sqlite_support.h"
#include "tests/support/campaign.h"
#include "tests/support/fixtures.h"

namespace pannier::testing {
namespace {

/// What of the sound file is found: how many messages and rows of the application are as they were, how many are not.
struct Share {
  std::size_t messages = 0;
  std::size_t application = 0;
  std::size_t wrong = 0;
};

class Original {
 public:
  Original(Content content, std::set<Sequence> removed) : content_(std::move(content)), removed_(std::move(removed)) {
    for (const auto& [id, payload] : content_.payloads) payloads_.insert(payload);
  }
  [[nodiscard]] Share of_store(const Content& found) const {
    Share share;
    for (const auto& [id, payload] : found.payloads) {
      const auto known = content_.payloads.find(id);
      if (known != content_.payloads.end() && known->second == payload) {
        ++share.messages;
      } else if (!removed_.contains(id)) {  // which an older file may show again
        ++share.wrong;
      }
    }
    for (const auto& [id, total] : found.application) count(share, id, total);
    return share;
  }
  /// Of the database that `.recover` wrote.
  [[nodiscard]] Share of_recovered(const std::string& path) const {
    Share share;
    sqlite3* database = nullptr;
    REQUIRE(sqlite3_open(path.c_str(), &database) == SQLITE_OK);
    std::set<std::string> seen;
    const auto message = [&](const std::string& payload) {
      if (payloads_.contains(payload) && seen.insert(payload).second) ++share.messages;
    };
    each(database, "SELECT payload FROM messages", [&](sqlite3_stmt* row) { message(text(row, 0)); });
    each(database, "SELECT position, rows FROM batches", [&](sqlite3_stmt* row) {
      SqliteBatch batch;
      const std::string bytes = text(row, 1);
      if (!batch.parse(sqlite3_column_int64(row, 0), std::as_bytes(std::span{bytes}), SqliteBatch::Parse::prefix))
        return;
      for (std::size_t i = 0; i < batch.size(); ++i) {
        if (!batch.is_gone(i)) message(contract::text_of(batch.row(i).payload));
      }
    });
    each(database, "SELECT id, total FROM orders",
         [&](sqlite3_stmt* row) { count(share, sqlite3_column_int64(row, 0), text(row, 1)); });
    sqlite3_close(database);
    return share;
  }
  [[nodiscard]] Share all() const { return {content_.payloads.size(), content_.application.size(), 0}; }

 private:
  void count(Share& share, std::int64_t id, const std::string& total) const {
    const auto known = content_.application.find(id);
    ++(known != content_.application.end() && known->second == total ? share.application : share.wrong);
  }
  static std::string text(sqlite3_stmt* row, int column) {
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(row, column));
    const void* at = sqlite3_column_blob(row, column);
    return size == 0 ? std::string{} : std::string(static_cast<const char*>(at), size);
  }
  template <class See>
  static void each(sqlite3* database, const char* sql, See&& see) {
    sqlite3_stmt* row = nullptr;
    if (sqlite3_prepare_v2(database, sql, -1, &row, nullptr) != SQLITE_OK) return;  // the table was lost
    while (sqlite3_step(row) == SQLITE_ROW) see(row);
    sqlite3_finalize(row);
  }

  Content content_;
  std::set<Sequence> removed_;
  std::set<std::string> payloads_;
};

/// In percent: a few less than all two hundred files have together, since a test run looks at every fifth.
constexpr Share kLeastShares[] = {{97, 92}, {88, 75}, {15, 25}, {100, 100}, {86, 85}};
constexpr const char* kKinds[] = {"flipped bytes", "zeroed pages", "cut off", "log missing", "garbage"};

std::string damaged(int kind, const std::string& closed, const std::string& without_log, sim::SeededEntropy& dice) {
  std::string file = kind == 3 ? without_log : closed;
  const std::size_t pages = file.size() / kPage;
  if (kind == 0) {
    for (std::uint64_t n = 1 + dice.below(16); n > 0; --n) {
      file[dice.below(file.size())] = static_cast<char>(dice.below(256));
    }
  }
  if (kind == 1 || kind == 4) {
    for (std::uint64_t n = 1 + dice.below(3); n > 0; --n) {
      const Damage how = kind == 1 ? Damage::zeros : kDamages[dice.below(std::size(kDamages))];
      damage(file, 1 + dice.below(pages), how, dice);
    }
  }
  if (kind == 2) file.resize(1 + dice.below(file.size()));
  return file;
}

}  // namespace

TEST_CASE(
    "two hundred damaged files: every one starts, nothing wrong is shown, and as much is there as .recover finds") {
  const char* shell = std::getenv("PANNIER_SQLITE");
  sim::SeededEntropy entropy(3);
  sim::Disk first(3);
  const auto options = [&](const sim::SqliteDisk& vfs) {
    return SqliteOptions{
        .path = "node.db", .entropy = entropy, .checkpoint_pages = 40, .reserve_bytes = 0, .vfs = vfs.name()};
  };
  std::string without_log;
  std::optional<Original> original;
  {
    const sim::SqliteDisk vfs(first);
    const StorePtr store = open_or_fail(options(vfs));
    auto removed = fill_with_everything(*store);
    original.emplace(content_of(*store), std::move(removed));
    without_log = read_file(first, "node.db");
  }
  const std::string closed = read_file(first, "node.db");
  const Share all = original->all();
  std::map<int, Share> ours;
  std::map<int, Share> theirs;
  std::map<int, std::size_t> files;
  std::size_t worse = 0;
  run_seeds(200, "two hundred damaged files*", [&](std::uint64_t seed) -> std::string {
    sim::SeededEntropy dice(seed);
    const int kind = static_cast<int>(seed % std::size(kKinds));
    const std::string file = damaged(kind, closed, without_log, dice);
    ++files[kind];
    Share mine;
    {
      sim::Disk disk(seed);
      write_file(disk, "node.db", file);
      const sim::SqliteDisk vfs(disk);
      const Result<StorePtr> store = open_sqlite_store(options(vfs));
      INFO((store ? std::string() : store.error().text()));
      REQUIRE(store.ok());
      INFO(findings_of(**store));
      mine = original->of_store(content_of(**store));
      CHECK(mine.wrong == 0);
    }
    ours[kind].messages += mine.messages;
    ours[kind].application += mine.application;
    if (shell == nullptr) return {};
    const TempFolder folder;
    save(folder.file("damaged.db"), file);
    const std::string command = std::string(shell) + " " + folder.file("damaged.db") + " .recover 2>/dev/null | " +
                                shell + " " + folder.file("recovered.db") + " >/dev/null 2>&1";
    static_cast<void>(std::system(command.c_str()));
    const Share other = original->of_recovered(folder.file("recovered.db"));
    theirs[kind].messages += other.messages;
    theirs[kind].application += other.application;
    theirs[kind].wrong += other.wrong;
    if (mine.messages < other.messages || mine.application < other.application) {
      ++worse;
      MESSAGE("seed " << seed << ", " << std::string(kKinds[kind]) << ": " << mine.messages << " messages and "
                      << mine.application << " rows, .recover " << other.messages << " and " << other.application);
    }
    return {};
  });
  for (const auto& [kind, share] : ours) {
    const std::size_t rows = files[kind] * all.messages;
    const std::size_t application = files[kind] * all.application;
    CHECK(100 * share.messages >= kLeastShares[kind].messages * rows);
    CHECK(100 * share.application >= kLeastShares[kind].application * application);
    MESSAGE(std::string(kKinds[kind]) << ", " << files[kind] << " files: " << 100 * share.messages / rows
                                      << "% of the messages and " << 100 * share.application / application
                                      << "% of the application's rows; .recover " << 100 * theirs[kind].messages / rows
                                      << "% and " << 100 * theirs[kind].application / application << "%, "
                                      << theirs[kind].wrong << " rows wrong");
  }
  MESSAGE(worse << " files of which .recover has more");
}

}  // namespace pannier::testing
