#include "runtime/store/sqlite/salvage_rows.h"

#include <algorithm>
#include <utility>

#include "platform/concat.h"
#include "runtime/limits.h"
#include "runtime/store/sqlite/row.h"
#include "runtime/store/sqlite/schema.h"

namespace pannier {
namespace {

using sqlite_row::kDamagedCause;
using sqlite_row::kMayHaveLeft;
using sqlite_schema::position;
using sqlite_schema::sequence_of;
using sqlite_schema::stream_of;

constexpr std::size_t kTransactionRows = 512;
constexpr std::string_view kLaneLost = "the file was damaged, and what lane it belongs to was lost";

/// The table of rows in a state.
constexpr std::array<sqlite_twin::Table, kRowStates> kRowTables = {
    sqlite_twin::Table::rows, sqlite_twin::Table::parked, sqlite_twin::Table::delayed, sqlite_twin::Table::kept};

}  // namespace

SqliteSalvage::SqliteSalvage(const SqliteImage& from, SqliteSession& to, std::uint64_t new_incarnation)
    : image_(from), trees_(from), to_(to), new_incarnation_(new_incarnation) {
  raise_watermark_ = Statement(
      to.connection,
      "INSERT INTO watermarks (producer, incarnation, lane, sequence, crc) VALUES (?1, ?2, ?3, ?4, ?5)"
      " ON CONFLICT DO UPDATE SET sequence=excluded.sequence, crc=excluded.crc WHERE excluded.sequence>sequence");
  name_file_ = Statement(to.connection, "UPDATE meta SET incarnation=?1, sequence_lease=?2, clean=0, crc=?3");
}

Result<SalvageReport> SqliteSalvage::run() {
  twin_ = sqlite_twin::find(image_);
  roots_ = find_roots();
  failed_ = to_.begin.run();
  if (twin_) lease_ = std::max(lease_, twin_->lease);
  walk_records(Table::meta, &SqliteSalvage::take_meta);
  if (!incarnation_ && twin_) incarnation_ = twin_->incarnation;
  report_.new_incarnation = !incarnation_;
  walk_records(Table::streams, &SqliteSalvage::take_stream);
  take_rows();
  walk_records(Table::damaged, &SqliteSalvage::take_damaged);
  walk_records(Table::watermarks, &SqliteSalvage::take_watermark, &report_.watermark_holes);
  walk_records(Table::state, &SqliteSalvage::take_state, &report_.state_holes);
  walk_records(Table::cursors, &SqliteSalvage::take_cursor);
  walk_records(Table::tokens, &SqliteSalvage::take_token);
  walk_records(Table::clock, &SqliteSalvage::take_clock, &clock_holes_);
  // Which table an entry of a lost page is of, its checksum tells. A watermark is never wrong by being too old.
  trees_.lost_index_pages([this](const SqliteRecord& record) {
    static_cast<void>(keep_watermark(record) ||
                      (trees_.free_list_sound() && (keep_state(record) || keep_cursor(record) || keep_token(record))));
  });
  finish();
  if (failed_ == SQLITE_OK) failed_ = to_.commit.run();
  if (failed_ != SQLITE_OK) return to_.connection.error(failed_, "salvage");
  report_.pages = trees_.unreadable_pages();
  report_.entries = trees_.unreadable_entries();
  return std::move(report_);
}

sqlite_twin::Roots SqliteSalvage::find_roots() {
  if (twin_) return twin_->roots;
  sqlite_twin::Roots roots;
  SqliteTrees(image_).walk(1, true, [&](const SqliteRecord& record) {
    const auto name = record.text(1);
    const auto root = record.integer(3);
    const auto found = std::find(sqlite_twin::kTables.begin(), sqlite_twin::kTables.end(), name.value_or(""));
    if (record.text(0) != "table" || !root || found == sqlite_twin::kTables.end()) return;
    roots.pages[static_cast<std::size_t>(found - sqlite_twin::kTables.begin())] = static_cast<std::uint32_t>(*root);
  });
  return roots;
}

void SqliteSalvage::walk_records(Table table, void (SqliteSalvage::*take)(const SqliteRecord&), std::uint64_t* holes) {
  const std::uint64_t unreadable = trees_.unreadable_entries();
  const bool numbered =
      table == Table::meta || table == Table::streams || table == Table::damaged || table == Table::clock;
  const auto found = trees_.walk(roots_[table], numbered, [&](const SqliteRecord& record) { (this->*take)(record); });
  if (holes != nullptr) *holes = found.size() + trees_.unreadable_entries() - unreadable;
}

void SqliteSalvage::write(Statement& statement) {
  if (failed_ != SQLITE_OK) {
    statement.reset();
    return;
  }
  const int rc = statement.run();
  if ((rc & 0xff) == SQLITE_CONSTRAINT) return;
  failed_ = rc;
  if (failed_ != SQLITE_OK || ++in_transaction_ < kTransactionRows) return;
  in_transaction_ = 0;
  failed_ = to_.commit.run();
  if (failed_ == SQLITE_OK) failed_ = to_.begin.run();
}

// --- What the file is -----------------------------------------------------------------------------------------

void SqliteSalvage::take_meta(const SqliteRecord& record) {
  const auto incarnation = record.integer(1);
  const auto lease = record.integer(2);
  const auto clean = record.integer(3);
  const auto crc = record.integer(4);
  if (!incarnation || !lease || !clean || !crc) return;
  if (*crc != sqlite_schema::meta_checksum(as_unsigned(*incarnation), as_unsigned(*lease), *clean != 0)) return;
  incarnation_ = as_unsigned(*incarnation);
  lease_ = std::max(lease_, as_unsigned(*lease));
}

void SqliteSalvage::put_stream(StreamId id, Box box, std::string_view node, std::string_view lane) {
  Statement& put = to_.put_stream;
  put.bind(1, static_cast<std::int64_t>(id));
  put.bind(2, static_cast<std::int64_t>(box));
  put.bind(3, node);
  put.bind(4, lane);
  put.bind(5, std::int64_t{sqlite_schema::stream_checksum(id, box, node, lane)});
  write(put);
  streams_.emplace(id, box);
}

void SqliteSalvage::take_stream(const SqliteRecord& record) {
  const auto id = static_cast<StreamId>(record.rowid());
  const auto box = record.integer(1);
  const auto node = record.text(2);
  const auto lane = record.text(3);
  const bool whole =
      record.rowid() > 0 && record.rowid() <= std::int64_t{store_checks::kMaxStreams} && box && node && lane &&
      record.integer(4) &&
      *record.integer(4) == std::int64_t{sqlite_schema::stream_checksum(id, static_cast<Box>(*box), *node, *lane)};
  if (whole) put_stream(id, static_cast<Box>(*box), *node, *lane);
}

void SqliteSalvage::stand_in_for(StreamId id) {
  ++report_.lost_lanes;
  stand_ins_.insert(id);
  put_stream(id, Box::inbox, {}, concat({"salvaged.", static_cast<unsigned>(id)}));
}

// --- Rows -----------------------------------------------------------------------------------------------------

void SqliteSalvage::take_rows() {
  std::array<std::vector<SqliteTrees::Gap>, kRowStates> gaps;
  // What must not be delivered before what may be: should two trees lead to one page, it is the former's.
  for (const RowState state : {RowState::kept, RowState::parked, RowState::delayed, RowState::ready}) {
    const auto i = static_cast<std::size_t>(state);
    gaps[i] = trees_.walk(roots_[kRowTables[i]], true,
                          [this, state](const SqliteRecord& record) { take_row(state, record); });
  }
  // Ready ones stand in two tables, and an entry tells by its columns of which it is. Version 2 had the one.
  constexpr auto kReady = static_cast<std::size_t>(RowState::ready);
  bool batches_whole = true;
  if (roots_[Table::batches] != 0 || roots_[Table::rows] == 0) {
    const std::uint64_t unreadable = trees_.unreadable_entries();
    const auto missing =
        trees_.walk(roots_[Table::batches], true, [this](const SqliteRecord& record) { take_batch(record); });
    gaps[kReady].insert(gaps[kReady].end(), missing.begin(), missing.end());
    batches_whole = missing.empty() && incomplete_.empty() && trees_.unreadable_entries() == unreadable;
  }
  const auto missed_by = [&](std::int64_t number) {
    std::optional<std::size_t> owner;
    for (std::size_t i = 0; i < kRowStates; ++i) {
      const bool misses = std::any_of(gaps[i].begin(), gaps[i].end(), [number](const SqliteTrees::Gap& gap) {
        return number > gap.low && number <= gap.high;
      });
      if (misses && owner) return std::optional<std::size_t>{};  // In which state they are cannot be told.
      if (misses) owner = i;
    }
    return owner;
  };
  trees_.lost_leaves(missed_by, [this](std::size_t state, const SqliteRecord& record) {
    if (state == kReady && record.columns() == 2) {
      take_batch(record);
    } else {
      static_cast<void>(take_sound_row(static_cast<RowState>(state), record));
    }
  });
  // Rows of batches tell by themselves what they are. Where none is missing such a page is something else.
  if (batches_whole) return;
  trees_.lost_overflow([this](std::span<const std::byte> bytes) { take_found_rows(bytes, false); });
  std::size_t missing = 0;
  for (const auto& [position, batch] : incomplete_) missing += batch.rows();
  report_.missing_rows = missing - std::min(missing, found_in_incomplete_);
}

void SqliteSalvage::take_row(RowState state, const SqliteRecord& record) {
  if (!take_sound_row(state, record)) {
    put_aside(record.rowid(), record.blob(1).value_or(std::span<const std::byte>{}),
              record.blob(2).value_or(std::span<const std::byte>{}));
  }
}

bool SqliteSalvage::take_sound_row(RowState state, const SqliteRecord& record) {
  const auto head = record.blob(1);
  const auto payload = record.blob(2);
  if (record.columns() != (state == RowState::delayed ? 4U : 3U) || !head || !payload) return false;
  return take_stored(state, {record.rowid(), *head, *payload}, false);
}

void SqliteSalvage::take_batch(const SqliteRecord& record) {
  const auto bytes = record.blob(1);
  if (!bytes) return;
  SqliteBatch batch;
  if (batch.parse(record.rowid(), *bytes)) {
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (batch.has_left(i)) continue;
      const StoredRow row = batch.row(i);
      if (!take_stored(RowState::ready, row, false)) put_aside(row.position, row.head, row.payload);
    }
    return;
  }
  if (!batch.take_head(record.rowid(), *bytes)) {
    take_found_rows(*bytes, true);
    return;
  }
  incomplete_.insert_or_assign(record.rowid(), std::move(batch));
  take_found_rows(*bytes, true);
}

