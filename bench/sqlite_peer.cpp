// The peer's side of the rows about enqueue: SQLite as a program would use it by itself, with the settings of
// docs/storage.md, one prepared INSERT a row, in groups as large as ours were. `sqlite ROW VARIANT SCALE FOLDER ROWS
// MATCH` prints rows a second.

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "bench/measure.h"

namespace {

using pannier::bench::Call;
using pannier::bench::Stopwatch;

void must(int rc, sqlite3* database) {
  if (rc != SQLITE_OK && rc != SQLITE_DONE && rc != SQLITE_ROW) pannier::bench::give_up(sqlite3_errmsg(database));
}

struct Table {
  explicit Table(const std::string& path, bool wide) : as_rows(wide) {
    must(sqlite3_open(path.c_str(), &database), database);
    for (const char* sql :
         {"PRAGMA locking_mode=EXCLUSIVE", "PRAGMA page_size=4096", "PRAGMA auto_vacuum=NONE", "PRAGMA mmap_size=0",
          "PRAGMA temp_store=MEMORY", "PRAGMA secure_delete=OFF", "PRAGMA cell_size_check=ON",
          "PRAGMA trusted_schema=OFF", "PRAGMA synchronous=FULL", "PRAGMA journal_mode=WAL",
          "PRAGMA wal_autocheckpoint=256", "PRAGMA journal_size_limit=4194304", as_rows ? kAsRows : kBare}) {
      must(sqlite3_exec(database, sql, nullptr, nullptr, nullptr), database);
    }
    begin = prepare("BEGIN");
    commit = prepare("COMMIT");
    insert = prepare(as_rows ? kInsertAsRows : kInsertBare);
  }
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;
  ~Table() {
    for (sqlite3_stmt* each : {begin, commit, insert}) sqlite3_finalize(each);
    sqlite3_close(database);
  }

  sqlite3_stmt* prepare(const char* sql) const {
    sqlite3_stmt* made = nullptr;
    must(sqlite3_prepare_v3(database, sql, -1, SQLITE_PREPARE_PERSISTENT, &made, nullptr), database);
    return made;
  }
  void run(sqlite3_stmt* statement) const {
    must(sqlite3_step(statement), database);
    must(sqlite3_reset(statement), database);
  }
  void put(std::uint64_t id) const {
    static const std::array<char, 256> kPayload{};
    const std::string key = "order-" + std::to_string(1000 + id % 1024);
    sqlite3_bind_int64(insert, 1, static_cast<sqlite3_int64>(id));
    sqlite3_bind_text(insert, 2, key.data(), static_cast<int>(key.size()), SQLITE_STATIC);
    sqlite3_bind_blob(insert, 3, kPayload.data(), static_cast<int>(kPayload.size()), SQLITE_STATIC);
    if (as_rows) {
      sqlite3_bind_int64(insert, 4, 0x7234567812345678);
      sqlite3_bind_int64(insert, 5, 1'764'000'000'000'000'000);
      sqlite3_bind_int64(insert, 6, 0);
      sqlite3_bind_int64(insert, 7, static_cast<sqlite3_int64>(id * 2'654'435'761 & 0xffff'ffff));
      sqlite3_bind_text(insert, 8, "", 0, SQLITE_STATIC);
      sqlite3_bind_text(insert, 9, "", 0, SQLITE_STATIC);
    }
    run(insert);
  }

  /// What any program needs to keep such a queue, and what docs/storage.md has in a row of `rows` (but no checksum is
  /// computed here).
  static constexpr const char* kBare =
      "CREATE TABLE messages (id INTEGER PRIMARY KEY, key TEXT NOT NULL, payload BLOB NOT NULL) STRICT";
  static constexpr const char* kInsertBare = "INSERT INTO messages (id, key, payload) VALUES (?1, ?2, ?3)";
  static constexpr const char* kAsRows =
      "CREATE TABLE messages (id INTEGER PRIMARY KEY, type INTEGER NOT NULL, enqueued_at INTEGER NOT NULL,"
      " attempts INTEGER NOT NULL, crc INTEGER NOT NULL, key TEXT NOT NULL, producer TEXT NOT NULL,"
      " cause TEXT NOT NULL, payload BLOB NOT NULL) STRICT";
  static constexpr const char* kInsertAsRows =
      "INSERT INTO messages (id, key, payload, type, enqueued_at, attempts, crc, producer, cause)"
      " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

  bool as_rows;

  sqlite3* database = nullptr;
  sqlite3_stmt* begin = nullptr;
  sqlite3_stmt* commit = nullptr;
  sqlite3_stmt* insert = nullptr;
};

double inserts(const Call& call, std::uint64_t warm_up, std::uint64_t count, std::uint64_t group) {
  const Table table{call.folder + "/sqlite-" + std::to_string(Stopwatch::ticks()) + ".db", call.variant == 2};
  Stopwatch watch;
  std::uint64_t id = 0;
  std::uint64_t begun = 0;
  while (id < warm_up + count) {
    if (begun == 0 && id >= warm_up) {
      begun = id + 1;
      watch.start();
    }
    table.run(table.begin);
    for (std::uint64_t i = 0; i < group; ++i) table.put(++id);
    table.run(table.commit);
  }
  return static_cast<double>(id + 1 - begun) / watch.seconds();
}

double measure(const Call& call) {
  if (call.row == "enqueue/one-at-a-time" || call.row == "enqueue/one-thread") {
    return inserts(call, call.times(500), call.times(5e3), 1);
  }
  if (call.row == "enqueue/fsynced") {
    return inserts(call, call.times(1e5), call.times(1e6),
                   static_cast<std::uint64_t>(std::max(1LL, std::llround(call.match))));
  }
  pannier::bench::give_up("there is no row " + call.row);
}

}  // namespace

int main(int argc, char** argv) { return pannier::bench::answer(measure(pannier::bench::read_call(argc, argv))); }
