// A call that refers to the result of one still in flight: one round trip for two.

#include <doctest/doctest.h>

#include "tests/services/rpc/shop.h"

namespace pannier::rpc::testing {
namespace {

struct Routed {
  int times = 0;
  std::optional<Response<Route>> response;
  auto take() {
    return [this](Response<Route> told) {
      ++times;
      response.emplace(std::move(told));
    };
  }
};

constexpr CallOptions kKept{.keep_result = true};

TEST_CASE("two dependent calls cost one round trip") {
  for (const bool linked : {false, true}) {
    Shop shop{linked};
    Routed routed;
    int total = 0;
    shop.act([&](Asker& asker) {
      const auto order = asker.orders.get_order(make<GetOrder>("7", 0), kKept).then([&](Response<Order> known) {
        total = known->total();
      });
      asker.orders.plan_route(make<RouteRequest>(1, "?", -1))
          .with<RouteRequest::VT_TO, Order::VT_ADDRESS>(order)
          .with<RouteRequest::VT_MINUTES, Order::VT_TOTAL>(order)
          .then(routed.take());
    });
    shop.sim.advance(linked ? 21ms : 0ms);  // there and back, once
    CHECK(total == 42);
    REQUIRE(routed.times == 1);
    REQUIRE(routed.response->ok());
    CHECK((*routed.response)->to()->str() == "Lindenweg 3");
    CHECK((*routed.response)->minutes() == 42);
  }
}

TEST_CASE("the result of one call is the whole request of the next") {
  Shop shop{true};
  int total = 0;
  shop.act([&](Asker& asker) {
    const auto order = asker.orders.get_order(make<GetOrder>("7", 0), kKept).then([](const Response<Order>&) {});
    asker.orders.reprice(make<Order>("", 0, "")).with(order).then([&](Response<Order> known) {
      REQUIRE(known.ok());
      total = known->total();
    });
  });
  shop.sim.advance(21ms);
  CHECK(total == 84);
}

TEST_CASE("a call waits at the server for a result that is not there yet, and is taken back there") {
  Shop shop{true};
  Routed routed;
  Routed cancelled;
  shop.act([&](Asker& asker) {
    const auto order = asker.orders.await(make<GetOrder>("7", 0), kKept).then([](const Response<Order>&) {});
    asker.orders.plan_route(make<RouteRequest>(1, "?", 3))
        .with<RouteRequest::VT_TO, Order::VT_ADDRESS>(order)
        .then(routed.take());
    asker.orders.plan_route(make<RouteRequest>(1, "?", 3))
        .with<RouteRequest::VT_TO, Order::VT_ADDRESS>(order)
        .then(cancelled.take())
        .cancel();
  });
  shop.sim.advance(500ms);
  CHECK(routed.times == 0);
  REQUIRE(cancelled.times == 1);
  CHECK(cancelled.response->status() == Status::cancelled);
  shop.at_server([&] { shop.ledger.waiting.at(0).finish(make<Order>("7", 1, "Am Markt 1")); });
  shop.sim.advance(50ms);
  REQUIRE(routed.times == 1);
  CHECK((*routed.response)->to()->str() == "Am Markt 1");
  shop.sim.advance(5s);
  CHECK(cancelled.times == 1);
}

TEST_CASE("a call that refers to one that failed fails as that did, and reaches no handler") {
  Shop shop{true};
  Routed routed;
  shop.act([&](Asker& asker) {
    const auto order = asker.orders.get_order(make<GetOrder>("missing", 0), kKept).then([](const Response<Order>&) {});
    asker.orders.plan_route(make<RouteRequest>(1, "?", 3))
        .with<RouteRequest::VT_TO, Order::VT_ADDRESS>(order)
        .then(routed.take());
  });
  shop.sim.advance(50ms);
  REQUIRE(routed.times == 1);
  CHECK(routed.response->status() == Status::not_found);
  CHECK(routed.response->failure().not_started);
}

TEST_CASE("a call refers to what is there: a result that was not kept, or a field that is not set, is told so") {
  Shop shop{true};
  Routed unknown;
  Routed unset;
  Routed defaulted;
  shop.act([&](Asker& asker) {
    const auto lost = asker.orders.get_order(make<GetOrder>("7", 0)).then([](const Response<Order>&) {});
    asker.orders.plan_route(make<RouteRequest>(1, "?", 3))
        .with<RouteRequest::VT_TO, Order::VT_ADDRESS>(lost)
        .then(unknown.take());
    const auto kept = asker.orders.await(make<GetOrder>("7", 0), kKept).then([](const Response<Order>&) {});
    asker.orders.plan_route(make<RouteRequest>(1, "?", 3))
        .with<RouteRequest::VT_MINUTES, Order::VT_TOTAL>(kept)
        .then(unset.take());
    asker.orders.plan_route(make<RouteRequest>(1, "?", 0))
        .with<RouteRequest::VT_MINUTES, Order::VT_TOTAL>(kept)
        .then(defaulted.take());
  });
  shop.sim.advance(50ms);
  shop.at_server([&] { shop.ledger.waiting.at(0).finish(make<Order>("7", 0, "")); });
  shop.sim.advance(50ms);
  CHECK(unknown.response->status() == Status::failed_precondition);
  CHECK(unset.response->status() == Status::failed_precondition);
  CHECK(defaulted.response->status() == Status::invalid_argument);
}

TEST_CASE("a kept result goes with the deadline of its call") {
  Shop shop{true};
  Routed late;
  std::optional<InFlightOf<Order>> order;
  shop.act([&](Asker& asker) {
    order = asker.orders.get_order(make<GetOrder>("7", 0), kKept).then([](const Response<Order>&) {});
  });
  shop.sim.advance(600ms);
  shop.act([&](Asker& asker) {
    asker.orders.plan_route(make<RouteRequest>(1, "?", 3))
        .with<RouteRequest::VT_TO, Order::VT_ADDRESS>(*order)
        .then(late.take());
  });
  shop.sim.advance(50ms);
  REQUIRE(late.times == 1);
  CHECK(late.response->status() == Status::failed_precondition);
}

}  // namespace
}  // namespace pannier::rpc::testing