/// Rows of batches that are not whole. Whether one still waits, the head of its batch tells, where that is left.
/// `in_place`: below the entry of that batch. Elsewhere it may be how the batch was before it was compacted.
void SqliteSalvage::take_found_rows(std::span<const std::byte> bytes, bool in_place) {
  SqliteBatch::search(bytes, [this, in_place](const StoredRow& row, std::size_t index, bool sound) {
    auto of = incomplete_.upper_bound(row.position);
    const bool told =
        of != incomplete_.begin() && row.position <= (--of)->second.last() && (in_place || !of->second.was_compacted());
    if (told && of->second.has_left(index)) return;
    if (!sound || !take_stored(RowState::ready, row, !told)) put_aside(row.position, row.head, row.payload);
    if (told) ++found_in_incomplete_;
  });
}

bool SqliteSalvage::take_stored(RowState state, const StoredRow& stored, bool may_have_left) {
  const std::int64_t at = stored.position;
  Row row;
  row.stream = stream_of(at);
  row.sequence = sequence_of(at);
  row.payload = stored.payload;
  if (at <= 0 || !sqlite_row::decode(stored.head, row) || !sqlite_row::holds(stored.head, at, row)) return false;
  const bool has_moment = state == RowState::delayed || state == RowState::kept;
  if (!has_moment && row.moment != kNoMoment) return false;  // Of another table.
  if (state == RowState::kept) latest_ = std::max(latest_, row.moment);
  lease_ = std::max({lease_, row.sequence + 1, row.origin + 1});
  if (!streams_.contains(row.stream)) stand_in_for(row.stream);
  const bool homeless = stand_ins_.contains(row.stream);
  may_have_left =
      may_have_left || (report_.new_incarnation && state == RowState::ready && streams_.at(row.stream) == Box::outbox);
  if (homeless || may_have_left) {
    row.cause = homeless ? kLaneLost : kMayHaveLeft;
    row.moment = kNoMoment;
    state = RowState::parked;
    ++report_.parked_rows;
  } else {
    ++report_.rows;
  }
  put(state, row);
  return true;
}

