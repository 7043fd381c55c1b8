#pragma once

#include <sqlite3.h>

#include <algorithm>
#include <cstdint>

#include "runtime/store/sqlite/batch.h"
#include "runtime/store/sqlite/session.h"
#include "runtime/store/sqlite/store_impl.h"

namespace pannier {

/// The stored rows of one state, in order, from the tables that they are in: ready ones from two. One read at a time of
/// one state; what a row gives is borrowed until the next step.
class SqliteStore::RowSource {
 public:
  /// `sizes`: payloads are not read, and row() has none.
  enum class What : std::uint8_t { rows, sizes };
  /// Positions above `after` up to and including `last`, of one stream.
  RowSource(SqliteSession& session, RowState state, std::int64_t after, std::int64_t last,
            What what = What::rows) noexcept
      : state_(state),
        what_(what),
        read_((what == What::rows ? session.read : session.sizes)[static_cast<std::size_t>(state)]),
        batches_(state == RowState::ready ? &session.batches : nullptr),
        begin_(after),
        last_(last) {
    begin_behind(after);
  }
  /// Delayed ones in the order of their moments, through a statement that takes the latest.
  RowSource(Statement& due, StoreTime latest) noexcept : state_(RowState::delayed), read_(due) {
    read_.bind(1, stored(latest));
  }
  ~RowSource() { end(); }
  RowSource(const RowSource&) = delete;
  RowSource& operator=(const RowSource&) = delete;

  /// SQLITE_ROW, SQLITE_DONE, SqliteBatches::kBroken or an error.
  [[nodiscard]] int step() {
    if (single_rc_ == SQLITE_ROW && !row_is_batched_) single_rc_ = kStep;
    if (batch_rc_ == SQLITE_ROW && row_is_batched_) batch_rc_ = kStep;
    if (single_rc_ == kStep) single_rc_ = read_single();
    if (batch_rc_ == kStep) batch_rc_ = batches_ == nullptr ? SQLITE_DONE : batches_->next(after_, last_, batched_);
    if (batch_rc_ == SQLITE_ROW) after_ = batched_.position;
    row_is_batched_ = batch_rc_ == SQLITE_ROW && (single_rc_ != SQLITE_ROW || batched_.position < single_.position);
    if (single_rc_ != SQLITE_ROW && single_rc_ != SQLITE_DONE) return single_rc_;
    return row_is_batched_ || batch_rc_ != SQLITE_DONE ? batch_rc_ : single_rc_;
  }
  [[nodiscard]] const StoredRow& row() const noexcept { return row_is_batched_ ? batched_ : single_; }
  [[nodiscard]] std::size_t payload_bytes() const noexcept {
    return row_is_batched_ || what_ == What::rows ? row().payload.size() : static_cast<std::size_t>(read_.integer(1));
  }
  [[nodiscard]] RowState state() const noexcept { return state_; }
  /// Whether a delayed row stands in the index where its head says.
  [[nodiscard]] bool is_due_at(StoreTime moment) const noexcept {
    return state_ != RowState::delayed || read_.integer(3) == stored(moment);
  }
  /// Changes may follow.
  void end() noexcept { read_.reset(); }
  /// Once more, behind a position of the stream or behind where it began.
  void begin_behind(std::int64_t position) noexcept {
    after_ = std::max(begin_, position);
    read_.bind(1, after_);
    read_.bind(2, last_);
    single_rc_ = batch_rc_ = kStep;
    row_is_batched_ = false;
  }

 private:
  static constexpr int kStep = -1;

  [[nodiscard]] int read_single() {
    const int rc = read_.step();
    if (rc != SQLITE_ROW) return rc;
    const bool whole = what_ == What::rows;
    single_ = {read_.integer(0), read_.blob(whole ? 1 : 2), whole ? read_.blob(2) : std::span<const std::byte>{}};
    return rc;
  }

  RowState state_;
  What what_ = What::rows;
  Statement& read_;
  SqliteBatches* batches_ = nullptr;
  std::int64_t begin_ = 0;
  std::int64_t after_ = 0;  ///< Of the last row that a batch gave.
  std::int64_t last_ = 0;
  int single_rc_ = kStep;
  int batch_rc_ = kStep;
  bool row_is_batched_ = false;
  StoredRow single_;
  StoredRow batched_;
};

}  // namespace pannier
