#include "runtime/limits.h"
#include "runtime/store/sqlite/store_impl.h"

namespace pannier {

// --- Watermarks -----------------------------------------------------------------------------------------

Result<void> SqliteStore::put_watermark(const Watermark& watermark) {
  if (Result<void> ready = check_change(); !ready) return ready;
  if (Result<void> checked = store_checks::watermark(watermark); !checked) return fail(checked.error());
  Statement& put = session_->put_watermark;
  put.bind(1, std::string_view(watermark.producer));
  put.bind(2, as_signed(watermark.incarnation));
  put.bind(3, std::string_view(watermark.lane));
  put.bind(4, as_signed(watermark.sequence));
  put.bind(5, std::int64_t{sqlite_schema::watermark_checksum(watermark)});
  if (const int rc = put.run(); rc != SQLITE_OK) return fail(rc, "put a watermark");
  return {};
}

Result<std::vector<Watermark>> SqliteStore::watermarks() {
  if (Result<void> ready = check_open(); !ready) return ready.error();
  std::vector<Watermark> all;
  Statement& read = session_->watermarks;
  const StatementScope scope(read);
  int rc = read.step();
  for (; rc == SQLITE_ROW; rc = read.step()) {
    Watermark mark{std::string(read.text(0)), as_unsigned(read.integer(1)), std::string(read.text(2)),
                   as_unsigned(read.integer(3))};
    if (read.integer(4) != sqlite_schema::watermark_checksum(mark)) {
      return store_error(ErrorCode::corrupt, options_.path, "the checksum of a watermark does not hold");
    }
    all.push_back(std::move(mark));
  }
  if (rc != SQLITE_DONE) return session_->connection.error(rc, "read watermarks");
  return all;
}

// --- State ----------------------------------------------------------------------------------------------

Result<void> SqliteStore::put_state(std::string_view key, std::span<const std::byte> value) {
  if (Result<void> ready = check_change(); !ready) return ready;
  if (Result<void> checked = store_checks::state(key, value); !checked) return fail(checked.error());
  Statement& put = session_->put_state;
  put.bind(1, key);
  put.bind(2, value);
  put.bind(3, std::int64_t{sqlite_schema::state_checksum(key, value)});
  if (const int rc = put.run(); rc != SQLITE_OK) return fail(rc, "put state");
  return {};
}

Result<void> SqliteStore::erase_state(std::string_view key) {
  if (Result<void> ready = check_change(); !ready) return ready;
  session_->erase_state.bind(1, key);
  if (const int rc = session_->erase_state.run(); rc != SQLITE_OK) return fail(rc, "erase state");
  return {};
}

Result<void> SqliteStore::read_state(std::string_view prefix, StateVisitor visit) {
  if (Result<void> ready = check_open(); !ready) return ready;
  Statement& read = session_->state_from;
  const StatementScope scope(read);
  read.bind(1, prefix);
  while (true) {
    const int rc = read.step();
    if (rc == SQLITE_DONE) return {};
    if (rc != SQLITE_ROW) return session_->connection.error(rc, "read state");
    if (!read.text(0).starts_with(prefix)) return {};
    if (read.integer(2) != sqlite_schema::state_checksum(read.text(0), read.blob(1))) {
      return store_error(ErrorCode::corrupt, options_.path, "the checksum of a value of state does not hold");
    }
    if (!visit(read.text(0), read.blob(1))) return {};
  }
}

// --- Cursors --------------------------------------------------------------------------------------------

Result<void> SqliteStore::put_cursor(const Cursor& cursor) {
  if (Result<void> ready = check_change(); !ready) return ready;
  if (Result<void> checked = store_checks::cursor(cursor); !checked) return fail(checked.error());
  if (loads_.find(cursor.stream) == nullptr) {
    return fail({ErrorCode::invalid_argument, "put_cursor: no such stream; ask stream() for its id."});
  }
  Statement& put = session_->put_cursor;
  put.bind(1, static_cast<std::int64_t>(cursor.stream));
  put.bind(2, std::string_view(cursor.reader));
  put.bind(3, as_signed(cursor.sequence));
  put.bind(4, std::int64_t{sqlite_schema::cursor_checksum(cursor)});
  if (const int rc = put.run(); rc != SQLITE_OK) return fail(rc, "put a cursor");
  return {};
}

Result<void> SqliteStore::erase_cursor(StreamId stream, std::string_view reader) {
  if (Result<void> ready = check_change(); !ready) return ready;
  session_->erase_cursor.bind(1, static_cast<std::int64_t>(stream));
  session_->erase_cursor.bind(2, reader);
  if (const int rc = session_->erase_cursor.run(); rc != SQLITE_OK) return fail(rc, "erase a cursor");
  return {};
}

Result<std::vector<Cursor>> SqliteStore::cursors() {
  if (Result<void> ready = check_open(); !ready) return ready.error();
  std::vector<Cursor> all;
  Statement& read = session_->cursors;
  const StatementScope scope(read);
  int rc = read.step();
  for (; rc == SQLITE_ROW; rc = read.step()) {
    Cursor cursor{static_cast<StreamId>(read.integer(0)), std::string(read.text(1)), as_unsigned(read.integer(2))};
    if (read.integer(3) != std::int64_t{sqlite_schema::cursor_checksum(cursor)}) {
      ++counters_.corrupt_rows;  // As good as not there: its reader starts at the oldest row that is kept.
      continue;
    }
    all.push_back(std::move(cursor));
  }
  if (rc != SQLITE_DONE) return session_->connection.error(rc, "read cursors");
  return all;
}

// --- The clock ------------------------------------------------------------------------------------------

Result<void> SqliteStore::put_anchor(const ClockAnchor& anchor) {
  if (Result<void> ready = check_change(); !ready) return ready;
  Statement& put = session_->put_anchor;
  put.bind(1, stored(anchor.store));
  put.bind(2, anchor.mono.time_since_epoch().count());
  put.bind(3, anchor.wall.time_since_epoch().count());
  put.bind(4, as_signed(anchor.boot));
  put.bind(5, std::int64_t{sqlite_schema::anchor_checksum(anchor)});
  if (const int rc = put.run(); rc != SQLITE_OK) return fail(rc, "put the clock's anchor");
  return {};
}

Result<std::optional<ClockAnchor>> SqliteStore::anchor() {
  if (Result<void> ready = check_open(); !ready) return ready.error();
  Statement& read = session_->anchor;
  const StatementScope scope(read);
  const int rc = read.step();
  if (rc == SQLITE_DONE) return std::optional<ClockAnchor>{};
  if (rc != SQLITE_ROW) return session_->connection.error(rc, "read the clock's anchor");
  const ClockAnchor found{store_time(read.integer(0)), MonoTime(Duration(read.integer(1))),
                          WallTime(Duration(read.integer(2))), as_unsigned(read.integer(3))};
  if (read.integer(4) != std::int64_t{sqlite_schema::anchor_checksum(found)}) {
    return store_error(ErrorCode::corrupt, options_.path, "the checksum of the clock's anchor does not hold");
  }
  return std::optional(found);
}

// --- Idempotency tokens ---------------------------------------------------------------------------------

Result<void> SqliteStore::put_token(StreamId stream, std::string_view token, Sequence sequence, StoreTime expires_at) {
  if (Result<void> ready = check_change(); !ready) return ready;
  if (Result<void> checked = store_checks::token(token); !checked) return fail(checked.error());
  const bool full = tokens_ >= limits::kTokens;
  for (Statement* put : {&session_->add_token, &session_->replace_token}) {
    if (full && put == &session_->add_token) continue;
    put->bind(1, static_cast<std::int64_t>(stream));
    put->bind(2, token);
    put->bind(3, as_signed(sequence));
    put->bind(4, stored(expires_at));
    put->bind(5, std::int64_t{sqlite_schema::token_checksum(stream, token, sequence, stored(expires_at))});
    if (const int rc = put->run(); rc != SQLITE_OK) return fail(rc, "put a token");
    if (session_->connection.changes() == 0) continue;
    if (put == &session_->add_token) ++tokens_;
    return {};
  }
  return store_checks::too_many_tokens();
}

Result<void> SqliteStore::erase_tokens(StoreTime now, std::size_t limit) {
  if (Result<void> ready = check_change(); !ready) return ready;
  session_->erase_tokens.bind(1, stored(now));
  session_->erase_tokens.bind(2, as_signed(limit));
  if (const int rc = session_->erase_tokens.run(); rc != SQLITE_OK) return fail(rc, "erase tokens");
  tokens_ -= std::min(tokens_, static_cast<std::size_t>(session_->connection.changes()));
  return {};
}

Result<Sequence> SqliteStore::token(StreamId stream, std::string_view token, StoreTime now) {
  if (Result<void> ready = check_open(); !ready) return ready.error();
  Statement& read = session_->token;
  const StatementScope scope(read);
  read.bind(1, static_cast<std::int64_t>(stream));
  read.bind(2, token);
  const int rc = read.step();
  if (rc == SQLITE_DONE) return Sequence{0};
  if (rc != SQLITE_ROW) return session_->connection.error(rc, "read a token");
  const Sequence sequence = as_unsigned(read.integer(0));
  const std::int64_t expires_at = read.integer(1);
  if (read.integer(2) != std::int64_t{sqlite_schema::token_checksum(stream, token, sequence, expires_at)}) {
    ++counters_.corrupt_rows;  // As good as not there.
    return Sequence{0};
  }
  return store_time(expires_at) > now ? sequence : Sequence{0};
}

}  // namespace pannier
