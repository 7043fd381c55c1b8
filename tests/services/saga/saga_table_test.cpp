#include <doctest/doctest.h>

#include <string>

#include <pannier/saga.h>

#include "tests/services/saga/schema/shop.fbs.h"

namespace pannier::testing::shop {
namespace {

void nothing(PlaceOrderT& /*order*/, Step& /*step*/) {}

std::string verdict(const SagaTable& table) {
  const auto good = table.check();
  return good ? "good" : good.error().text();
}

TEST_CASE("a table that cannot be undone, or makes no sense, is refused with one line that says what is missing") {
  CHECK(verdict(saga<PlaceOrder>("order", 1).step("pay", &nothing, &nothing).step("tell", &nothing).table()) == "good");
  CHECK(verdict(saga<PlaceOrder>("order", 1).step("pay", &nothing, nothing_to_undo).step("tell", &nothing).table()) ==
        "good");
  CHECK(verdict(saga<PlaceOrder>("order", 1).step("pay", &nothing).step("tell", &nothing).table()) ==
        "invalid_argument: saga order: step 'pay' needs a compensation, or nothing_to_undo: a step after it may fail");
  CHECK(verdict(saga<PlaceOrder>("order", 1).table()) == "invalid_argument: saga order: it has no steps");
  CHECK(verdict(saga<PlaceOrder>("order", 1).step("a", &nothing, &nothing).step("a", &nothing).table()) ==
        "invalid_argument: saga order: two steps are named 'a'");
  CHECK(verdict(saga<PlaceOrder>("order", 1).step("a", &nothing).with({.attempts = 0}).table()) ==
        "invalid_argument: saga order: step 'a' has no attempt");
}

TEST_CASE("a table draws itself as a flow chart") {
  const auto table = saga<PlaceOrder>("order", 1)
                         .step("pay", &nothing, &nothing)
                         .step("cook", &nothing, &nothing)
                         .and_step("courier", &nothing, nothing_to_undo)
                         .step("tell", &nothing);
  CHECK(table.table().mermaid() ==
        "flowchart TD\n"
        "  s0[\"pay\"]\n  s0 --> s1\n  s0 --> s2\n  s0 -. undo .-> u0([\"undo pay\"])\n"
        "  s1[\"cook\"]\n  s1 --> s3\n  s1 -. undo .-> u1([\"undo cook\"])\n"
        "  s2[\"courier\"]\n  s2 --> s3\n"
        "  s3[\"tell\"]\n");
}

}  // namespace
}  // namespace pannier::testing::shop
