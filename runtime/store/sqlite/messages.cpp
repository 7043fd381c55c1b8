#include <algorithm>
#include <utility>

#include "platform/concat.h"
#include "runtime/store/sqlite/store_impl.h"

namespace pannier {
namespace {

using sqlite_schema::first_position;
using sqlite_schema::last_position;
using sqlite_schema::position;
using sqlite_schema::sequence_of;
using sqlite_schema::state_of;
using sqlite_schema::stream_of;

/// Without a word of has_room, a store that released its reserve tries to hold it again once per so many refusals.
constexpr unsigned kReserveTries = 16;
/// Pages below the cap that new messages may not use.
constexpr std::int64_t kReservedPages = 64;

constexpr char kErase[] = "DELETE FROM messages WHERE position BETWEEN ?1 AND ?2";

std::span<const std::byte> bytes_of(std::string_view text) noexcept { return std::as_bytes(std::span{text}); }

}  // namespace

bool is_paused(const Row& row) noexcept { return row.state == RowState::ready && row.moment != kNoMoment; }

Statement& bind_row(Statement& statement, std::int64_t at, std::span<const std::byte> head, const Row& row) noexcept {
  // `moment` and `key` are set only for rows to be indexed, which few are.
  const bool has_moment = row.state == RowState::delayed || is_paused(row);
  const bool has_key = row.state == RowState::dead_lettered || is_paused(row);
  statement.with(at, head);
  has_moment ? statement.bind(3, stored(row.moment)) : statement.bind(3, nullptr);
  has_key ? statement.bind(4, row.key) : statement.bind(4, nullptr);
  return statement;
}

Statement& bind_whole_row(Statement& statement, std::int64_t at, std::span<const std::byte> head,
                          const Row& row) noexcept {
  bind_row(statement, at, head, row);
  row.origin != 0 ? statement.bind(5, as_signed(row.origin)) : statement.bind(5, nullptr);
  statement.bind(6, row.payload);
  return statement;
}

// --- Room ------------------------------------------------------------------------------------------------------------

bool SqliteStore::hold_reserve() {
  return options_.reserve_bytes == 0 ||
         vfs_->hold_room(options_.path + "-reserve", static_cast<std::int64_t>(options_.reserve_bytes));
}

bool SqliteStore::has_room() {
  if (session_ == nullptr) return false;
  if (!reserve_held_) reserve_held_ = hold_reserve();
  room_checked_ = false;
  return check_room().ok();
}

Result<void> SqliteStore::check_room() {
  // Checked once per group, which is small compared with a store. The cap itself is hard.
  if (room_checked_ || (reserve_held_ && options_.max_bytes == 0)) return {};
  const Result<std::int64_t> pages = session_->connection.integer(session_->sql["PRAGMA page_count"]);
  if (!pages) return pages.error();
  const Result<std::int64_t> unused = session_->connection.integer(session_->sql["PRAGMA freelist_count"]);
  if (!unused) return unused.error();
  const std::int64_t free = *unused;
  const std::int64_t used = *pages - free;
  if (!reserve_held_ && refusals_++ % kReserveTries == 0) reserve_held_ = hold_reserve();
  if (!reserve_held_) {
    // The file does not shrink. On a disk that stays full, rows that leave free space within the file.
    const auto enough = static_cast<std::int64_t>(options_.reserve_bytes) / sqlite_schema::kPageBytes / 2;
    if (free < enough) return store_error(ErrorCode::storage_full, options_.path, "the disk is full");
  }
  if (options_.max_bytes > 0) {
    const std::int64_t most = static_cast<std::int64_t>(options_.max_bytes) / sqlite_schema::kPageBytes;
    if (used >= most - std::min(kReservedPages, most / 16)) {
      return store_error(ErrorCode::storage_full, options_.path,
                         concat({"at its cap of ", options_.max_bytes, " bytes"}));
    }
  }
  room_checked_ = true;
  return {};
}

// --- Rows that come --------------------------------------------------------------------------------------------------

Result<void> SqliteStore::put(const Row& whole) {
  if (Result<void> ready = check_change(); !ready) return ready;
  if (Result<void> checked = store_checks::row(whole); !checked) return fail(checked.error());
  if (streams_.find(whole.stream) == nullptr) {
    return fail({ErrorCode::invalid_argument, "put: no such stream; ask stream() for its id."});
  }
  if (Result<void> room = check_room(); !room) {
    // Refused before a write, so the reserve is kept for a full disk.
    const bool held = std::exchange(reserve_held_, false);
    Error error = fail(room.error());
    reserve_held_ = held;
    return error;
  }
  Row row = whole;
  row.cause = store_checks::cut_cause(whole.cause);
  if (const int rc = put_row(row); rc != SQLITE_OK) {
    if ((rc & 0xff) != SQLITE_CONSTRAINT) return fail(rc, "put");
    return fail({ErrorCode::invalid_argument, "put: this sequence is taken; ask next_sequence() for one."});
  }
  ++counters_.rows_put;
  return {};
}

/// SQLITE_CONSTRAINT if the sequence is taken.
int SqliteStore::put_row(const Row& row) {
  const bool fresh = streams_.is_fresh(row.stream, row.sequence, fresh_from_);
  if (!fresh) {
    Located taken;
    const int rc = locate(*streams_.find(row.stream), row.sequence, taken);
    if (rc != SQLITE_DONE) return rc == SQLITE_ROW ? SQLITE_CONSTRAINT : rc;
  }
  encode_head(row, head_);
  const std::int64_t at = position(row.state, row.stream, row.sequence);
  const bool plain = row.state == RowState::ready && row.moment == kNoMoment && row.origin == 0;
  int rc = SQLITE_OK;
  if (plain && fresh && SqliteBatches::fits(head_.size(), row.payload.size())) {
    rc = session_->batches.put({at, bytes_of(head_), row.payload});
  } else {
    rc = put_single(at, row);
  }
  if (rc == SQLITE_OK) streams_.put(at, row.payload.size());
  return rc;
}

/// Its head is in head_.
int SqliteStore::put_single(std::int64_t at, const Row& row) {
  may_be_paused_ = may_be_paused_ || is_paused(row);
  return bind_whole_row(session_->sql[kPutRow], at, bytes_of(head_), row).run();
}

// --- Rows that go ----------------------------------------------------------------------------------------------------

int SqliteStore::erase_range(RowState state, StreamId stream, Sequence first, Sequence last, std::uint64_t& removed) {
  const std::int64_t from = position(state, stream, first);
  const std::int64_t to = position(state, stream, last);
  std::uint64_t batched = 0;
  if (state == RowState::ready) {
    const int rc = session_->batches.erase(from, to, [&](const StoredRow& row) {
      streams_.take(row.position, row.payload.size());
      ++batched;
    });
    if (rc != SQLITE_OK) return rc;
  }
  removed += batched;
  if (first == last && batched > 0) return SQLITE_OK;
  std::uint64_t single = 0;
  {
    Statement& sizes = session_->sql[kReadSizes].with(from - 1, to);
    const StatementScope scope(sizes);
    int rc = sizes.step();
    for (; rc == SQLITE_ROW; rc = sizes.step(), ++single)
      streams_.take(sizes.integer(0), as_unsigned(sizes.integer(2)));
    if (rc != SQLITE_DONE) return rc;
  }
  removed += single;
  if (single == 0) return SQLITE_OK;
  return session_->sql[kErase].with(from, to).run();
}

Result<void> SqliteStore::erase(StreamId id, Sequence sequence) {
  if (Result<void> ready = check_change(); !ready) return ready;
  const Stream* stream = streams_.find(id);
  if (stream == nullptr || sequence > limits::kMaxSequence) return {};
  std::uint64_t removed = 0;
  for (const RowState state : kAllRowStates) {
    if (removed > 0 || SqliteStreams::empty(*stream, state)) continue;
    if (const int rc = erase_range(state, id, sequence, sequence, removed); rc != SQLITE_OK) return fail(rc, "erase");
  }
  return {};
}

Result<void> SqliteStore::erase_through(StreamId id, Sequence sequence) {
  if (Result<void> ready = check_change(); !ready) return ready;
  const Stream* stream = streams_.find(id);
  if (stream == nullptr || SqliteStreams::empty(*stream, RowState::ready)) return {};
  std::uint64_t removed = 0;
  const int rc = erase_range(RowState::ready, id, 0, std::min(sequence, limits::kMaxSequence), removed);
  return rc == SQLITE_OK ? Result<void>{} : fail(rc, "erase");
}

// --- Rows that change ------------------------------------------------------------------------------------------------

int SqliteStore::locate(const Stream& stream, Sequence sequence, Located& found) {
  for (const RowState state : kAllRowStates) {
    if (SqliteStreams::empty(stream, state)) continue;
    const std::int64_t at = position(state, stream.id, sequence);
    SqliteRows rows(*session_, at - 1, at);
    const int rc = rows.step();
    if (rc == SQLITE_DONE) continue;
    if (rc != SQLITE_ROW) return rc;
    const auto copy = [](std::string& to, std::span<const std::byte> from) {
      to.assign(reinterpret_cast<const char*>(from.data()), from.size());
      return bytes_of(to);
    };
    const std::span<const std::byte> head = copy(head_, rows.row().head);
    const std::span<const std::byte> payload = copy(payload_, rows.row().payload);
    found.position = at;
    found.batched = rows.is_batched();
    return decode_row({at, head, payload}, found.row) ? SQLITE_ROW : SQLITE_CORRUPT;
  }
  return SQLITE_DONE;
}

int SqliteStore::take_out(const Located& found) {
  streams_.take(found.position, found.row.payload.size());
  if (found.batched) return session_->batches.erase(found.position, found.position, [](const StoredRow&) {});
  return session_->sql[kErase].with(found.position, found.position).run();
}

Result<void> SqliteStore::mark(StreamId id, Sequence sequence, const Mark& mark) {
  if (Result<void> ready = check_change(); !ready) return ready;
  const Stream* stream = streams_.find(id);
  if (stream == nullptr || sequence > limits::kMaxSequence) {
    return Error{ErrorCode::not_found, "mark: no such row."};
  }
  Located found;
  int rc = locate(*stream, sequence, found);
  if (rc == SQLITE_DONE) return Error{ErrorCode::not_found, "mark: this row is gone."};
  if (rc != SQLITE_ROW) return fail(rc, "mark");
  Row row = found.row;
  const std::string old_head = std::exchange(head_, {});  // The row's texts are borrowed from it.
  static_cast<void>(decode_head(bytes_of(old_head), row));
  row.state = mark.state;
  row.attempts = mark.attempts;
  row.cause = store_checks::cut_cause(mark.cause);
  row.moment = mark.moment;
  encode_head(row, head_);
  const std::int64_t at = position(row.state, id, sequence);
  if (at == found.position && !found.batched) {
    may_be_paused_ = may_be_paused_ || is_paused(row);
    rc = bind_row(session_->sql["UPDATE messages SET head=?2, moment=?3, key=?4 WHERE position=?1"], at,
                  bytes_of(head_), row)
             .run();
  } else {
    rc = take_out(found);
    if (rc == SQLITE_OK) rc = put_single(at, row);
    if (rc == SQLITE_OK) streams_.put(at, row.payload.size());
  }
  return rc == SQLITE_OK ? Result<void>{} : fail(rc, "mark");
}

Result<void> SqliteStore::requeue(StreamId id, Sequence sequence, Sequence next) {
  if (Result<void> ready = check_change(); !ready) return ready;
  const Stream* stream = streams_.find(id);
  if (stream == nullptr || sequence == 0 || sequence > limits::kMaxSequence) {
    return Error{ErrorCode::not_found, "requeue: no such row."};
  }
  if (next == 0 || next > limits::kMaxSequence) {
    return fail({ErrorCode::invalid_argument, "requeue: ask next_sequence() for a sequence."});
  }
  Located found;
  int rc = locate(*stream, sequence, found);
  if (rc == SQLITE_DONE) return Error{ErrorCode::not_found, "requeue: this row is gone."};
  if (rc == SQLITE_ROW) rc = take_out(found);
  if (rc != SQLITE_OK) return fail(rc, "requeue");
  Row row = found.row;
  const std::string old_head = std::exchange(head_, {});
  const std::string old_payload = std::exchange(payload_, {});  // locate() in put_row() may use it.
  static_cast<void>(decode_head(bytes_of(old_head), row));
  row.payload = bytes_of(old_payload);
  if (row.origin == 0) row.origin = sequence;
  row.sequence = next;
  row.state = RowState::ready;
  row.moment = kNoMoment;
  row.attempts = 0;
  row.cause = {};
  rc = put_row(row);
  if (rc == SQLITE_OK) return {};
  if ((rc & 0xff) != SQLITE_CONSTRAINT) return fail(rc, "requeue");
  return fail({ErrorCode::invalid_argument, "requeue: this sequence is taken; ask next_sequence() for one."});
}

// --- Reads -----------------------------------------------------------------------------------------------------------

Result<void> SqliteStore::visit_rows(SqliteRows& rows, std::size_t limit, RowVisitor visit) {
  Row row;
  for (; limit > 0; --limit) {
    int rc = rows.step();
    if (rc == SQLITE_DONE) return {};
    if (rc == SQLITE_ROW && !decode_row(rows.row(), row)) rc = SQLITE_CORRUPT;
    if (rc != SQLITE_ROW) return session_->connection.error(rc, "read");
    if (!visit(row)) return {};
  }
  return {};
}

Result<void> SqliteStore::read(StreamId id, RowState state, Sequence after, std::size_t limit, RowVisitor visit) {
  if (Result<void> ready = check_open(); !ready) return ready;
  if (streams_.find(id) == nullptr || after >= limits::kMaxSequence) return {};
  SqliteRows rows(*session_, position(state, id, after), last_position(state, id));
  return visit_rows(rows, limit, visit);
}

Result<bool> SqliteStore::find(Sequence id, RowVisitor visit) {
  if (Result<void> ready = check_open(); !ready) return ready.error();
  if (id == 0 || id > limits::kMaxSequence) return false;
  std::vector<std::int64_t> places;  // Where its origin leads, or its own place in some stream.
  {
    Statement& moved = session_->sql["SELECT position FROM messages WHERE origin=?1"].with(as_signed(id));
    const StatementScope scope(moved);
    const int rc = moved.step();
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) return session_->connection.error(rc, "read");
    if (rc == SQLITE_ROW) places.push_back(moved.integer(0));
  }
  if (places.empty()) {
    streams_.visit({}, {}, [&](const Stream& stream) {
      for (const RowState state : kAllRowStates) {
        if (!SqliteStreams::empty(stream, state)) places.push_back(position(state, stream.id, id));
      }
      return true;
    });
  }
  bool found = false;
  for (const std::int64_t at : places) {
    SqliteRows rows(*session_, at - 1, at);
    Result<void> done = visit_rows(rows, 1, [&](const Row& row) {
      found = row.id() == id;
      return found && visit(row);
    });
    if (!done) return done.error();
    if (found) return true;
  }
  return false;
}

