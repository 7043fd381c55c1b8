#pragma once

#include <cstdint>
#include <string_view>

#include "platform/result.h"
#include "runtime/queue/crc32c.h"
#include "runtime/queue/sqlite_handle.h"
#include "runtime/queue/sqlite_store.h"
#include "runtime/queue/sqlite_vfs.h"
#include "runtime/queue/store.h"

/// The format of docs/storage.md: how a file is told, made, checked and set up. That text comes first; a
/// change here without one there is a mistake.
namespace pannier::sqlite_schema {

inline constexpr std::int64_t kApplicationId = 0x50414E4E;  // "PANN"
inline constexpr std::int64_t kVersion = 1;
inline constexpr std::int64_t kPageBytes = 4096;

/// Opens the file, refuses what is not ours before anything is written, makes the tables of a new one, sets
/// and reads back every setting, and checks the structure.
[[nodiscard]] Result<Connection> open(const SqliteOptions& options, CountingVfs& vfs);

[[nodiscard]] inline std::int64_t position(StreamId stream, Sequence sequence) noexcept {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(stream) << store_checks::kSequenceBits | sequence);
}
[[nodiscard]] inline Sequence sequence_of(std::int64_t position) noexcept {
  return static_cast<std::uint64_t>(position) & store_checks::kMaxSequence;
}

/// The part of a row's checksum that never changes.
[[nodiscard]] inline std::uint32_t fixed_checksum(std::int64_t position, const Row& row) noexcept {
  return FieldChecksum()
      .u64(static_cast<std::uint64_t>(position))
      .u64(static_cast<std::uint64_t>(row.type))
      .u64(static_cast<std::uint64_t>(row.enqueued_at.time_since_epoch().count()))
      .text(row.key)
      .text(row.producer)
      .bytes(row.payload)
      .value();
}
/// The part that a mark rewrites; XOR of both is what is stored.
[[nodiscard]] inline std::uint32_t mark_checksum(std::int64_t position, std::uint32_t attempts,
                                                 std::string_view cause) noexcept {
  return FieldChecksum().u64(static_cast<std::uint64_t>(position)).u32(attempts).text(cause).value();
}
[[nodiscard]] inline std::uint32_t meta_checksum(std::uint64_t incarnation, Sequence lease) noexcept {
  return FieldChecksum().u64(incarnation).u64(lease).value();
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

}  // namespace pannier::sqlite_schema
