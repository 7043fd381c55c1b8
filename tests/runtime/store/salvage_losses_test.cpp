// What a salvage does about what it cannot have back.

#include <sqlite3.h>

#include <functional>
#include <memory>
#include <string>

#include <doctest/doctest.h>

#include "platform/sim/disk.h"
#include "platform/sim/seeded_entropy.h"
#include "runtime/limits.h"
#include "runtime/store/sim/sqlite_disk.h"
#include "runtime/store/sqlite_store.h"
#include "tests/runtime/store/salvage_support.h"
#include "tests/runtime/store/sqlite_support.h"
#include "tests/support/fixtures.h"

namespace pannier::testing {
namespace {

using namespace pannier::contract;

/// A store on a simulated disk, and its file to be damaged while nobody has it open.
struct Bench {
  sim::Disk disk{3};
  sim::SqliteDisk vfs{disk};
  sim::SeededEntropy random{3};
  SqliteOptions options{.path = "node.db", .entropy = random, .reserve_bytes = 0, .vfs = vfs.name()};
  std::unique_ptr<Store> store = open_or_fail(options);

  void damage_closed(const std::function<void(std::string& file)>& damage) {
    store.reset();
    std::string file = read_file(disk, "node.db");
    damage(file);
    write_file(disk, "node.db", file);
  }
  void open() { store = open_or_fail(options); }
  [[nodiscard]] bool told(const std::string& text) const {
    const std::string found = findings_of(*store);
    INFO(found);
    return found.find(text) != std::string::npos;
  }
};

/// The page on which a table begins.
std::size_t root_of(Bench& bench, const std::string& table) {
  bench.store.reset();
  sqlite3* database = nullptr;
  sqlite3_stmt* read = nullptr;
  REQUIRE(sqlite3_open_v2("node.db", &database, SQLITE_OPEN_READWRITE, bench.vfs.name().c_str()) == SQLITE_OK);
  sqlite3_exec(database, "PRAGMA locking_mode=EXCLUSIVE", nullptr, nullptr, nullptr);
  const std::string sql = "SELECT rootpage FROM sqlite_schema WHERE name='" + table + "'";
  REQUIRE(sqlite3_prepare_v2(database, sql.c_str(), -1, &read, nullptr) == SQLITE_OK);
  REQUIRE(sqlite3_step(read) == SQLITE_ROW);
  const auto root = static_cast<std::size_t>(sqlite3_column_int64(read, 0));
  sqlite3_finalize(read);
  sqlite3_close(database);
  return root;
}

void wipe(std::string& file, std::size_t page) { file.replace((page - 1) * kPage, kPage, kPage, '\0'); }

StreamId jobs_with(Store& store, int rows) {
  StreamId jobs{};
  transact(store, [&] { jobs = *store.stream(Box::inbox, "", "jobs"); });
  put_in_state(store, jobs, RowState::ready, rows);
  return jobs;
}

}  // namespace

TEST_CASE("a watermark that does not hold any more is dropped, and its producer named") {
  Bench bench;
  transact(*bench.store, [&] {
    REQUIRE(bench.store->put_watermark({"tablet-3", 7, "orders", 5}).ok());
    REQUIRE(bench.store->put_watermark({"tablet-4", 7, "orders", 6}).ok());
  });
  bench.damage_closed([](std::string& file) {
    // Of the record of tablet-3: 8 bytes of name, its incarnation, its lane, its sequence.
    const std::size_t at = file.find("tablet-3");
    REQUIRE(at != std::string::npos);
    const std::size_t lane = file.find("orders", at);
    REQUIRE(lane - at < 20);
    file[lane + 6] = 77;
  });
  bench.open();
  CHECK(bench.told("the watermarks of 1 producer (tablet-3) were lost"));
  const auto marks = bench.store->watermarks();
  REQUIRE(marks.ok());
  REQUIRE(marks->size() == 1);
  CHECK(marks->front().producer == "tablet-4");
}

TEST_CASE("a value of state that does not hold is dropped, and its key named") {
  Bench bench;
  transact(*bench.store, [&] {
    for (const char* key : {"order/1", "order/2"}) {
      REQUIRE(bench.store->put_state(key, std::as_bytes(std::span{std::string_view{"a value that rots"}})).ok());
    }
  });
  bench.damage_closed([](std::string& file) { file[file.find("value that rots", file.find("order/1"))] = 'V'; });
  bench.open();
  CHECK(bench.told("1 value of state was lost (order/1)"));
  CHECK(state_keys(*bench.store, "") == std::vector<std::string>{"order/2"});
}

TEST_CASE("a store that does not know who it was: what may have been sent is parked, what came in goes on") {
  Bench bench;
  const StreamId orders = make_stream(*bench.store);
  const std::vector<Sequence> sent = put_in_state(*bench.store, orders, RowState::ready, 5);
  const std::vector<Sequence> later = put_in_state(*bench.store, orders, RowState::delayed, 5);
  const StreamId jobs = jobs_with(*bench.store, 5);
  const std::uint64_t incarnation = bench.store->incarnation();
  const std::size_t meta = root_of(bench, "meta");
  const std::size_t twin = root_of(bench, "twin");
  SUBCASE("one of the two that know is enough") {
    bench.damage_closed([&](std::string& file) { wipe(file, meta); });
    bench.open();
    CHECK(bench.store->incarnation() == incarnation);
    CHECK(read_sequences(*bench.store, orders) == sent);
  }
  SUBCASE("both are gone") {
    bench.damage_closed([&](std::string& file) {
      wipe(file, meta);
      wipe(file, twin);
    });
    bench.open();
    CHECK(bench.told("identity"));
    CHECK(bench.store->incarnation() != incarnation);
    CHECK(read_sequences(*bench.store, orders).empty());
    CHECK(read_sequences(*bench.store, orders, RowState::parked) == sent);
    CHECK(read_sequences(*bench.store, orders, RowState::delayed) == later);
    CHECK(read_sequences(*bench.store, jobs).size() == 5);
  }
  CHECK(*bench.store->next_sequence() > later.back());
}

TEST_CASE("messages of a lane whose name was lost are parked under another") {
  Bench bench;
  const StreamId jobs = jobs_with(*bench.store, 5);
  const std::size_t streams = root_of(bench, "streams");
  bench.damage_closed([&](std::string& file) { wipe(file, streams); });
  bench.open();
  CHECK(bench.told("the names of 1 lane were lost"));
  const Stream stand_in = stream_of(*bench.store, jobs);
  CHECK(stand_in.lane == "salvaged.1");
  CHECK(stand_in[RowState::ready].messages == 0);
  CHECK(stand_in[RowState::parked].messages == 5);
  CHECK(static_cast<unsigned>(make_stream(*bench.store, "fresh")) == 2);
}

TEST_CASE("a store whose clock was lost expires nothing early and delivers nothing early") {
  Bench bench;
  const StreamId orders = make_stream(*bench.store);
  put_in_state(*bench.store, orders, RowState::kept, 5);  // The last one at 1,004 ms.
  transact(*bench.store, [&] { REQUIRE(bench.store->put_anchor({at_ms(5000), MonoTime{}, WallTime{}, 1}).ok()); });
  const std::size_t clock = root_of(bench, "clock");
  bench.damage_closed([&](std::string& file) { wipe(file, clock); });
  bench.open();
  CHECK(bench.told("clock was lost"));
  const auto anchor = bench.store->anchor();
  REQUIRE(anchor.ok());
  REQUIRE(anchor->has_value());
  CHECK((*anchor)->store == at_ms(1004));
}

TEST_CASE("what was removed from a page does not come back where its count of entries is damaged") {
  Bench bench;
  const StreamId jobs = jobs_with(*bench.store, 1);
  std::vector<Sequence> rows;
  for (int i = 0; i < 6; ++i) rows.push_back(*bench.store->next_sequence());
  transact(*bench.store, [&] {
    for (const std::size_t i : {0U, 1U, 2U, 5U, 4U, 3U}) {
      const std::string payload = written_payload(rows[i]);
      Row row = row_of(jobs, rows[i], payload);
      row.state = RowState::parked;
      REQUIRE(bench.store->put(row).ok());
    }
  });
  // In this order the last one stays on the page as it was, within free bytes, and the place behind the last entry
  // still leads to it.
  transact(*bench.store, [&] { REQUIRE(bench.store->erase(jobs, rows[4]).ok()); });
  transact(*bench.store, [&] { REQUIRE(bench.store->erase(jobs, rows[5]).ok()); });
  bench.damage_closed([&](std::string& file) {
    const std::vector<std::size_t> pages = pages_with(file, written_payload(rows[5]));
    REQUIRE(pages.size() == 1);
    char& count = file[(pages[0] - 1) * kPage + 4];
    REQUIRE(count == 4);
    count = 5;
  });
  bench.open();
  CHECK(bench.told("5 messages salvaged"));
  CHECK(read_sequences(*bench.store, jobs, RowState::parked) == std::vector<Sequence>(rows.begin(), rows.begin() + 4));
}

TEST_CASE("damage that a large file's start did not look for is met while it runs, and salvaged at the next start") {
  Bench bench;
  bench.options.quick_check_bytes = 0;
  const StreamId orders = make_stream(*bench.store);
  const std::vector<Sequence> rows = put_in_state(*bench.store, orders, RowState::ready, 100);
  bench.damage_closed(
      [&](std::string& file) { file[(pages_with(file, written_payload(rows[50])).front() - 1) * kPage] = 77; });
  bench.open();
  // That a page is not what was written last is told, and not taken for damage: it may as well be an older one.
  CHECK(bench.told("pages that were written to its database last are not as they were written"));
  CHECK_FALSE(bench.told("salvaged"));
  std::size_t seen = 0;
  const auto count = [&seen](const Row&) { return ++seen > 0; };
  CHECK(bench.store->read(orders, RowState::ready, 0, 1000, count).error().code == ErrorCode::corrupt);
  bench.disk.cut_power(sim::Loss::all);  // It need not end in an orderly way for that.
  bench.store.reset();
  bench.disk.restore_power();
  bench.open();
  CHECK(bench.told("messages salvaged"));
  CHECK(bench.store->read(orders, RowState::ready, 0, 1000, count).ok());
  CHECK(read_sequences(*bench.store, orders).size() >= 80);
}

TEST_CASE("a read that fails once while a damaged file is put aside costs nothing") {
  Bench bench;
  const StreamId jobs = jobs_with(*bench.store, 60);
  const std::vector<Sequence> rows = read_sequences(*bench.store, jobs);
  bench.damage_closed([](std::string& file) { file[100] = 0; });
  bool failed = false;
  bench.disk.on_operation([&](std::uint64_t) {
    // By then the copy has been begun: its first write is to come.
    if (!failed && bench.disk.exists("node.db-damaged1")) {
      bench.disk.fail_reads(1);
      failed = true;
    }
  });
  bench.open();
  CHECK(failed);
  CHECK(read_sequences(*bench.store, jobs) == rows);
}

TEST_CASE("past nine damaged files beside a store it is refused: a person has to look into that disk") {
  Bench bench;
  for (std::uint32_t i = 1; i <= limits::kDamagedFiles; ++i) {
    bench.damage_closed([](std::string& file) { file[100] = 0; });
    bench.open();
    CHECK(bench.disk.exists("node.db-damaged" + std::to_string(i)));
  }
  bench.damage_closed([](std::string& file) { file[100] = 0; });
  const Error error = refusal(bench.options);
  CHECK(error.code == ErrorCode::corrupt);
  CHECK(error.detail.find("9 damaged files") != std::string::npos);
}

TEST_CASE("another program's database is refused and left as it is, although a salvage was asked for") {
  TempFolder folder;
  const std::string path = folder.file("node.db");
  sim::SeededEntropy random(1);
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &database) == SQLITE_OK);
  REQUIRE(sqlite3_exec(database, "CREATE TABLE shopping (what TEXT); INSERT INTO shopping VALUES ('milk')", nullptr,
                       nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(database);
  const std::string content = load(path);
  save(path + "-salvage", "anything");
  const Error error = refusal({.path = path, .entropy = random});
  CHECK(error.code == ErrorCode::corrupt);
  CHECK(error.detail.find("not a Pannier store") != std::string::npos);
  CHECK(load(path) == content);
  CHECK(load(path + "-damaged1").empty());
}

TEST_CASE("a log without its database is salvaged, as far as it goes") {
  Bench bench;
  const StreamId orders = make_stream(*bench.store);
  const std::vector<Sequence> rows = put_in_state(*bench.store, orders, RowState::ready, 20);
  bench.disk.kill_process();
  bench.store.reset();
  REQUIRE(bench.disk.exists("node.db-wal"));
  REQUIRE(bench.disk.remove("node.db").ok());
  bench.open();
  CHECK(bench.told("20 messages salvaged"));
  CHECK(read_sequences(*bench.store, orders) == rows);
}

}  // namespace pannier::testing
