#include <pannier/resilience.h>
#include <pannier/rpc.h>
#include <pannier/simulation.h>

#include <doctest/doctest.h>

#include <chrono>

#include "tests/services/resilience/schema/till.fbs.rpc.h"

namespace pannier {
namespace {

using namespace std::chrono_literals;

/// Is busy the first time, and fails the second.
struct Till : till::TillServer<Till> {
  rpc::Response<till::Sum> total(const till::Question&) {
    if (++calls_ == 1) {
      return rpc::Failure{.status = rpc::Status::resource_exhausted, .message = "busy", .retry_after = 200ms};
    }
    if (calls_ == 2) return rpc::Status::internal;
    return make<till::Sum>(calls_);
  }
  int calls_ = 0;
};

struct Buy {};
struct Bought {
  int sum = 0;
  bool ok = false;
};
struct Buyer : Actor<Buyer, Buy> {
  explicit Buyer(LocalRef out) : out_(out) {}
  void on(const Buy&) {
    till_.call(client_.total(make<till::Question>("7"))).then([this](const Result<Answer<Table<till::Sum>>>& sum) {
      static_cast<void>(tell(out_, Bought{sum ? (**sum)->minor() : 0, sum.ok()}));
    });
  }
  LocalRef out_;
  till::TillClient client_{*this, "till"};
  Destination till_{*this, {.name = "till"}};
};

TEST_CASE(
    "a call of a generated client is retried under a policy, since its method is idempotent, when the server says") {
  testkit::Simulation sim{21};
  sim.spawn<Till>(SpawnOptions{.name = "till"});
  auto boss = sim.probe("boss");
  const auto buyer = sim.spawn<Buyer>(static_cast<LocalRef>(boss));
  REQUIRE(boss.tell(buyer, Buy{}));
  const auto bought = boss.expect<Bought>(5s);
  REQUIRE_MESSAGE(bought, bought.error().text());
  CHECK((*bought)->ok);
  CHECK((*bought)->sum == 3);
}

}  // namespace
}  // namespace pannier