void SqliteSalvage::put(RowState state, const Row& row) {
  const std::int64_t at = position(row.stream, row.sequence);
  sqlite_row::encode(at, row, head_);
  Statement& put = to_.put[static_cast<std::size_t>(state)];
  put.bind(1, at);
  put.bind(2, std::as_bytes(std::span{head_}));
  put.bind(3, row.payload);
  if (state == RowState::delayed) put.bind(4, std::int64_t{row.moment.time_since_epoch().count()});
  write(put);
  if (row.origin == 0) return;
  to_.put_origin.bind(1, as_signed(row.origin));
  to_.put_origin.bind(2, at);
  write(to_.put_origin);
}

void SqliteSalvage::put_aside(std::int64_t at, std::span<const std::byte> head, std::span<const std::byte> payload) {
  ++report_.damaged_rows;
  if (at <= 0 || sequence_of(at) == 0 || !streams_.contains(stream_of(at))) return;  // Its number is damaged, too.
  to_.put_damaged.bind(1, at);
  to_.put_damaged.bind(2, head);
  to_.put_damaged.bind(3, payload);
  write(to_.put_damaged);
  Row stand_in;
  stand_in.stream = stream_of(at);
  stand_in.sequence = sequence_of(at);
  stand_in.cause = kDamagedCause;
  put(RowState::parked, stand_in);
}

