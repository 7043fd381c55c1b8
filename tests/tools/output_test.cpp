#include "tools/output.h"

#include <doctest/doctest.h>

namespace pannier::tools {
namespace {

TEST_CASE("JSON text is escaped, and bytes that are no UTF-8 become the replacement character") {
  CHECK(json_text("a\"b\\c\n\x01") == R"("a\"b\\c\u000a\u0001")");
  CHECK(json_text("\xc3\xa9") == "\"\xc3\xa9\"");
  CHECK(json_text("\xff\xc0\x80") == "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

TEST_CASE("what could steer a terminal is not text") {
  CHECK(is_text("two pizzas\t\xe2\x82\xac"));
  CHECK_FALSE(is_text("\x1b[2J"));
  CHECK_FALSE(is_text("\xed\xa0\x80"));
}

TEST_CASE("bytes are shown in base64 (the vectors of RFC 4648)") {
  CHECK(base64("") == "");
  CHECK(base64("f") == "Zg==");
  CHECK(base64("fo") == "Zm8=");
  CHECK(base64("foo") == "Zm9v");
  CHECK(base64("foobar") == "Zm9vYmFy");
}

}  // namespace
}  // namespace pannier::tools
