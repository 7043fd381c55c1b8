#include <algorithm>

#include "runtime/limits.h"
#include "runtime/store/sqlite/row.h"
#include "runtime/store/sqlite/row_source.h"
#include "runtime/store/sqlite/store_impl.h"

namespace pannier {
namespace {

using sqlite_row::kDamagedCause;
using sqlite_row::kMayHaveLeft;
using sqlite_schema::position;
using sqlite_schema::sequence_of;
using sqlite_schema::stream_of;

/// Damaged rows that one read moves aside; the next read meets the others.
constexpr std::size_t kDamagedBatch = 64;

}  // namespace

// --- Rows -----------------------------------------------------------------------------------------------

int SqliteStore::next_row(RowSource& source, Row& row, std::vector<Place>& damaged) {
  while (true) {
    const int rc = source.step();
    if (rc != SQLITE_ROW) return rc;
    const StoredRow& stored = source.row();
    row.stream = stream_of(stored.position);
    row.sequence = sequence_of(stored.position);
    row.state = source.state();
    row.payload = stored.payload;
    const bool sound = sqlite_row::decode(stored.head, row) && sqlite_row::holds(stored.head, stored.position, row) &&
                       source.is_due_at(row.moment);
    if (sound) return SQLITE_ROW;
    ++counters_.corrupt_rows;
    if (damaged.size() < kDamagedBatch) damaged.push_back({source.state(), stored.position});
  }
}

Result<void> SqliteStore::visit_rows(RowSource& source, std::size_t limit, RowVisitor visit) {
  std::vector<Place> damaged;
  Row row;
  while (limit > 0) {
    const int rc = next_row(source, row, damaged);
    if (rc == SqliteBatches::kBroken) {
      // Its rows, where they go on, come before what follows.
      const std::int64_t shown = position(row.stream, row.sequence);
      source.end();
      if (Result<void> done = set_aside(damaged, true); !done) return done;
      damaged.clear();
      source.begin_behind(shown);
      continue;
    }
    if (rc == SQLITE_DONE) break;
    if (rc != SQLITE_ROW) return session_->connection.error(rc, "read");
    if (!visit(row)) break;
    --limit;
  }
  source.end();
  // Where it fails the rows stay, and are counted again.
  if (!damaged.empty()) static_cast<void>(set_aside(damaged, false).ok());
  return {};
}

Result<void> SqliteStore::read(StreamId id, RowState state, Sequence after, std::size_t limit, RowVisitor visit) {
  if (Result<void> ready = check_open(); !ready) return ready;
  if (loads_.find(id) == nullptr || after >= store_checks::kMaxSequence) return {};
  RowSource source(*session_, state, position(id, after), position(id, store_checks::kMaxSequence));
  return visit_rows(source, limit, visit);
}

Result<bool> SqliteStore::find(Sequence id, RowVisitor visit) {
  if (Result<void> ready = check_open(); !ready) return ready.error();
  if (id == 0 || id > store_checks::kMaxSequence) return false;
  std::vector<std::int64_t> places;  // Where a row of that number may be: where its origin says, or in its own place.
  {
    const StatementScope scope(session_->origin);
    session_->origin.bind(1, as_signed(id));
    const int rc = session_->origin.step();
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) return session_->connection.error(rc, "read");
    if (rc == SQLITE_ROW) places.push_back(session_->origin.integer(0));
  }
  for (const Stream& stream : loads_.all()) places.push_back(position(stream.id, id));
  bool found = false;
  const auto once = [&](const Row& row) {
    if (row.id() != id) return true;
    found = true;
    return visit(row);
  };
  for (const std::int64_t at : places) {
    const Stream* stream = loads_.find(stream_of(at));
    for (const RowState state : kAllRowStates) {
      if (stream == nullptr || loads_.empty(*stream, state)) continue;
      RowSource source(*session_, state, at - 1, at);
      if (Result<void> done = visit_rows(source, 1, once); !done) return done.error();
      if (found) return true;
    }
  }
  return false;
}

Result<void> SqliteStore::read_due(StoreTime now, std::size_t limit, RowVisitor visit) {
  if (Result<void> ready = check_open(); !ready) return ready;
  RowSource source(session_->due, now);
  return visit_rows(source, limit, visit);
}

Result<std::optional<StoreTime>> SqliteStore::next_due() {
  if (Result<void> ready = check_open(); !ready) return ready.error();
  Statement& read = session_->next_due;
  const StatementScope scope(read);
  if (const int rc = read.step(); rc != SQLITE_ROW) return session_->connection.error(rc, "read");
  if (sqlite3_column_type(read.get(), 0) == SQLITE_NULL) return std::optional<StoreTime>{};
  return std::optional(store_time(read.integer(0)));
}

