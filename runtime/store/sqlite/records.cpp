// What a store keeps beside messages: watermarks, the clock, the in-flight journal, and the optional parts except the
// application's tables (sql_tables.cpp).

#include <algorithm>
#include <memory>

#include "runtime/store/sqlite/store_impl.h"

namespace pannier {

using sqlite_schema::position;
using sqlite_schema::sequence_of;
using sqlite_schema::stream_of;

// --- Watermarks -----------------------------------------------------------------------------------------------------

Result<void> SqliteStore::put_watermark(const Watermark& watermark) {
  if (Result<void> ready = check_change(store_checks::watermark(watermark)); !ready) return ready;
  return change(
      "put a watermark",
      session_
          ->sql["INSERT INTO watermarks (producer, incarnation, lane, sequence) VALUES (?1, ?2, ?3, ?4)"
                " ON CONFLICT DO UPDATE SET sequence=excluded.sequence"]
          .with(watermark.producer, as_signed(watermark.incarnation), watermark.lane, as_signed(watermark.sequence)));
}

Result<void> SqliteStore::erase_watermark(const Watermark& watermark) {
  if (Result<void> ready = check_change(); !ready) return ready;
  return change("erase a watermark",
                session_->sql["DELETE FROM watermarks WHERE producer=?1 AND incarnation=?2 AND lane=?3"].with(
                    watermark.producer, as_signed(watermark.incarnation), watermark.lane));
}

Result<std::vector<Watermark>> SqliteStore::watermarks() {
  std::vector<Watermark> all;
  auto read = read_rows("SELECT producer, incarnation, lane, sequence FROM watermarks", [&](const Statement& row) {
    all.push_back(
        {std::string(row.text(0)), as_unsigned(row.integer(1)), std::string(row.text(2)), as_unsigned(row.integer(3))});
  });
  if (!read) return read.error();
  return all;
}

// --- The clock ------------------------------------------------------------------------------------------------------

Result<void> SqliteStore::put_anchor(const ClockAnchor& anchor) {
  if (Result<void> ready = check_change(); !ready) return ready;
  return change(
      "put the clock's anchor",
      session_->sql["INSERT OR REPLACE INTO clock (id, store, mono, wall, boot) VALUES (1, ?1, ?2, ?3, ?4)"].with(
          stored(anchor.store), std::int64_t{anchor.mono.time_since_epoch().count()},
          std::int64_t{anchor.wall.time_since_epoch().count()}, as_signed(anchor.boot)));
}

Result<std::optional<ClockAnchor>> SqliteStore::anchor() {
  std::optional<ClockAnchor> found;
  auto read = read_rows("SELECT store, mono, wall, boot FROM clock WHERE id=1", [&](const Statement& row) {
    found = {store_time(row.integer(0)), MonoTime(Duration(row.integer(1))), WallTime(Duration(row.integer(2))),
             as_unsigned(row.integer(3))};
  });
  if (!read) return read.error();
  return found;
}

// --- The in-flight journal ------------------------------------------------------------------------------------------

// A note uses the position that the row has as a ready one, whatever its state.

bool SqliteStore::note_in_flight(StreamId stream, Sequence sequence) noexcept {
  return vfs_->notes().put_in_flight(position(RowState::ready, stream, sequence));
}

void SqliteStore::clear_in_flight(StreamId stream, Sequence sequence) noexcept {
  vfs_->notes().clear_in_flight(position(RowState::ready, stream, sequence));
}

std::vector<Store::InFlight> SqliteStore::take_in_flight() {
  std::vector<InFlight> all;
  for (const std::int64_t at : vfs_->notes().take_in_flight()) all.push_back({stream_of(at), sequence_of(at)});
  return all;
}

namespace {

// --- Retained rows --------------------------------------------------------------------------------------------------

class SqliteRetention final : public SqlitePart, public Retention {
 public:
  explicit SqliteRetention(SqliteStore& store) : store_(store) {}

