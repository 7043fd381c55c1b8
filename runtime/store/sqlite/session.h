#pragma once

#include <utility>

#include "runtime/store/row.h"
#include "runtime/store/sqlite/batches.h"
#include "runtime/store/sqlite/handle.h"
#include "runtime/store/sqlite/schema.h"

namespace pannier {

/// The open database. Replaced as a whole when the file has to be opened again.
struct SqliteSession {
  /// Takes ownership of the connection. `batch_bytes`: see SqliteOptions.
  SqliteSession(Connection opened, std::size_t batch_bytes)
      : connection(std::move(opened)), batches(sql, batch_bytes) {}
  SqliteSession(const SqliteSession&) = delete;
  SqliteSession& operator=(const SqliteSession&) = delete;

  Connection connection;  ///< Before the statements, so that it is destroyed after them.
  Statements sql{connection};
  SqliteBatches batches;
};

/// Indexed columns (moment, key, origin) are null unless the row needs them.
inline constexpr char kPutRow[] =
    "INSERT INTO messages (position, head, moment, key, origin, payload) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
/// Binds ?1 to ?4: position, head, moment and key.
Statement& bind_row(Statement& statement, std::int64_t at, std::span<const std::byte> head, const Row& row) noexcept;
/// Binds all parameters of kPutRow.
Statement& bind_whole_row(Statement& statement, std::int64_t at, std::span<const std::byte> head,
                          const Row& row) noexcept;
/// A ready row that waits for its next attempt.
[[nodiscard]] bool is_paused(const Row& row) noexcept;

inline constexpr char kBegin[] = "BEGIN";
inline constexpr char kCommit[] = "COMMIT";
/// id, box, node, lane.
inline constexpr char kPutStream[] =
    "INSERT INTO streams (id, box, node, lane, ready, ready_bytes, dead, dead_bytes, delayed, delayed_bytes, retained,"
    " retained_bytes) VALUES (?1, ?2, ?3, ?4, 0, 0, 0, 0, 0, 0, 0, 0)";
inline constexpr char kReadRows[] =
    "SELECT position, head, payload FROM messages WHERE position>?1 AND position<=?2 ORDER BY position";
/// length() of a blob reads only the record's header, not the payload or its overflow pages.
inline constexpr char kReadSizes[] =
    "SELECT position, head, length(payload) FROM messages WHERE position>?1 AND position<=?2 ORDER BY position";

/// Reads the rows in a range of positions in order, merging batches and `messages`. One read at a time; a row is
/// borrowed until the next step.
class SqliteRows {
 public:
  /// `sizes`: payloads are not read; use payload_bytes().
  enum class What : std::uint8_t { rows, sizes };
  /// Reads positions after `after`, up to `last`, of one state of one stream.
  SqliteRows(SqliteSession& session, std::int64_t after, std::int64_t last, What what = What::rows) noexcept
      : what_(what),
        read_(session.sql[what == What::rows ? kReadRows : kReadSizes]),
        batches_(sqlite_schema::state_of(last) == RowState::ready ? &session.batches : nullptr),
        after_(after),
        last_(last) {
    read_.with(after, last);
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
  std::int64_t after_;  ///< The position of the last row from a batch.
  std::int64_t last_;
  int single_rc_ = kStep;
  int batch_rc_ = kStep;
  bool settled_ = false;  ///< SqliteBatches::settle was called.
  bool is_batched_ = false;
  StoredRow single_;
  StoredRow batched_;
};

}  // namespace pannier
