#include "runtime/store/crc32c.h"

#include <algorithm>
#include <array>
#include <cstring>

#if defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

namespace pannier {
namespace {

constexpr std::uint32_t kPolynomial = 0x82f63b78;  // 0x1edc6f41, reflected.

using SliceTable = std::array<std::array<std::uint32_t, 256>, 8>;

/// Row 0 is the classical table; row n advances a byte by n more zero bytes.
constexpr SliceTable make_table() {
  SliceTable table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1U) != 0 ? kPolynomial : 0U);
    table[0][byte] = crc;
  }
  for (std::size_t row = 1; row < 8; ++row) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t previous = table[row - 1][byte];
      table[row][byte] = (previous >> 8) ^ table[0][previous & 0xffU];
    }
  }
  return table;
}

constexpr SliceTable kTable = make_table();

/// Byte by byte, so that neither the alignment nor the byte order of the machine matters; compilers make one
/// load of it.
std::uint32_t load_u32(const std::byte* bytes) noexcept {
  return std::to_integer<std::uint32_t>(bytes[0]) | std::to_integer<std::uint32_t>(bytes[1]) << 8 |
         std::to_integer<std::uint32_t>(bytes[2]) << 16 | std::to_integer<std::uint32_t>(bytes[3]) << 24;
}

#if defined(__x86_64__)
bool has_instruction() noexcept { return __builtin_cpu_supports("sse4.2"); }

__attribute__((target("sse4.2"))) std::uint32_t by_instruction(std::uint32_t crc,
                                                               std::span<const std::byte> bytes) noexcept {
  unsigned long long sum = static_cast<std::uint32_t>(~crc);
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; left -= 8, at += 8) {
    unsigned long long word = 0;
    std::memcpy(&word, at, sizeof word);
    sum = __builtin_ia32_crc32di(sum, word);
  }
  auto last = static_cast<std::uint32_t>(sum);
  for (; left > 0; --left, ++at) last = __builtin_ia32_crc32qi(last, std::to_integer<unsigned char>(*at));
  return ~last;
}
#elif defined(__ARM_FEATURE_CRC32)
constexpr bool has_instruction() noexcept { return true; }  // What was compiled for it has it.

std::uint32_t by_instruction(std::uint32_t crc, std::span<const std::byte> bytes) noexcept {
  std::uint32_t sum = ~crc;
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 4; left -= 4, at += 4) sum = __crc32cw(sum, load_u32(at));
  for (; left > 0; --left, ++at) sum = __crc32cb(sum, std::to_integer<unsigned char>(*at));
  return ~sum;
}
#endif

}  // namespace

std::uint32_t crc32c_by_table(std::uint32_t crc, std::span<const std::byte> bytes) noexcept {
  crc = ~crc;
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; left -= 8, at += 8) {
    const std::uint32_t low = crc ^ load_u32(at);
    const std::uint32_t high = load_u32(at + 4);
    crc = kTable[7][low & 0xffU] ^ kTable[6][(low >> 8) & 0xffU] ^ kTable[5][(low >> 16) & 0xffU] ^
          kTable[4][low >> 24] ^ kTable[3][high & 0xffU] ^ kTable[2][(high >> 8) & 0xffU] ^
          kTable[1][(high >> 16) & 0xffU] ^ kTable[0][high >> 24];
  }
  for (; left > 0; --left, ++at) {
    crc = (crc >> 8) ^ kTable[0][(crc ^ std::to_integer<std::uint32_t>(*at)) & 0xffU];
  }
  return ~crc;
}

std::uint32_t crc32c(std::uint32_t crc, std::span<const std::byte> bytes) noexcept {
#if defined(__x86_64__) || defined(__ARM_FEATURE_CRC32)
  static const bool kHasInstruction = has_instruction();
  if (kHasInstruction) return by_instruction(crc, bytes);
#endif
  return crc32c_by_table(crc, bytes);
}

}  // namespace pannier
