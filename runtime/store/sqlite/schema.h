#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "platform/result.h"
#include "runtime/store/crc32c.h"
#include "runtime/store/sqlite/handle.h"
#include "runtime/store/sqlite/vfs.h"
#include "runtime/store/sqlite_store.h"
#include "runtime/store/store.h"

/// The format of docs/storage.md: how a file is told, made, checked and set up. That text comes first; a
/// change here without one there is a mistake.
namespace pannier::sqlite_schema {

inline constexpr std::int64_t kApplicationId = 0x50414E4E;  // "PANN"
inline constexpr std::int64_t kVersion = 3;
inline constexpr std::int64_t kPageBytes = 4096;

/// The tables of rows, by RowState.
inline constexpr std::array<const char*, kRowStates> kRowTables = {"rows", "parked", "delayed", "kept"};

/// The tables of a new file, with its first entry, as statements of SQL without a transaction around them.
[[nodiscard]] std::string make_tables(std::uint64_t incarnation, Sequence lease);

/// One transaction that makes a file of an older version one of this (migrate.cpp).
[[nodiscard]] Result<void> migrate_from_1(Connection& database, const std::string& path);
[[nodiscard]] Result<void> migrate_from_2(Connection& database);
inline constexpr const char* kCreateBatches =
    "CREATE TABLE batches (position INTEGER PRIMARY KEY, rows BLOB NOT NULL) STRICT;";

/// Opens the file, refuses what is not ours before anything is written, makes the tables of a new one, sets
/// and reads back every setting, and checks the structure.
[[nodiscard]] Result<Connection> open(const SqliteOptions& options, CountingVfs& vfs);

[[nodiscard]] inline std::int64_t position(StreamId stream, Sequence sequence) noexcept {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(stream) << store_checks::kSequenceBits | sequence);
}
[[nodiscard]] inline Sequence sequence_of(std::int64_t position) noexcept {
  return static_cast<std::uint64_t>(position) & store_checks::kMaxSequence;
}

[[nodiscard]] inline StreamId stream_of(std::int64_t position) noexcept {
  return static_cast<StreamId>(static_cast<std::uint64_t>(position) >> store_checks::kSequenceBits);
}

[[nodiscard]] inline std::uint32_t meta_checksum(std::uint64_t incarnation, Sequence lease, bool clean) noexcept {
  return FieldChecksum().u64(incarnation).u64(lease).u8(clean ? 1 : 0).value();
}
[[nodiscard]] inline std::uint32_t loads_checksum(StreamId id, const std::array<Load, kRowStates>& loads) noexcept {
  FieldChecksum sum;
  sum.u16(static_cast<std::uint16_t>(id));
  for (const Load& load : loads) sum.u64(load.messages).u64(load.bytes);
  return sum.value();
}
[[nodiscard]] inline std::uint32_t stream_checksum(StreamId id, Box box, std::string_view node,
                                                   std::string_view lane) noexcept {
  return FieldChecksum()
      .u16(static_cast<std::uint16_t>(id))
      .u8(static_cast<std::uint8_t>(box))
      .text(node)
      .text(lane)
      .value();
}
[[nodiscard]] inline std::uint32_t watermark_checksum(const Watermark& mark) noexcept {
  return FieldChecksum().text(mark.producer).u64(mark.incarnation).text(mark.lane).u64(mark.sequence).value();
}
[[nodiscard]] inline std::uint32_t state_checksum(std::string_view key, std::span<const std::byte> value) noexcept {
  return FieldChecksum().text(key).bytes(value).value();
}

[[nodiscard]] inline std::uint32_t cursor_checksum(const Cursor& cursor) noexcept {
  return FieldChecksum()
      .u16(static_cast<std::uint16_t>(cursor.stream))
      .text(cursor.reader)
      .u64(cursor.sequence)
      .value();
}
[[nodiscard]] inline std::uint32_t token_checksum(StreamId stream, std::string_view token, Sequence sequence,
                                                  std::int64_t expires_at) noexcept {
  return FieldChecksum()
      .u16(static_cast<std::uint16_t>(stream))
      .text(token)
      .u64(sequence)
      .u64(static_cast<std::uint64_t>(expires_at))
      .value();
}
[[nodiscard]] inline std::uint32_t anchor_checksum(const ClockAnchor& anchor) noexcept {
  return FieldChecksum()
      .u64(static_cast<std::uint64_t>(anchor.store.time_since_epoch().count()))
      .u64(static_cast<std::uint64_t>(anchor.mono.time_since_epoch().count()))
      .u64(static_cast<std::uint64_t>(anchor.wall.time_since_epoch().count()))
      .u64(anchor.boot)
      .value();
}

}  // namespace pannier::sqlite_schema
