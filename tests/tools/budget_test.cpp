#include "tools/budget.h"

#include <doctest/doctest.h>

#include <string>

namespace pannier::tools {
namespace {

Flow flow_of(const std::string& text) {
  auto flow = parse_flow(text, "flow.toml");
  REQUIRE_MESSAGE(flow, flow.error().text());
  return *flow;
}

constexpr const char* kTwoServices =
    "[[service]]\nname = 'a'\navailability = 0.99\np50 = 0.1\np95 = 0.2\np99 = 0.3\n"
    "[[service]]\nname = 'b'\navailability = 0.9\np50 = 0.1\np95 = 0.2\np99 = 0.3\n";

TEST_CASE("the availability of steps one after the other, and of services at the same time, is their product") {
  const Budget one_by_one =
      budget_of(flow_of(std::string{kTwoServices} + "[[step]]\ncall = ['a']\n[[step]]\ncall = ['b']\n"));
  CHECK(one_by_one.availability == doctest::Approx(0.891));
  CHECK(one_by_one.plain == doctest::Approx(0.891));
  CHECK(one_by_one.sum_p50 == doctest::Approx(0.2));
  CHECK(one_by_one.sum_p99 == doctest::Approx(0.6));
  CHECK(one_by_one.p99 < 0.6);  // both are slow at once less often than in one of a hundred
  CHECK(one_by_one.p50 > 0.15);

  const Budget together = budget_of(flow_of(std::string{kTwoServices} + "[[step]]\ncall = ['a', 'b']\n"));
  CHECK(together.availability == doctest::Approx(0.891));
  CHECK(together.sum_p50 == doctest::Approx(0.1));
  CHECK(together.p50 < one_by_one.p50);
}

TEST_CASE("attempts, a fallback and parts that may be missing make it better, an attempt that is cut off worse") {
  const auto availability = [](const std::string& step) {
    return budget_of(flow_of(std::string{kTwoServices} + "[[step]]\n" + step)).availability;
  };
  CHECK(availability("call = ['b']\nattempts = 2\n") == doctest::Approx(0.99));
  CHECK(availability("call = ['b']\nfallback = 'a'\n") == doctest::Approx(0.999));
  CHECK(availability("call = ['a', 'b']\nneed = 1\n") == doctest::Approx(0.999));
  CHECK(availability("call = ['b']\noptional = true\n") == doctest::Approx(1.0));
  CHECK(availability("call = ['b']\ntimeout = 0.2\n") == doctest::Approx(0.9 * 0.95));
  CHECK(availability("call = ['b']\ntimeout = 0.01\n") == doctest::Approx(0.0));
}

TEST_CASE("what is not there before the deadline does not count as in time") {
  const Budget budget = budget_of(flow_of("deadline = 0.2\n" + std::string{kTwoServices} + "[[step]]\ncall = ['a']\n"));
  CHECK(budget.in_time == doctest::Approx(0.99 * 0.95).epsilon(0.003));
  CHECK(budget.p50 == doctest::Approx(0.1).epsilon(0.02));
  CHECK(budget.p95 == doctest::Approx(0.2).epsilon(0.02));
  CHECK(budget.p99 == doctest::Approx(0.3).epsilon(0.02));
}

TEST_CASE("a flow that is wrong is one line that names file, line and setting") {
  const auto refused = [](const std::string& text) {
    const auto flow = parse_flow(text, "flow.toml");
    return flow ? std::string{"accepted"} : flow.error().detail;
  };
  CHECK(refused("") == "flow.toml:1: there is no [[step]]");
  CHECK(refused("[[step]]\ncall = ['c']\n") == "flow.toml:2: call: there is no [[service]] of the name 'c'");
  CHECK(refused("[[service]]\nname = 'a'\navailability = 99\n").starts_with("flow.toml:3: availability: must be"));
  CHECK(refused("[[service]]\nname = 'a'\np50 = 2\np99 = 1\n").find("p99: is less than p95") != std::string::npos);
  CHECK(refused("[[service]]\nname = 'a'\nlatency = 2\n").find("unknown setting 'latency'") != std::string::npos);
}

}  // namespace
}  // namespace pannier::tools
