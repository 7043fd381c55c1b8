#include <string>

#include "platform/concat.h"
#include "runtime/store/sqlite/functions.h"
#include "runtime/store/sqlite/schema.h"
#include "runtime/store/sqlite/twin.h"

namespace pannier::sqlite_schema {

// Version 1 had the fields of a row in columns, no times but enqueued_at, no loads, and no mark for a clean end. Its
// checksums of rows are kept as they are: what did not hold does not hold afterwards.

Result<void> migrate_from_1(Connection& database, const std::string& path) {
  Statement read(database, "SELECT incarnation, sequence_lease, crc FROM meta WHERE id=1");
  const int rc = read.step();
  if (rc != SQLITE_ROW && rc != SQLITE_DONE) return database.error(rc, "read");
  const auto incarnation = static_cast<std::uint64_t>(read.integer(0));
  const auto lease = static_cast<Sequence>(read.integer(1));
  if (rc == SQLITE_DONE || read.integer(2) != FieldChecksum().u64(incarnation).u64(lease).value()) {
    return store_error(ErrorCode::corrupt, path, "the checksum of table meta does not hold");
  }
  read.reset();
  sqlite_functions::Tally unused;
  if (const int added = sqlite_functions::add(database.get(), unused); added != SQLITE_OK) {
    return database.error(added, "add a function");
  }
  constexpr const char* kOld[] = {"meta", "streams", "rows", "parked", "damaged", "watermarks", "state"};
  constexpr const char* kRows[] = {"rows", "parked", "damaged"};
  constexpr const char* kSame[] = {"streams", "watermarks", "state"};
  std::string sql = "BEGIN IMMEDIATE;";
  for (const char* table : kOld)
    sql.append("ALTER TABLE ").append(table).append(" RENAME TO old_").append(table) += ";";
  sql += make_tables(incarnation, lease);
  for (const char* table : kRows) {
    sql.append("INSERT INTO ")
        .append(table)
        .append(
            " SELECT position, pannier_head(crc, type, enqueued_at, attempts, key, producer, cause), payload FROM "
            "old_");
    sql.append(table) += ";";
  }
  for (const char* table : kSame) {
    sql.append("INSERT INTO ").append(table).append(" SELECT * FROM old_").append(table) += ";";
  }
  for (const char* table : kOld) sql.append("DROP TABLE old_").append(table) += ";";
  sql += "COMMIT;";
  Result<void> done = database.execute(sql.c_str());
  if (!done && !database.autocommit()) static_cast<void>(database.execute("ROLLBACK"));
  return done;
}

// Version 2 had no batches. Its twin, which early files of it lack, is written anew by the start that follows.

Result<void> migrate_from_2(Connection& database) {
  const std::string sql =
      concat({"BEGIN IMMEDIATE;", kCreateBatches, sqlite_twin::kCreate, "PRAGMA user_version=", kVersion, ";COMMIT;"});
  Result<void> done = database.execute(sql.c_str());
  if (!done && !database.autocommit()) static_cast<void>(database.execute("ROLLBACK"));
  return done;
}

}  // namespace pannier::sqlite_schema
