#include "runtime/store/sqlite/rebuild.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include <pannier/limits.h>
#include "platform/concat.h"
#include "platform/function_ref.h"
#include "runtime/store/sqlite/format.h"
#include "runtime/store/sqlite/log.h"
#include "runtime/store/sqlite/page_sum.h"
#include "runtime/store/sqlite/session.h"

namespace pannier::sqlite_rebuild {

// The plan.
//
// 1. `<path>-rebuild` says that the file is damaged, and under which name it is set aside.
// 2. The database and its log are copied to `<path>-damaged<n>`. The note says so: from here on the copy is the source.
// 3. The database, its log and its notes are deleted, and a new database is made.
// 4. What can be read of the source goes into the new one, table by table (class Rebuild below).
// 5. The note is deleted.
//
// Each step is synced before the next one begins.

namespace {

constexpr std::uint32_t kNoteMagic = 0x31424552;  // "REB1"
constexpr std::string_view kDoubtful =
    "the file was damaged, and nobody knows whether this was delivered; redrive it where it was not";
constexpr std::string_view kNoStream = "the file was damaged, and the name of its lane was lost";
/// Rows per transaction of the new file.
constexpr std::size_t kGroupRows = 4096;

using sqlite_log::little;
using sqlite_log::put_little;
using sqlite_schema::position;
using sqlite_schema::sequence_of;
using sqlite_schema::state_of;
using sqlite_schema::stream_of;

struct Note {
  std::uint32_t number = 0;  ///< The suffix of the file set aside; 0: not chosen yet.
  bool is_aside = false;     ///< The copy is complete.
};

std::string note_name(const std::string& path) { return path + "-rebuild"; }
std::string aside_name(const std::string& path, std::uint32_t number) { return concat({path, "-damaged", number}); }

Error disk_error(int rc, const std::string& path, std::string_view doing) {
  const ErrorCode code = (rc & 0xff) == SQLITE_FULL ? ErrorCode::storage_full : ErrorCode::storage_io;
  return store_error(code, path, concat({"damaged, and not rebuilt yet: cannot ", doing}));
}

/// A transient error, not damage: a later attempt may read more.
bool passes(int rc) noexcept {
  if (rc == SQLITE_IOERR_DATA) return false;
  switch (rc & 0xff) {
    case SQLITE_NOMEM:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_BUSY:
    case SQLITE_FULL: return true;
    default: return false;
  }
}

// --- Setting aside ---------------------------------------------------------------------------------------------------

/// Nothing if there is no note, or a torn one: it was being written, and no step was done yet.
Result<std::optional<Note>> read_note(CountingVfs& vfs, const std::string& path) {
  VfsFile file(vfs.base(), note_name(path));
  if (!file.exists()) return std::optional<Note>{};
  std::array<std::byte, 16> bytes{};
  if (!file.open(SQLITE_OPEN_READONLY | SQLITE_OPEN_MAIN_DB)) return disk_error(SQLITE_IOERR, path, "read its note");
  const std::optional<std::int64_t> size = file.size();
  if (!size) return disk_error(SQLITE_IOERR, path, "read its note");
  if (*size < static_cast<std::int64_t>(bytes.size())) return std::optional(Note{});
  if (!file.read(bytes, 0)) return disk_error(SQLITE_IOERR, path, "read its note");
  if (little(bytes, 0) != kNoteMagic || little(bytes, 12) != crc32c(0, std::span(bytes).first(12))) {
    return std::optional(Note{});
  }
  return std::optional(Note{little(bytes, 4), little(bytes, 8) != 0});
}

Result<void> write_note(CountingVfs& vfs, const std::string& path, const Note& note) {
  std::array<std::byte, 16> bytes{};
  put_little(bytes, 0, kNoteMagic);
  put_little(bytes, 4, note.number);
  put_little(bytes, 8, std::uint32_t{note.is_aside});
  put_little(bytes, 12, crc32c(0, std::span(bytes).first(12)));
  // Opened like a journal, so that the directory is synced as well.
  VfsFile file(vfs.base(), note_name(path));
  int rc = file.open(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MAIN_JOURNAL) ? SQLITE_OK : SQLITE_IOERR;
  if (rc == SQLITE_OK) rc = file.write_all(bytes, 0);
  if (rc == SQLITE_OK && !file.sync()) rc = SQLITE_IOERR;
  return rc == SQLITE_OK ? Result<void>{} : disk_error(rc, path, "write a note");
}

/// Copies a file and syncs the copy, which is empty if the file is missing. Pads with zeros to at least `least` bytes
/// and to a whole number of pages. Unreadable parts become zeros.
Result<void> copy(sqlite3_vfs* vfs, const std::string& from, const std::string& to, const std::string& path,
                  std::int64_t least) {
  VfsFile source(vfs, from);
  VfsFile target(vfs, to);
  if (!target.open(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MAIN_JOURNAL) || !target.truncate(0)) {
    return disk_error(SQLITE_IOERR, path, "open the file to set it aside as");
  }
  std::int64_t size = 0;
  if (source.exists()) {
    const std::optional<std::int64_t> found =
        source.open(SQLITE_OPEN_READONLY | SQLITE_OPEN_MAIN_DB) ? source.size() : std::nullopt;
    if (!found) return disk_error(SQLITE_IOERR, path, "read it");
    size = *found;
  }
  constexpr auto kPage = static_cast<std::int64_t>(kPageBytes);
  const std::int64_t end = least == 0 ? size : std::max(least, (size + kPage - 1) / kPage * kPage);
  std::array<std::byte, kPageBytes> page{};
  for (std::int64_t at = 0; at < end; at += kPage) {
    const auto there = static_cast<std::size_t>(std::clamp<std::int64_t>(size - at, 0, kPage));
    const auto wanted = static_cast<std::size_t>(std::min(end - at, kPage));
    page.fill(std::byte{0});
    if (there > 0 && !source.read(std::span(page).first(there), at)) page.fill(std::byte{0});
    if (const int rc = target.write_all(std::span(page).first(wanted), at); rc != SQLITE_OK) {
      return disk_error(rc, path, "set it aside");
    }
  }
  return target.sync() ? Result<void>{} : disk_error(SQLITE_IOERR, path, "set it aside");
}

std::uint32_t free_number(CountingVfs& vfs, const std::string& path) {
  for (std::uint32_t number = 1; number <= limits::kDamagedFiles; ++number) {
    const std::string name = aside_name(path, number);
    if (!VfsFile(vfs.base(), name).exists() && !VfsFile(vfs.base(), name + "-wal").exists()) return number;
  }
  return 0;
}

// --- Reading what is left --------------------------------------------------------------------------------------------

std::string quoted(std::string_view name) {
  std::string text = "\"";
  for (const char c : name) text.append(c == '"' ? 2 : 1, c);
  return text + "\"";
}

class Rebuild {
 public:
  Rebuild(Connection& from, Connection& to) : from_(from), to_(to) {}

