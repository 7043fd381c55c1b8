#include <array>
#include <memory>
#include <string>
#include <utility>

#include <doctest/doctest.h>

#include <pannier/sim.h>
#include "runtime/store/sqlite/schema.h"
#include "tests/contract/store_support.h"
#include "tests/runtime/store/sqlite_support.h"
#include "tests/support/fixtures.h"

namespace {

using namespace pannier;
using namespace pannier::contract;
using pannier::testing::open_or_fail;
using pannier::testing::refusal;
using pannier::testing::TempFolder;

/// A next version that renames what is waited for, and one after it that fails.
Result<void> rename_clock(Connection& database) { return database.execute("ALTER TABLE clock RENAME TO anchors"); }
Result<void> fail_halfway(Connection& database) {
  if (Result<void> done = database.execute("DROP TABLE state"); !done) return done;
  return database.execute("ALTER TABLE nothing RENAME TO something");
}

}  // namespace

TEST_CASE("a file of an older version becomes one of this, step by step; a step that fails leaves the one before it") {
  TempFolder folder;
  sim::SeededEntropy random(1);
  const SqliteOptions options{.path = folder.file("node.db"), .entropy = random};
  open_or_fail(options).reset();
  Result<std::unique_ptr<CountingVfs>> vfs = CountingVfs::create({});
  REQUIRE(vfs.ok());
  constexpr std::array<sqlite_schema::Migration, 2> kInvented = {rename_clock, fail_halfway};
  {
    Result<Connection> database = Connection::open(options.path, (*vfs)->name());
    REQUIRE(database.ok());
    REQUIRE(database->set("locking_mode", "EXCLUSIVE", "exclusive").ok());
    CHECK_FALSE(sqlite_schema::migrate(*database, 1, kInvented).ok());
    CHECK(*database->integer("PRAGMA user_version") == 2);
    CHECK(*database->integer("SELECT count(*) FROM anchors") == 0);
    CHECK(*database->integer("SELECT count(*) FROM state") == 0);                       // Its table was not dropped.
    REQUIRE(sqlite_schema::migrate(*database, 2, std::span(kInvented).first(1)).ok());  // Nothing is left to do.
    CHECK(*database->integer("PRAGMA user_version") == 2);
  }
  CHECK(refusal(options).code == ErrorCode::unsupported);  // This release does not know that version.
}
