#include <memory>
#include <string>
#include <vector>

#include "runtime/store/sqlite/store_impl.h"

namespace pannier {
namespace {

class SqliteRetention final : public SqlitePart, public Retention {
 public:
  explicit SqliteRetention(SqliteStore& store) : store_(store) {}

  [[nodiscard]] Result<void> opened(Connection& connection) override {
    put_ = Statement(connection, "INSERT OR REPLACE INTO cursors (stream, reader, sequence) VALUES (?1, ?2, ?3)");
    erase_ = Statement(connection, "DELETE FROM cursors WHERE stream=?1 AND reader=?2");
    read_ = Statement(connection, "SELECT stream, reader, sequence FROM cursors");
    if (const int rc = put_.prepare(); rc != SQLITE_OK) return connection.error(rc, "prepare a statement");
    return {};
  }
  void closing() noexcept override {
    for (Statement* each : {&put_, &erase_, &read_}) *each = Statement{};
  }

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
        // An estimate is no reason to forget something; the count will be done soon.
        const bool too_much = stream->exact && (load.messages > most.messages || load.bytes > most.bytes);
        Row row;
        if (!too_much && decode_row(rows.row(), row) && row.moment >= before) break;
        last = sqlite_schema::sequence_of(rows.row().position);
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
    if (Result<void> ready = store_.check_change(); !ready) return ready;
    if (Result<void> checked = store_checks::cursor(cursor); !checked) return store_.fail(checked.error());
    if (store_.find_stream(cursor.stream) == nullptr) {
      return store_.fail({ErrorCode::invalid_argument, "put_cursor: no such stream; ask stream() for its id."});
    }
    put_.bind(1, static_cast<std::int64_t>(cursor.stream));
    put_.bind(2, std::string_view(cursor.reader));
    put_.bind(3, as_signed(cursor.sequence));
    if (const int rc = put_.run(); rc != SQLITE_OK) return store_.fail(rc, "put a cursor");
    return {};
  }

  [[nodiscard]] Result<void> erase_cursor(StreamId stream, std::string_view reader) override {
    if (Result<void> ready = store_.check_change(); !ready) return ready;
    erase_.bind(1, static_cast<std::int64_t>(stream));
    erase_.bind(2, reader);
    if (const int rc = erase_.run(); rc != SQLITE_OK) return store_.fail(rc, "erase a cursor");
    return {};
  }

  [[nodiscard]] Result<std::vector<Cursor>> cursors() override {
    if (Result<void> ready = store_.check_open(); !ready) return ready.error();
    std::vector<Cursor> all;
    const StatementScope scope(read_);
    int rc = read_.step();
    for (; rc == SQLITE_ROW; rc = read_.step()) {
      all.push_back(
          {static_cast<StreamId>(read_.integer(0)), std::string(read_.text(1)), as_unsigned(read_.integer(2))});
    }
    if (rc != SQLITE_DONE) return store_.session().connection.error(rc, "read cursors");
    return all;
  }

 private:
  SqliteStore& store_;
  Statement put_;
  Statement erase_;
  Statement read_;
};

}  // namespace

void with_retention(SqliteStore& store) {
  auto part = std::make_unique<SqliteRetention>(store);
  store.parts.retention = part.get();
  store.parts.all.push_back(std::move(part));
}

}  // namespace pannier