  /// Runs within transactions of the new file. On an error, try again later.
  Result<void> run() {
    Result<void> done = to_.execute("BEGIN");
    for (const auto step : {&Rebuild::copy_streams, &Rebuild::copy_records, &Rebuild::copy_messages,
                            &Rebuild::copy_batches, &Rebuild::write_lease, &Rebuild::copy_application}) {
      if (done) done = (this->*step)();
    }
    if (done) done = to_.execute("COMMIT");
    return done;
  }

  [[nodiscard]] std::string report(std::uint64_t damaged, std::uint64_t repaired) const {
    std::string text = concat({messages_, " messages"});
    if (application_ > 0) text += concat({" and ", application_, " rows of the application"});
    if (doubtful_ > 0) text += concat({" (", doubtful_, " of the messages dead-lettered, see their causes)"});
    if (damaged > 0) text += concat({"; ", damaged, " reads met a damaged page"});
    if (repaired > 0) text += concat({"; ", repaired, " reads met a page of which one byte was wrong and is known"});
    if (rows_lost_ > 0) text += concat({"; ", rows_lost_, " messages are known to be lost"});
    if (!losses_.empty()) {
      text += "; not whole: ";
      for (std::size_t i = 0; i < losses_.size(); ++i) text += (i == 0 ? "" : ", ") + losses_[i];
    }
    return text;
  }

 private:
  using VisitKey = FunctionRef<Result<void>(std::int64_t key)>;

  struct Walked {
    std::uint64_t rows = 0;
    std::int64_t first = 0;
    std::int64_t last = 0;
    bool to_end = false;  ///< There are no more rows, or `stop` was reached.
  };
  /// Visits the rowids after `from` and before `stop`, in the direction of `keys`, as far as they can be read.
  Result<Walked> walk(Statement& keys, std::int64_t from, std::int64_t stop, VisitKey visit) {
    const StatementScope scope(keys);
    keys.bind(1, from);
    keys.bind(2, stop);
    Walked walked;
    int rc = keys.step();
    for (; rc == SQLITE_ROW; rc = keys.step()) {
      walked.last = keys.integer(0);
      if (walked.rows++ == 0) walked.first = walked.last;
      if (Result<void> visited = visit(walked.last); !visited) return visited.error();
    }
    if (passes(rc)) return from_.error(rc, "rebuild");
    walked.to_end = rc == SQLITE_DONE;
    return walked;
  }

