#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace pannier {

/// CRC-32C (Castagnoli), as iSCSI (RFC 3720) and ext4 use it: reflected, initial value and final XOR of all
/// ones. Continues from `crc`, the result for what came before; 0 to start. Any thread. By the processor's own
/// instruction where it has one (SSE4.2, ARMv8 with CRC).
[[nodiscard]] std::uint32_t crc32c(std::uint32_t crc, std::span<const std::byte> bytes) noexcept;

/// The same on any processor. Slicing-by-8 (Kounavis and Berry, "A Systematic Approach to Building High Performance,
/// Software-based, CRC Generators", Intel 2005): eight table lookups take eight bytes.
[[nodiscard]] std::uint32_t crc32c_by_table(std::uint32_t crc, std::span<const std::byte> bytes) noexcept;

}  // namespace pannier