void SqliteSalvage::take_damaged(const SqliteRecord& record) {
  const auto head = record.blob(1);
  const auto payload = record.blob(2);
  if (record.rowid() == 0 || !head || !payload) return;
  to_.put_damaged.bind(1, record.rowid());
  to_.put_damaged.bind(2, *head);
  to_.put_damaged.bind(3, *payload);
  write(to_.put_damaged);
}

// --- The end --------------------------------------------------------------------------------------------------

void SqliteSalvage::finish() {
  // Numbers of streams have no gaps (docs/storage.md, Tables).
  const auto last = streams_.empty() ? 0U : static_cast<unsigned>(streams_.rbegin()->first);
  for (unsigned id = 1; id < last; ++id) {
    if (!streams_.contains(static_cast<StreamId>(id))) stand_in_for(static_cast<StreamId>(id));
  }
  report_.clock_lost = !clock_found_ && (clock_entries_ > 0 || clock_holes_ > 0);
  if (report_.clock_lost) {
    // From the latest moment that is known to have passed, and not a moment more for the time the machine was off:
    // nothing expires early, nothing that is delayed comes early.
    put_clock({latest_, MonoTime{}, WallTime::max(), 0});
  }
  const std::uint64_t incarnation = incarnation_.value_or(new_incarnation_);
  name_file_.bind(1, as_signed(incarnation));
  name_file_.bind(2, as_signed(lease_));
  name_file_.bind(3, std::int64_t{sqlite_schema::meta_checksum(incarnation, lease_, false)});
  write(name_file_);
}

}  // namespace pannier