  /// Visits every reachable rowid of a table. After an unreadable page, tries places at growing distances and continues
  /// in both directions from the first readable one. False if rows may be missing.
  Result<bool> each_key(const std::string& table, VisitKey visit) {
    constexpr std::int64_t kLow = std::numeric_limits<std::int64_t>::min();
    constexpr std::int64_t kHigh = std::numeric_limits<std::int64_t>::max();
    const std::string from = concat({"SELECT _rowid_ FROM ", table, " NOT INDEXED WHERE _rowid_"});
    Statement up(from_, from + ">?1 AND _rowid_<=?2 ORDER BY _rowid_");
    Statement down(from_, from + "<?1 AND _rowid_>?2 ORDER BY _rowid_ DESC");
    if (const int rc = up.prepare(); rc != SQLITE_OK) {
      if (passes(rc)) return from_.error(rc, "rebuild");
      return false;
    }
    Result<Walked> walked = walk(up, kLow, kHigh, visit);
    if (!walked) return walked.error();
    if (walked->to_end) return true;
    std::int64_t low = walked->rows > 0 ? walked->last : -1;
    while (true) {
      bool found = false;
      for (unsigned k = 0; !found && k < 63 && (kHigh - std::max<std::int64_t>(low, 0)) >> k != 0; ++k) {
        walked = walk(up, low + (std::int64_t{1} << k), kHigh, visit);
        if (!walked) return walked.error();
        found = walked->rows > 0;
      }
      const std::int64_t above = found ? walked->first : kHigh;
      const Result<Walked> back = walk(down, above, low, visit);
      if (!back) return back.error();
      if (!found || walked->to_end) return false;
      low = walked->last;
    }
  }

  Result<void> next_group() {
    if (++pending_ % kGroupRows != 0) return {};
    return to_.execute("COMMIT; BEGIN");
  }
  /// For an insert into the new file.
  Result<bool> put(Statement& insert) {
    const int rc = insert.run();
    if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_CONSTRAINT) return to_.error(rc, "rebuild");
    if (Result<void> group = next_group(); !group) return group.error();
    return rc == SQLITE_OK && to_.changes() > 0;
  }

  /// Copies a table of records unchanged, from both ends. False if records may be missing.
  Result<bool> copy_table(const std::string& table, const std::string& columns, const std::string& order) {
    const auto count = static_cast<int>(std::count(columns.begin(), columns.end(), ',')) + 1;
    std::string values = "?1";
    for (int i = 2; i <= count; ++i) values += concat({", ?", i});
    Statement insert(to_, concat({"INSERT OR REPLACE INTO ", table, " (", columns, ") VALUES (", values, ")"}));
    bool whole = true;
    for (const char* direction : {"", " DESC"}) {
      std::string by = order;
      if (*direction != '\0') {
        if (whole) break;
        for (std::size_t at = 0; (at = by.find(',', at)) != std::string::npos; at += 6) by.insert(at, " DESC");
        by += " DESC";
      }
      Statement read(from_, concat({"SELECT ", columns, " FROM ", table, " NOT INDEXED ORDER BY ", by}));
      int rc = read.step();
      for (; rc == SQLITE_ROW; rc = read.step()) {
        for (int i = 0; i < count; ++i) insert.bind(i + 1, sqlite3_column_value(read.get(), i));
        if (const Result<bool> done = put(insert); !done) return done.error();
      }
      if (passes(rc)) return from_.error(rc, "rebuild");
      whole = rc == SQLITE_DONE;
      if (whole && *direction == '\0') return true;
    }
    return false;
  }

  // --- Streams and records

  Result<void> copy_streams() {
    const Result<bool> whole = copy_table(
        "streams",
        "id, box, node, lane, ready, ready_bytes, dead, dead_bytes, delayed, delayed_bytes, retained, retained_bytes",
        "id");
    if (!whole) return whole.error();
    if (!*whole) losses_.emplace_back("the names of lanes");
    Statement read(to_, "SELECT id, box FROM streams");
    while (read.step() == SQLITE_ROW) {
      (read.integer(1) == 0 ? outbox_ : inbox_).insert(static_cast<std::uint32_t>(read.integer(0)));
    }
    return {};
  }

