#include "examples/delivery/day/trace.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "tests/examples/delivery/temp_folder.h"

namespace pannier::delivery {

TEST_CASE("a trace is read as times of 1,500 bytes each, and begins again at its end") {
  const auto trace = Trace::parse("t", "0\n10\n10\n25\n");
  REQUIRE(trace);
  CHECK(trace->period_ms() == 25);
  CHECK(trace->longest_gap_ms() == 15);
  TraceCursor cursor(*trace);
  CHECK(cursor.take_until(9) == 1'500);
  CHECK(cursor.take_until(10) == 3'000);
  CHECK(cursor.take_until(24) == 0);
  CHECK(cursor.next_ms() == 25);
  CHECK(cursor.take_until(25) == 3'000);  // the last of this round and the first of the next
  CHECK(cursor.next_ms() == 35);
  CHECK(cursor.take_until(25 * 101) == 100 * 4 * 1'500);
}

TEST_CASE("an opportunity that nobody used is gone") {
  const auto trace = Trace::parse("t", "0\n10\n20\n");
  REQUIRE(trace);
  TraceCursor cursor(*trace);
  cursor.skip_to(11);
  CHECK(cursor.next_ms() == 20);
  cursor.skip_to(5);  // time does not run back
  CHECK(cursor.next_ms() == 20);
  cursor.skip_to(1'000'005);
  CHECK(cursor.next_ms() == 1'000'010);
}

TEST_CASE("no trace lets everything through at once") {
  const Trace trace;
  CHECK(trace.unlimited());
  TraceCursor cursor(trace);
  CHECK(cursor.next_ms() < 0);
  CHECK(cursor.take_until(0) > 1'000'000'000);
  CHECK(cursor.take_until(0) > 1'000'000'000);
}

TEST_CASE("a broken trace is refused with file and line") {
  const auto complaint = [](std::string_view text) {
    const auto trace = Trace::parse("x.up", text);
    REQUIRE(!trace);
    CHECK(trace.error().code == ErrorCode::invalid_argument);
    return trace.error().detail;
  };
  CHECK(complaint("1\ntwo\n").starts_with("x.up:2: not a time, expected "));
  CHECK(complaint("1\n-2\n").starts_with("x.up:2: not a time, expected "));
  CHECK(complaint("5\n4\n") == "x.up:2: 4 ms is before 5 ms of the line above, expected rising times");
  CHECK(complaint("") == "x.up:0: the trace is empty, expected a time in ms on each line");
  CHECK(complaint("0\n0\n") == "x.up:2: the trace lasts 0 ms, expected a last time above 0");
  CHECK(Trace::read("/no/such/trace.up").error().code == ErrorCode::not_found);
}

TEST_CASE("the two halves of a recorded link are found by either name, and a lone trace serves both ways") {
  const TempFolder folder;
  const auto put = [&folder](const char* name, const char* text) {
    std::ofstream(folder.path() + "/" + name) << text;
    return folder.path() + "/" + name;
  };
  const std::string up = put("a.up", "10\n");
  const std::string down = put("a.down", "20\n");
  for (const std::string& path : {up, down}) {
    CAPTURE(path);
    const auto pair = read_trace_pair(path);
    REQUIRE(pair);
    CHECK(pair->up.period_ms() == 10);
    CHECK(pair->down.period_ms() == 20);
  }
  const auto lone = read_trace_pair(put("b.up", "30\n"));
  REQUIRE(lone);
  CHECK(lone->up.period_ms() == 30);
  CHECK(lone->down.period_ms() == 30);

  put("c.down", "broken\n");
  CHECK(read_trace_pair(put("c.up", "30\n")).error().code == ErrorCode::invalid_argument);
  CHECK(read_trace_pair(folder.path() + "/none.up").error().code == ErrorCode::not_found);
}

TEST_CASE("a generated trace is the same each time and has the character of a car's LTE link") {
  const Trace trace = Trace::generate(1, 2'000);
  CHECK(trace.opportunities() == Trace::generate(1, 2'000).opportunities());
  CHECK(trace.opportunities() != Trace::generate(2, 2'000).opportunities());
  CHECK(std::is_sorted(trace.opportunities().begin(), trace.opportunities().end()));
  CHECK(trace.period_ms() == 120'000);
  int with_outage = 0;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    CAPTURE(seed);
    const Trace one = Trace::generate(seed, 2'000);
    const auto kbit_per_s = one.opportunities().size() * 12'000 / one.period_ms();
    CHECK(kbit_per_s > 800);
    CHECK(kbit_per_s < 4'000);
    CHECK(one.longest_gap_ms() <= 7'000);
    if (one.longest_gap_ms() >= 1'000) ++with_outage;
  }
  CHECK(with_outage >= 8);
}

}  // namespace pannier::delivery
