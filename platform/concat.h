#pragma once

#include <array>
#include <concepts>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>

namespace pannier {

/// A part of a line: a text, borrowed, or a whole number in decimal digits. Made where concat() is called.
class Part {
 public:
  Part(std::string_view text) noexcept : text_(text) {}    // NOLINT: implicit, as a parameter
  Part(const std::string& text) noexcept : text_(text) {}  // NOLINT: the same
  // A literal's length is known where it stands, once this is inline whatever the compiler optimises for.
  [[gnu::always_inline]] Part(const char* text) noexcept : text_(text, __builtin_strlen(text)) {}  // NOLINT: the same
  template <std::integral Number>
  requires(!std::same_as<Number, bool> && !std::same_as<Number, char>) Part(Number number)
  noexcept  // NOLINT: the same
      : Part(static_cast<std::conditional_t<std::signed_integral<Number>, long long, unsigned long long>>(number),
             Digits{}) {}
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;

  [[nodiscard]] std::string_view text() const noexcept { return text_; }

 private:
  struct Digits {};
  Part(long long number, Digits /*tag*/) noexcept;
  Part(unsigned long long number, Digits /*tag*/) noexcept;

  std::string_view text_;
  std::array<char, 20> digits_;  ///< As many as 64 bits need, with a sign.
};

/// The parts in one string, which is allocated once. Less machine code than a chain of +, which makes and ends a string
/// at each step (docs/devices.md). After Abseil's StrCat.
[[nodiscard]] std::string concat(std::initializer_list<Part> parts);

/// `text` with what could move a terminal's cursor or change its state written as \xNN: control characters, and bytes
/// that are no UTF-8. For text that a peer or a program gave, on its way to a log or a screen.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace pannier