  Result<void> copy_records() {
    struct Table {
      const char* name;
      const char* columns;
      const char* order;
      const char* loss;
    };
    // In the order of docs/storage.md, Damage, which explains what a loss means.
    constexpr Table kTables[] = {
        {"incarnations", "first_sequence, incarnation", "first_sequence", "which start sent what"},
        {"watermarks", "producer, incarnation, lane, sequence", "producer, incarnation, lane",
         "what was taken in: a producer may send something again, and it takes effect again"},
        {"state", "key, value", "key", "state of the application"},
        {"cursors", "stream, reader, sequence", "stream, reader", "how far readers had come"},
        {"tokens", "stream, token, sequence, expires_at", "stream, token", "idempotency tokens"},
        {"clock", "id, store, mono, wall, boot", "id", "the clock"}};
    for (const Table& table : kTables) {
      const Result<bool> whole = copy_table(table.name, table.columns, table.order);
      if (!whole) return whole.error();
      if (*whole) continue;
      losses_.emplace_back(table.loss);
      if (std::string_view(table.name) == "incarnations") names_known_ = false;
    }
    for (const char* highest : {"SELECT max(sequence) FROM tokens", "SELECT max(sequence) FROM cursors",
                                "SELECT max(first_sequence) FROM incarnations"}) {
      const Result<std::int64_t> found = to_.integer(highest);
      if (!found) return found.error();
      note_sequence(as_unsigned(*found));
    }
    return {};
  }

  // --- Messages

  void note_sequence(Sequence sequence) noexcept {
    if (sequence <= limits::kMaxSequence) highest_ = std::max(highest_, sequence);
  }

  /// The stream for rows whose own stream lost its name.
  Result<StreamId> stand_in(StreamId lost) {
    const auto number = static_cast<std::uint32_t>(lost);
    if (outbox_.contains(number) || inbox_.contains(number)) return lost;
    Statement put_stream(to_, kPutStream);
    const std::string lane = concat({"rebuilt.", number});
    const auto box = static_cast<std::int64_t>(Box::inbox);
    if (const int rc = put_stream.with(std::int64_t{number}, box, "", lane).run(); rc != SQLITE_OK)
      return to_.error(rc, "rebuild");
    inbox_.insert(number);
    nameless_.insert(number);
    return lost;
  }

  /// Adds one row to the new file, noting what is doubtful about it.
  Result<void> put_row(Row row) {
    const auto number = static_cast<std::uint32_t>(row.stream);
    if (number == 0 || row.sequence == 0) return {};
    note_sequence(row.sequence);
    note_sequence(row.origin);
    if (const Result<StreamId> stream = stand_in(row.stream); !stream) return stream.error();
    const bool unsettled = row.state == RowState::ready || row.state == RowState::delayed;
    if (nameless_.contains(number)) {
      row.state = RowState::dead_lettered;
      row.cause = kNoStream;
      ++doubtful_;
    } else if (!names_known_ && unsettled && outbox_.contains(number)) {
      row.state = RowState::dead_lettered;
      row.cause = kDoubtful;
      ++doubtful_;
    }
    if (row.state == RowState::retained && row.moment > latest_) latest_ = row.moment;
    for (const RowState other : kAllRowStates) {  // A message is in one state: the first that was found.
      is_there_.bind(1, position(other, row.stream, row.sequence));
      const StatementScope scope(is_there_);
      if (is_there_.step() == SQLITE_ROW) return {};
    }
    encode_head(row, head_);
    const std::int64_t at = position(row.state, row.stream, row.sequence);
    const Result<bool> done = put(bind_whole_row(insert_, at, std::as_bytes(std::span{head_}), row));
    if (!done) return done.error();
    if (*done) ++messages_;
    return {};
  }

  Result<void> copy_messages() {
    Statement read(from_, "SELECT head, payload FROM messages NOT INDEXED WHERE position=?1");
    const Result<bool> whole = each_key("messages", [&](std::int64_t at) -> Result<void> {
      const StatementScope scope(read);
      read.bind(1, at);
      const int rc = read.step();
      if (passes(rc)) return from_.error(rc, "rebuild");
      Row row;
      if (rc != SQLITE_ROW || at < 0 || !decode_row({at, read.blob(0), read.blob(1)}, row)) {
        note_sequence(sequence_of(at));
        ++rows_lost_;
        return {};
      }
      return put_row(row);
    });
    if (!whole) return whole.error();
    if (!*whole) losses_.emplace_back("messages");
    return {};
  }

