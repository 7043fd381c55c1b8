// What a rebuild does about what it cannot have back.

#include <sqlite3.h>

#include <functional>
#include <memory>
#include <string>

#include <doctest/doctest.h>

#include <pannier/limits.h>
#include <pannier/sim.h>
#include <pannier/sqlite_store.h>
#include "platform/sim/disk.h"
#include "runtime/store/sim/sqlite_disk.h"
#include "runtime/store/store.h"
#include "tests/runtime/store/damage_support.h"
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
  StorePtr store = open_or_fail(options);

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

TEST_CASE("watermarks on a page that does not read are lost, and that is told") {
  Bench bench;
  transact(*bench.store, [&] { REQUIRE(bench.store->put_watermark({"tablet-3", 7, "orders", 5}).ok()); });
  const std::size_t root = root_of(bench, "watermarks");
  bench.damage_closed([&](std::string& file) { wipe(file, root); });
  bench.open();
  CHECK(bench.told("what was taken in"));
  CHECK(bench.store->watermarks()->empty());
}

TEST_CASE("values of state on a page that does not read are lost, and that is told") {
  Bench bench;
  transact(*bench.store, [&] {
    for (int i = 0; i < 40; ++i) {
      const std::string value(1000, 'v');
      REQUIRE(bench.store->state()->put_state("order/" + std::to_string(i), std::as_bytes(std::span{value})).ok());
    }
  });
  bench.damage_closed([](std::string& file) { file.replace(file.find("order/25") + 500, 40, 40, 'x'); });
  bench.open();
  CHECK(bench.told("state of the application"));
  const std::size_t left = state_keys(*bench.store, "").size();  // From both ends.
  CHECK(left < 40);
  CHECK(left >= 30);
}

TEST_CASE(
    "where it is not known which start sent what, what may have been sent is dead-lettered; what came in goes on") {
  Bench bench;
  const StreamId orders = make_stream(*bench.store);
  const std::vector<Sequence> sent = put_in_state(*bench.store, orders, RowState::ready, 5);
  const std::vector<Sequence> later = put_in_state(*bench.store, orders, RowState::delayed, 5);
  const StreamId jobs = jobs_with(*bench.store, 5);
  const std::uint64_t incarnation = bench.store->incarnation();
  SUBCASE("the lease is lost: it goes on beyond all that was found") {
    const std::size_t root = root_of(bench, "meta");
    bench.damage_closed([&](std::string& file) { wipe(file, root); });
    bench.open();
    CHECK(bench.told("the lease of sequences"));
    CHECK(bench.store->incarnation_of(sent[0]) == incarnation);
    CHECK(read_sequences(*bench.store, orders) == sent);
  }
  SUBCASE("the incarnations are lost") {
    const std::size_t root = root_of(bench, "incarnations");
    bench.damage_closed([&](std::string& file) { wipe(file, root); });
    bench.open();
    CHECK(bench.told("which start sent what"));
    CHECK(bench.store->incarnation() != incarnation);
    CHECK(read_sequences(*bench.store, orders).empty());
    CHECK(read_sequences(*bench.store, orders, RowState::dead_lettered).size() == sent.size() + later.size());
    CHECK(read_sequences(*bench.store, jobs).size() == 5);
  }
  CHECK(*bench.store->next_sequence() > later.back());
}

TEST_CASE("messages of a lane whose name was lost are dead-lettered under another") {
  Bench bench;
  const StreamId jobs = jobs_with(*bench.store, 5);
  const std::size_t streams = root_of(bench, "streams");
  bench.damage_closed([&](std::string& file) { wipe(file, streams); });
  bench.open();
  CHECK(bench.told("the names of lanes"));
  const Stream stand_in = stream_of(*bench.store, jobs);
  CHECK(stand_in.lane == "rebuilt.1");
  CHECK(stand_in[RowState::ready].messages == 0);
  CHECK(stand_in[RowState::dead_lettered].messages == 5);
  CHECK(static_cast<unsigned>(make_stream(*bench.store, "fresh")) == 2);
}

TEST_CASE("one wrong byte, wherever, costs nothing") {
  Bench bench;
  const StreamId orders = make_stream(*bench.store);
  const std::vector<Sequence> ready = put_in_state(*bench.store, orders, RowState::ready, 100);
  transact(*bench.store, [&] { REQUIRE(bench.store->sql()->execute({"CREATE TABLE stop (id INTEGER)", {}}).ok()); });
  SUBCASE("in the header") {
    bench.damage_closed([](std::string& file) { file[20] ^= 8; });
  }
  SUBCASE("in the page of the schema") {
    bench.damage_closed([](std::string& file) { file[3000] ^= 0x55; });
  }
  SUBCASE("in a batch") {
    bench.damage_closed([&](std::string& file) { file[file.find(written_payload(ready[70]))] ^= 0x7f; });
  }
  SUBCASE("in a checksum") {
    bench.damage_closed([](std::string& file) { file[2 * kPage - 3] ^= 1; });
  }
  bench.open();
  CHECK(bench.told("it was damaged"));
  CHECK_FALSE(bench.told("not whole"));
  CHECK(read_sequences(*bench.store, orders) == ready);
  transact(*bench.store, [&] { REQUIRE(bench.store->sql()->execute({"INSERT INTO stop VALUES (1)", {}}).ok()); });
}

