#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "runtime/store/row.h"

namespace pannier {

/// How SQLite stores them: an integer is signed, a time is nanoseconds.
inline std::int64_t as_signed(std::uint64_t value) noexcept { return static_cast<std::int64_t>(value); }
inline std::uint64_t as_unsigned(std::int64_t value) noexcept { return static_cast<std::uint64_t>(value); }
inline std::int64_t stored(StoreTime time) noexcept { return time.time_since_epoch().count(); }
inline StoreTime store_time(std::int64_t nanoseconds) noexcept { return StoreTime(Duration(nanoseconds)); }

}  // namespace pannier

/// Causes that people read (docs/storage.md, States and Damage).
namespace pannier::sqlite_row {
inline constexpr std::string_view kDamagedCause = "checksum does not hold";
inline constexpr std::string_view kMayHaveLeft =
    "the file was damaged, and this may have been delivered before; redrive it where it was not";
}  // namespace pannier::sqlite_row

/// The column `head` of a row as docs/storage.md gives it: all of a row but its position and its payload. Pure
/// functions; any thread.
namespace pannier::sqlite_row {

/// Clears `head` and writes that of `row` at `position` into it, checksum included.
void encode(std::int64_t position, const Row& row, std::string& head);

/// Fills `row` but for stream, sequence, state and payload; texts are borrowed from `head`. False where the bytes are
/// no head. Its checksum is not looked at.
[[nodiscard]] bool decode(std::span<const std::byte> head, Row& row) noexcept;

/// True where the checksum in `head` is that of `row`, which was decoded from it and has its payload.
[[nodiscard]] bool holds(std::span<const std::byte> head, std::int64_t position, const Row& row) noexcept;

/// `head` with another mark in it, which is taken from `mark`: attempts, cause and moment. The checksum is changed by
/// the difference: what did not hold before does not hold after. False where the bytes are no head.
[[nodiscard]] bool remark(std::span<const std::byte> head, std::int64_t position, const Row& mark, std::string& out);

/// The head of a row of version 1, with the checksum that it had.
void encode_version_1(std::uint32_t crc, const Row& row, std::string& head);

}  // namespace pannier::sqlite_row
