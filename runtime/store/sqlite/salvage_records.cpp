// What a salvage takes over beside the rows: watermarks, state, cursors, tokens, the clock.

#include <algorithm>

#include "runtime/limits.h"
#include "runtime/store/sqlite/row.h"
#include "runtime/store/sqlite/salvage_rows.h"
#include "runtime/store/sqlite/schema.h"

namespace pannier {
namespace {

constexpr std::size_t kNamesTold = 4;

void note_name(std::vector<std::string>& names, std::optional<std::string_view> name) {
  const bool reads = name && !name->empty() && name->size() <= limits::kStateKeyBytes &&
                     std::all_of(name->begin(), name->end(), [](char c) { return c > ' ' && c <= '~'; });
  if (reads && names.size() < kNamesTold) names.emplace_back(*name);
}

}  // namespace

bool SqliteSalvage::keep_watermark(const SqliteRecord& record) {
  const auto producer = record.text(0);
  const auto incarnation = record.integer(1);
  const auto lane = record.text(2);
  const auto sequence = record.integer(3);
  const auto crc = record.integer(4);
  if (record.columns() != 5 || !producer || !incarnation || !lane || !sequence || !crc) return false;
  const Watermark mark{std::string(*producer), as_unsigned(*incarnation), std::string(*lane), as_unsigned(*sequence)};
  if (*crc != std::int64_t{sqlite_schema::watermark_checksum(mark)}) return false;
  Statement& put = raise_watermark_;
  put.bind(1, *producer);
  put.bind(2, *incarnation);
  put.bind(3, *lane);
  put.bind(4, *sequence);
  put.bind(5, *crc);
  write(put);
  return true;
}

void SqliteSalvage::take_watermark(const SqliteRecord& record) {
  if (keep_watermark(record)) return;
  ++report_.lost_watermarks;
  note_name(report_.producers, record.text(0));
}

bool SqliteSalvage::keep_state(const SqliteRecord& record) {
  const auto key = record.text(0);
  const auto value = record.blob(1);
  const auto crc = record.integer(2);
  if (record.columns() != 3 || !key || !value || !crc) return false;
  if (*crc != std::int64_t{sqlite_schema::state_checksum(*key, *value)}) return false;
  to_.put_state.bind(1, *key);
  to_.put_state.bind(2, *value);
  to_.put_state.bind(3, *crc);
  write(to_.put_state);
  return true;
}

void SqliteSalvage::take_state(const SqliteRecord& record) {
  if (keep_state(record)) return;
  ++report_.lost_state;
  note_name(report_.keys, record.text(0));
}

bool SqliteSalvage::keep_cursor(const SqliteRecord& record) {
  const auto stream = record.integer(0);
  const auto reader = record.text(1);
  const auto sequence = record.integer(2);
  const auto crc = record.integer(3);
  if (record.columns() != 4 || !stream || !reader || !sequence || !crc) return false;
  const Cursor cursor{static_cast<StreamId>(*stream), std::string(*reader), as_unsigned(*sequence)};
  if (*crc != std::int64_t{sqlite_schema::cursor_checksum(cursor)}) return false;
  to_.put_cursor.bind(1, *stream);
  to_.put_cursor.bind(2, *reader);
  to_.put_cursor.bind(3, *sequence);
  to_.put_cursor.bind(4, *crc);
  write(to_.put_cursor);
  return true;
}

void SqliteSalvage::take_cursor(const SqliteRecord& record) {
  if (!keep_cursor(record)) ++report_.lost_records;
}

bool SqliteSalvage::keep_token(const SqliteRecord& record) {
  const auto stream = record.integer(0);
  const auto token = record.text(1);
  const auto sequence = record.integer(2);
  const auto expires_at = record.integer(3);
  const auto crc = record.integer(4);
  if (record.columns() != 5 || !stream || !token || !sequence || !expires_at || !crc) return false;
  if (*crc != std::int64_t{sqlite_schema::token_checksum(static_cast<StreamId>(*stream), *token, as_unsigned(*sequence),
                                                         *expires_at)}) {
    return false;
  }
  latest_ = std::max(latest_, store_time(*expires_at) - limits::kTokenMemory);
  lease_ = std::max(lease_, as_unsigned(*sequence) + 1);
  Statement& put = to_.add_token;
  put.bind(1, *stream);
  put.bind(2, *token);
  put.bind(3, *sequence);
  put.bind(4, *expires_at);
  put.bind(5, *crc);
  write(put);
  return true;
}

void SqliteSalvage::take_token(const SqliteRecord& record) {
  if (!keep_token(record)) ++report_.lost_records;
}

void SqliteSalvage::take_clock(const SqliteRecord& record) {
  ++clock_entries_;
  const auto store = record.integer(1);
  const auto mono = record.integer(2);
  const auto wall = record.integer(3);
  const auto boot = record.integer(4);
  const auto crc = record.integer(5);
  if (!store || !mono || !wall || !boot || !crc) return;
  const ClockAnchor anchor{store_time(*store), MonoTime(Duration(*mono)), WallTime(Duration(*wall)),
                           as_unsigned(*boot)};
  if (*crc != std::int64_t{sqlite_schema::anchor_checksum(anchor)}) return;
  put_clock(anchor);
  clock_found_ = true;
}

void SqliteSalvage::put_clock(const ClockAnchor& anchor) {
  Statement& put = to_.put_anchor;
  put.bind(1, std::int64_t{anchor.store.time_since_epoch().count()});
  put.bind(2, std::int64_t{anchor.mono.time_since_epoch().count()});
  put.bind(3, std::int64_t{anchor.wall.time_since_epoch().count()});
  put.bind(4, as_signed(anchor.boot));
  put.bind(5, std::int64_t{sqlite_schema::anchor_checksum(anchor)});
  write(put);
}

}  // namespace pannier
