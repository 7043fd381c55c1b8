#include <algorithm>
#include <utility>

#include "runtime/queue/sqlite_store_impl.h"

namespace pannier {
namespace {

using sqlite_schema::position;

/// A store that gave up its reserve tries to have it again with one in so many of the messages that it
/// refuses.
constexpr unsigned kReserveTries = 16;
/// Pages below the cap that are kept from new messages.
constexpr std::int64_t kReservedPages = 64;

}  // namespace

// --- Streams and rows -----------------------------------------------------------------------------------

const Stream* SqliteStore::find(StreamId stream) const {
  const auto number = static_cast<std::size_t>(stream);
  return number == 0 || number > streams_.size() ? nullptr : &streams_[number - 1];
}

Stream* SqliteStore::change(StreamId id) {
  if (find(id) == nullptr) return nullptr;
  const std::size_t index = static_cast<std::size_t>(id) - 1;
  Stream& stream = streams_[index];
  // Groups touch few streams, mostly the one of the change before: the list stays short.
  for (auto before = counts_before_.rbegin(); before != counts_before_.rend(); ++before) {
    if (before->index == index) return &stream;
  }
  counts_before_.push_back({index, {stream.messages, stream.bytes, stream.parked}});
  return &stream;
}

Result<StreamId> SqliteStore::stream(Box box, std::string_view node, std::string_view lane) {
  if (const auto known = stream_ids_.find(name_key(box, node, lane)); known != stream_ids_.end()) return known->second;
  if (!open_) return Error{ErrorCode::not_found, "No such stream; making one needs a transaction."};
  if (failed_) return *failed_;
  if (Result<void> checked = store_checks::stream_name(node, lane); !checked) return fail(checked.error());
  if (streams_.size() >= store_checks::kMaxStreams) {
    return Error{ErrorCode::full, "A store holds at most 65,535 streams; use fewer destinations or lanes."};
  }
  Stream made;
  made.id = static_cast<StreamId>(streams_.size() + 1);
  made.box = box;
  made.node = node;
  made.lane = lane;
  Statement& put = session_->put_stream;
  put.bind(1, static_cast<std::int64_t>(made.id));
  put.bind(2, static_cast<std::int64_t>(box));
  put.bind(3, node);
  put.bind(4, lane);
  put.bind(5, std::int64_t{sqlite_schema::stream_checksum(made.id, box, node, lane)});
  if (const int rc = put.run(); rc != SQLITE_OK) return fail(rc, "make a stream");
  stream_ids_.emplace(name_key(box, node, lane), made.id);
  streams_.push_back(std::move(made));
  return streams_.back().id;
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

Result<void> SqliteStore::put(const Row& row) {
  if (Result<void> ready = check_change(); !ready) return ready;
  if (Result<void> checked = store_checks::row(row); !checked) return fail(checked.error());
  Stream* stream = change(row.stream);
  if (stream == nullptr) return fail({ErrorCode::invalid_argument, "put: no such stream; ask stream() for its id."});
  if (Result<void> room = check_room(); !room) {
    // Refused before anything was written: the reserve stays for a disk that is full.
    const bool held = std::exchange(reserve_held_, false);
    Error error = fail(room.error());
    reserve_held_ = held;
    return error;
  }
  const std::int64_t at = position(row.stream, row.sequence);
  const std::string_view cause = store_checks::cut_cause(row.cause);
  const std::size_t table = table_of(row.state);
  Statement& put = session_->put[table];
  put.bind(1, at);
  put.bind(2, as_signed(static_cast<std::uint64_t>(row.type)));
  put.bind(3, row.enqueued_at.time_since_epoch().count());
  put.bind(4, std::int64_t{row.attempts});
  put.bind(
      5, std::int64_t{sqlite_schema::fixed_checksum(at, row) ^ sqlite_schema::mark_checksum(at, row.attempts, cause)});
  put.bind(6, row.key);
  put.bind(7, row.producer);
  put.bind(8, cause);
  put.bind(9, row.payload);
  if (const int rc = put.run(); rc != SQLITE_OK) {
    if ((rc & 0xff) != SQLITE_CONSTRAINT) return fail(rc, "put");
    return fail({ErrorCode::invalid_argument, "put: this sequence number is taken; ask next_sequence() for one."});
  }
  if (table == kReady) {
    ++stream->messages;
    stream->bytes += row.payload.size();
  } else {
    ++stream->parked;
  }
  ++counters_.rows_put;
  return {};
}

int SqliteStore::erase_from(std::size_t table, Stream& stream, std::int64_t at) {
  std::uint64_t& rows = table == kReady ? stream.messages : stream.parked;
  if (rows == 0) return SQLITE_OK;
  Statement& size = session_->size[table];
  size.bind(1, at);
  const int found = size.step();
  const std::uint64_t bytes = found == SQLITE_ROW ? as_unsigned(size.integer(0)) : 0;
  size.reset();
  if (found != SQLITE_ROW) return found == SQLITE_DONE ? SQLITE_OK : found;
  session_->erase[table].bind(1, at);
  if (const int rc = session_->erase[table].run(); rc != SQLITE_OK) return rc;
  --rows;
  if (table == kReady) {
    stream.bytes -= bytes;
    return SQLITE_OK;
  }
  session_->erase_damaged.bind(1, at);  // With the stand-in goes what it stands for.
  return session_->erase_damaged.run();
}

Result<void> SqliteStore::erase(StreamId id, Sequence sequence) {
  if (Result<void> ready = check_change(); !ready) return ready;
  Stream* stream = change(id);
  if (stream == nullptr || sequence > store_checks::kMaxSequence) return {};
  for (const std::size_t table : {kReady, kParked}) {
    if (const int rc = erase_from(table, *stream, position(id, sequence)); rc != SQLITE_OK) return fail(rc, "erase");
  }
  return {};
}

Result<void> SqliteStore::erase_through(StreamId id, Sequence sequence) {
  if (Result<void> ready = check_change(); !ready) return ready;
  Stream* stream = change(id);
  if (stream == nullptr || stream->messages == 0) return {};
  const std::int64_t first = position(id, 0);
  const std::int64_t last = position(id, std::min(sequence, store_checks::kMaxSequence));
  Statement& count = session_->count[kReady];
  count.bind(1, first);
  count.bind(2, last);
  const int rc = count.step();
  const std::uint64_t messages = rc == SQLITE_ROW ? as_unsigned(count.integer(0)) : 0;
  const std::uint64_t bytes = rc == SQLITE_ROW ? as_unsigned(count.integer(1)) : 0;
  count.reset();
  if (rc != SQLITE_ROW) return fail(rc, "erase");
  if (messages == 0) return {};
  session_->erase_range.bind(1, first);
  session_->erase_range.bind(2, last);
  if (const int erased = session_->erase_range.run(); erased != SQLITE_OK) return fail(erased, "erase");
  stream->messages -= messages;
  stream->bytes -= bytes;
  return {};
}

Result<void> SqliteStore::mark(StreamId id, Sequence sequence, RowState state, std::uint32_t attempts,
                               std::string_view whole_cause) {
  if (Result<void> ready = check_change(); !ready) return ready;
  Stream* stream = change(id);
  if (stream == nullptr) return Error{ErrorCode::not_found, "mark: no such stream."};
  const std::int64_t at = position(id, sequence);
  const std::string_view cause = store_checks::cut_cause(whole_cause);
  for (const std::size_t table : {kReady, kParked}) {
    Statement& marked = session_->marked[table];
    marked.bind(1, at);
    const int found = marked.step();
    if (found != SQLITE_ROW) {
      marked.reset();
      if (found != SQLITE_DONE) return fail(found, "mark");
      continue;
    }
    const std::uint32_t old_part =
        sqlite_schema::mark_checksum(at, static_cast<std::uint32_t>(marked.integer(0)), marked.text(2));
    const auto old_crc = static_cast<std::uint32_t>(marked.integer(1));
    const std::uint64_t bytes = as_unsigned(marked.integer(3));
    marked.reset();
    const std::size_t target = table_of(state);
    if (target == kReady && table == kParked) {
      const StatementScope scope(session_->is_damaged);
      session_->is_damaged.bind(1, at);
      if (session_->is_damaged.step() == SQLITE_ROW) {
        return fail(store_error(ErrorCode::corrupt, options_.path, "a damaged message cannot be made ready again"));
      }
    }
    Statement& write = target == table ? session_->mark[table] : session_->move_in[target];
    write.bind(1, at);
    write.bind(2, std::int64_t{attempts});
    write.bind(3, cause);
    write.bind(4, std::int64_t{old_crc ^ old_part ^ sqlite_schema::mark_checksum(at, attempts, cause)});
    if (const int rc = write.run(); rc != SQLITE_OK) return fail(rc, "mark");
    if (target == table) return {};
    session_->erase[table].bind(1, at);
    if (const int rc = session_->erase[table].run(); rc != SQLITE_OK) return fail(rc, "mark");
    const bool parks = target == kParked;
    stream->messages += parks ? std::uint64_t(-1) : 1;
    stream->bytes += parks ? std::uint64_t(0) - bytes : bytes;
    stream->parked += parks ? 1 : std::uint64_t(-1);
    return {};
  }
  return Error{ErrorCode::not_found, "mark: this row is gone."};
}

}  // namespace pannier
