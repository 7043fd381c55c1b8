#include <cstdio>
#include <span>
#include <string>

#include <doctest/doctest.h>
#include <sqlite3.h>

#include <pannier/sim.h>
#include <pannier/sqlite_store.h>
#include "runtime/store/sqlite/page_sum.h"
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
    for (std::size_t at = 0; at < content.size(); at += kPageBytes) {  // As a store would have written it.
      seal_page(static_cast<std::uint32_t>(at / kPageBytes) + 1,
                std::as_writable_bytes(std::span{content}).subspan(at, kPageBytes));
    }
    save(path, content);
  };

  SUBCASE("a newer version") {
    change("PRAGMA user_version=2");
    const Error error = refusal(options);
    CHECK(error.code == ErrorCode::unsupported);
    CHECK(error.detail.find("version 2") != std::string::npos);
    CHECK(load(path) == content);
  }
  SUBCASE("a version that never was") {
    change("PRAGMA user_version=0");
    CHECK(refusal(options).code == ErrorCode::corrupt);
    CHECK(load(path) == content);
  }
  SUBCASE("a database of another program") {
    change("PRAGMA application_id=1");
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
