#include <algorithm>
#include <string>

#include "runtime/limits.h"
#include "runtime/queue/sqlite_row.h"
#include "runtime/queue/sqlite_store_impl.h"

namespace pannier {
namespace {

using sqlite_schema::position;
using sqlite_schema::sequence_of;

void bind_mark(Statement& statement, std::int64_t at, const Store::Mark& mark) {
  statement.bind(1, at);
  statement.bind(2, std::int64_t{mark.attempts});
  statement.bind(3, mark.cause);
  statement.bind(4, stored(mark.moment));
}

}  // namespace

Result<void> SqliteStore::mark(StreamId id, Sequence sequence, const Mark& whole) {
  if (Result<void> ready = check_change(); !ready) return ready;
  const Stream* stream = loads_.find(id);
  if (stream == nullptr || sequence > store_checks::kMaxSequence) {
    return Error{ErrorCode::not_found, "mark: no such row."};
  }
  const std::int64_t at = position(id, sequence);
  Mark mark = whole;
  mark.cause = store_checks::cut_cause(whole.cause);
  const auto to = static_cast<std::size_t>(mark.state);
  if (!loads_.empty(*stream, mark.state)) {
    Statement& remark = session_->remark[to];
    bind_mark(remark, at, mark);
    if (const int rc = remark.run(); rc != SQLITE_OK) return fail(rc, "mark");
    if (session_->connection.changes() > 0) return {};
  }
  for (const RowState state : kAllRowStates) {
    if (state == mark.state || loads_.empty(*stream, state)) continue;
    Statement& move = session_->move[static_cast<std::size_t>(state)][to];
    bind_mark(move, at, mark);
    if (const int rc = move.run(); rc != SQLITE_OK) return fail(rc, "mark");
    if (session_->connection.changes() == 0) continue;
    if (state == RowState::parked) {
      const StatementScope scope(session_->is_damaged);
      session_->is_damaged.bind(1, at);
      if (session_->is_damaged.step() == SQLITE_ROW) {
        return fail(store_error(ErrorCode::corrupt, options_.path, "a damaged message cannot be made ready again"));
      }
    }
    Load moved;
    if (const int rc = erase_range(id, state, sequence, sequence, false, moved); rc != SQLITE_OK)
      return fail(rc, "mark");
    loads_.put(id, mark.state, sequence, moved);
    return {};
  }
  return Error{ErrorCode::not_found, "mark: this row is gone."};
}

Result<void> SqliteStore::keep_through(StreamId id, Sequence sequence, StoreTime moment) {
  if (Result<void> ready = check_change(); !ready) return ready;
  const Stream* stream = loads_.find(id);
  if (stream == nullptr || loads_.empty(*stream, RowState::ready)) return {};
  const Sequence last = std::min(sequence, store_checks::kMaxSequence);
  // As in erase_range, here for how far a count of what is kept has come.
  const Sequence boundary = std::min(loads_.boundary(id, RowState::kept), last);
  for (Sequence first = 0, through = boundary;; first = through + 1, through = last) {
    session_->keep.bind(1, position(id, first));
    session_->keep.bind(2, position(id, through));
    session_->keep.bind(3, stored(moment));
    if (const int rc = session_->keep.run(); rc != SQLITE_OK) return fail(rc, "keep");
    Load moved;
    if (const int rc = erase_range(id, RowState::ready, first, through, false, moved); rc != SQLITE_OK)
      return fail(rc, "keep");
    loads_.put(id, RowState::kept, through, moved);
    if (through == last) return {};
  }
}

Result<void> SqliteStore::requeue(StreamId id, Sequence sequence, Sequence next) {
  if (Result<void> ready = check_change(); !ready) return ready;
  const Stream* stream = loads_.find(id);
  if (stream == nullptr || sequence == 0 || sequence > store_checks::kMaxSequence) {
    return Error{ErrorCode::not_found, "requeue: no such row."};
  }
  if (next == 0 || next > store_checks::kMaxSequence) {
    return fail({ErrorCode::invalid_argument, "requeue: ask next_sequence() for a number."});
  }
  for (const RowState state : kAllRowStates) {
    if (loads_.empty(*stream, state)) continue;
    std::vector<Place> damaged;
    Row row;
    std::string text;  // Of the row: what a statement gives may move once another one writes.
    {
      Statement& read = session_->read[static_cast<std::size_t>(state)];
      const StatementScope scope(read);
      read.bind(1, position(id, sequence - 1));
      read.bind(2, position(id, sequence));
      const int rc = next_row(read, state, row, damaged);
      if (rc != SQLITE_ROW && rc != SQLITE_DONE) return fail(rc, "requeue");
      if (rc == SQLITE_DONE && damaged.empty()) continue;
      if (rc == SQLITE_ROW) {
        text.append(row.key).append(row.producer);
        text.append(reinterpret_cast<const char*>(row.payload.data()), row.payload.size());
        const std::string_view all = text;
        const std::size_t names = row.key.size() + row.producer.size();
        row.producer = all.substr(row.key.size(), row.producer.size());
        row.key = all.substr(0, row.key.size());
        row.payload = std::as_bytes(std::span{all.substr(names)});
      }
    }
    const StatementScope scope(session_->is_damaged);
    session_->is_damaged.bind(1, position(id, sequence));
    if (!damaged.empty() || (state == RowState::parked && session_->is_damaged.step() == SQLITE_ROW)) {
      return fail(store_error(ErrorCode::corrupt, options_.path, "a damaged message cannot be made ready again"));
    }
    Load moved;
    if (const int rc = erase_range(id, state, sequence, sequence, true, moved); rc != SQLITE_OK)
      return fail(rc, "requeue");
    if (row.origin == 0) row.origin = sequence;
    row.sequence = next;
    row.moment = kNoMoment;
    row.attempts = 0;
    row.cause = {};
    if (const int rc = put_row(RowState::ready, row); rc != SQLITE_OK) {
      if ((rc & 0xff) != SQLITE_CONSTRAINT) return fail(rc, "requeue");
      return fail({ErrorCode::invalid_argument, "requeue: this number is taken; ask next_sequence() for one."});
    }
    return {};
  }
  return Error{ErrorCode::not_found, "requeue: this row is gone."};
}

Result<void> SqliteStore::trim(StreamId id, const Load& most, StoreTime before) {
  if (Result<void> ready = check_change(); !ready) return ready;
  const Stream* stream = loads_.find(id);
  if (stream == nullptr || loads_.empty(*stream, RowState::kept)) return {};
  Load load = (*stream)[RowState::kept];
  Sequence last = 0;
  {
    Statement& sizes = session_->sizes[static_cast<std::size_t>(RowState::kept)];
    const StatementScope scope(sizes);
    sizes.bind(1, position(id, 0));
    sizes.bind(2, position(id, store_checks::kMaxSequence));
    sizes.bind(3, as_signed(limits::kTrimRows));
    int rc = sizes.step();
    for (; rc == SQLITE_ROW; rc = sizes.step()) {
      // An estimate is no reason to forget something; its count will be done soon.
      const bool too_much = stream->exact && (load.messages > most.messages || load.bytes > most.bytes);
      Row row;
      if (!too_much && sqlite_row::decode(sizes.blob(2), row) && row.moment >= before) break;
      last = sequence_of(sizes.integer(0));
      load -= {1, as_unsigned(sizes.integer(1))};
    }
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) return fail(rc, "trim");
  }
  if (last == 0) return {};
  Load removed;
  const int rc = erase_range(id, RowState::kept, 0, last, true, removed);
  return rc == SQLITE_OK ? Result<void>{} : fail(rc, "trim");
}

}  // namespace pannier
