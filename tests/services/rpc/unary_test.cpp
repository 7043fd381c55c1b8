// Unary calls: what comes back, when, and that the other side hears of a cancellation.

#include <doctest/doctest.h>

#include "tests/services/rpc/shop.h"

namespace pannier::rpc::testing {
namespace {

/// What one call came to, told any number of times.
struct Told {
  int times = 0;
  std::optional<Response<Order>> response;
  auto take() {
    return [this](Response<Order> told) {
      ++times;
      response.emplace(std::move(told));
    };
  }
};

Table<GetOrder> ask_for(std::string_view id) { return make<GetOrder>(id, 0); }

TEST_CASE("a call is answered with the table that the handler returned, here and over a link") {
  for (const bool linked : {false, true}) {
    Shop shop{linked};
    Told told;
    shop.act([&](Asker& asker) { asker.orders.get_order(ask_for("7")).then(told.take()); });
    shop.sim.advance(100ms);
    REQUIRE(told.times == 1);
    REQUIRE(told.response->ok());
    CHECK((*told.response)->total() == 42);
    CHECK((*told.response)->order_id()->str() == "7");
    CHECK(shop.ledger.has("from van") == linked);
  }
}

TEST_CASE("a caller that does not care for statuses takes a Result") {
  Shop shop{false};
  int total = 0;
  std::string refused;
  shop.act([&](Asker& asker) {
    asker.orders.get_order(ask_for("7")).then([&](Result<Table<Order>> order) { total = (**order).total(); });
    asker.orders.get_order(ask_for("missing")).then([&](Result<Table<Order>> order) {
      refused = order.error().text();
    });
  });
  CHECK(total == 42);
  CHECK(refused == "not_found: there is no order missing");
}

TEST_CASE("a failure arrives with its status, its message and when to try again") {
  for (const bool linked : {false, true}) {
    Shop shop{linked};
    Told missing;
    Told busy;
    shop.act([&](Asker& asker) {
      asker.orders.get_order(ask_for("missing")).then(missing.take());
      asker.orders.get_order(ask_for("busy")).then(busy.take());
    });
    shop.sim.advance(100ms);
    CHECK(missing.response->status() == Status::not_found);
    CHECK(missing.response->failure().message == "there is no order missing");
    CHECK_FALSE(missing.response->failure().not_started);
    CHECK(busy.response->status() == Status::resource_exhausted);
    CHECK(busy.response->failure().retry_after == 3s);
  }
}

TEST_CASE("metadata goes with the request and comes back with the response") {
  for (const bool linked : {false, true}) {
    Shop shop{linked};
    Told told;
    shop.act([&](Asker& asker) {
      asker.orders.get_order(ask_for("7"), {.metadata = {{"who", "van 7"}}}).then(told.take());
    });
    shop.sim.advance(100ms);
    REQUIRE(told.response->ok());
    CHECK(told.response->metadata() == Metadata{{"hello", "van 7"}});
  }
}

TEST_CASE("too much metadata is refused before it is sent") {
  Shop shop{true};
  Told told;
  shop.act([&](Asker& asker) {
    asker.orders.get_order(ask_for("7"), {.metadata = {{"who", std::string(9000, 'x')}}}).then(told.take());
  });
  shop.sim.advance(100ms);
  CHECK(told.response->status() == Status::invalid_argument);
  CHECK(shop.ledger.served == 0);
}

TEST_CASE("a handler may answer later, and the deadline ends a call that it does not answer") {
  for (const bool linked : {false, true}) {
    Shop shop{linked};
    Told answered;
    Told late;
    shop.act([&](Asker& asker) {
      asker.orders.await(ask_for("1")).then(answered.take());
      asker.orders.await(ask_for("2"), {.deadline = 500ms}).then(late.take());
    });
    shop.sim.advance(100ms);
    CHECK(answered.times == 0);
    shop.at_server([&] { shop.ledger.waiting.front().finish(make<Order>("1", 5, "")); });
    shop.sim.advance(100ms);
    REQUIRE(answered.times == 1);
    CHECK((*answered.response)->total() == 5);
    CHECK(late.times == 0);
    shop.sim.advance(301ms);
    REQUIRE(late.times == 1);
    CHECK(late.response->status() == Status::deadline_exceeded);
    shop.sim.advance(10ms);  // what remains is counted from the arrival on
    CHECK(shop.ledger.has("cancelled 2"));
    CHECK_FALSE(shop.ledger.has("cancelled 1"));
    shop.at_server([&] { shop.ledger.waiting.back().finish(make<Order>("2", 5, "")); });
    shop.sim.advance(1s);
    CHECK(late.times == 1);
  }
}

TEST_CASE("a cancelled call ends at once, and its handler hears of it after one way") {
  for (const bool linked : {false, true}) {
    Shop shop{linked};
    Told told;
    shop.act([&](Asker& asker) {
      const InFlight call = asker.orders.await(ask_for("1")).then(told.take());
      asker.after(200ms, [call] { call.cancel(); });
    });
    shop.sim.advance(200ms);
    CHECK(told.times == 1);
    CHECK(told.response->status() == Status::cancelled);
    CHECK(shop.ledger.has("cancelled 1") == !linked);
    shop.sim.advance(10ms);
    CHECK(shop.ledger.has("cancelled 1"));
    REQUIRE(shop.ledger.waiting.size() == 1);
    bool cancelled = false;
    shop.at_server([&] { cancelled = shop.ledger.waiting[0].cancelled(); });
    CHECK(cancelled);
    shop.sim.advance(5s);
    CHECK(told.times == 1);
  }
}

TEST_CASE("a call that is taken back while it waits in the mailbox is not forgotten there") {
  Shop shop{false};
  Told told;
  shop.act([&](Asker& asker) { asker.orders.await(ask_for("1")).then(told.take()).cancel(); });
  REQUIRE(told.times == 1);
  CHECK(told.response->status() == Status::cancelled);
  CHECK(shop.ledger.lines == std::vector<std::string>{"await 1", "cancelled 1"});
}

TEST_CASE("whoever lets go of a call without an answer has answered internal") {
  Shop shop{true};
  Told told;
  shop.act([&](Asker& asker) { asker.orders.await(ask_for("1")).then(told.take()); });
  shop.sim.advance(50ms);
  shop.at_server([&] { shop.ledger.waiting.clear(); });
  shop.sim.advance(50ms);
  REQUIRE(told.times == 1);
  CHECK(told.response->status() == Status::internal);
}

TEST_CASE("a handler that throws fails its actor; its caller hears internal, the next call is served") {
  for (const bool linked : {false, true}) {
    Shop shop{linked};
    Told waiting;
    Told thrown;
    Told next;
    shop.act([&](Asker& asker) { asker.orders.await(ask_for("1")).then(waiting.take()); });
    shop.sim.advance(50ms);
    shop.act([&](Asker& asker) { asker.orders.get_order(ask_for("throw")).then(thrown.take()); });
    shop.sim.advance(1s);
    REQUIRE(thrown.times == 1);
    CHECK(thrown.response->status() == Status::internal);
    REQUIRE(waiting.times == 1);
    CHECK_FALSE(waiting.response->ok());
    shop.act([&](Asker& asker) { asker.orders.get_order(ask_for("7")).then(next.take()); });
    shop.sim.advance(100ms);
    CHECK(next.response->ok());
  }
}

/// A later release of the service, of which the server knows nothing.
struct Later : detail::Contract<GetOrder, Order, Kind::unary> {
  static constexpr Method kMethod = describe("shop.OrderService.CancelOrder", false, 0);
};
/// A method that streams in this release.
struct Changed : detail::Contract<GetOrder, Order, Kind::unary> {
  static constexpr Method kMethod = describe("shop.OrderService.Watch", false, 0);
};

struct Mute : Actor<Mute, Poke> {
  void on(const Poke&) {}
};

TEST_CASE("a method that the server does not know is unimplemented, at once") {
  for (const bool linked : {false, true}) {
    Shop shop{linked};
    shop.hub->spawn<Mute>({.name = "mute"});
    Told later;
    Told changed;
    Told mute;
    shop.act([&](Asker& asker) {
      asker.orders.call<Later>(ask_for("7")).then(later.take());
      asker.orders.call<Changed>(ask_for("7")).then(changed.take());
      OrderServiceClient{asker, linked ? "hub/mute" : "mute"}.get_order(ask_for("7")).then(mute.take());
    });
    shop.sim.advance(linked ? 25ms : 0ms);
    for (Told* told : {&later, &changed, &mute}) {
      REQUIRE(told->times == 1);
      CHECK(told->response->status() == Status::unimplemented);
      CHECK(told->response->failure().not_started);
    }
  }
}

TEST_CASE("a request that does not verify reaches no handler") {
  Shop shop{true};
  Told told;
  shop.act([&](Asker& asker) {
    const Table<GetOrder> bad{BlockRef::copy_of(std::as_bytes(std::span{"0123456789abcdef"}))};
    asker.orders.get_order(bad).then(told.take());
  });
  shop.sim.advance(100ms);
  REQUIRE(told.times == 1);
  CHECK(told.response->status() == Status::invalid_argument);
  CHECK(shop.ledger.served == 0);
}

TEST_CASE("no such actor, no link, and a link that is lost: unavailable") {
  Shop shop{true};
  Told nobody;
  Told nowhere;
  Told lost;
  shop.act([&](Asker& asker) {
    OrderServiceClient{asker, "hub/nobody"}.get_order(ask_for("7")).then(nobody.take());
    OrderServiceClient{asker, "moon/orders"}.get_order(ask_for("7")).then(nowhere.take());
    asker.orders.await(ask_for("1"), {.deadline = 60s}).then(lost.take());
  });
  shop.sim.advance(100ms);
  CHECK(nobody.response->status() == Status::unavailable);
  CHECK(nobody.response->failure().not_started);
  CHECK(nowhere.response->status() == Status::unavailable);
  CHECK(lost.times == 0);
  shop.sim.network().cut("hub", "van", sim::Cut::reported);
  shop.sim.advance(1s);
  REQUIRE(lost.times == 1);
  CHECK(lost.response->status() == Status::unavailable);
}

TEST_CASE("every method of one service answers messages of its own kind only, and the actor handles others beside") {
  Shop shop{false};
  Told told;
  shop.act([&](Asker& asker) { asker.orders.reprice(make<Order>("7", 21, "")).then(told.take()); });
  CHECK((*told.response)->total() == 42);
  bool poked = false;
  shop.at_server([&] { poked = true; });
  CHECK(poked);
}

TEST_CASE("statuses have gRPC's numbers, and every error of the runtime becomes one and back") {
  CHECK(static_cast<int>(Status::unauthenticated) == 16);
  CHECK(to_string(Status::deadline_exceeded) == "deadline_exceeded");
  CHECK(to_string(static_cast<Status>(17)) == "unknown");
  for (const ErrorCode code : {ErrorCode::timeout, ErrorCode::not_found, ErrorCode::rejected, ErrorCode::cancelled,
                               ErrorCode::failed, ErrorCode::full, ErrorCode::unreachable, ErrorCode::corrupt}) {
    CHECK(error_of(status_of(code)) == code);
  }
}

}  // namespace
}  // namespace pannier::rpc::testing
