#include "runtime/queue/sqlite_store_impl.h"

namespace pannier {
namespace {

using sqlite_schema::position;
using sqlite_schema::sequence_of;

constexpr std::string_view kDamagedCause = "checksum does not hold";
/// Damaged rows that one read moves aside; the next read meets the others.
constexpr std::size_t kDamagedBatch = 64;

Row row_at(const Statement& read, StreamId stream, RowState state) {
  return {.stream = stream,
          .sequence = sequence_of(read.integer(0)),
          .key = read.text(5),
          .type = static_cast<TypeId>(as_unsigned(read.integer(1))),
          .payload = read.blob(8),
          .enqueued_at = WallTime(Duration(read.integer(2))),
          .state = state,
          .attempts = static_cast<std::uint32_t>(read.integer(3)),
          .producer = read.text(6),
          .cause = read.text(7)};
}

}  // namespace

// --- Rows -----------------------------------------------------------------------------------------------

Result<void> SqliteStore::read(StreamId id, RowState state, Sequence after, std::size_t limit,
                               const RowVisitor& visit) {
  if (!session_) return store_error(ErrorCode::storage_io, options_.path, "closed after a failure");
  if (find(id) == nullptr || after >= store_checks::kMaxSequence) return {};
  const std::size_t table = table_of(state);
  std::vector<std::int64_t> damaged;
  {
    Statement& read = session_->read[table];
    const StatementScope scope(read);
    read.bind(1, position(id, after));
    read.bind(2, position(id, store_checks::kMaxSequence));
    while (limit > 0) {
      const int rc = read.step();
      if (rc == SQLITE_DONE) break;
      if (rc != SQLITE_ROW) return session_->connection.error(rc, "read");
      const std::int64_t at = read.integer(0);
      const Row row = row_at(read, id, state);
      const std::uint32_t crc =
          sqlite_schema::fixed_checksum(at, row) ^ sqlite_schema::mark_checksum(at, row.attempts, row.cause);
      if (read.integer(4) != std::int64_t{crc}) {
        ++counters_.corrupt_rows;
        if (damaged.size() < kDamagedBatch) damaged.push_back(at);
        continue;
      }
      if (!visit(row)) break;
      --limit;
    }
  }
  if (!damaged.empty()) set_aside(table, id, damaged);
  return {};
}

void SqliteStore::set_aside(std::size_t table, StreamId id, const std::vector<std::int64_t>& positions) {
  // In the transaction that is open, or in one of its own. Where it fails the rows stay, and are counted
  // again.
  if (failed_) return;
  const bool own = !open_;
  if (own && !begin()) return;
  Stream* stream = change(id);
  for (const std::int64_t at : positions) {
    if (const int rc = set_aside_one(table, *stream, at); rc != SQLITE_OK) {
      static_cast<void>(fail(rc, "move a damaged row aside"));
      break;
    }
  }
  if (!own) return;
  if (!commit(Durability::fsynced)) rollback();
}

int SqliteStore::set_aside_one(std::size_t table, Stream& stream, std::int64_t at) {
  session_->copy_damaged[table].bind(1, at);
  if (const int rc = session_->copy_damaged[table].run(); rc != SQLITE_OK) return rc;
  Statement& size = session_->size[table];
  size.bind(1, at);
  const int found = size.step();
  const std::uint64_t bytes = found == SQLITE_ROW ? as_unsigned(size.integer(0)) : 0;
  size.reset();
  if (found != SQLITE_ROW) return found;
  session_->erase[table].bind(1, at);
  if (const int rc = session_->erase[table].run(); rc != SQLITE_OK) return rc;
  Row stand_in;
  Statement& put = session_->put[kParked];
  put.bind(1, at);
  put.bind(2, std::int64_t{0});
  put.bind(3, std::int64_t{0});
  put.bind(4, std::int64_t{0});
  put.bind(5, std::int64_t{sqlite_schema::fixed_checksum(at, stand_in) ^
                           sqlite_schema::mark_checksum(at, 0, kDamagedCause)});
  put.bind(6, std::string_view{});
  put.bind(7, std::string_view{});
  put.bind(8, kDamagedCause);
  put.bind(9, std::span<const std::byte>{});
  if (const int rc = put.run(); rc != SQLITE_OK) return rc;
  if (table == kReady) {
    --stream.messages;
    stream.bytes -= bytes;
    ++stream.parked;
  }
  return SQLITE_OK;
}

// --- Watermarks and state -------------------------------------------------------------------------------

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
  if (!session_) return store_error(ErrorCode::storage_io, options_.path, "closed after a failure");
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

Result<void> SqliteStore::read_state(std::string_view prefix, const StateVisitor& visit) {
  if (!session_) return store_error(ErrorCode::storage_io, options_.path, "closed after a failure");
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

}  // namespace pannier
