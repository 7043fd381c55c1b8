#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace pannier {

/// CRC-32C (Castagnoli), as iSCSI (RFC 3720) and ext4 use it: reflected, initial value and final XOR of all
/// ones. `crc` is the result for the preceding bytes, 0 to start. Uses the processor's instruction if there is one
/// (SSE4.2, ARMv8 with CRC). Any thread.
[[nodiscard]] std::uint32_t crc32c(std::uint32_t crc, std::span<const std::byte> bytes) noexcept;

/// The same in portable code. Slicing-by-8 (Kounavis and Berry, "A Systematic Approach to Building High Performance,
/// Software-based, CRC Generators", Intel 2005): eight table lookups for eight bytes.
[[nodiscard]] std::uint32_t crc32c_by_table(std::uint32_t crc, std::span<const std::byte> bytes) noexcept;

}  // namespace pannier
