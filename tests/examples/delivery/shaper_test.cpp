#include "examples/delivery/day/shaper.h"

#include <doctest/doctest.h>

#include <array>
#include <string>

namespace pannier::delivery {
namespace {

ShaperOptions with_trace(const char* text) {
  auto trace = Trace::parse("test", text);
  REQUIRE(trace);
  ShaperOptions options;
  options.trace = std::make_shared<const Trace>(*trace);
  return options;
}

const std::string kBulk(100'000, 'x');

}  // namespace

TEST_CASE("a flow hands out the bytes that it took, in order") {
  Flow flow;
  flow.push(1, "abc");
  flow.push(1, "de");
  flow.push(3, "fgh");
  CHECK(flow.size() == 8);
  CHECK(flow.grant(0, 100) == 0);
  CHECK(flow.grant(1, 4) == 4);
  CHECK(flow.granted() == "abcd");
  flow.sent(2);
  CHECK(flow.granted() == "cd");
  CHECK(flow.grant(2, 100) == 1);
  CHECK(flow.granted() == "cde");
  CHECK(flow.first_due_ms() == 3);
  CHECK(flow.grant(3, 100) == 3);
  flow.sent(6);
  CHECK(flow.empty());
  CHECK(flow.first_due_ms() == kNeverMs);
}

TEST_CASE("a link carries 1,500 bytes at each opportunity of its trace and no more") {
  Shaper shaper(with_trace("10\n10\n50\n100\n"));
  Flow flow;
  const std::array<Flow*, 1> flows{&flow};
  flow.push(shaper.due_ms(0), kBulk);
  CHECK(shaper.next_ms(flows) == 10);
  shaper.grant(flows, 9);
  CHECK(flow.granted().empty());
  shaper.grant(flows, 10);
  CHECK(flow.granted().size() == 3'000);
  CHECK(shaper.next_ms(flows) == 50);
  shaper.grant(flows, 100);
  CHECK(flow.granted().size() == 6'000);
  shaper.grant(flows, 200);
  CHECK(flow.granted().size() == 12'000);
}

TEST_CASE("opportunities of a silent time do not add up to a burst") {
  Shaper shaper(with_trace("10\n20\n30\n40\n50\n60\n70\n80\n90\n100\n"));
  Flow flow;
  const std::array<Flow*, 1> flows{&flow};
  shaper.grant(flows, 75);
  flow.push(shaper.due_ms(75), kBulk);
  shaper.grant(flows, 80);
  CHECK(flow.granted().size() == 1'500);
}

TEST_CASE("after a link was down its lost opportunities stay lost") {
  Shaper shaper(with_trace("10\n20\n30\n40\n50\n60\n70\n80\n90\n100\n"));
  Flow flow;
  const std::array<Flow*, 1> flows{&flow};
  flow.push(shaper.due_ms(0), kBulk);
  shaper.skip_to(85);
  shaper.grant(flows, 95);
  CHECK(flow.granted().size() == 1'500);
}

TEST_CASE("the base delay passes before the first opportunity counts") {
  ShaperOptions options = with_trace("10\n20\n30\n40\n");
  options.base_delay_ms = 25;
  Shaper shaper(options);
  Flow flow;
  const std::array<Flow*, 1> flows{&flow};
  flow.push(shaper.due_ms(0), "hello");
  CHECK(shaper.next_ms(flows) == 30);
  shaper.grant(flows, 29);
  CHECK(flow.granted().empty());
  shaper.grant(flows, 30);
  CHECK(flow.granted() == "hello");
}

TEST_CASE("a faster trace runs through its times sooner") {
  ShaperOptions options = with_trace("1000\n2000\n");
  options.speed = 10;
  Shaper shaper(options);
  Flow flow;
  const std::array<Flow*, 1> flows{&flow};
  flow.push(shaper.due_ms(0), kBulk);
  CHECK(shaper.next_ms(flows) == 100);
  shaper.grant(flows, 200);
  CHECK(flow.granted().size() == 3'000);
}

TEST_CASE("a link that begins elsewhere in the trace meets its outages at another time") {
  ShaperOptions options = with_trace("10\n20\n1000\n");
  options.offset_ms = 15;
  Shaper shaper(options);
  Flow flow;
  const std::array<Flow*, 1> flows{&flow};
  flow.push(shaper.due_ms(0), kBulk);
  CHECK(shaper.next_ms(flows) == 5);
  shaper.grant(flows, 5);
  CHECK(shaper.next_ms(flows) == 985);
}

TEST_CASE("connections share the capacity of their link, each first in its turn") {
  Shaper shaper(with_trace("1\n2\n3\n4\n"));
  Flow a;
  Flow b;
  const std::array<Flow*, 2> flows{&a, &b};
  a.push(shaper.due_ms(0), kBulk);
  b.push(shaper.due_ms(0), kBulk);
  for (std::int64_t now = 1; now <= 4; ++now) shaper.grant(flows, now);
  CHECK(a.granted().size() == 3'000);
  CHECK(b.granted().size() == 3'000);
}

}  // namespace pannier::delivery
