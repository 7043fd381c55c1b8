#include <algorithm>
#include <string>

#include "runtime/limits.h"
#include "runtime/store/sqlite/row.h"
#include "runtime/store/sqlite/row_source.h"
#include "runtime/store/sqlite/store_impl.h"

namespace pannier {
namespace {

using sqlite_schema::position;
using sqlite_schema::sequence_of;

std::string_view text_of(std::span<const std::byte> bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

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
  if (!loads_.empty(*stream, RowState::ready)) {
    const int rc = mark_batched(at, mark);
    if (rc == SQLITE_ROW) return {};
    if (rc != SQLITE_DONE) return fail(rc, "mark");
  }
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

int SqliteStore::mark_batched(std::int64_t at, const Mark& mark) {
  StoredRow found;
  const auto find = [&](SqliteBatches& batches) { return batches.next(at - 1, at, found); };
  if (const int rc = with_batches(find); rc != SQLITE_ROW) return rc;
  Row wanted;
  wanted.attempts = mark.attempts;
  wanted.cause = mark.cause;
  wanted.moment = mark.moment;
  if (!sqlite_row::remark(found.head, at, wanted, head_)) head_.assign(text_of(found.head));
  const StreamId stream = sqlite_schema::stream_of(at);
  const Load load{1, found.payload.size()};
  int rc = put_stored(mark.state, {at, std::as_bytes(std::span{head_}), found.payload}, mark.moment);
  if (rc == SQLITE_OK) rc = session_->batches.erase(at, at, [](const StoredRow&) {});
  if (rc != SQLITE_OK) return rc;
  if (mark.state != RowState::ready) {
    loads_.take(stream, RowState::ready, sequence_of(at), load);
    loads_.put(stream, mark.state, sequence_of(at), load);
  }
  return SQLITE_ROW;
}

int SqliteStore::keep_batched(std::int64_t after, std::int64_t last, StoreTime moment) {
  StoredRow found;
  const auto next = [&](SqliteBatches& batches) { return batches.next(after, last, found); };
  int rc = with_batches(next);
  for (; rc == SQLITE_ROW; rc = with_batches(next)) {
    Row kept;
    static_cast<void>(sqlite_row::decode(found.head, kept));
    kept.moment = moment;
    if (!sqlite_row::remark(found.head, found.position, kept, head_)) head_.assign(text_of(found.head));
    rc = put_stored(RowState::kept, {found.position, std::as_bytes(std::span{head_}), found.payload}, moment);
    if (rc != SQLITE_OK) return rc;
    after = found.position;
  }
  return rc == SQLITE_DONE ? SQLITE_OK : rc;
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
    int rc = session_->keep.run();
    if (rc == SQLITE_OK) rc = keep_batched(position(id, first) - 1, position(id, through), moment);
    if (rc != SQLITE_OK) return fail(rc, "keep");
    Load moved;
    rc = erase_range(id, RowState::ready, first, through, false, moved);
    if (rc != SQLITE_OK) return fail(rc, "keep");
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
  const std::int64_t at = position(id, sequence);
  StoredRow sound;  // Where it was in a broken batch, it is in another table from here on.
  const int looked = with_batches([&](SqliteBatches& batches) { return batches.next(at - 1, at, sound); });
  if (looked != SQLITE_ROW && looked != SQLITE_DONE) return fail(looked, "requeue");
  for (const RowState state : kAllRowStates) {
    if (loads_.empty(*stream, state)) continue;
    std::vector<Place> damaged;
    Row row;
    std::string text;  // Of the row: what a statement gives may move once another one writes.
    {
      RowSource source(*session_, state, at - 1, at);
      const int rc = next_row(source, row, damaged);
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
    session_->is_damaged.bind(1, at);
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
    RowSource source(*session_, RowState::kept, position(id, 0), position(id, store_checks::kMaxSequence),
                     RowSource::What::sizes);
    int rc = source.step();
    for (std::size_t rows = 0; rc == SQLITE_ROW && rows < limits::kTrimRows; rc = source.step(), ++rows) {
      // An estimate is no reason to forget something; its count will be done soon.
      const bool too_much = stream->exact && (load.messages > most.messages || load.bytes > most.bytes);
      Row row;
      if (!too_much && sqlite_row::decode(source.row().head, row) && row.moment >= before) break;
      last = sequence_of(source.row().position);
      load -= {1, source.payload_bytes()};
    }
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) return fail(rc, "trim");
  }
  if (last == 0) return {};
  Load removed;
  const int rc = erase_range(id, RowState::kept, 0, last, true, removed);
  return rc == SQLITE_OK ? Result<void>{} : fail(rc, "trim");
}

}  // namespace pannier
