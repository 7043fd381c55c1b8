#include <cstdio>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "platform/sim/seeded_entropy.h"
#include "runtime/queue/sqlite_store.h"
#include "tests/contract/store_contract.h"
#include "tests/runtime/queue/sqlite_support.h"
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
  std::string content = load(path);
  REQUIRE(content.size() > 4096);

  SUBCASE("a newer version") {
    content[63] = 3;  // user_version: 4 bytes, big-endian, at 60 (SQLite's file format).
    save(path, content);
    const Error error = refusal(options);
    CHECK(error.code == ErrorCode::unsupported);
    CHECK(error.detail.find("version 3") != std::string::npos);
    CHECK(load(path) == content);
  }
  SUBCASE("a version that never was") {
    content[63] = 0;
    save(path, content);
    CHECK(refusal(options).code == ErrorCode::corrupt);
    CHECK(load(path) == content);
  }
  SUBCASE("a database of another program") {
    content[68] = 'X';  // application_id: 4 bytes at 68.
    save(path, content);
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
  SUBCASE("a file that was cut off") {
    save(path, content.substr(0, content.size() / 2));
    CHECK(refusal(options).code == ErrorCode::corrupt);
  }
  SUBCASE("an emptied or removed file beside a log that is not empty") {
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

TEST_CASE("one flipped bit anywhere in the file is refused, counted, or harmless, but never served") {
  TempFolder folder;
  const std::string path = folder.file("node.db");
  sim::SeededEntropy random(99);
  const SqliteOptions options{.path = path, .entropy = random};
  StreamId stream{};
  std::size_t total = 0;
  {
    const std::unique_ptr<Store> store = open_or_fail(options);
    stream = make_stream(*store);
    REQUIRE(store->begin().ok());
    for (; total < 60; ++total) {
      const Sequence sequence = *store->next_sequence();
      const std::string payload = written_payload(sequence);
      REQUIRE(store->put(row_of(stream, sequence, payload)).ok());
    }
    REQUIRE(store->put_watermark({"tablet-3", 1, "orders", 5}).ok());
    REQUIRE(store->commit(Durability::fsynced).ok());
  }
  const std::string sound = load(path);
  const std::size_t pages = sound.size() / 4096;
  std::size_t refused = 0;
  std::size_t counted = 0;
  std::size_t vanished = 0;
  constexpr std::size_t kFlipsAPage = 16;
  for (std::size_t flip = 0; flip < pages * kFlipsAPage; ++flip) {
    std::string content = sound;
    const std::size_t at = (flip / kFlipsAPage) * 4096 + random.below(4096);
    content[at] = static_cast<char>(static_cast<unsigned char>(content[at]) ^ (1U << random.below(8)));
    std::remove((path + "-wal").c_str());
    save(path, content);
    const Result<std::unique_ptr<Store>> opened = open_sqlite_store(options);
    if (!opened) {
      ++refused;
      const bool clear = opened.error().code == ErrorCode::corrupt || opened.error().code == ErrorCode::unsupported;
      INFO(opened.error().text());
      CHECK(clear);
      continue;
    }
    std::size_t seen = 0;
    const Result<void> read = (*opened)->read(stream, RowState::ready, 0, 1000, [&](const Row& row) {
      ++seen;
      INFO("flipped at ", at);
      CHECK(text_of(row.payload) == written_payload(row.sequence));
      CHECK(row.key == "order-1");
      CHECK(row.attempts == 0);
      CHECK(row.cause.empty());
      return true;
    });
    const Result<std::vector<Watermark>> marks = (*opened)->watermarks();
    if (marks.ok()) {
      for (const Watermark& mark : *marks) CHECK(mark.sequence == 5);
    }
    counted += (*opened)->counters().corrupt_rows;
    if (read.ok() && seen + (*opened)->counters().corrupt_rows < total) ++vanished;
  }
  MESSAGE((pages * kFlipsAPage) << " flips: " << refused << " refused at open, " << counted << " rows counted, "
                                << vanished << " opened with rows missing and uncounted");
  CHECK(counted > 0);
  CHECK(vanished == 0);
}
