#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

/// The format of SQLite's log, the WAL (sqlite.org/fileformat2.html, 4): a header, then frames of a header and a page
/// each, big-endian.
namespace pannier::sqlite_log {

inline constexpr std::size_t kHeader = 32;
inline constexpr std::size_t kFrameHeader = 24;
inline constexpr std::size_t kPage = 4096;

[[nodiscard]] inline std::uint32_t big(std::span<const std::byte> bytes, std::size_t at) noexcept {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8U | std::to_integer<std::uint32_t>(bytes[at + i]);
  return value;
}
[[nodiscard]] inline std::uint32_t little(std::span<const std::byte> bytes, std::size_t at) noexcept {
  std::uint32_t value = 0;
  for (std::size_t i = 4; i-- > 0;) value = value << 8U | std::to_integer<std::uint32_t>(bytes[at + i]);
  return value;
}

template <class T>
void put_little(std::span<std::byte> bytes, std::size_t at, T value) noexcept {
  for (std::size_t i = 0; i < sizeof(T); ++i) bytes[at + i] = static_cast<std::byte>(value >> (8 * i) & 0xFFU);
}

/// The running checksum of the log, over words in the byte order given by its magic number.
struct Chain {
  std::uint32_t first = 0;
  std::uint32_t second = 0;
  bool big_endian = false;

  void add(std::span<const std::byte> bytes) noexcept {
    for (std::size_t at = 0; at + 8 <= bytes.size(); at += 8) {
      first += (big_endian ? big(bytes, at) : little(bytes, at)) + second;
      second += (big_endian ? big(bytes, at + 4) : little(bytes, at + 4)) + first;
    }
  }
  [[nodiscard]] bool is(std::span<const std::byte> bytes, std::size_t at) const noexcept {
    return big(bytes, at) == first && big(bytes, at + 4) == second;
  }
};

}  // namespace pannier::sqlite_log
