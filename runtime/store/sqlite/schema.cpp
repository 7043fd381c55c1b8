#include "runtime/store/sqlite/schema.h"

#include <algorithm>
#include <string>

#include "platform/concat.h"
#include "runtime/mutants.h"
#include "runtime/store/sqlite/twin.h"

namespace pannier::sqlite_schema {
namespace {

constexpr std::int64_t kJournalLimitBytes = 4 * 1024 * 1024;

/// As docs/storage.md has them.
constexpr const char* kTables =
    "CREATE TABLE meta (id INTEGER PRIMARY KEY CHECK (id = 1), incarnation INTEGER NOT NULL,"
    " sequence_lease INTEGER NOT NULL, clean INTEGER NOT NULL, crc INTEGER NOT NULL) STRICT;"
    "CREATE TABLE streams (id INTEGER PRIMARY KEY, box INTEGER NOT NULL, node TEXT NOT NULL, lane TEXT NOT NULL,"
    " crc INTEGER NOT NULL) STRICT;"
    "CREATE TABLE loads (stream INTEGER PRIMARY KEY, ready INTEGER NOT NULL, ready_bytes INTEGER NOT NULL,"
    " parked INTEGER NOT NULL, parked_bytes INTEGER NOT NULL, delayed INTEGER NOT NULL,"
    " delayed_bytes INTEGER NOT NULL, kept INTEGER NOT NULL, kept_bytes INTEGER NOT NULL, crc INTEGER NOT NULL) STRICT;"
    "CREATE TABLE rows (position INTEGER PRIMARY KEY, head BLOB NOT NULL, payload BLOB NOT NULL) STRICT;"
    "CREATE TABLE parked (position INTEGER PRIMARY KEY, head BLOB NOT NULL, payload BLOB NOT NULL) STRICT;"
    "CREATE TABLE delayed (position INTEGER PRIMARY KEY, head BLOB NOT NULL, payload BLOB NOT NULL,"
    " due INTEGER NOT NULL) STRICT;"
    "CREATE INDEX delayed_due ON delayed (due);"
    "CREATE TABLE kept (position INTEGER PRIMARY KEY, head BLOB NOT NULL, payload BLOB NOT NULL) STRICT;"
    "CREATE TABLE damaged (position INTEGER PRIMARY KEY, head BLOB NOT NULL, payload BLOB NOT NULL) STRICT;"
    "CREATE TABLE origins (origin INTEGER PRIMARY KEY, position INTEGER NOT NULL) STRICT;"
    "CREATE TABLE watermarks (producer TEXT NOT NULL, incarnation INTEGER NOT NULL, lane TEXT NOT NULL,"
    " sequence INTEGER NOT NULL, crc INTEGER NOT NULL, PRIMARY KEY (producer, incarnation, lane))"
    " STRICT, WITHOUT ROWID;"
    "CREATE TABLE state (key TEXT PRIMARY KEY, value BLOB NOT NULL, crc INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE cursors (stream INTEGER NOT NULL, reader TEXT NOT NULL, sequence INTEGER NOT NULL,"
    " crc INTEGER NOT NULL, PRIMARY KEY (stream, reader)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE tokens (stream INTEGER NOT NULL, token TEXT NOT NULL, sequence INTEGER NOT NULL,"
    " expires_at INTEGER NOT NULL, crc INTEGER NOT NULL, PRIMARY KEY (stream, token)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX tokens_expire ON tokens (expires_at);"
    "CREATE TABLE clock (id INTEGER PRIMARY KEY CHECK (id = 1), store INTEGER NOT NULL, mono INTEGER NOT NULL,"
    " wall INTEGER NOT NULL, boot INTEGER NOT NULL, crc INTEGER NOT NULL) STRICT;";

/// The version of a file of ours, 0 for a new file; an error for anything else. Reads only.
Result<std::int64_t> identify(Connection& database, const std::string& path) {
  const Result<std::int64_t> id = database.integer("PRAGMA application_id");
  if (!id) return id.error();
  const Result<std::int64_t> version = database.integer("PRAGMA user_version");
  if (!version) return version.error();
  if (*id == kApplicationId) {
    if (*version > kVersion) {
      return store_error(ErrorCode::unsupported, path,
                         concat({"its format is version ", *version, ", this release knows up to ", kVersion}));
    }
    if (*version < 1) {
      return store_error(ErrorCode::corrupt, path, concat({"its format version ", *version, " never existed"}));
    }
    return *version;
  }
  const Result<std::int64_t> tables = database.integer("SELECT count(*) FROM sqlite_schema");
  if (!tables) return tables.error();
  if (*id == 0 && *version == 0 && *tables == 0) return std::int64_t{0};
  return store_error(ErrorCode::corrupt, path, "not a Pannier store (a database of another program)");
}

Result<void> set_up(Connection& database, const SqliteOptions& options) {
  struct Setting {
    std::string_view pragma;
    std::string_view value;
    std::string_view expected;
  };
  const std::string page = std::to_string(kPageBytes);
  const std::string pages = std::to_string(options.checkpoint_pages);
  const std::string journal = std::to_string(kJournalLimitBytes);
  const Setting settings[] = {
      {"page_size", page, page},     // The first two before journal_mode,
      {"auto_vacuum", "NONE", "0"},  // which writes a new file's header.
      {"mmap_size", "0", "0"},
      {"temp_store", "MEMORY", "2"},
      {"secure_delete", "OFF", "0"},
      {"cell_size_check", "ON", "1"},
      {"trusted_schema", "OFF", "0"},
      is_mutant(Mutant::synchronous_normal) ? Setting{"synchronous", "NORMAL", "1"}
                                            : Setting{"synchronous", "EXTRA", "3"},  // Before journal_mode, too.
      {"journal_mode", "WAL", "wal"},
      {"wal_autocheckpoint", pages, pages},
      {"journal_size_limit", journal, journal},
  };
  for (const Setting& setting : settings) {
    // A file of ours has its page size and vacuum mode in its header: they are read back only.
    if (Result<void> set = database.set(setting.pragma, setting.value, setting.expected); !set) return set;
  }
  if (options.max_bytes > 0) {
    const Result<std::int64_t> used = database.integer("PRAGMA page_count");
    if (!used) return used.error();
    const auto most = std::max<std::int64_t>(static_cast<std::int64_t>(options.max_bytes / kPageBytes), 32);
    const std::string expected = std::to_string(std::max(most, *used));
    if (Result<void> set = database.set("max_page_count", std::to_string(most), expected); !set) return set;
  }
  return {};
}

Result<void> check(Connection& database, const SqliteOptions& options) {
  const Result<std::int64_t> pages = database.integer("PRAGMA page_count");
  if (!pages) return pages.error();
  const bool whole = static_cast<std::uint64_t>(*pages) * kPageBytes <= options.quick_check_bytes;
  // The indexes, too, where an entry that is gone would be a message that is never due.
  const char* const everything[] = {"PRAGMA quick_check(1)", "PRAGMA integrity_check(delayed)",
                                    "PRAGMA integrity_check(tokens)"};
  const char* const small_tables[] = {"PRAGMA quick_check(meta)", "PRAGMA quick_check(streams)",
                                      "PRAGMA quick_check(watermarks)", "PRAGMA quick_check(loads)",
                                      "PRAGMA quick_check(cursors)"};
  for (const char* sql :
       whole ? std::span<const char* const>(everything) : std::span<const char* const>(small_tables)) {
    const Result<std::string> found = database.text(sql);
    if (!found) return found.error();
    if (*found != "ok") return store_error(ErrorCode::corrupt, options.path, "damaged: " + *found);
  }
  return {};
}

}  // namespace

std::string make_tables(std::uint64_t incarnation, Sequence lease) {
  return concat({kTables, kCreateBatches, sqlite_twin::kCreate, "PRAGMA application_id=", kApplicationId,
                 ";PRAGMA user_version=", kVersion, ";INSERT INTO meta VALUES (1, ",
                 static_cast<std::int64_t>(incarnation), ", ", static_cast<std::int64_t>(lease), ", 0, ",
                 meta_checksum(incarnation, lease, false), ");"});
}

Result<Connection> open(const SqliteOptions& options, CountingVfs& vfs) {
  // SQLite deletes the log of an empty or missing database without a word, and acknowledged messages with it.
  if (vfs.size_of(options.path) == 0 && vfs.size_of(options.path + "-wal").value_or(1) > 0) {
    return store_error(ErrorCode::corrupt, options.path, "missing or empty, but its -wal file is there");
  }
  Result<Connection> database = Connection::open(options.path, vfs.name());
  if (!database) return database;
  if (database->read_only()) return store_error(ErrorCode::permission, options.path, "not writable");
  if (Result<void> set = database->set("locking_mode", "EXCLUSIVE", "exclusive"); !set) return set.error();
  database->checkpoint_on_close(false);
  const Result<std::int64_t> version = identify(*database, options.path);
  if (!version) return version.error();
  database->checkpoint_on_close(true);
  if (Result<void> set = set_up(*database, options); !set) return set.error();
  Result<void> made;
  if (*version == 0) {
    made =
        database->execute(concat({"BEGIN IMMEDIATE;", make_tables(options.entropy.next_u64(), 1), "COMMIT;"}).c_str());
  }
  if (*version == 1) made = migrate_from_1(*database, options.path);
  if (*version == 2) made = migrate_from_2(*database);
  if (!made) return made.error();
  if (Result<void> sound = check(*database, options); !sound) return sound.error();
  return database;
}

}  // namespace pannier::sqlite_schema