  [[nodiscard]] Result<void> trim(StreamId id, const Load& most, StoreTime before) override {
    if (Result<void> ready = store_.check_change(); !ready) return ready;
    const Stream* stream = store_.find_stream(id);
    if (stream == nullptr || SqliteStreams::empty(*stream, RowState::retained)) return {};
    Load load = (*stream)[RowState::retained];
    Sequence last = 0;
    {
      SqliteRows rows(store_.session(), sqlite_schema::first_position(RowState::retained, id),
                      sqlite_schema::last_position(RowState::retained, id), SqliteRows::What::sizes);
      int rc = rows.step();
      for (std::size_t n = 0; rc == SQLITE_ROW && n < limits::kTrimRows; rc = rows.step(), ++n) {
        // Do not trim by an estimate; the count will be done soon.
        const bool too_much = stream->exact && (load.messages > most.messages || load.bytes > most.bytes);
        Row row;
        if (!too_much && decode_row(rows.row(), row) && row.moment >= before) break;
        last = sequence_of(rows.row().position);
        load -= {1, rows.payload_bytes()};
      }
      if (rc != SQLITE_ROW && rc != SQLITE_DONE) return store_.fail(rc, "trim");
    }
    if (last == 0) return {};
    std::uint64_t removed = 0;
    const int rc = store_.erase_range(RowState::retained, id, 0, last, removed);
    return rc == SQLITE_OK ? Result<void>{} : store_.fail(rc, "trim");
  }

  [[nodiscard]] Result<void> put_cursor(const Cursor& cursor) override {
    if (Result<void> ready = store_.check_change(store_checks::cursor(cursor)); !ready) return ready;
    if (store_.find_stream(cursor.stream) == nullptr) {
      return store_.fail({ErrorCode::invalid_argument, "put_cursor: no such stream; ask stream() for its id."});
    }
    return store_.change(
        "put a cursor",
        store_.session().sql["INSERT OR REPLACE INTO cursors (stream, reader, sequence) VALUES (?1, ?2, ?3)"].with(
            static_cast<std::int64_t>(cursor.stream), cursor.reader, as_signed(cursor.sequence)));
  }

  [[nodiscard]] Result<void> erase_cursor(StreamId stream, std::string_view reader) override {
    if (Result<void> ready = store_.check_change(); !ready) return ready;
    return store_.change("erase a cursor",
                         store_.session().sql["DELETE FROM cursors WHERE stream=?1 AND reader=?2"].with(
                             static_cast<std::int64_t>(stream), reader));
  }

  [[nodiscard]] Result<std::vector<Cursor>> cursors() override {
    std::vector<Cursor> all;
    auto read = store_.read_rows("SELECT stream, reader, sequence FROM cursors", [&](const Statement& row) {
      all.push_back({static_cast<StreamId>(row.integer(0)), std::string(row.text(1)), as_unsigned(row.integer(2))});
    });
    if (!read) return read.error();
    return all;
  }

 private:
  SqliteStore& store_;
};

// --- Idempotency tokens ---------------------------------------------------------------------------------------------

class SqliteTokens final : public SqlitePart, public TokenTable {
 public:
  explicit SqliteTokens(SqliteStore& store) : store_(store) {}

  [[nodiscard]] Result<void> opened(Connection& connection) override {
    const Result<std::int64_t> count = connection.integer("SELECT count(*) FROM tokens");
    if (!count) return count.error();
    count_ = static_cast<std::size_t>(*count);
    return {};
  }
  void begin() noexcept override { before_ = count_; }
  void rollback() noexcept override { count_ = before_; }
  void begin_part() noexcept override { before_part_ = count_; }
  void undo_part() noexcept override { count_ = before_part_; }

  [[nodiscard]] Result<void> put_token(StreamId stream, std::string_view token, Sequence sequence,
                                       StoreTime expires_at) override {
    if (Result<void> ready = store_.check_change(store_checks::token(token)); !ready) return ready;
    // The first changes nothing if the token exists, the second if it does not.
    static constexpr char kAdd[] =
        "INSERT INTO tokens (stream, token, sequence, expires_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
    static constexpr char kReplace[] = "UPDATE tokens SET sequence=?3, expires_at=?4 WHERE stream=?1 AND token=?2";
    for (const char* put : {kAdd, kReplace}) {
      if (put == kAdd && count_ >= limits::kTokens) continue;
      auto done = store_.change("put a token", store_.session().sql[put].with(static_cast<std::int64_t>(stream), token,
                                                                              as_signed(sequence), stored(expires_at)));
      if (!done) return done;
      if (store_.session().connection.changes() == 0) continue;
      if (put == kAdd) ++count_;
      return {};
    }
    return store_checks::too_many_tokens();
  }

