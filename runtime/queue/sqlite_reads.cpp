#include <algorithm>

#include "runtime/queue/sqlite_row.h"
#include "runtime/queue/sqlite_store_impl.h"

namespace pannier {
namespace {

using sqlite_schema::position;
using sqlite_schema::sequence_of;
using sqlite_schema::stream_of;

constexpr std::string_view kDamagedCause = "checksum does not hold";
/// Damaged rows that one read moves aside; the next read meets the others.
constexpr std::size_t kDamagedBatch = 64;

}  // namespace

// --- Rows -----------------------------------------------------------------------------------------------

int SqliteStore::next_row(Statement& read, RowState state, Row& row, std::vector<Place>& damaged) {
  while (true) {
    const int rc = read.step();
    if (rc != SQLITE_ROW) return rc;
    const std::int64_t at = read.integer(0);
    const std::span<const std::byte> head = read.blob(1);
    row.stream = stream_of(at);
    row.sequence = sequence_of(at);
    row.state = state;
    row.payload = read.blob(2);
    const bool sound = sqlite_row::decode(head, row) && sqlite_row::holds(head, at, row) &&
                       (state != RowState::delayed || read.integer(3) == stored(row.moment));
    if (sound) return SQLITE_ROW;
    ++counters_.corrupt_rows;
    if (damaged.size() < kDamagedBatch) damaged.push_back({state, at});
  }
}

Result<void> SqliteStore::visit_rows(Statement& read, RowState state, std::size_t limit, const RowVisitor& visit) {
  std::vector<Place> damaged;
  {
    const StatementScope scope(read);
    Row row;
    for (; limit > 0; --limit) {
      const int rc = next_row(read, state, row, damaged);
      if (rc == SQLITE_DONE) break;
      if (rc != SQLITE_ROW) return session_->connection.error(rc, "read");
      if (!visit(row)) break;
    }
  }
  if (!damaged.empty()) set_aside(damaged);
  return {};
}

Result<void> SqliteStore::read(StreamId id, RowState state, Sequence after, std::size_t limit,
                               const RowVisitor& visit) {
  if (Result<void> ready = check_open(); !ready) return ready;
  if (loads_.find(id) == nullptr || after >= store_checks::kMaxSequence) return {};
  Statement& read = session_->read[static_cast<std::size_t>(state)];
  read.bind(1, position(id, after));
  read.bind(2, position(id, store_checks::kMaxSequence));
  return visit_rows(read, state, limit, visit);
}

Result<bool> SqliteStore::find(Sequence id, const RowVisitor& visit) {
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
  const RowVisitor once = [&](const Row& row) {
    if (row.id() != id) return true;
    found = true;
    return visit(row);
  };
  for (const std::int64_t at : places) {
    const Stream* stream = loads_.find(stream_of(at));
    for (const RowState state : kAllRowStates) {
      if (stream == nullptr || loads_.empty(*stream, state)) continue;
      Statement& read = session_->read[static_cast<std::size_t>(state)];
      read.bind(1, at - 1);
      read.bind(2, at);
      if (Result<void> done = visit_rows(read, state, 1, once); !done) return done.error();
      if (found) return true;
    }
  }
  return false;
}

Result<void> SqliteStore::read_due(StoreTime now, std::size_t limit, const RowVisitor& visit) {
  if (Result<void> ready = check_open(); !ready) return ready;
  session_->due.bind(1, stored(now));
  return visit_rows(session_->due, RowState::delayed, limit, visit);
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

void SqliteStore::set_aside(const std::vector<Place>& places) {
  // In the transaction that is open, or in one of its own. Where it fails the rows stay, and are counted
  // again.
  if (failed_) return;
  const bool own = !open_;
  if (own && !begin()) return;
  for (const Place& place : places) {
    if (const int rc = set_aside_one(place); rc != SQLITE_OK) {
      static_cast<void>(fail(rc, "move a damaged row aside"));
      break;
    }
  }
  if (!own) return;
  if (!commit(Durability::fsynced)) rollback();
}

int SqliteStore::set_aside_one(const Place& place) {
  Statement& copy = session_->copy_damaged[static_cast<std::size_t>(place.state)];
  copy.bind(1, place.position);
  if (const int rc = copy.run(); rc != SQLITE_OK) return rc;
  Row stand_in;
  stand_in.stream = stream_of(place.position);
  stand_in.sequence = sequence_of(place.position);
  stand_in.cause = kDamagedCause;
  Load removed;
  const int rc = erase_range(stand_in.stream, place.state, stand_in.sequence, stand_in.sequence, true, removed);
  return rc == SQLITE_OK ? put_row(RowState::parked, stand_in) : rc;
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
