#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "examples/delivery/day/instance.h"
#include "examples/delivery/day/trace.h"

namespace pannier::delivery {
namespace {

// The folder of recorded input, or empty after saying that the test is skipped.
std::string recorded(const char* part) {
  const char* root = std::getenv("PANNIER_DATA");
  const std::string path = root == nullptr ? "" : std::string(root) + "/" + part;
  if (!path.empty() && std::filesystem::exists(path)) return path;
  MESSAGE("skipped: the environment variable PANNIER_DATA names no folder with ", std::string(part));
  return "";
}

}  // namespace

TEST_CASE("the recorded days of the public instances are read whole") {
  const std::string path = recorded("meal-delivery");
  if (path.empty()) return;
  const auto small = read_instance(path + "/0o100t100s1p100");
  REQUIRE_MESSAGE(small, small.error().detail);
  CHECK(small->orders.size() == 505);
  CHECK(small->restaurants.size() == 116);
  CHECK(small->couriers.size() == 113);
  CHECK(small->parameters.metres_per_minute == 320);
  const auto large = read_instance(path + "/7o100t100s1p100");
  REQUIRE_MESSAGE(large, large.error().detail);
  CHECK(large->orders.size() == 3'213);
}

TEST_CASE("the recorded traces of mobile links are read whole") {
  const std::string path = recorded("lte");
  if (path.empty()) return;
  const auto up = Trace::read(path + "/ATT-LTE-driving-2016.up");
  REQUIRE_MESSAGE(up, up.error().detail);
  CHECK(up->period_ms() == 120'002);
  CHECK(up->longest_gap_ms() == 4'061);
  for (const char* name : {"/ATT-LTE-driving-2016.down", "/Verizon-EVDO-driving.up", "/Verizon-EVDO-driving.down"}) {
    CAPTURE(std::string(name));
    CHECK(Trace::read(path + name));
  }
}

}  // namespace pannier::delivery