  Result<void> copy_batches() {
    const Result<bool> whole = each_key("batches", [&](std::int64_t at) -> Result<void> {
      std::vector<std::byte> bytes;
      if (const int rc = read_blob(at, bytes); passes(rc)) return from_.error(rc, "rebuild");
      SqliteBatch batch;
      note_sequence(sequence_of(at));
      if (at < 0 || state_of(at) != RowState::ready || !batch.parse(at, bytes, SqliteBatch::Parse::prefix)) {
        losses_.emplace_back("a batch of messages");
        return {};
      }
      for (std::size_t i = 0; i < batch.size(); ++i) {
        Row row;
        note_sequence(sequence_of(batch.row(i).position));
        if (batch.is_gone(i)) continue;
        if (stream_of(batch.row(i).position) != stream_of(at) || !decode_row(batch.row(i), row)) {
          ++rows_lost_;
        } else if (Result<void> done = put_row(row); !done) {
          return done;
        }
      }
      for (std::size_t i = batch.size(); i < std::min(batch.rows_told(), SqliteBatch::kRows); ++i) {
        if (!batch.is_gone(i)) ++rows_lost_;
        note_sequence(sequence_of(at) + batch.rows_told());
      }
      return {};
    });
    if (!whole) return whole.error();
    if (!*whole) losses_.emplace_back("batches of messages");
    return {};
  }

  /// Reads as much of the start of a batch as possible.
  int read_blob(std::int64_t at, std::vector<std::byte>& bytes) {
    sqlite3_blob* blob = nullptr;
    int rc = sqlite3_blob_open(from_.get(), "main", "batches", "rows", at, 0, &blob);
    const int size = rc == SQLITE_OK ? sqlite3_blob_bytes(blob) : 0;
    std::array<std::byte, 256> piece{};
    auto most = static_cast<int>(piece.size());
    for (int got = 0; rc == SQLITE_OK && got < size;) {
      const int want = std::min(most, size - got);
      rc = sqlite3_blob_read(blob, piece.data(), want, got);
      if (rc == SQLITE_OK) {
        bytes.insert(bytes.end(), piece.begin(), piece.begin() + want);
        got += want;
      } else if (most > 1 && !passes(rc)) {  // up to the end of the last readable page
        most /= 2;
        rc = SQLITE_OK;
      }
    }
    sqlite3_blob_close(blob);
    return rc;
  }

  // --- Where sequences and time continue

  Result<void> write_lease() {
    Statement read(from_, "SELECT sequence_lease FROM meta WHERE id=1");
    const int rc = read.step();
    if (passes(rc)) return from_.error(rc, "rebuild");
    Sequence lease = rc == SQLITE_ROW ? as_unsigned(read.integer(0)) : 0;
    // Without a lease: above all that may have been leased after the rows that were found.
    if (lease == 0 || lease > limits::kMaxSequence + 1) {
      losses_.emplace_back("the lease of sequences");
      lease = highest_ + SqliteOptions::kSequenceBlock;
    }
    lease = std::min(std::max(lease, highest_ + 1), limits::kMaxSequence + 1);
    Statement put_lease(to_, "UPDATE meta SET sequence_lease=?1, clean=0 WHERE id=1");
    put_lease.bind(1, as_signed(lease));
    if (const int done = put_lease.run(); done != SQLITE_OK) return to_.error(done, "rebuild");
    // A lost clock continues from the latest moment known to have passed, so nothing is due or expires early.
    Statement put_clock(to_, "INSERT OR IGNORE INTO clock (id, store, mono, wall, boot) VALUES (1, ?1, 0, 0, 0)");
    put_clock.bind(1, stored(latest_));
    if (latest_ == kNoMoment) return {};
    const int done = put_clock.run();
    return done == SQLITE_OK ? Result<void>{} : to_.error(done, "rebuild");
  }

  // --- The application's tables

  struct Item {
    std::string type;
    std::string name;
    std::string sql;
  };

  Result<void> copy_application() {
    std::vector<Item> items;
    Statement list(from_,
                   "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL"
                   " ORDER BY type<>'table', type<>'index', rowid");
    int rc = list.step();
    for (; rc == SQLITE_ROW; rc = list.step()) {
      Item item{std::string(list.text(0)), std::string(list.text(1)), std::string(list.text(2))};
      if (!sqlite_schema::is_store_table(item.name) && !item.name.starts_with("sqlite_"))
        items.push_back(std::move(item));
    }
    list.reset();
    if (passes(rc)) return from_.error(rc, "rebuild");
    if (rc != SQLITE_DONE) losses_.emplace_back("the application's tables");
    // A full-text index recreates its own tables and is filled through its virtual table.
    std::set<std::string> shadows;
    for (const Item& item : items) {
      if (!item.sql.starts_with("CREATE VIRTUAL TABLE")) continue;
      for (const char* part : {"_data", "_idx", "_content", "_docsize", "_config"}) shadows.insert(item.name + part);
    }
    std::erase_if(items, [&](const Item& item) { return shadows.contains(item.name); });
    for (const Item& item : items) {
      const int made = sqlite3_exec(to_.get(), item.sql.c_str(), nullptr, nullptr, nullptr);
      if (passes(made)) return to_.error(made, "rebuild");
      Result<bool> whole = made == SQLITE_OK;
      if (*whole && item.type == "table") whole = copy_application_table(item.name);
      if (!whole) return whole.error();
      if (!*whole) losses_.push_back(concat({item.type, " ", item.name}));
    }
    return {};
  }

