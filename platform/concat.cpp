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

}  // namespace pannier
