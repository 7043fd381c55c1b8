#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <pannier/limits.h>
#include <pannier/sim.h>
#include <pannier/sqlite_store.h>
#include "runtime/store/store.h"
#include "tests/contract/store_support.h"
#include "tests/runtime/store/sqlite_support.h"
#include "tests/support/fixtures.h"

namespace {

using namespace pannier;
using namespace pannier::contract;
using pannier::testing::open_or_fail;
using pannier::testing::TempFolder;

struct Bench {
  TempFolder folder;
  sim::SeededEntropy random{3};
  SqliteOptions options{.path = folder.file("node.db"), .entropy = random};
  StorePtr store = open_or_fail(options);
  StreamId stream = make_stream(*store);

  Bench() {
    transact(*store, [&] { REQUIRE(execute("CREATE TABLE stop (id INTEGER PRIMARY KEY, name TEXT UNIQUE)").ok()); });
  }
  Result<void> execute(std::string sql, std::vector<SqlValue> values = {}) {
    return store->sql()->execute({std::move(sql), std::move(values)});
  }
  /// The error of a statement in a group of its own, which goes on without it.
  Error refused(const std::string& sql, std::vector<SqlValue> values = {}) {
    INFO(sql);
    REQUIRE(store->begin().ok());
    const Sequence sequence = *store->next_sequence();
    REQUIRE(store->put(row_of(stream, sequence, "beside")).ok());
    const Result<void> done = execute(sql, std::move(values));
    REQUIRE_FALSE(done.ok());
    REQUIRE(store->commit(Durability::fsynced).ok());
    CHECK(find_row(*store, sequence).sequence == sequence);
    CHECK(done.error().detail.find('\n') == std::string::npos);
    return done.error();
  }
  std::vector<SqlValue> row(const std::string& sql, std::vector<SqlValue> values = {}) {
    std::vector<SqlValue> first;
    const Result<void> done = store->sql()->query({sql, std::move(values)}, [&](std::span<const SqlValue> found) {
      first.assign(found.begin(), found.end());
      return false;
    });
    INFO((done ? std::string() : done.error().text()));
    REQUIRE(done.ok());
    return first;
  }
  std::int64_t number(const std::string& sql) { return std::get<std::int64_t>(row(sql).at(0)); }
};

}  // namespace

TEST_CASE("the application's rows are stored with the messages of their transaction, and go with them") {
  Bench bench;
  const std::vector<std::byte> blob{std::byte{0}, std::byte{255}};
  transact(*bench.store, [&] {
    REQUIRE(bench.execute("CREATE TABLE any (a, b, c, d, e)").ok());
    REQUIRE(bench
                .execute("INSERT INTO any VALUES (?1, ?2, ?3, ?4, ?5)",
                         {SqlNull{}, std::int64_t{-5}, 2.5, std::string("with \0 zero", 11), blob})
                .ok());
    CHECK(bench.number("SELECT count(*) FROM any") == 1);  // Reads see the transaction's own changes.
  });
  CHECK(bench.row("SELECT * FROM any") ==
        std::vector<SqlValue>{SqlNull{}, std::int64_t{-5}, 2.5, std::string("with \0 zero", 11), blob});
  REQUIRE(bench.store->begin().ok());
  REQUIRE(bench.execute("INSERT INTO stop VALUES (1, 'depot')").ok());
  bench.store->rollback();
  CHECK(bench.number("SELECT count(*) FROM stop") == 0);
  transact(*bench.store, [&] { REQUIRE(bench.execute("INSERT INTO stop VALUES (1, 'depot')").ok()); });
  bench.store.reset();
  bench.store = open_or_fail(bench.options);
  CHECK(bench.row("SELECT name FROM stop WHERE id=?1", {std::int64_t{1}}) ==
        std::vector<SqlValue>{std::string("depot")});
}

