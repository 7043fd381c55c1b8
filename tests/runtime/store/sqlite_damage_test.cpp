#include <cstdio>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <sqlite3.h>

#include "platform/sim/seeded_entropy.h"
#include "runtime/store/sqlite_store.h"
#include "tests/contract/store_contract.h"
#include "tests/runtime/store/sqlite_support.h"
#include "tests/support/fixtures.h"

namespace {

using namespace pannier;
using namespace pannier::contract;
using pannier::testing::load;
using pannier::testing::open_or_fail;
using pannier::testing::refusal;
using pannier::testing::save;
using pannier::testing::TempFolder;
using pannier::testing::written_payload;

}  // namespace

TEST_CASE("versions and formats that are not ours are refused and left as they are") {
  TempFolder folder;
  const std::string path = folder.file("node.db");
  sim::SeededEntropy random(1);
  const SqliteOptions options{.path = path, .entropy = random};
  open_or_fail(options).reset();
  std::string content;
  const auto change = [&](const char* sql) {
    sqlite3* database = nullptr;
    REQUIRE(sqlite3_open(path.c_str(), &database) == SQLITE_OK);
    REQUIRE(sqlite3_exec(database, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
    REQUIRE(sqlite3_close(database) == SQLITE_OK);
    content = load(path);
    REQUIRE(content.size() > 4096);
  };

  SUBCASE("a newer version") {
    change("PRAGMA user_version=4; DROP TABLE twin");
    const Error error = refusal(options);
    CHECK(error.code == ErrorCode::unsupported);
    CHECK(error.detail.find("version 4") != std::string::npos);
    CHECK(load(path) == content);
  }
  SUBCASE("a version that never was") {
    change("PRAGMA user_version=0; DROP TABLE twin");
    CHECK(refusal(options).code == ErrorCode::corrupt);
    CHECK(load(path) == content);
  }
  SUBCASE("a database of another program") {
    change("PRAGMA application_id=1; DROP TABLE twin");
    const Error error = refusal(options);
    CHECK(error.code == ErrorCode::corrupt);
    CHECK(error.detail.find("not a Pannier store") != std::string::npos);
    CHECK(load(path) == content);
  }
  SUBCASE("not a database") {
    content = "This is a shopping list, and a long one: " + std::string(5000, 'x');
    save(path, content);
    const Error error = refusal(options);
    CHECK(error.code == ErrorCode::corrupt);
    CHECK(error.detail.find("not a Pannier store") != std::string::npos);
    CHECK(load(path) == content);
  }
  SUBCASE("an emptied or removed file beside a log that is none") {
    SUBCASE("emptied") { save(path, ""); }
    SUBCASE("removed") { std::remove(path.c_str()); }
    save(path + "-wal", std::string(4096, 'w'));
    CHECK(refusal(options).code == ErrorCode::corrupt);
    CHECK(load(path + "-wal").size() == 4096);
  }
}

TEST_CASE("an empty file becomes a new store with a new incarnation") {
  TempFolder folder;
  const std::string path = folder.file("node.db");
  sim::SeededEntropy random(1);
  const std::uint64_t old = open_or_fail({.path = path, .entropy = random})->incarnation();
  save(path, "");
  CHECK(open_or_fail({.path = path, .entropy = random})->incarnation() != old);
}

TEST_CASE("a row whose payload rotted is counted, moved aside, and never served") {
  TempFolder folder;
  const std::string path = folder.file("node.db");
  sim::SeededEntropy random(1);
  const SqliteOptions options{.path = path, .entropy = random};
  StreamId stream{};
  std::vector<Sequence> rows;
  {
    const std::unique_ptr<Store> store = open_or_fail(options);
    stream = make_stream(*store);
    rows = put_rows(*store, stream, 2);
    REQUIRE(store->begin().ok());
    rows.push_back(*store->next_sequence());
    REQUIRE(store->put(row_of(stream, rows.back(), "the payload that will rot")).ok());
    REQUIRE(store->commit(Durability::fsynced).ok());
  }
  std::string content = load(path);
  const std::size_t at = content.find("that will rot");
  REQUIRE(at != std::string::npos);
  content[at] = 'T';
  save(path, content);
  const auto kept = std::vector<Sequence>{rows[0], rows[1]};
  {
    const std::unique_ptr<Store> store = open_or_fail(options);
    CHECK(read_sequences(*store, stream) == kept);
    CHECK(store->counters().corrupt_rows == 1);
    CHECK(read_sequences(*store, stream) == kept);
    CHECK(store->counters().corrupt_rows == 1);  // Moved aside, not met again.
    CHECK(stream_of(*store, stream)[RowState::ready].messages == 2);
    CHECK(stream_of(*store, stream)[RowState::parked].messages == 1);
  }
  const std::unique_ptr<Store> store = open_or_fail(options);
  REQUIRE(store
              ->read(stream, RowState::parked, 0, 10,
                     [&](const Row& row) {
                       CHECK(row.sequence == rows[2]);
                       CHECK(row.payload.empty());
                       CHECK(row.cause == "checksum does not hold");
                       return true;
                     })
              .ok());
  REQUIRE(store->begin().ok());
  CHECK(store->mark(stream, rows[2], {RowState::ready, 0, ""}).error().code == ErrorCode::corrupt);
  store->rollback();
  REQUIRE(store->begin().ok());
  REQUIRE(store->erase(stream, rows[2]).ok());
  REQUIRE(store->commit(Durability::fsynced).ok());
  CHECK(stream_of(*store, stream)[RowState::parked].messages == 0);
}