TEST_CASE("where the schema does not read the store's own tables are found all the same") {
  Bench bench;
  const StreamId orders = make_stream(*bench.store);
  const std::vector<Sequence> ready = put_in_state(*bench.store, orders, RowState::ready, 100);
  const std::vector<Sequence> later = put_in_state(*bench.store, orders, RowState::delayed, 5);
  transact(*bench.store, [&] {
    REQUIRE(bench.store->put_watermark({"tablet-3", 7, "orders", 5}).ok());
    REQUIRE(bench.store->sql()->execute({"CREATE TABLE stop (id INTEGER)", {}}).ok());
  });
  SUBCASE("the first page is zeros") {
    bench.damage_closed([](std::string& file) { wipe(file, 1); });
  }
  SUBCASE("the start of its header is garbage") {
    bench.damage_closed([](std::string& file) { file.replace(0, 30, 30, 'g'); });
  }
  bench.open();
  CHECK(bench.told("the schema did not read"));
  CHECK(read_sequences(*bench.store, orders) == ready);
  CHECK(read_sequences(*bench.store, orders, RowState::delayed) == later);
  CHECK(bench.store->watermarks()->size() == 1);
}

TEST_CASE("a store whose clock was lost expires nothing early and delivers nothing early") {
  Bench bench;
  const StreamId orders = make_stream(*bench.store);
  put_in_state(*bench.store, orders, RowState::retained, 5);  // The last one at 1,004 ms.
  transact(*bench.store, [&] { REQUIRE(bench.store->put_anchor({at_ms(5000), MonoTime{}, WallTime{}, 1}).ok()); });
  const std::size_t clock = root_of(bench, "clock");
  bench.damage_closed([&](std::string& file) { wipe(file, clock); });
  bench.open();
  CHECK(bench.told("the clock"));
  const auto anchor = bench.store->anchor();
  REQUIRE(anchor.ok());
  REQUIRE(anchor->has_value());
  CHECK((*anchor)->store == at_ms(1004));
}

TEST_CASE("damage that a large file's start did not look for is met while it runs, and rebuilt at the next start") {
  Bench bench;
  bench.options.quick_check_bytes = 0;
  const StreamId orders = make_stream(*bench.store);
  const std::vector<Sequence> rows = put_in_state(*bench.store, orders, RowState::ready, 100);
  bench.damage_closed(
      [&](std::string& file) { file[(pages_with(file, written_payload(rows[50])).front() - 1) * kPage] = 77; });
  bench.open();
  // That a page is not what was written last is told, and not taken for damage: it may as well be an older one.
  CHECK(bench.told("pages that were written to its database last are not as they were written"));
  CHECK_FALSE(bench.told("it was damaged"));
  std::size_t seen = 0;
  const auto count = [&seen](const Row&) { return ++seen > 0; };
  CHECK(bench.store->read(orders, RowState::ready, 0, 1000, count).error().code == ErrorCode::corrupt);
  bench.disk.cut_power(sim::Loss::all);  // It need not end in an orderly way for that.
  bench.store.reset();
  bench.disk.restore_power();
  bench.open();
  CHECK(bench.told("it was damaged"));
  CHECK(bench.store->read(orders, RowState::ready, 0, 1000, count).ok());
  CHECK(read_sequences(*bench.store, orders).size() >= 40);  // A batch is read up to its first damaged page.
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

TEST_CASE("another program's database is refused and left as it is, although a rebuild was asked for") {
  TempFolder folder;
  const std::string path = folder.file("node.db");
  sim::SeededEntropy random(1);
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &database) == SQLITE_OK);
  REQUIRE(sqlite3_exec(database, "CREATE TABLE shopping (what TEXT); INSERT INTO shopping VALUES ('milk')", nullptr,
                       nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(database);
  const std::string content = load(path);
  save(path + "-rebuild", "anything");
  const Error error = refusal({.path = path, .entropy = random});
  CHECK(error.code == ErrorCode::corrupt);
  CHECK(error.detail.find("not a Pannier store") != std::string::npos);
  CHECK(load(path) == content);
  CHECK(load(path + "-damaged1").empty());
}

TEST_CASE("a log without its database is rebuilt from, as far as it goes") {
  Bench bench;
  const StreamId orders = make_stream(*bench.store);
  const std::vector<Sequence> rows = put_in_state(*bench.store, orders, RowState::ready, 20);
  bench.disk.kill_process();
  bench.store.reset();
  REQUIRE(bench.disk.exists("node.db-wal"));
  REQUIRE(bench.disk.remove("node.db").ok());
  bench.open();
  CHECK(bench.told("20 messages"));
  CHECK(read_sequences(*bench.store, orders) == rows);
}

}  // namespace pannier::testing
