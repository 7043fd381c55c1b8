#include "platform/concat.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

using pannier::concat;
using pannier::printable;

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

TEST_CASE("what could move a terminal's cursor is written out, and text in any language stays") {
  CHECK(printable("order/7: K\xc3\xa4se, \xe5\xaf\xbf\xe5\x8f\xb8 \xf0\x9f\x8d\x95") ==
        "order/7: K\xc3\xa4se, \xe5\xaf\xbf\xe5\x8f\xb8 \xf0\x9f\x8d\x95");
  CHECK(printable("\x1b[2J\r\n\x7f") == "\\x1b[2J\\x0d\\x0a\\x7f");
  CHECK(printable("\xc2\x9b"
                  "2J") == "\\xc2\\x9b2J");  // an escape sequence begins with one byte as well
  CHECK(printable("\x9b") == "\\x9b");
  CHECK(printable("\xc0\x9b \xed\xa0\x80 \xf4\x90\x80\x80 \xe5\xaf") ==
        "\\xc0\\x9b \\xed\\xa0\\x80 \\xf4\\x90\\x80\\x80 \\xe5\\xaf");
}