  Result<bool> copy_application_table(const std::string& name) {
    std::vector<std::string> columns;
    std::string key;  // Of a table without rowids.
    Statement list(from_, "SELECT name, pk FROM pragma_table_xinfo(?1) WHERE hidden=0 ORDER BY cid");
    list.bind(1, std::string_view(name));
    int rc = list.step();
    for (; rc == SQLITE_ROW; rc = list.step()) {
      columns.push_back(quoted(list.text(0)));
      if (list.integer(1) > 0) key += (key.empty() ? "" : ", ") + columns.back();
    }
    if (passes(rc)) return from_.error(rc, "rebuild");
    if (columns.empty()) return false;
    std::string all = columns[0];
    std::string values = "?1";
    for (std::size_t i = 1; i < columns.size(); ++i) {
      all += ", " + columns[i];
      values += concat({", ?", i + 1});
    }
    const std::string table = quoted(name);
    const int has_rowid = Statement(from_, concat({"SELECT _rowid_ FROM ", table, " LIMIT 0"})).prepare();
    if (passes(has_rowid)) return from_.error(has_rowid, "rebuild");
    if (has_rowid != SQLITE_OK) {
      const Result<bool> whole = copy_table(table, all, key);
      if (const Result<std::int64_t> rows = to_.integer(concat({"SELECT count(*) FROM ", table})); rows) {
        application_ += as_unsigned(*rows);
      }
      return whole;
    }
    Statement read(from_, concat({"SELECT ", all, " FROM ", table, " NOT INDEXED WHERE _rowid_=?1"}));
    Statement insert(to_, concat({"INSERT OR IGNORE INTO ", table, " (", all, ", _rowid_) VALUES (", values, ", ?",
                                  columns.size() + 1, ")"}));
    bool every = true;
    const Result<bool> whole = each_key(table, [&](std::int64_t at) -> Result<void> {
      const StatementScope scope(read);
      read.bind(1, at);
      const int step = read.step();
      if (passes(step)) return from_.error(step, "rebuild");
      if (step != SQLITE_ROW) {
        every = false;
        return {};
      }
      const auto count = static_cast<int>(columns.size());
      for (int i = 0; i < count; ++i) insert.bind(i + 1, sqlite3_column_value(read.get(), i));
      insert.bind(count + 1, at);
      const Result<bool> done = put(insert);
      if (!done) return done.error();
      application_ += *done ? 1U : 0U;
      every = every && *done;
      return {};
    });
    return whole ? Result<bool>(*whole && every) : whole;
  }