// --- Damage ---------------------------------------------------------------------------------------------

Result<void> SqliteStore::set_aside(const std::vector<Place>& places, bool broken_batch) {
  // In the transaction that is open, or in one of its own.
  if (failed_) return *failed_;
  const bool own = !open_;
  if (own) {
    if (Result<void> begun = begin(); !begun) return begun;
  }
  int rc = SQLITE_OK;
  for (const Place& place : places) {
    if (rc == SQLITE_OK) rc = set_aside_one(place);
  }
  if (rc == SQLITE_OK && broken_batch) rc = take_batch_apart();
  Result<void> done;
  if (rc != SQLITE_OK) done = fail(rc, "move damaged rows aside");
  if (!own) return done;
  if (done) done = commit(Durability::fsynced);
  if (!done) rollback();
  return done;
}

int SqliteStore::set_aside_one(const Place& place) {
  int rc = SQLITE_OK;
  {
    RowSource source(*session_, place.state, place.position - 1, place.position);
    rc = source.step();
    if (rc == SQLITE_ROW) rc = put_damaged(source.row());
  }
  if (rc != SQLITE_OK) return rc == SQLITE_DONE ? SQLITE_OK : rc;  // It is gone meanwhile.
  Row stand_in;
  stand_in.stream = stream_of(place.position);
  stand_in.sequence = sequence_of(place.position);
  stand_in.cause = kDamagedCause;
  Load removed;
  rc = erase_range(stand_in.stream, place.state, stand_in.sequence, stand_in.sequence, true, removed);
  return rc == SQLITE_OK ? put_row(RowState::parked, stand_in) : rc;
}

int SqliteStore::put_damaged(const StoredRow& row) {
  Statement& put = session_->put_damaged;
  put.bind(1, row.position);
  put.bind(2, row.head);
  put.bind(3, row.payload);
  return put.run();
}

int SqliteStore::with_batches(FunctionRef<int(SqliteBatches&)> use) {
  int rc = use(session_->batches);
  while (rc == SqliteBatches::kBroken) {
    rc = take_batch_apart();
    if (rc == SQLITE_OK) rc = use(session_->batches);
  }
  return rc;
}

int SqliteStore::take_batch_apart() {
  const std::int64_t at = session_->batches.broken();
  std::vector<std::byte> bytes;
  int rc = session_->batches.take_out_broken(bytes);
  // The whole of it under a number that no row has: what was lost in it can be told by nobody else.
  if (rc == SQLITE_OK) {
    Statement& put = session_->put_broken;
    put.bind(1, -at);
    put.bind(2, std::span<const std::byte>{bytes});
    put.bind(3, std::int64_t{limits::kBrokenBatches});
    rc = put.run();
  }
  SqliteBatch head;
  const bool told = head.take_head(at, bytes);
  std::size_t missing = head.rows();
  SqliteBatch::search(bytes, [&](const StoredRow& found, std::size_t index, bool sound) {
    if (rc != SQLITE_OK || stream_of(found.position) != stream_of(at) || (told && head.has_left(index))) return;
    missing -= std::min<std::size_t>(missing, 1);
    Row row;
    if (sound) static_cast<void>(sqlite_row::decode(found.head, row));
    row.stream = stream_of(found.position);
    row.sequence = sequence_of(found.position);
    if (sound) row.payload = found.payload;
    if (!sound || !told) row.cause = sound ? kMayHaveLeft : kDamagedCause;
    if (!sound) ++counters_.corrupt_rows;
    sqlite_row::encode(found.position, row, head_);
    const RowState state = sound && told ? RowState::ready : RowState::parked;
    rc = put_stored(state, {found.position, std::as_bytes(std::span{head_}), row.payload}, kNoMoment);
    if ((rc & 0xff) == SQLITE_CONSTRAINT) rc = SQLITE_OK;  // A number that is damage, too.
  });
  counters_.corrupt_rows += missing + 1;  // And the entry itself.
  loads_.recount(stream_of(at));
  return rc;
}

// --- Claims ---------------------------------------------------------------------------------------------

bool SqliteStore::claim(StreamId stream, Sequence sequence) noexcept {
  return claims_->claim(position(stream, sequence));
}

void SqliteStore::release(StreamId stream, Sequence sequence) noexcept { claims_->release(position(stream, sequence)); }

std::vector<Store::Claim> SqliteStore::take_claims() {
  std::vector<Claim> claims;
  for (const std::int64_t at : claims_->take()) claims.push_back({stream_of(at), sequence_of(at)});
  return claims;
}

}  // namespace pannier
