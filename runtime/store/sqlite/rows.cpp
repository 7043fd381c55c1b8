#include <algorithm>
#include <utility>

#include "runtime/store/sqlite/row.h"
#include "runtime/store/sqlite/store_impl.h"

namespace pannier {
namespace {

using sqlite_schema::position;

/// A store that gave up its reserve tries to have it again with one in so many of the messages that it
/// refuses.
constexpr unsigned kReserveTries = 16;
/// Pages below the cap that are kept from new messages.
constexpr std::int64_t kReservedPages = 64;

}  // namespace

Result<StreamId> SqliteStore::stream(Box box, std::string_view node, std::string_view lane) {
  if (const std::optional<StreamId> known = loads_.find(box, node, lane)) return *known;
  if (!open_) return Error{ErrorCode::not_found, "No such stream; making one needs a transaction."};
  if (failed_) return *failed_;
  if (Result<void> checked = store_checks::stream_name(node, lane); !checked) return fail(checked.error());
  if (loads_.all().size() >= store_checks::kMaxStreams) {
    return Error{ErrorCode::full, "A store holds at most 65,535 streams; use fewer destinations or lanes."};
  }
  const StreamId id = loads_.add(box, node, lane).id;
  Statement& put = session_->put_stream;
  put.bind(1, static_cast<std::int64_t>(id));
  put.bind(2, static_cast<std::int64_t>(box));
  put.bind(3, node);
  put.bind(4, lane);
  put.bind(5, std::int64_t{sqlite_schema::stream_checksum(id, box, node, lane)});
  if (const int rc = put.run(); rc != SQLITE_OK) return fail(rc, "make a stream");
  return id;
}

bool SqliteStore::hold_reserve() {
  return options_.reserve_bytes == 0 ||
         vfs_->hold_room(options_.path + "-reserve", static_cast<std::int64_t>(options_.reserve_bytes));
}

Result<void> SqliteStore::check_room() {
  // Once a group: a group is small against a store, and the cap itself is hard.
  if (room_checked_ || (reserve_held_ && options_.max_bytes == 0)) return {};
  const StatementScope pages_scope(session_->page_count);
  const StatementScope free_scope(session_->free_pages);
  int rc = session_->page_count.step();
  if (rc == SQLITE_ROW) rc = session_->free_pages.step();
  if (rc != SQLITE_ROW) return session_->connection.error(rc, "read");
  const std::int64_t free = session_->free_pages.integer(0);
  const std::int64_t used = session_->page_count.integer(0) - free;
  if (!reserve_held_ && refusals_++ % kReserveTries == 0) reserve_held_ = hold_reserve();
  if (!reserve_held_) {
    // The file does not shrink: on a disk that stays full, what was delivered leaves room within it.
    const auto enough = static_cast<std::int64_t>(options_.reserve_bytes) / sqlite_schema::kPageBytes / 2;
    if (free < enough) return store_error(ErrorCode::storage_full, options_.path, "the disk is full");
  }
  if (options_.max_bytes > 0) {
    const std::int64_t most = static_cast<std::int64_t>(options_.max_bytes) / sqlite_schema::kPageBytes;
    if (used >= most - std::min(kReservedPages, most / 16)) {
      return store_error(ErrorCode::storage_full, options_.path, "at its cap");
    }
  }
  room_checked_ = true;
  return {};
}

bool SqliteStore::note_number(const Row& row) {
  const auto stream = static_cast<std::size_t>(row.stream);
  if (highest_.size() <= stream) highest_.resize(stream + 1, first_ - 1);
  const bool fresh = row.sequence > highest_[stream];
  highest_[stream] = std::max(highest_[stream], row.sequence);
  return fresh;
}

int SqliteStore::put_stored(RowState state, const StoredRow& row, StoreTime moment) {
  Statement& put = session_->put[static_cast<std::size_t>(state)];
  put.bind(1, row.position);
  put.bind(2, row.head);
  put.bind(3, row.payload);
  if (state == RowState::delayed) put.bind(4, stored(moment));
  return put.run();
}

int SqliteStore::put_row(RowState state, const Row& row) {
  const std::int64_t at = position(row.stream, row.sequence);
  sqlite_row::encode(at, row, head_);
  const StoredRow made{at, std::as_bytes(std::span{head_}), row.payload};
  const bool fresh = note_number(row);
  int rc = SQLITE_OK;
  if (state == RowState::ready && fresh && SqliteBatches::fits(made.head.size(), made.payload.size())) {
    rc = session_->batches.put(made);
  } else {
    StoredRow taken;
    rc = SQLITE_DONE;
    if (state == RowState::ready && !fresh) {
      rc = with_batches([&](SqliteBatches& batches) { return batches.next(at - 1, at, taken); });
    }
    if (rc == SQLITE_ROW) return SQLITE_CONSTRAINT;
    rc = rc == SQLITE_DONE ? put_stored(state, made, row.moment) : rc;
  }
  if (rc == SQLITE_OK && row.origin != 0) {
    session_->put_origin.bind(1, as_signed(row.origin));
    session_->put_origin.bind(2, at);
    rc = session_->put_origin.run();
  }
  if (rc == SQLITE_OK) loads_.put(row.stream, state, row.sequence, {1, row.payload.size()});
  return rc;
}

Result<void> SqliteStore::put(const Row& whole) {
  if (Result<void> ready = check_change(); !ready) return ready;
  if (Result<void> checked = store_checks::row(whole); !checked) return fail(checked.error());
  if (loads_.find(whole.stream) == nullptr) {
    return fail({ErrorCode::invalid_argument, "put: no such stream; ask stream() for its id."});
  }
  if (Result<void> room = check_room(); !room) {
    // Refused before anything was written: the reserve stays for a disk that is full.
    const bool held = std::exchange(reserve_held_, false);
    Error error = fail(room.error());
    reserve_held_ = held;
    return error;
  }
  Row row = whole;
  row.cause = store_checks::cut_cause(whole.cause);
  if (const int rc = put_row(row.state, row); rc != SQLITE_OK) {
    if ((rc & 0xff) != SQLITE_CONSTRAINT) return fail(rc, "put");
    return fail({ErrorCode::invalid_argument, "put: this sequence number is taken; ask next_sequence() for one."});
  }
  ++counters_.rows_put;
  return {};
}

int SqliteStore::erase_range(StreamId stream, RowState state, Sequence first, Sequence last, bool gone, Load& removed) {
  // Each side of how far a count has come for itself: only what was counted is taken from it.
  const Sequence boundary = loads_.boundary(stream, state);
  if (first <= boundary && boundary < last) {
    if (const int rc = erase_range(stream, state, first, boundary, gone, removed); rc != SQLITE_OK) return rc;
    return erase_range(stream, state, boundary + 1, last, gone, removed);
  }
  sqlite_functions::Tally& tally = session_->tally;
  tally.load = {};
  tally.origins.clear();
  int rc = SQLITE_OK;
  if (state == RowState::ready) {
    rc = with_batches([&](SqliteBatches& batches) {
      return batches.erase(position(stream, first), position(stream, last),
                           [&tally](const StoredRow& row) { tally.add(row.head, row.payload.size()); });
    });
  }
  const bool done = first == last && tally.load.messages > 0;
  if (rc == SQLITE_OK && !done) {
    Statement& erase = session_->erase[static_cast<std::size_t>(state)];
    erase.bind(1, position(stream, first));
    erase.bind(2, position(stream, last));
    rc = erase.run();
  }
  if (rc != SQLITE_OK || tally.load.messages == 0) return rc;
  loads_.take(stream, state, last, tally.load);
  removed += tally.load;
  for (const Sequence origin : tally.origins) {
    if (!gone || rc != SQLITE_OK) break;
    session_->erase_origin.bind(1, as_signed(origin));
    rc = session_->erase_origin.run();
  }
  return rc;
}

Result<void> SqliteStore::erase(StreamId id, Sequence sequence) {
  if (Result<void> ready = check_change(); !ready) return ready;
  const Stream* stream = loads_.find(id);
  if (stream == nullptr || sequence > store_checks::kMaxSequence) return {};
  for (const RowState state : kAllRowStates) {
    if (loads_.empty(*stream, state)) continue;
    Load removed;
    if (const int rc = erase_range(id, state, sequence, sequence, true, removed); rc != SQLITE_OK)
      return fail(rc, "erase");
    if (removed.messages == 0) continue;
    if (state != RowState::parked) return {};
    session_->erase_damaged.bind(1, position(id, sequence));  // With the stand-in goes what it stands for.
    if (const int rc = session_->erase_damaged.run(); rc != SQLITE_OK) return fail(rc, "erase");
    return {};
  }
  return {};
}

Result<void> SqliteStore::erase_through(StreamId id, Sequence sequence) {
  if (Result<void> ready = check_change(); !ready) return ready;
  const Stream* stream = loads_.find(id);
  if (stream == nullptr || loads_.empty(*stream, RowState::ready)) return {};
  Load removed;
  const int rc = erase_range(id, RowState::ready, 0, std::min(sequence, store_checks::kMaxSequence), true, removed);
  return rc == SQLITE_OK ? Result<void>{} : fail(rc, "erase");
}

}  // namespace pannier