  Connection& from_;
  Connection& to_;
  Statement is_there_{to_, "SELECT 1 FROM messages WHERE position=?1"};
  Statement insert_{to_, kPutRow};
  std::set<std::uint32_t> outbox_;
  std::set<std::uint32_t> inbox_;
  std::set<std::uint32_t> nameless_;
  bool names_known_ = true;  ///< Every incarnation of a message.
  Sequence highest_ = 0;
  StoreTime latest_ = kNoMoment;
  std::string head_;
  std::size_t pending_ = 0;
  std::uint64_t messages_ = 0;
  std::uint64_t doubtful_ = 0;
  std::uint64_t rows_lost_ = 0;
  std::uint64_t application_ = 0;
  std::vector<std::string> losses_;
};

/// The first page for a rebuild: the file's own or, if that is damaged, that of a new file, which has the store's
/// tables at the same root pages. `own`: which of the two.
Result<std::vector<std::byte>> first_page(CountingVfs& vfs, const std::string& path, const std::string& aside,
                                          bool& own) {
  std::vector<std::byte> page(kPageBytes);
  VfsFile source(vfs.base(), aside);
  const bool opened = source.open(SQLITE_OPEN_READONLY | SQLITE_OPEN_MAIN_DB);
  const std::optional<std::int64_t> size = opened ? source.size() : std::nullopt;
  if (!size || !source.read(page, 0)) return disk_error(SQLITE_IOERR, path, "read the damaged file");
  own = own && (vfs.is_unsealed(aside) || repair_page(1, page));
  if (own) return page;
  VfsFile file(vfs.base(), path);
  if (!file.open(SQLITE_OPEN_READONLY | SQLITE_OPEN_MAIN_DB) || !file.read(page, 0)) {
    return disk_error(SQLITE_IOERR, path, "read the new file");
  }
  // sqlite.org/fileformat2.html, 1.3: the size in pages, and no list of free ones.
  const auto pages = static_cast<std::uint32_t>(*size / static_cast<std::int64_t>(kPageBytes));
  for (std::size_t i = 0; i < 4; ++i) page[28 + i] = static_cast<std::byte>(pages >> (8 * (3 - i)));
  std::fill_n(page.begin() + 32, 8, std::byte{0});
  return page;
}

Result<Connection> open_source(const std::string& aside, CountingVfs& vfs) {
  Result<Connection> source = Connection::open(aside, vfs.name());
  if (!source) return source;
  source->checkpoint_on_close(false);
  // The file may have fewer pages than its header says.
  sqlite3_db_config(source->get(), SQLITE_DBCONFIG_DEFENSIVE, 0, nullptr);
  sqlite3_db_config(source->get(), SQLITE_DBCONFIG_WRITABLE_SCHEMA, 1, nullptr);
  if (Result<void> set = source->set("locking_mode", "EXCLUSIVE", "exclusive"); !set) return set.error();
  return source;
}

Result<std::string> fill_new_file(const SqliteOptions& options, CountingVfs& vfs, const std::string& aside) {
  Result<Connection> made = sqlite_schema::open(options, vfs);
  if (!made) return made.error();
  // So that the first page is in the database, not only in the log.
  if (sqlite3_wal_checkpoint_v2(made->get(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr) != SQLITE_OK) {
    return disk_error(SQLITE_IOERR, options.path, "write the new file");
  }
  Result<std::unique_ptr<CountingVfs>> reader = CountingVfs::create(options.vfs);
  if (!reader) return reader.error();
  std::optional<Connection> source;
  bool own = true;
  while (!source) {
    const bool tried = own;
    Result<std::vector<std::byte>> page = first_page(vfs, options.path, aside, own);
    if (!page) return page.error();
    (*reader)->accept_unsealed(vfs.is_unsealed(aside));
    (*reader)->rescue(std::move(*page));
    Result<Connection> opened = open_source(aside, **reader);
    if (!opened) return opened.error();
    Statement probe(*opened, "SELECT count(*) FROM sqlite_schema");
    int rc = probe.step();
    if (rc == SQLITE_ROW) rc = Statement(*opened, "SELECT 1 FROM messages LIMIT 0").prepare();
    if (passes(rc)) return opened->error(rc, "rebuild");
    probe = Statement{};
    if (rc == SQLITE_OK || !own) source = std::move(*opened);
    if (!source && tried) own = false;  // Another page of the schema is damaged.
  }
  Rebuild rebuild(*source, *made);
  if (Result<void> done = rebuild.run(); !done) {
    if (!made->autocommit()) made->execute("ROLLBACK").ignore();
    return done.error();
  }
  const std::string schema = own ? "" : "; the schema did not read, and the application's tables with it";
  return rebuild.report((*reader)->corrupt_pages(), (*reader)->repaired_pages()) + schema;
}

/// Whether any page of a file has our checksum.
bool has_sealed_page(sqlite3_vfs* vfs, const std::string& path) {
  VfsFile file(vfs, path);
  std::array<std::byte, kPageBytes> page{};
  if (file.exists() && file.open(SQLITE_OPEN_READONLY | SQLITE_OPEN_MAIN_DB)) {
    const auto size = static_cast<std::size_t>(std::min<std::int64_t>(file.size().value_or(0), kPageBytes));
    if (size > 0 && size < kPageBytes && file.read(std::span(page).first(size), 0)) {
      // Not one whole page is left, so use the header, as far as there is one.
      constexpr std::string_view kMagic{"SQLite format 3\0", 16};
      const std::string_view start{reinterpret_cast<const char*>(page.data()), std::min(size, kMagic.size())};
      return kMagic.starts_with(start) && (size < 72 || sqlite_log::big(page, 68) == sqlite_schema::kApplicationId);
    }
    for (std::uint32_t number = 1; file.read(page, std::int64_t{number - 1} * static_cast<std::int64_t>(kPageBytes));
         ++number) {
      if (page_holds(number, page)) return true;
    }
  }
  return false;
}

/// Whether a log is ours: it holds a first page with our application id.
bool is_our_log(sqlite3_vfs* vfs, const std::string& path) {
  VfsFile file(vfs, path);
  if (!file.exists() || !file.open(SQLITE_OPEN_READONLY | SQLITE_OPEN_WAL)) return false;
  std::array<std::byte, sqlite_log::kFrameHeader + kPageBytes> frame{};
  for (std::int64_t at = sqlite_log::kHeader; file.read(frame, at); at += static_cast<std::int64_t>(frame.size())) {
    const auto page = std::span(frame).subspan(sqlite_log::kFrameHeader);
    const bool is_first = sqlite_log::big(frame, 0) == 1 && sqlite_log::big(page, 68) == sqlite_schema::kApplicationId;
    if (is_first || page_holds(sqlite_log::big(frame, 0), page)) return true;
  }
  return false;
}

}  // namespace

void note_damage(CountingVfs& vfs, const std::string& path) noexcept {
  const auto noted = read_note(vfs, path);
  if (noted && !*noted) write_note(vfs, path, {}).ignore();
}

Result<bool> is_wanted(CountingVfs& vfs, const std::string& path) {
  const auto noted = read_note(vfs, path);
  if (!noted) return noted.error();
  return noted->has_value();
}

bool is_damage(CountingVfs& vfs, const std::string& path, const Error& refused) {
  switch (refused.code) {
    case ErrorCode::corrupt:
    case ErrorCode::unsupported:
    case ErrorCode::permission:
    case ErrorCode::invalid_argument: break;
    default: return false;
  }
  VfsFile file(vfs.base(), path);
  std::array<std::byte, kPageBytes> first{};
  const bool readable = file.exists() && file.open(SQLITE_OPEN_READONLY | SQLITE_OPEN_MAIN_DB) && file.read(first, 0);
  const bool ours = readable && sqlite_log::big(first, 68) == sqlite_schema::kApplicationId;
  if (ours && vfs.is_unsealed(path)) return true;
  if (readable && page_holds(1, first)) {  // It is intact.
    const std::int64_t version = sqlite_log::big(first, 60);
    if (refused.code != ErrorCode::corrupt || !ours || version < 1 || version > sqlite_schema::version()) return false;
  }
  return has_sealed_page(vfs.base(), path) || is_our_log(vfs.base(), path + "-wal");
}

Result<std::string> run(const SqliteOptions& options, CountingVfs& vfs) {
  const std::string& path = options.path;
  const auto noted_before = read_note(vfs, path);
  if (!noted_before) return noted_before.error();
  Note note = noted_before->value_or(Note{});
  if (!VfsFile(vfs.base(), path).open(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MAIN_DB)) {
    return store_error(ErrorCode::permission, path, "damaged, and not writable");
  }
  if (note.number == 0) {
    note.number = free_number(vfs, path);
    if (note.number == 0) {
      return store_error(ErrorCode::corrupt, path,
                         concat({"damaged, and ", limits::kDamagedFiles,
                                 " damaged files are kept beside it already; look into the disk, then remove those"}));
    }
    if (Result<void> written = write_note(vfs, path, note); !written) return written.error();
  }
  VfsFile lock(vfs.base(), note_name(path));
  if (!lock.open(SQLITE_OPEN_READWRITE | SQLITE_OPEN_MAIN_DB) || !lock.lock()) {
    return store_error(ErrorCode::in_use, path, "another process rebuilds it");
  }
  if (const auto noted = read_note(vfs, path); !noted || !*noted) {
    return store_error(ErrorCode::in_use, path, "another process has just rebuilt it");
  }
  const std::string aside = aside_name(path, note.number);
  if (!note.is_aside) {
    // Another process has rebuilt and locked it meanwhile, or it was replaced.
    if (Result<Connection> seen = sqlite_schema::open(options, vfs); !seen && !is_damage(vfs, path, seen.error())) {
      return seen.error();
    }
    vfs.release_room(path + "-reserve");  // Reacquired once the store is open.
    if (Result<void> copied = copy(vfs.base(), path, aside, path, kPageBytes); !copied) return copied.error();
    if (Result<void> copied = copy(vfs.base(), path + "-wal", aside + "-wal", path, 0); !copied) return copied.error();
    note.is_aside = true;
    if (Result<void> written = write_note(vfs, path, note); !written) return written.error();
  }
  for (const char* part : {"-notes", "-wal", "-journal", ""}) {
    if (!VfsFile(vfs.base(), path + part).remove(true))
      return disk_error(SQLITE_IOERR, path, "make room for a new one");
  }
  static_cast<void>(vfs.notes().check(path));  // From here on about the new file, which has no log yet.
  Result<std::string> report = fill_new_file(options, vfs, aside);
  if (!report) return report;
  if (!VfsFile(vfs.base(), note_name(path)).remove(true)) return disk_error(SQLITE_IOERR, path, "end the rebuild");
  return concat({"Store ", path, ": it was damaged. The damaged file is kept as ", aside,
                 "; a new one holds what could be read of it: ", *report, "."});
}

}  // namespace pannier::sqlite_rebuild
