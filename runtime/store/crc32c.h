#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace pannier {

/// CRC-32C (Castagnoli), as iSCSI (RFC 3720) and ext4 use it: reflected, initial value and final XOR of all
/// ones. Continues from `crc`, the result for what came before; 0 to start. Any thread. By the processor's own
/// instruction where it has one (SSE4.2, ARMv8 with CRC).
[[nodiscard]] std::uint32_t crc32c(std::uint32_t crc, std::span<const std::byte> bytes) noexcept;

/// The same on any processor. Slicing-by-8 (Kounavis and Berry, "A Systematic Approach to Building High Performance,
/// Software-based, CRC Generators", Intel 2005): eight table lookups take eight bytes.
[[nodiscard]] std::uint32_t crc32c_by_table(std::uint32_t crc, std::span<const std::byte> bytes) noexcept;

/// The checksum of a list of fields, written the way docs/storage.md gives: little-endian integers, and
/// strings behind their 32-bit length, so that no two lists of fields have the same bytes. Short fields are gathered: a
/// sum over a few bytes costs more to call than to make.
class FieldChecksum {
 public:
  FieldChecksum& u8(std::uint8_t value) noexcept { return integer(value, 1); }
  FieldChecksum& u16(std::uint16_t value) noexcept { return integer(value, 2); }
  FieldChecksum& u32(std::uint32_t value) noexcept { return integer(value, 4); }
  FieldChecksum& u64(std::uint64_t value) noexcept { return integer(value, 8); }
  FieldChecksum& bytes(std::span<const std::byte> value) noexcept {
    u32(static_cast<std::uint32_t>(value.size()));
    return append(value);
  }
  FieldChecksum& text(std::string_view value) noexcept { return bytes(std::as_bytes(std::span{value})); }
  [[nodiscard]] std::uint32_t value() const noexcept { return crc32c(crc_, std::span{held_}.first(size_)); }

 private:
  FieldChecksum& integer(std::uint64_t value, std::size_t size) noexcept;
  FieldChecksum& append(std::span<const std::byte> bytes) noexcept;

  std::uint32_t crc_ = 0;  ///< Of what was, before what is held.
  std::size_t size_ = 0;
  std::array<std::byte, 96> held_;
};

}  // namespace pannier
