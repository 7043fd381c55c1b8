#pragma once

#include <utility>

#include "runtime/store/row.h"
#include "runtime/store/sqlite/batches.h"
#include "runtime/store/sqlite/handle.h"
#include "runtime/store/sqlite/schema.h"

namespace pannier {

/// The open database with the statements that every store needs, each prepared when it is first used. Replaced as a
/// whole when the file has to be opened again.
struct SqliteSession {
  /// Takes the connection. `batch_bytes`: SqliteOptions.
  SqliteSession(Connection opened, std::size_t batch_bytes)
      : connection(std::move(opened)), batches(connection, put_row, batch_bytes) {}
  SqliteSession(const SqliteSession&) = delete;
  SqliteSession& operator=(const SqliteSession&) = delete;

  /// corrupt where a table or a column is missing.
  [[nodiscard]] Result<void> check_tables() {
    // Between them these name every table and column of the store, but for those that the parts check.
    for (Statement* each : {&set_meta, &put_incarnation, &put_stream, &put, &put_watermark, &put_anchor, &first_of_key,
                            &find_origin, &due, &holds_tokens, &holds_cursors}) {
      if (const int rc = each->prepare(); rc != SQLITE_OK) return connection.error(rc, "prepare a statement");
    }
    return {};
  }

  Connection connection;  ///< Before the statements, so that it goes after them.
  Statement begin{connection, "BEGIN"};
  Statement commit{connection, "COMMIT"};
  Statement rollback{connection, "ROLLBACK"};
  Statement begin_part{connection, "SAVEPOINT part"};
  Statement undo_part{connection, "ROLLBACK TO part"};
  Statement end_part{connection, "RELEASE part"};
  Statement page_count{connection, "PRAGMA page_count"};
  Statement free_pages{connection, "PRAGMA freelist_count"};

  Statement set_meta{connection, "UPDATE meta SET sequence_lease=?1, clean=?2 WHERE id=1"};
  Statement put_incarnation{connection,
                            "INSERT OR REPLACE INTO incarnations (first_sequence, incarnation) VALUES (?1, ?2)"};
  Statement drop_incarnations{connection, "DELETE FROM incarnations WHERE first_sequence<?1"};

  Statement put_stream{connection,
                       "INSERT INTO streams (id, box, node, lane, ready, ready_bytes, dead, dead_bytes, delayed,"
                       " delayed_bytes, retained, retained_bytes) VALUES (?1, ?2, ?3, ?4, 0, 0, 0, 0, 0, 0, 0, 0)"};
  Statement erase_stream{connection, "DELETE FROM streams WHERE id=?1"};
  Statement put_loads{connection,
                      "UPDATE streams SET ready=?2, ready_bytes=?3, dead=?4, dead_bytes=?5, delayed=?6,"
                      " delayed_bytes=?7, retained=?8, retained_bytes=?9 WHERE id=?1"};
  Statement holds_tokens{connection, "SELECT 1 FROM tokens WHERE stream=?1 LIMIT 1"};
  Statement holds_cursors{connection, "SELECT 1 FROM cursors WHERE stream=?1 LIMIT 1"};

  /// position, head, payload: a ready row without a moment, an origin or anything else that is indexed.
  Statement put_row{connection, "INSERT INTO messages (position, head, payload) VALUES (?1, ?2, ?3)"};
  Statement put{connection,
                "INSERT INTO messages (position, head, payload, moment, key, origin) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"};
  Statement remark{connection, "UPDATE messages SET head=?2, moment=?3, key=?4 WHERE position=?1"};
  Statement erase{connection, "DELETE FROM messages WHERE position BETWEEN ?1 AND ?2"};
  /// Rows behind ?1, up to ?2.
  Statement read{connection,
                 "SELECT position, head, payload FROM messages WHERE position>?1 AND position<=?2 ORDER BY position"};
  /// length() of a blob reads the record's header, neither the payload nor its overflow pages.
  Statement sizes{connection,
                  "SELECT position, head, length(payload) FROM messages WHERE position>?1 AND position<=?2"
                  " ORDER BY position"};
  Statement due{connection, "SELECT position, head, payload FROM messages WHERE moment<=?1 ORDER BY moment, position"};
  Statement next_due{connection, "SELECT moment FROM messages WHERE moment IS NOT NULL ORDER BY moment LIMIT 1"};
  /// position>>44 is the state and the stream. The index messages_key has what this asks for, in its order.
  Statement first_of_key{connection,
                         "SELECT coalesce(origin, position&17592186044415) FROM messages"
                         " WHERE position>>44=?1 AND key=?2"
                         " ORDER BY coalesce(origin, position&17592186044415) LIMIT 1"};
  /// Whether any ready row has a moment.
  Statement any_paused{connection,
                       "SELECT 1 FROM messages INDEXED BY messages_key WHERE key IS NOT NULL AND position>>44<131072"
                       " LIMIT 1"};
  Statement find_origin{connection, "SELECT position FROM messages WHERE origin=?1"};

