#include <algorithm>
#include <set>

#include "tests/services/saga/shop_bench.h"
#include "tests/support/campaign.h"

namespace pannier::testing::shop {
namespace {

/// Each effect once, all undone in reverse where one failed. Empty: so it is.
std::string audit(Shop& shop, const std::string& id, bool fails) {
  const Lines effects = shop.effects(id);
  std::string text;
  for (const std::string& each : effects) text += each + "; ";
  const std::string status = shop.status(id);
  if (status.find(fails ? "compensated" : "completed") != 0) return id + " is " + status + ", after " + text;
  if (std::set<std::string>(effects.begin(), effects.end()).size() != effects.size()) return "twice: " + text;
  if (!fails) {
    return effects.size() == 6 && effects.back() == "tell Anna" ? "" : "not complete: " + text;
  }
  // What was done and undone, as brackets: the last done is the first undone. Steps side by side have no order.
  Lines open;
  for (const std::string& each : effects) {
    if (!each.starts_with("undo ")) {
      open.push_back(each);
      continue;
    }
    const auto done = std::find(open.begin(), open.end(), each.substr(5));
    if (done == open.end()) return "undone though never done: " + text;
    const auto side = [](const std::string& what) { return what == "cook" || what == "courier"; };
    if (!std::all_of(done + 1, open.end(), [&](const std::string& later) { return side(later) && side(*done); })) {
      return "not in reverse: " + text;
    }
    open.erase(done);
  }
  return open.empty() ? "" : "not undone: " + text;
}

/// One order that fails in its third stage, or does not, over a crash at one call to the store, and one more at
/// another.
std::string one_run(std::uint64_t seed, std::uint32_t calls, bool fails, std::uint32_t second_calls, int& crashes) {
  Shop shop{{place_order(3, {.deadline = 30s, .attempts = 2})}, seed};
  if (fails) shop.behaviour.refuse["cook"] = 1000;  // whatever a crash makes it decide anew
  shop.sim.advance(100ms);
  shop.start("order-1", {"soup", "bread"});
  shop.node.crash_in_store_call(calls, seed % 2 == 0);
  shop.sim.advance(2s);
  if (!shop.node.up()) {
    ++crashes;
    if (!shop.node.start()) return "it does not start";
    if (second_calls > 0) {
      shop.node.crash_in_store_call(second_calls, seed % 3 == 0);
      shop.sim.advance(2s);
      if (!shop.node.up()) {
        if (!shop.node.start()) return "it does not start again";
      }
    }
  }
  shop.sim.advance(10min);
  if (!shop.node.up()) {  // the call came only now
    if (!shop.node.start()) return "it does not start at last";
    shop.sim.advance(10min);
  }
  return audit(shop, "order-1", fails);
}

}  // namespace

TEST_CASE("a saga that dies at any call to the store, on its way forward or back, has each effect once") {
  // So many calls there are, about; a point is a call, with its commit stored or not.
  constexpr std::uint64_t kCalls = 110;
  int crashes = 0;
  const std::uint64_t points = campaign_share(1000);
  for (std::uint64_t point = 0; point < points; ++point) {
    const bool fails = point % 2 == 0;
    const auto calls = static_cast<std::uint32_t>(1 + point / 2 * 7 % kCalls);
    const std::uint64_t seed = 1 + point / 2;
    INFO("fails " << fails << ", call " << calls << ", seed " << seed);
    const std::string wrong = one_run(seed, calls, fails, 0, crashes);
    CHECK(wrong == "");
  }
  MESSAGE(crashes << " crashes");
  CHECK(static_cast<std::uint64_t>(crashes) > points / 2);
}

TEST_CASE("a saga that dies twice anywhere has each effect once") {
  int crashes = 0;
  run_seeds(200, "a saga that dies twice anywhere has each effect once", [&](std::uint64_t seed) {
    const auto mixed = seed * 0x9e3779b97f4a7c15;
    return one_run(seed, static_cast<std::uint32_t>(1 + (mixed >> 40) % 110), (mixed >> 33) % 2 == 0,
                   static_cast<std::uint32_t>(1 + (mixed >> 20) % 120), crashes);
  });
  MESSAGE(crashes << " crashes");
}

}  // namespace pannier::testing::shop
