// A store's file that a program with plain SQLite has written anew: sqlite3 hub.db VACUUM.

#include <sqlite3.h>

#include <memory>
#include <string>

#include <doctest/doctest.h>

#include <pannier/sim.h>
#include <pannier/sqlite_store.h>
#include "runtime/store/store.h"
#include "tests/runtime/store/damage_support.h"
#include "tests/runtime/store/sqlite_support.h"
#include "tests/support/fixtures.h"

namespace pannier::testing {
namespace {

/// By SQLite as every other program has it.
void vacuum(const std::string& path) {
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &database) == SQLITE_OK);
  CHECK(sqlite3_exec(database, "VACUUM", nullptr, nullptr, nullptr) == SQLITE_OK);
  CHECK(sqlite3_close(database) == SQLITE_OK);
}

Content filled(const SqliteOptions& options) {
  const StorePtr store = open_or_fail(options);
  fill_with_everything(*store);
  return content_of(*store);
}

TEST_CASE("a file that somebody has vacuumed starts with all that it held, and its checksums are back") {
  TempFolder folder;
  sim::SeededEntropy random(1);
  const SqliteOptions options{.path = folder.file("node.db"), .entropy = random};
  const Content was = filled(options);
  vacuum(options.path);
  {
    const StorePtr store = open_or_fail(options);
    CHECK(content_of(*store) == was);
    const std::string found = findings_of(*store);
    CHECK(found.find("another program has written it anew") != std::string::npos);
    CHECK(found.find("lost") == std::string::npos);
    CHECK(store->counters().broken_syncs == 0);
  }
  CHECK(findings_of(*open_or_fail(options)).empty());

  // What is damaged from now on is noticed.
  std::string file = load(options.path);
  sim::SeededEntropy dice(2);
  damage(file, 5, Damage::some_bytes, dice);
  save(options.path, file);
  const StorePtr store = open_or_fail(options);
  content_of(*store);
  CHECK(store->counters().corrupt_pages + findings_of(*store).size() > 0);
}

TEST_CASE("a file that was vacuumed and then damaged starts with what still reads") {
  TempFolder folder;
  sim::SeededEntropy random(1);
  const SqliteOptions options{.path = folder.file("node.db"), .entropy = random};
  const Content was = filled(options);
  vacuum(options.path);
  const std::string sound = load(options.path);
  sim::SeededEntropy dice(3);
  for (std::size_t page = 2; page <= sound.size() / kPage; page += 3) {
    CAPTURE(page);
    std::string file = sound;
    damage(file, page, Damage::garbage, dice);
    std::remove((options.path + "-notes").c_str());
    std::remove((options.path + "-wal").c_str());
    save(options.path, file);
    const StorePtr store = open_or_fail(options);
    const Content is = content_of(*store);
    for (const auto& [id, payload] : is.payloads) {
      const auto before = was.payloads.find(id);
      REQUIRE(before != was.payloads.end());
      CHECK(payload == before->second);
    }
    CHECK(is.payloads.size() * 2 > was.payloads.size());
    std::remove((options.path + "-damaged1").c_str());
  }
}

}  // namespace
}  // namespace pannier::testing
