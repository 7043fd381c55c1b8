#include "runtime/store/sqlite/schema.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

#include "platform/concat.h"
#include "runtime/mutants.h"

namespace pannier::sqlite_schema {
namespace {

constexpr std::int64_t kJournalLimitBytes = 4 * 1024 * 1024;

/// See docs/storage.md. Tables come first, and the order must not change: a rebuild relies on their root pages if the
/// schema of a file is unreadable.
constexpr const char* kTables =
    "CREATE TABLE meta (id INTEGER PRIMARY KEY CHECK (id = 1), sequence_lease INTEGER NOT NULL, clean INTEGER NOT NULL)"
    " STRICT;"
    "CREATE TABLE incarnations (first_sequence INTEGER PRIMARY KEY, incarnation INTEGER NOT NULL) STRICT;"
    "CREATE TABLE streams (id INTEGER PRIMARY KEY, box INTEGER NOT NULL, node TEXT NOT NULL, lane TEXT NOT NULL,"
    " ready INTEGER NOT NULL, ready_bytes INTEGER NOT NULL, dead INTEGER NOT NULL, dead_bytes INTEGER NOT NULL,"
    " delayed INTEGER NOT NULL, delayed_bytes INTEGER NOT NULL, retained INTEGER NOT NULL,"
    " retained_bytes INTEGER NOT NULL) STRICT;"
    "CREATE TABLE messages (position INTEGER PRIMARY KEY, head BLOB NOT NULL, payload BLOB NOT NULL, moment INTEGER,"
    " key TEXT, origin INTEGER) STRICT;"
    "CREATE TABLE batches (position INTEGER PRIMARY KEY, rows BLOB NOT NULL) STRICT;"
    "CREATE TABLE watermarks (producer TEXT NOT NULL, incarnation INTEGER NOT NULL, lane TEXT NOT NULL,"
    " sequence INTEGER NOT NULL, PRIMARY KEY (producer, incarnation, lane)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE clock (id INTEGER PRIMARY KEY CHECK (id = 1), store INTEGER NOT NULL, mono INTEGER NOT NULL,"
    " wall INTEGER NOT NULL, boot INTEGER NOT NULL) STRICT;"
    "CREATE TABLE cursors (stream INTEGER NOT NULL, reader TEXT NOT NULL, sequence INTEGER NOT NULL,"
    " PRIMARY KEY (stream, reader)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE tokens (stream INTEGER NOT NULL, token TEXT NOT NULL, sequence INTEGER NOT NULL,"
    " expires_at INTEGER NOT NULL, PRIMARY KEY (stream, token)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE state (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE INDEX messages_moment ON messages (moment) WHERE moment IS NOT NULL;"
    "CREATE INDEX messages_key ON messages (position>>44, key, coalesce(origin, position&17592186044415))"
    " WHERE key IS NOT NULL;"
    "CREATE INDEX messages_origin ON messages (origin) WHERE origin IS NOT NULL;"
    "CREATE INDEX tokens_expire ON tokens (expires_at);"
    "INSERT INTO meta VALUES (1, 1, 0);";
static_assert(limits::kSequenceBits == 44 && limits::kMaxSequence == 17592186044415, "the index messages_key says so");

/// The version of one of our files, 0 for a new file, an error for any other. Only reads.
Result<std::int64_t> identify(Connection& database, const std::string& path) {
  const Result<std::int64_t> id = database.integer("PRAGMA application_id");
  if (!id) return id.error();
  const Result<std::int64_t> found = database.integer("PRAGMA user_version");
  if (!found) return found.error();
  if (*id == kApplicationId) {
    if (*found > version()) {
      return store_error(ErrorCode::unsupported, path,
                         concat({"its format is version ", *found, ", this release knows up to ", version()}));
    }
    if (*found < 1) {
      return store_error(ErrorCode::corrupt, path, concat({"its format version ", *found, " never existed"}));
    }
    return *found;
  }
  const Result<std::int64_t> tables = database.integer("SELECT count(*) FROM sqlite_schema");
  if (!tables) return tables.error();
  if (*id == 0 && *found == 0 && *tables == 0) return std::int64_t{0};
  return store_error(ErrorCode::corrupt, path, "not a Pannier store (a database of another program)");
}

Result<void> set_up(Connection& database, const SqliteOptions& options) {
  struct Setting {
    std::string_view pragma;
    std::string_view value;
    std::string_view expected;
  };
  const std::string page = std::to_string(kPageBytes);
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
                                            : Setting{"synchronous", "EXTRA", "3"},  // Also before journal_mode.
      {"journal_mode", "WAL", "wal"},
      {"wal_autocheckpoint", "0", "0"},  // The store checkpoints itself: SQLite does not report a failed automatic one.
      {"journal_size_limit", journal, journal},
  };
  for (const Setting& setting : settings) {
    // An existing file has its page size and vacuum mode in its header, so they are only verified.
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
  const char* const everything[] = {"PRAGMA quick_check(1)"};
  const char* const small_tables[] = {"PRAGMA quick_check(meta)",    "PRAGMA quick_check(incarnations)",
                                      "PRAGMA quick_check(streams)", "PRAGMA quick_check(watermarks)",
                                      "PRAGMA quick_check(clock)",   "PRAGMA quick_check(cursors)"};
  for (const char* sql :
       whole ? std::span<const char* const>(everything) : std::span<const char* const>(small_tables)) {
    const Result<std::string> found = database.text(sql);
    if (!found) return found.error();
    if (*found != "ok") return store_error(ErrorCode::corrupt, options.path, "damaged: " + *found);
  }
  return {};
}

bool same(std::string_view a, std::string_view b) noexcept {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
  });
}

}  // namespace