Result<void> SqliteStore::read_due(StoreTime now, std::size_t limit, RowVisitor visit) {
  if (Result<void> ready = check_open(); !ready) return ready;
  Statement& due = session_
                       ->sql
                           ["SELECT position, head, payload FROM messages WHERE moment<=?1"
                            " ORDER BY moment, position"]
                       .with(stored(now));
  const StatementScope scope(due);
  Row row;
  for (; limit > 0; --limit) {
    int rc = due.step();
    if (rc == SQLITE_DONE) break;
    if (rc == SQLITE_ROW && !decode_row({due.integer(0), due.blob(1), due.blob(2)}, row)) rc = SQLITE_CORRUPT;
    if (rc != SQLITE_ROW) return session_->connection.error(rc, "read");
    if (!visit(row)) break;
  }
  return {};
}

Result<std::optional<StoreTime>> SqliteStore::next_due() {
  if (Result<void> ready = check_open(); !ready) return ready.error();
  Statement& next = session_->sql["SELECT moment FROM messages WHERE moment IS NOT NULL ORDER BY moment LIMIT 1"];
  const StatementScope scope(next);
  const int rc = next.step();
  if (rc == SQLITE_DONE) return std::optional<StoreTime>{};
  if (rc != SQLITE_ROW) return session_->connection.error(rc, "read");
  return std::optional(store_time(next.integer(0)));
}

