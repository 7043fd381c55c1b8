#include "platform/concat.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

using pannier::concat;

TEST_CASE("texts of every kind stand in a line in their order") {
  const std::string name = "fleet";
  const char* borrowed = "7";
  CHECK(concat({"lane ", name, std::string_view{"/"}, borrowed, ""}) == "lane fleet/7");
  CHECK(concat({}).empty());
}

TEST_CASE("whole numbers stand in a line as decimal digits, the largest and the smallest too") {
  CHECK(concat({std::uint8_t{7}, " of ", 4096U}) == "7 of 4096");
  CHECK(concat({std::numeric_limits<std::int64_t>::min()}) == "-9223372036854775808");
  CHECK(concat({std::numeric_limits<std::uint64_t>::max()}) == "18446744073709551615");
}