bool is_store_table(std::string_view name) noexcept {
  static constexpr std::array<std::string_view, 10> kNames = {
      "meta", "incarnations", "streams", "messages", "batches", "watermarks", "clock", "cursors", "tokens", "state"};
  static constexpr std::array<std::string_view, 7> kPrefixes = {"messages_", "tokens_",     "pannier_",     "pragma_",
                                                                "dbstat",    "sqlite_stmt", "sqlite_dbpage"};
  return std::any_of(kNames.begin(), kNames.end(), [&](std::string_view each) { return same(name, each); }) ||
         std::any_of(kPrefixes.begin(), kPrefixes.end(),
                     [&](std::string_view each) { return same(name.substr(0, each.size()), each); });
}

std::span<const Migration> migrations() noexcept { return {}; }

std::int64_t version() noexcept { return 1 + static_cast<std::int64_t>(migrations().size()); }

Result<void> migrate(Connection& database, std::int64_t from, std::span<const Migration> steps) {
  for (auto at = static_cast<std::size_t>(from) - 1; at < steps.size(); ++at) {
    Result<void> done = database.execute("BEGIN IMMEDIATE");
    if (done) done = steps[at](database);
    if (done) done = database.execute(concat({"PRAGMA user_version=", at + 2, ";COMMIT"}).c_str());
    if (done) continue;
    if (!database.autocommit()) database.execute("ROLLBACK").ignore();
    return done;
  }
  return {};
}

Result<void> check_columns(const Connection& database) {
  for (const char* columns :
       {"SELECT sequence_lease, clean FROM meta", "SELECT first_sequence, incarnation FROM incarnations",
        "SELECT id, box, node, lane, ready, ready_bytes, dead, dead_bytes, delayed, delayed_bytes, retained,"
        " retained_bytes FROM streams",
        "SELECT position, head, payload, moment, key, origin FROM messages", "SELECT position, rows FROM batches",
        "SELECT producer, incarnation, lane, sequence FROM watermarks", "SELECT id, store, mono, wall, boot FROM clock",
        "SELECT stream, reader, sequence FROM cursors", "SELECT stream, token, sequence, expires_at FROM tokens",
        "SELECT key, value FROM state"}) {
    if (const int rc = Statement(database, columns).prepare(); rc != SQLITE_OK) {
      return database.error(rc, "prepare a statement");
    }
  }
  return {};
}

Result<Connection> open(const SqliteOptions& options, CountingVfs& vfs) {
  // SQLite silently deletes the log of an empty or missing database, and acknowledged messages with it.
  if (vfs.size_of(options.path) == 0 && vfs.size_of(options.path + "-wal").value_or(1) > 0) {
    return store_error(ErrorCode::corrupt, options.path, "missing or empty, but its -wal file is there");
  }
  Result<Connection> database = Connection::open(options.path, vfs.name());
  if (!database) return database;
  if (database->read_only()) return store_error(ErrorCode::permission, options.path, "not writable");
  if (Result<void> set = database->set("locking_mode", "EXCLUSIVE", "exclusive"); !set) return set.error();
  database->checkpoint_on_close(false);
  const Result<std::int64_t> found = identify(*database, options.path);
  if (!found) return found.error();
  database->checkpoint_on_close(true);
  int reserved = *found == 0 ? static_cast<int>(kReservedBytes) : -1;  // -1 reads the value.
  sqlite3_file_control(database->get(), "main", SQLITE_FCNTL_RESERVE_BYTES, &reserved);
  if (*found != 0 && reserved != static_cast<int>(kReservedBytes)) {
    return store_error(ErrorCode::corrupt, options.path, "its pages have no room for checksums");
  }
  if (Result<void> set = set_up(*database, options); !set) return set.error();
  Result<void> made;
  if (*found == 0) {
    made = database->execute(concat({"BEGIN IMMEDIATE;", kTables, "PRAGMA application_id=", kApplicationId,
                                     ";PRAGMA user_version=", version(), ";COMMIT;"})
                                 .c_str());
  } else {
    made = migrate(*database, *found, migrations());
  }
  if (!made) return made.error();
  if (Result<void> sound = check(*database, options); !sound) return sound.error();
  return database;
}

}  // namespace pannier::sqlite_schema