  Statement put_watermark{connection,
                          "INSERT INTO watermarks (producer, incarnation, lane, sequence) VALUES (?1, ?2, ?3, ?4)"
                          " ON CONFLICT DO UPDATE SET sequence=excluded.sequence"};
  Statement erase_watermark{connection, "DELETE FROM watermarks WHERE producer=?1 AND incarnation=?2 AND lane=?3"};
  Statement watermarks{connection, "SELECT producer, incarnation, lane, sequence FROM watermarks"};
  Statement put_anchor{connection,
                       "INSERT OR REPLACE INTO clock (id, store, mono, wall, boot) VALUES (1, ?1, ?2, ?3, ?4)"};
  Statement anchor{connection, "SELECT store, mono, wall, boot FROM clock WHERE id=1"};

  SqliteBatches batches;
};

/// The stored rows of a range of positions, in order: ready ones from batches and `messages` together. One read at a
/// time; what a row gives is borrowed until the next step.
class SqliteRows {
 public:
  /// `sizes`: payloads are not read, and row() has none.
  enum class What : std::uint8_t { rows, sizes };
  /// Positions behind `after`, up to `last`, of one state of one stream.
  SqliteRows(SqliteSession& session, std::int64_t after, std::int64_t last, What what = What::rows) noexcept
      : what_(what),
        read_(what == What::rows ? session.read : session.sizes),
        batches_(sqlite_schema::state_of(last) == RowState::ready ? &session.batches : nullptr),
        after_(after),
        last_(last) {
    read_.bind(1, after);
    read_.bind(2, last);
  }
  ~SqliteRows() { read_.reset(); }
  SqliteRows(const SqliteRows&) = delete;
  SqliteRows& operator=(const SqliteRows&) = delete;

  /// SQLITE_ROW, SQLITE_DONE or an error.
  [[nodiscard]] int step() {
    if (batches_ != nullptr && !settled_) {
      if (const int rc = batches_->settle(after_ + 1, last_); rc != SQLITE_OK) return rc;
      settled_ = true;
    }
    if (single_rc_ == SQLITE_ROW && !is_batched_) single_rc_ = kStep;
    if (batch_rc_ == SQLITE_ROW && is_batched_) batch_rc_ = kStep;
    if (single_rc_ == kStep) single_rc_ = read_single();
    if (batch_rc_ == kStep) batch_rc_ = batches_ == nullptr ? SQLITE_DONE : batches_->next(after_, last_, batched_);
    if (batch_rc_ == SQLITE_ROW) after_ = batched_.position;
    is_batched_ = batch_rc_ == SQLITE_ROW && (single_rc_ != SQLITE_ROW || batched_.position < single_.position);
    if (single_rc_ != SQLITE_ROW && single_rc_ != SQLITE_DONE) return single_rc_;
    return is_batched_ || batch_rc_ != SQLITE_DONE ? batch_rc_ : single_rc_;
  }
  [[nodiscard]] const StoredRow& row() const noexcept { return is_batched_ ? batched_ : single_; }
  [[nodiscard]] bool is_batched() const noexcept { return is_batched_; }
  [[nodiscard]] std::size_t payload_bytes() const noexcept {
    return is_batched_ || what_ == What::rows ? row().payload.size() : static_cast<std::size_t>(read_.integer(2));
  }

 private:
  static constexpr int kStep = -1;

  [[nodiscard]] int read_single() {
    const int rc = read_.step();
    if (rc != SQLITE_ROW) return rc;
    single_ = {read_.integer(0), read_.blob(1), what_ == What::rows ? read_.blob(2) : std::span<const std::byte>{}};
    return rc;
  }

  What what_;
  Statement& read_;
  SqliteBatches* batches_;
  std::int64_t after_;  ///< Of the last row that a batch gave.
  std::int64_t last_;
  int single_rc_ = kStep;
  int batch_rc_ = kStep;
  bool settled_ = false;  ///< No row of a batch becomes a single one any more.
  bool is_batched_ = false;
  StoredRow single_;
  StoredRow batched_;
};

}  // namespace pannier