TEST_CASE("a statement that fails is taken back alone, with SQLite's text, and the group goes on") {
  Bench bench;
  transact(*bench.store, [&] { REQUIRE(bench.execute("INSERT INTO stop VALUES (1, 'depot')").ok()); });
  const Error constraint = bench.refused("INSERT INTO stop VALUES (2, 'mill'), (3, 'depot')");
  CHECK(constraint.code == ErrorCode::rejected);
  CHECK(constraint.detail.find("UNIQUE constraint failed: stop.name") != std::string::npos);
  CHECK(bench.refused("INSERT OR FAIL INTO stop VALUES (2, 'mill'), (3, 'depot')").code == ErrorCode::rejected);
  CHECK(bench.number("SELECT count(*) FROM stop") == 1);  // Not even what OR FAIL would leave.
  CHECK(bench.refused("INSERT INTO stopp VALUES (1)").detail.find("stopp") != std::string::npos);
  CHECK(bench.refused("INSERT INTO stop VALUES (?1, ?2)", {std::int64_t{1}}).detail.find("2 parameters") !=
        std::string::npos);
  CHECK(bench.refused("").code == ErrorCode::rejected);
  CHECK(bench.refused("DELETE FROM stop; DELETE FROM stop").code == ErrorCode::rejected);
  CHECK(bench.refused("INSERT INTO stop VALUES (9, ?1)", {std::string(limits::kSqlBytes, 'x')}).code ==
        ErrorCode::rejected);
  CHECK(bench.refused("INSERT INTO stop VALUES (9, zeroblob(100000000))").code == ErrorCode::rejected);
}

TEST_CASE("the store's own tables, its transaction and its settings are out of reach for the application") {
  Bench bench;
  put_rows(*bench.store, bench.stream, 3);
  for (const char* sql : {"DELETE FROM rows",
                          "INSERT INTO meta VALUES (1, 1, 1, 1, 1)",
                          "UPDATE streams SET lane=''",
                          "INSERT INTO stop SELECT position, 'x' FROM rows",
                          "UPDATE stop SET id=(SELECT max(position) FROM main.messages)",
                          "DROP TABLE watermarks",
                          "ALTER TABLE state ADD COLUMN x",
                          "ALTER TABLE Rows RENAME TO mine",
                          "CREATE INDEX mine ON rows (head)",
                          "DROP INDEX messages_moment",
                          "CREATE TRIGGER mine AFTER DELETE ON rows BEGIN DELETE FROM stop; END",
                          "CREATE TABLE pannier_x (a)",
                          "CREATE TABLE sqlite_x (a)",
                          "CREATE TABLE Messages (a)",
                          "CREATE TEMP TABLE mine (a)",
                          "CREATE VIRTUAL TABLE mine USING fts5(a)",
                          "BEGIN",
                          "COMMIT",
                          "ROLLBACK",
                          "SAVEPOINT mine",
                          "RELEASE application",
                          "RELEASE part",
                          "INSERT OR ROLLBACK INTO stop VALUES (1, 'x')",
                          "PRAGMA synchronous=OFF",
                          "PRAGMA writable_schema=ON",
                          "PRAGMA table_info(stop)",
                          "SELECT * FROM pragma_table_info('rows')",
                          "ATTACH ':memory:' AS other",
                          "DETACH main",
                          "VACUUM",
                          "VACUUM INTO '/tmp/x'",
                          "ANALYZE",
                          "REINDEX",
                          "SELECT load_extension('x')",
                          "SELECT pannier_tally('x', 1)",
                          "DELETE FROM sqlite_schema",
                          "SELECT * FROM dbstat"}) {
    INFO(sql);
    const Error error = bench.refused(sql);
    CHECK(error.code == ErrorCode::rejected);
    const Result<void> asked = bench.store->sql()->query({sql, {}}, [](auto) { return true; });
    CHECK_FALSE(asked.ok());
  }
  // By a view or a trigger as little.
  transact(*bench.store, [&] {
    REQUIRE(bench.execute("CREATE VIEW spy AS SELECT * FROM rows").ok());
    REQUIRE(bench.execute("CREATE TRIGGER sly AFTER INSERT ON stop BEGIN DELETE FROM rows; END").ok());
  });
  CHECK_FALSE(bench.store->sql()->query({"SELECT * FROM spy", {}}, [](auto) { return true; }).ok());
  CHECK(bench.refused("INSERT INTO stop VALUES (7, 'x')").code == ErrorCode::rejected);
  CHECK(bench.store->sql()->query({"DELETE FROM stop", {}}, [](auto) { return true; }).error().code ==
        ErrorCode::rejected);
  CHECK((*bench.store->find_stream(bench.stream))[RowState::ready].messages > 3);
}

