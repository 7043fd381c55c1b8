#include "runtime/store/crc32c.h"

#include <array>
#include <cstddef>
#include <span>
#include <string>

#include <doctest/doctest.h>

using pannier::crc32c;
using pannier::crc32c_by_table;

namespace {
std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span{text}); }
}  // namespace

TEST_CASE("CRC-32C gives the published values") {
  CHECK(crc32c(0, bytes("")) == 0);
  CHECK(crc32c(0, bytes("123456789")) == 0xe3069283);
  // RFC 3720, B.4: 32 bytes of zeros, of ones, and counting up.
  std::array<std::byte, 32> block{};
  CHECK(crc32c(0, block) == 0x8a9136aa);
  block.fill(std::byte{0xff});
  CHECK(crc32c(0, block) == 0x62a8ab43);
  for (std::size_t i = 0; i < block.size(); ++i) block[i] = static_cast<std::byte>(i);
  CHECK(crc32c(0, block) == 0x46dd794e);
}

TEST_CASE("CRC-32C of a whole is that of its parts, whatever their sizes and alignment") {
  std::string text;
  for (int i = 0; i < 100; ++i) text += static_cast<char>(i * 37);
  const std::uint32_t whole = crc32c(0, bytes(text));
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    const std::string_view view(text);
    CHECK(crc32c(crc32c(0, bytes(view.substr(0, cut))), bytes(view.substr(cut))) == whole);
    // The processor's instruction, where it is taken, and the table say the same.
    CHECK(crc32c_by_table(7, bytes(view.substr(cut))) == crc32c(7, bytes(view.substr(cut))));
  }
}
