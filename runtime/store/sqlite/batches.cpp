#include "runtime/store/sqlite/batches.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "runtime/store/sqlite/schema.h"

namespace pannier {
namespace {

using sqlite_schema::stream_of;

/// From this size on a row of `messages` has pages of its own (fileformat2.html, 1.6: the usable size less 35).
constexpr std::size_t kLargeRow = 4096 - sqlite_schema::kReservedBytes - 35;
/// The number of streams whose rows are collected at a time.
constexpr std::size_t kBuilding = 8;
/// A batch is compacted once less than one part in this many is left, so that a few rows do not hold much space.
constexpr std::size_t kCompactAt = 4;
constexpr std::size_t kCompactBytes = 8192;

constexpr char kFirstBefore[] =
    "SELECT position FROM batches WHERE position BETWEEN ?1 AND ?2 ORDER BY position DESC LIMIT 1";
constexpr char kFirstBehind[] =
    "SELECT position FROM batches WHERE position>?1 AND position<=?2 ORDER BY position LIMIT 1";

}  // namespace

bool SqliteBatches::fits(std::size_t head_bytes, std::size_t payload_bytes) noexcept {
  return head_bytes + payload_bytes < kLargeRow;
}

// --- Writing --------------------------------------------------------------------------------------------------

int SqliteBatches::put(const StoredRow& row) {
  SqliteBatch* building = nullptr;
  for (SqliteBatch& each : building_) {
    if (each.size() > 0 && stream_of(each.first()) == stream_of(row.position)) building = &each;
  }
  if (building == nullptr) {
    const auto idle = std::find_if(building_.begin(), building_.end(), [](SqliteBatch& b) { return b.size() == 0; });
    if (idle != building_.end()) {
      building = &*idle;
    } else if (building_.size() < kBuilding) {
      building = &building_.emplace_back();
    } else {
      if (const int rc = flush(); rc != SQLITE_OK) return rc;
      building = &building_.front();
    }
  }
  if (building->add(row)) return SQLITE_OK;
  if (const int rc = write_new(*building); rc != SQLITE_OK) return rc;
  static_cast<void>(building->add(row));  // It fits into an empty batch.
  return SQLITE_OK;
}

int SqliteBatches::write_new(SqliteBatch& batch) {
  int rc = SQLITE_OK;
  const bool few = batch.size() == 1 || batch.bytes().size() < least_bytes_;
  for (std::size_t i = 0; few && rc == SQLITE_OK && i < batch.size(); ++i) {
    const StoredRow row = batch.row(i);
    // A ready row without a moment, an origin or anything else that is indexed.
    rc = sql_["INSERT INTO messages (position, head, payload) VALUES (?1, ?2, ?3)"]
             .with(row.position, row.head, row.payload)
             .run();
  }
  if (!few) {
    rc = sql_["INSERT INTO batches (position, rows) VALUES (?1, ?2)"].with(batch.first(), batch.bytes()).run();
    may_be_any_ = true;
  }
  batch.clear();
  return rc;
}

int SqliteBatches::write_changed(Loaded& loaded) {
  SqliteBatch& batch = loaded.batch;
  loaded.changed = false;
  if (batch.rows() == 0) {
    loaded.used = 0;
    return sql_["DELETE FROM batches WHERE position=?1"].with(batch.first()).run();
  }
  if (batch.bytes().size() > kCompactBytes && batch.row_bytes() < batch.bytes().size() / kCompactAt) batch.compact();
  // If the size is unchanged, SQLite writes only the pages that differ.
  return sql_["UPDATE batches SET rows=?2 WHERE position=?1"].with(batch.first(), batch.bytes()).run();
}

int SqliteBatches::flush() {
  int rc = SQLITE_OK;
  for (SqliteBatch& each : building_) {
    if (rc == SQLITE_OK && each.size() > 0) rc = write_new(each);
  }
  for (Loaded& each : loaded_) {
    if (rc == SQLITE_OK && each.changed) rc = write_changed(each);
  }
  return rc;
}

void SqliteBatches::forget() noexcept {
  for (SqliteBatch& each : building_) each.clear();
  for (Loaded& each : loaded_) each.used = 0, each.changed = false;
  may_be_any_ = true;
}

// --- Reading --------------------------------------------------------------------------------------------------

int SqliteBatches::query(const char* sql, std::int64_t from, std::int64_t to, std::int64_t& position) {
  Statement& statement = sql_[sql].with(from, to);
  const StatementScope scope(statement);
  const int rc = statement.step();
  if (rc == SQLITE_ROW) position = statement.integer(0);
  return rc;
}

int SqliteBatches::room(Loaded*& free) {
  free = std::min_element(loaded_.begin(), loaded_.end(),
                          [](const Loaded& a, const Loaded& b) { return a.used < b.used; });
  const int rc = free->used != 0 && free->changed ? write_changed(*free) : SQLITE_OK;
  free->used = 0;
  return rc;
}

int SqliteBatches::load(std::int64_t position, Loaded*& found) {
  const auto known = std::find_if(loaded_.begin(), loaded_.end(), [position](const Loaded& each) {
    return each.used != 0 && each.batch.first() == position;
  });
  if (known != loaded_.end()) {
    found = &*known;
    return SQLITE_ROW;
  }
  if (const int rc = room(found); rc != SQLITE_OK) return rc;
  Statement& read = sql_["SELECT rows FROM batches WHERE position=?1"].with(position);
  const StatementScope scope(read);
  if (const int rc = read.step(); rc != SQLITE_ROW) return rc;
  if (!found->batch.parse(position, read.blob(0))) return SQLITE_CORRUPT;
  found->used = ++uses_;
  return SQLITE_ROW;
}

int SqliteBatches::settle(std::int64_t first, std::int64_t last) {
  for (SqliteBatch& each : building_) {
    if (each.size() == 0 || each.first() > last || each.last() < first) continue;
    if (const int rc = write_new(each); rc != SQLITE_OK) return rc;
  }
  return SQLITE_OK;
}

int SqliteBatches::seek(std::int64_t after, std::int64_t last, Loaded*& found) {
  // Usually the entry of the last call.
  for (Loaded& each : loaded_) {
    if (each.used == 0 || each.batch.first() > after + 1 || each.batch.last() <= after) continue;
    each.used = ++uses_;
    found = &each;
    return SQLITE_ROW;
  }
  if (!may_be_any_) return SQLITE_DONE;
  const std::int64_t lowest = sqlite_schema::first_position(RowState::ready, stream_of(last));
  std::int64_t at = 0;
  int rc = query(kFirstBefore, lowest, after + 1, at);
  if (rc == SQLITE_ROW) rc = load(at, found);
  if (rc == SQLITE_ROW && found->batch.last() > after) {
    found->used = ++uses_;
    return SQLITE_ROW;
  }
  if (rc == SQLITE_ROW || rc == SQLITE_DONE) rc = query(kFirstBehind, after + 1, last, at);
  if (rc == SQLITE_ROW) rc = load(at, found);
  if (rc == SQLITE_ROW) found->used = ++uses_;
  if (rc != SQLITE_DONE) return rc;
  Statement& any = sql_["SELECT EXISTS (SELECT 1 FROM batches)"];
  const StatementScope scope(any);
  if (rc = any.step(); rc != SQLITE_ROW) return rc;
  may_be_any_ = any.integer(0) != 0;
  return SQLITE_DONE;
}

int SqliteBatches::next(std::int64_t after, std::int64_t last, StoredRow& row) {
  if (const int rc = settle(after + 1, last); rc != SQLITE_OK) return rc;
  Loaded* in = nullptr;
  while (true) {
    const int rc = seek(after, last, in);
    if (rc != SQLITE_ROW) return rc;
    const SqliteBatch& batch = in->batch;
    std::size_t i = batch.after(after);
    while (i < batch.size() && batch.is_gone(i)) ++i;
    if (i < batch.size()) {
      row = batch.row(i);
      return row.position <= last ? SQLITE_ROW : SQLITE_DONE;
    }
    after = batch.last();
  }
}

int SqliteBatches::erase(std::int64_t first, std::int64_t last, Removed removed) {
  if (const int rc = settle(first, last); rc != SQLITE_OK) return rc;
  Loaded* in = nullptr;
  for (std::int64_t after = first - 1; after < last; after = in->batch.last()) {
    const int rc = seek(after, last, in);
    if (rc != SQLITE_ROW) return rc == SQLITE_DONE ? SQLITE_OK : rc;
    SqliteBatch& batch = in->batch;
    for (std::size_t i = batch.after(after); i < batch.size() && batch.row(i).position <= last; ++i) {
      if (batch.is_gone(i)) continue;
      removed(batch.row(i));
      batch.remove(i);
      in->changed = true;
    }
  }
  return SQLITE_OK;
}

int SqliteBatches::next_entry(std::int64_t position, std::int64_t& found) {
  return query(kFirstBehind, position, std::numeric_limits<std::int64_t>::max(), found);
}

}  // namespace pannier
