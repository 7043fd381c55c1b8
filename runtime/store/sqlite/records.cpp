#include "runtime/store/sqlite/store_impl.h"

namespace pannier {

// --- Watermarks
// -------------------------------------------------------------------------------------------------------

Result<void> SqliteStore::put_watermark(const Watermark& watermark) {
  if (Result<void> ready = check_change(); !ready) return ready;
  if (Result<void> checked = store_checks::watermark(watermark); !checked) return fail(checked.error());
  Statement& put = session_->put_watermark;
  put.bind(1, std::string_view(watermark.producer));
  put.bind(2, as_signed(watermark.incarnation));
  put.bind(3, std::string_view(watermark.lane));
  put.bind(4, as_signed(watermark.sequence));
  if (const int rc = put.run(); rc != SQLITE_OK) return fail(rc, "put a watermark");
  return {};
}

Result<void> SqliteStore::erase_watermark(const Watermark& watermark) {
  if (Result<void> ready = check_change(); !ready) return ready;
  Statement& erase = session_->erase_watermark;
  erase.bind(1, std::string_view(watermark.producer));
  erase.bind(2, as_signed(watermark.incarnation));
  erase.bind(3, std::string_view(watermark.lane));
  if (const int rc = erase.run(); rc != SQLITE_OK) return fail(rc, "erase a watermark");
  return {};
}

Result<std::vector<Watermark>> SqliteStore::watermarks() {
  if (Result<void> ready = check_open(); !ready) return ready.error();
  std::vector<Watermark> all;
  Statement& read = session_->watermarks;
  const StatementScope scope(read);
  int rc = read.step();
  for (; rc == SQLITE_ROW; rc = read.step()) {
    all.push_back({std::string(read.text(0)), as_unsigned(read.integer(1)), std::string(read.text(2)),
                   as_unsigned(read.integer(3))});
  }
  if (rc != SQLITE_DONE) return session_->connection.error(rc, "read watermarks");
  return all;
}

// --- The clock
// --------------------------------------------------------------------------------------------------------

Result<void> SqliteStore::put_anchor(const ClockAnchor& anchor) {
  if (Result<void> ready = check_change(); !ready) return ready;
  Statement& put = session_->put_anchor;
  put.bind(1, stored(anchor.store));
  put.bind(2, anchor.mono.time_since_epoch().count());
  put.bind(3, anchor.wall.time_since_epoch().count());
  put.bind(4, as_signed(anchor.boot));
  if (const int rc = put.run(); rc != SQLITE_OK) return fail(rc, "put the clock's anchor");
  return {};
}

Result<std::optional<ClockAnchor>> SqliteStore::anchor() {
  if (Result<void> ready = check_open(); !ready) return ready.error();
  Statement& read = session_->anchor;
  const StatementScope scope(read);
  const int rc = read.step();
  if (rc == SQLITE_DONE) return std::optional<ClockAnchor>{};
  if (rc != SQLITE_ROW) return session_->connection.error(rc, "read the clock's anchor");
  return std::optional(ClockAnchor{store_time(read.integer(0)), MonoTime(Duration(read.integer(1))),
                                   WallTime(Duration(read.integer(2))), as_unsigned(read.integer(3))});
}

// --- The in-flight journal
// --------------------------------------------------------------------------------------------

// The state of a row does not matter to it: a note has the position that the row has when it is ready.

bool SqliteStore::note_in_flight(StreamId stream, Sequence sequence) noexcept {
  return claims_->claim(sqlite_schema::position(RowState::ready, stream, sequence));
}

void SqliteStore::clear_in_flight(StreamId stream, Sequence sequence) noexcept {
  claims_->release(sqlite_schema::position(RowState::ready, stream, sequence));
}

std::vector<Store::InFlight> SqliteStore::take_in_flight() {
  std::vector<InFlight> all;
  for (const std::int64_t at : claims_->take()) {
    all.push_back({sqlite_schema::stream_of(at), sqlite_schema::sequence_of(at)});
  }
  return all;
}

}  // namespace pannier