  [[nodiscard]] Result<void> erase_tokens(StoreTime now, std::size_t limit) override {
    if (Result<void> ready = store_.check_change(); !ready) return ready;
    auto erased =
        store_.change("erase tokens",
                      store_.session()
                          .sql["DELETE FROM tokens WHERE (stream, token) IN"
                               " (SELECT stream, token FROM tokens WHERE expires_at<=?1 ORDER BY expires_at LIMIT ?2)"]
                          .with(stored(now), as_signed(limit)));
    if (erased) count_ -= std::min(count_, static_cast<std::size_t>(store_.session().connection.changes()));
    return erased;
  }

  [[nodiscard]] Result<Sequence> token(StreamId stream, std::string_view token, StoreTime now) override {
    Sequence found = 0;
    auto read = store_.read_rows(
        "SELECT sequence, expires_at FROM tokens WHERE stream=?1 AND token=?2",
        [&](const Statement& row) { found = store_time(row.integer(1)) > now ? as_unsigned(row.integer(0)) : 0; },
        static_cast<std::int64_t>(stream), token);
    if (!read) return read.error();
    return found;
  }

 private:
  SqliteStore& store_;
  std::size_t count_ = 0;
  std::size_t before_ = 0;
  std::size_t before_part_ = 0;
};

// --- The application's state ----------------------------------------------------------------------------------------

class SqliteState final : public SqlitePart, public StateTable {
 public:
  explicit SqliteState(SqliteStore& store) : store_(store) {}

  [[nodiscard]] Result<void> put_state(std::string_view key, std::span<const std::byte> value) override {
    if (Result<void> ready = store_.check_change(store_checks::state(key, value)); !ready) return ready;
    return store_.change("put state", store_.session()
                                          .sql["INSERT INTO state (key, value) VALUES (?1, ?2)"
                                               " ON CONFLICT DO UPDATE SET value=excluded.value"]
                                          .with(key, value));
  }

  [[nodiscard]] Result<void> erase_state(std::string_view key) override {
    if (Result<void> ready = store_.check_change(); !ready) return ready;
    return store_.change("erase state", store_.session().sql["DELETE FROM state WHERE key=?1"].with(key));
  }

  [[nodiscard]] Result<void> read_state(std::string_view prefix, StateVisitor visit) override {
    if (Result<void> ready = store_.check_open(); !ready) return ready;
    Statement& read = store_.session().sql["SELECT key, value FROM state WHERE key>=?1 ORDER BY key"].with(prefix);
    const StatementScope scope(read);
    while (true) {
      const int rc = read.step();
      if (rc == SQLITE_DONE) return {};
      if (rc != SQLITE_ROW) return store_.session().connection.error(rc, "read state");
      if (!read.text(0).starts_with(prefix) || !visit(read.text(0), read.blob(1))) return {};
    }
  }

 private:
  SqliteStore& store_;
};

/// Adds a part and sets the store's pointer to it.
template <class Part, class Interface>
void add_part(SqliteStore& store, Interface* SqliteStore::Parts::*place) {
  auto part = std::make_unique<Part>(store);
  store.parts.*place = part.get();
  store.parts.all.push_back(std::move(part));
}

}  // namespace

void with_retention(SqliteStore& store) { add_part<SqliteRetention>(store, &SqliteStore::Parts::retention); }
void with_tokens(SqliteStore& store) { add_part<SqliteTokens>(store, &SqliteStore::Parts::tokens); }
void with_state(SqliteStore& store) { add_part<SqliteState>(store, &SqliteStore::Parts::state); }

}  // namespace pannier
