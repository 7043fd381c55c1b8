// Reflection: a node tells what it offers.

#include <doctest/doctest.h>

#include "services/rpc/schema/reflection.fbs.rpc.h"
#include "tests/services/rpc/shop.h"

namespace pannier::rpc::testing {
namespace {

struct Looker : Actor<Looker, Poke> {
  using Actor::after;
  Looker() : reflection{*this, "hub/reflection"} {}
  void on(const Poke& poke) { poke.act(); }
  void on_start() { looker = this; }
  static inline Looker* looker = nullptr;
  ReflectionServiceClient reflection;
};

TEST_CASE("reflection lists services and describes one, by its full name or the last part") {
  Shop shop{true};
  REQUIRE(spawn_reflection(**shop.hub, {&OrderService::reflected(), &ReflectionService::reflected()}));
  const auto looker = shop.van->spawn<Looker>({});
  shop.sim.settle();
  const auto describe = [&](std::string_view name) {
    std::optional<Response<ServiceDescription>> answer;
    REQUIRE((*shop.van)->tell(
        looker, Poke{[&, name] {
          Looker::looker->reflection.describe(make<DescribeRequest>(name)).then([&](Response<ServiceDescription> told) {
            answer.emplace(std::move(told));
          });
        }}));
    shop.sim.advance(100ms);
    REQUIRE(answer);
    return *answer;
  };
  const auto all = describe("");
  REQUIRE(all.ok());
  CHECK(all->services()->size() == 2);
  CHECK(all->schema() == nullptr);
  for (const char* name : {"shop.OrderService", "OrderService"}) {
    const auto one = describe(name);
    REQUIRE(one.ok());
    CHECK(one->name()->str() == "shop.OrderService");
    REQUIRE(one->methods()->size() == 7);
    const auto* method = one->methods()->Get(0);
    CHECK(method->name()->str() == "GetOrder");
    CHECK(method->request()->str() == "shop.GetOrder");
    CHECK(method->idempotent());
    CHECK(method->deadline_ms() == 500);
    CHECK(TypeId{method->id()} == type_id_of("shop.OrderService.GetOrder"));
    CHECK(one->schema()->size() > 100);
  }
  CHECK(describe("rderService").status() == Status::not_found);
  CHECK(describe("Nothing").failure().message ==
        "no service 'Nothing' is offered here; there are shop.OrderService pannier.rpc.ReflectionService");
}

}  // namespace
}  // namespace pannier::rpc::testing