Result<Sequence> SqliteStore::first_of_key(StreamId id, RowState state, std::string_view key) {
  if (Result<void> ready = check_open(); !ready) return ready.error();
  const Stream* stream = streams_.find(id);
  if (stream == nullptr || SqliteStreams::empty(*stream, state)) return Sequence{0};
  if (state != RowState::dead_lettered && (state != RowState::ready || !may_be_paused_)) return Sequence{0};
  {
    // position>>44 is the state and the stream. The index messages_key has what this asks for, in its order.
    Statement& first = session_
                           ->sql
                               ["SELECT coalesce(origin, position&17592186044415) FROM messages"
                                " WHERE position>>44=?1 AND key=?2"
                                " ORDER BY coalesce(origin, position&17592186044415) LIMIT 1"]
                           .with(first_position(state, id) >> limits::kSequenceBits, key);
    const StatementScope scope(first);
    const int rc = first.step();
    if (rc == SQLITE_ROW) return as_unsigned(first.integer(0));
    if (rc != SQLITE_DONE) return session_->connection.error(rc, "read");
  }
  if (state != RowState::ready) return Sequence{0};
  Statement& paused = session_->sql
                          ["SELECT 1 FROM messages INDEXED BY messages_key"
                           " WHERE key IS NOT NULL AND position>>44<131072 LIMIT 1"];
  const StatementScope scope(paused);
  const int rc = paused.step();
  if (rc != SQLITE_ROW && rc != SQLITE_DONE) return session_->connection.error(rc, "read");
  may_be_paused_ = rc == SQLITE_ROW;
  return Sequence{0};
}

}  // namespace pannier
