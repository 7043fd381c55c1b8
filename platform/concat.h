#pragma once

#include <array>
#include <concepts>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>

namespace pannier {

/// A piece of a line: a borrowed text, or an integer in decimal. Made in the call of concat().
class Part {
 public:
  Part(std::string_view text) noexcept : text_(text) {}    // NOLINT: implicit, as a parameter
  Part(const std::string& text) noexcept : text_(text) {}  // NOLINT: the same
  // Inlined so that a literal's length is known at compile time, at any optimisation level.
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
  std::array<char, 20> digits_;  ///< Enough for 64 bits and a sign.
};

/// Concatenates with one allocation. Smaller machine code than a chain of + (docs/devices.md). After Abseil's StrCat.
[[nodiscard]] std::string concat(std::initializer_list<Part> parts);

/// Returns `text` with everything that could control a terminal written as \xNN: control characters and bytes that are
/// not UTF-8. Use it for text from peers and programs in logs and on screens.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace pannier