TEST_CASE("what is allowed: tables, indexes, views and triggers of its own, and to change and drop them") {
  Bench bench;
  transact(*bench.store, [&] {
    for (const char* sql :
         {"CREATE TABLE parcel (id INTEGER PRIMARY KEY AUTOINCREMENT, stop INTEGER, weight REAL)",
          "CREATE INDEX by_stop ON parcel (stop)", "CREATE VIEW heavy AS SELECT * FROM parcel WHERE weight > 10",
          "CREATE TRIGGER named AFTER INSERT ON parcel BEGIN INSERT INTO stop VALUES (new.stop, 'new'); END",
          "INSERT INTO parcel (stop, weight) VALUES (5, 12.5)", "UPDATE parcel SET weight = weight * 2",
          "ALTER TABLE parcel ADD COLUMN note TEXT", "ALTER TABLE parcel RENAME TO box",
          "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) INSERT INTO box (weight)"
          " SELECT 1 FROM n WHERE i > 99 AND 0",
          "DROP INDEX by_stop;"}) {
      const Result<void> done = bench.execute(sql);
      INFO(sql, done ? std::string() : done.error().text());
      CHECK(done.ok());
    }
  });
  CHECK(bench.number("SELECT count(*) FROM heavy") == 1);
  CHECK(bench.number("SELECT count(*) FROM stop WHERE id=5") == 1);
  // Tables that come and go leave the store's own statements working.
  transact(*bench.store, [&] { REQUIRE(bench.execute("DROP TABLE box").ok()); });
  CHECK(put_rows(*bench.store, bench.stream, 2).size() == 2);
}

TEST_CASE("a statement that runs away is stopped: a query alone, one that writes with its group") {
  Bench bench;
  const std::string endless =
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n WHERE i < 0";
  const Result<void> asked = bench.store->sql()->query({endless, {}}, [](auto) { return true; });
  CHECK(asked.error().code == ErrorCode::rejected);
  CHECK(asked.error().detail.find("instructions") != std::string::npos);
  REQUIRE(bench.store->begin().ok());
  const Sequence sequence = *bench.store->next_sequence();
  REQUIRE(bench.store->put(row_of(bench.stream, sequence, "beside")).ok());
  const Result<void> done = bench.execute("INSERT INTO stop (id) " + endless);
  CHECK(done.error().code == ErrorCode::timeout);
  CHECK(bench.store->commit(Durability::fsynced).error().code == ErrorCode::timeout);
  bench.store->rollback();
  CHECK(find_row(*bench.store, sequence).sequence == 0);
  CHECK(put_rows(*bench.store, bench.stream, 1).size() == 1);
}

TEST_CASE("statements are kept for their next use, and many different ones cost no more than a bound") {
  Bench bench;
  transact(*bench.store, [&] {
    for (std::int64_t i = 0; i < 200; ++i) {
      REQUIRE(bench.execute("INSERT INTO stop (id) VALUES (?1)", {i}).ok());
      REQUIRE(bench.execute("UPDATE stop SET name='n" + std::to_string(i) + "' WHERE id=?1", {i}).ok());
    }
  });
  CHECK(bench.number("SELECT count(DISTINCT name) FROM stop") == 200);
}
