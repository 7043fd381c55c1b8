#include "platform/concat.h"

#include <charconv>

namespace pannier {
namespace {

template <class Number>
std::string_view written(std::array<char, 20>& digits, Number number) noexcept {
  const char* end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  return {digits.data(), end};
}

}  // namespace

Part::Part(long long number, Digits /*tag*/) noexcept : text_(written(digits_, number)) {}

Part::Part(unsigned long long number, Digits /*tag*/) noexcept : text_(written(digits_, number)) {}

std::string concat(std::initializer_list<Part> parts) {
  std::size_t size = 0;
  for (const Part& part : parts) size += part.text().size();
  std::string line;
  line.reserve(size);
  for (const Part& part : parts) line.append(part.text());
  return line;
}

namespace {

/// The length in bytes of the printable character at `at`; 0 if there is none.
std::size_t printable_bytes(std::string_view text, std::size_t at) noexcept {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const unsigned lead = byte(at);
  if (lead < 0x80) return lead >= 0x20 && lead != 0x7f ? 1 : 0;
  const std::size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(at + i) & 0xc0) != 0x80) return 0;
  }
  // U+0080 to U+009F are control characters too; the rest are overlong forms, surrogates, and beyond U+10FFFF.
  const unsigned second = byte(at + 1);
  const bool wrong = (lead == 0xc2 && second < 0xa0) || (lead == 0xe0 && second < 0xa0) ||
                     (lead == 0xed && second >= 0xa0) || (lead == 0xf0 && second < 0x90) ||
                     (lead == 0xf4 && second >= 0x90);
  return wrong ? 0 : size;
}

}  // namespace

std::string printable(std::string_view text) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::string line;
  line.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    if (const std::size_t size = printable_bytes(text, at); size > 0) {
      line.append(text.substr(at, size));
      at += size;
      continue;
    }
    const auto byte = static_cast<unsigned char>(text[at++]);
    line += "\\x";
    line += kHex[byte >> 4];
    line += kHex[byte & 0xf];
  }
  return line;
}

}  // namespace pannier
