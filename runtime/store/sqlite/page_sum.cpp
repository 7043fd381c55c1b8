#include "runtime/store/sqlite/page_sum.h"

#include <array>

namespace pannier {
namespace {

/// The CRC-32C table: what one last byte adds.
constexpr std::array<std::uint32_t, 256> kTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1U ^ ((crc & 1U) != 0 ? 0x82F63B78U : 0U);
    table[byte] = crc;
  }
  return table;
}();

/// The index of the table entry with this highest byte, which is unique.
constexpr std::array<std::uint8_t, 256> kByHighest = [] {
  std::array<std::uint8_t, 256> inverse{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) inverse[kTable[byte] >> 24U] = static_cast<std::uint8_t>(byte);
  return inverse;
}();

}  // namespace

bool repair_page(std::uint32_t number, std::span<std::byte> page) noexcept {
  const std::span<std::byte> content = page.first(kPageBytes - kPageSumBytes);
  const std::uint64_t is = page_sum(number, content);
  const std::uint64_t wrong = is ^ stored_sum(page);
  if (wrong == 0) return true;
  if ((wrong & 0xFFFFFFFFU) == 0 || wrong >> 32U == 0) {
    // One half is right, which vouches for the content: the stored other half was damaged.
    seal_page(number, page);
    return true;
  }
  // The difference of the two CRCs is that of the changed byte, advanced to the end of the content. Step it back byte
  // by byte until one byte can have caused it.
  auto crc = static_cast<std::uint32_t>(wrong >> 32U);
  for (std::size_t at = content.size(); at-- > 0;) {
    const std::uint8_t byte = kByHighest[crc >> 24U];
    if (kTable[byte] == crc) {
      content[at] ^= std::byte{byte};
      if (page_holds(number, page)) return true;
      content[at] ^= std::byte{byte};
    }
    crc = (crc ^ kTable[byte]) << 8U | byte;
  }
  return false;
}

}  // namespace pannier
