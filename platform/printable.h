#pragma once

#include <string>
#include <string_view>

namespace pannier {

/// `text` for a terminal or a log: control characters, escape sequences among them, become \xNN. Text of peers and keys of
/// messages pass through here before people see them.
[[nodiscard]] inline std::string printable(std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    // C1 controls are U+0080 to U+009F: in UTF-8 the byte C2 and a second one up to 9F.
    const bool second_of_c1 = i > 0 && static_cast<unsigned char>(text[i - 1]) == 0xc2 && byte >= 0x80 && byte <= 0x9f;
    if (byte < 0x20 || byte == 0x7f || second_of_c1) {
      out += "\\x";
      out += kHex[byte >> 4U];
      out += kHex[byte & 0xfU];
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace pannier
