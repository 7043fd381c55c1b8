#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pannier::delivery {

/// Writes JSON (RFC 8259), indented by two spaces. The caller closes what it opens; within an object each value follows
/// its key.
class JsonWriter {
 public:
  JsonWriter& begin(char bracket) {
    before_value();
    out_ += bracket;
    ++depth_;
    first_ = true;
    return *this;
  }
  JsonWriter& end(char bracket) {
    --depth_;
    if (!first_) new_line();
    out_ += bracket;
    first_ = false;
    return *this;
  }
  JsonWriter& key(std::string_view name) {
    separate();
    quote(name);
    out_ += ": ";
    after_key_ = true;
    return *this;
  }
  JsonWriter& value(std::string_view text) {
    before_value();
    quote(text);
    return *this;
  }
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(std::same_as<bool> auto truth) {
    before_value();
    out_ += truth ? "true" : "false";
    return *this;
  }
  JsonWriter& value(std::uint64_t number) {
    before_value();
    out_ += std::to_string(number);
    return *this;
  }
  /// Three decimals. An unknown value is null.
  JsonWriter& value(std::optional<double> number) {
    before_value();
    if (!number) {
      out_ += "null";
      return *this;
    }
    char text[64];
    const auto [stop, code] = std::to_chars(text, text + sizeof text, *number, std::chars_format::fixed, 3);
    out_ += code == std::errc{} ? std::string_view(text, static_cast<std::size_t>(stop - text)) : "null";
    return *this;
  }
  /// The text so far, with a line end.
  [[nodiscard]] std::string text() const { return out_ + "\n"; }

 private:
  void new_line() { (out_ += '\n').append(depth_ * 2, ' '); }
  void separate() {
    if (!first_) out_ += ',';
    if (depth_ > 0) new_line();
    first_ = false;
  }
  void before_value() {
    if (!after_key_) separate();
    after_key_ = false;
  }
  void quote(std::string_view text) {
    constexpr std::string_view kHex = "0123456789abcdef";
    out_ += '"';
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\') {
        (out_ += '\\') += c;
      } else if (byte < 0x20) {
        ((out_ += "\\u00") += kHex[byte >> 4U]) += kHex[byte & 15U];
      } else {
        out_ += c;
      }
    }
    out_ += '"';
  }
  std::string out_;
  std::size_t depth_ = 0;
  bool first_ = true;
  bool after_key_ = false;
};

}  // namespace pannier::delivery
