#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "runtime/store/crc32c.h"

namespace pannier {

inline constexpr std::size_t kPageBytes = 4096;
inline constexpr std::size_t kPageSumBytes = 8;

/// The checksum of a page, over its content without the last 8 bytes, where it is stored. It includes the page number,
/// so that a misplaced page is detected. Half of it is a CRC-32C, which detects every error of up to three bits and
/// every burst of up to 32; the other half, after Fletcher ("An Arithmetic Checksum for Serial Transmissions", 1982)
/// over words of 64 bits. Other damage goes undetected with a probability of 2^-64.
[[nodiscard]] inline std::uint64_t page_sum(std::uint32_t page, std::span<const std::byte> content) noexcept {
  std::uint64_t first = 1 + std::uint64_t{page};
  std::uint64_t second = 0;
  for (std::size_t at = 0; at + 8 <= content.size(); at += 8) {
    std::uint64_t word = 0;
    for (std::size_t i = 8; i-- > 0;) word = word << 8U | std::to_integer<std::uint64_t>(content[at + i]);
    first += word;
    second += first;
  }
  second ^= first << 17U | first >> 47U;
  return std::uint64_t{crc32c(page, content)} << 32U | static_cast<std::uint32_t>(second ^ second >> 32U);
}

/// The checksum stored in a page.
[[nodiscard]] inline std::uint64_t stored_sum(std::span<const std::byte> page) noexcept {
  std::uint64_t sum = 0;
  for (std::size_t i = 8; i-- > 0;) {
    sum = sum << 8U | std::to_integer<std::uint64_t>(page[kPageBytes - kPageSumBytes + i]);
  }
  return sum;
}

/// Stores its checksum in a page.
inline void seal_page(std::uint32_t number, std::span<std::byte> page) noexcept {
  const std::uint64_t sum = page_sum(number, page.first(kPageBytes - kPageSumBytes));
  for (std::size_t i = 0; i < 8; ++i) page[kPageBytes - kPageSumBytes + i] = static_cast<std::byte>(sum >> (8 * i));
}

[[nodiscard]] inline bool page_holds(std::uint32_t number, std::span<const std::byte> page) noexcept {
  return stored_sum(page) == page_sum(number, page.first(kPageBytes - kPageSumBytes));
}

/// Repairs a page in which a single byte was changed: one half of the checksum locates the byte, the other half
/// verifies the repair. False, and the page unchanged, if more is damaged.
[[nodiscard]] bool repair_page(std::uint32_t number, std::span<std::byte> page) noexcept;

}  // namespace pannier
