#include "tests/services/saga/shop_bench.h"

namespace pannier::testing::shop {
namespace {

TEST_CASE("an order is placed step by step, with a loop over its lines and two steps side by side") {
  Shop shop;
  shop.start("order-1", {"soup", "bread"});
  shop.sim.advance(1s);
  CHECK(shop.status("order-1") == "completed");
  Lines effects = shop.effects("order-1");
  REQUIRE(effects.size() == 6);
  CHECK(Lines(effects.begin(), effects.begin() + 3) == Lines{"reserve soup", "reserve bread", "pay"});
  CHECK(effects.back() == "tell Anna");
  shop.start("order-1");  // a second start of the same saga
  shop.sim.advance(1s);
  CHECK(shop.effects("order-1").size() == 6);
  CHECK(shop.status("order-2") == "not_found: there is no saga order-2");
}

TEST_CASE("when a step is refused, those before it are undone in reverse, and it is not") {
  Shop shop;
  shop.behaviour.refuse["pay"] = 1;
  shop.start("order-1", {"soup", "bread"});
  shop.sim.advance(1s);
  CHECK(shop.status("order-1") == "compensated (step pay: no money)");
  CHECK(shop.effects("order-1") == Lines{"reserve soup", "reserve bread", "undo reserve bread", "undo reserve soup"});
}

TEST_CASE("a step that was carried out though nobody said so is asked once more, and in the end undone") {
  Shop shop;
  shop.behaviour.silent["cook"] = 2;
  shop.start("order-1");
  shop.sim.advance(10s);
  CHECK(shop.status("order-1") == "running cook: running");
  shop.sim.advance(5min);
  CHECK(shop.status("order-1") == "compensated (step cook: no answer within 30000 ms)");
  const Lines effects = shop.effects("order-1");
  CHECK(std::count(effects.begin(), effects.end(), "cook") == 2);
  const Lines undone(effects.end() - 4, effects.end());
  CHECK(undone == Lines{"undo cook", "undo courier", "undo pay", "undo reserve soup"});
}

TEST_CASE("timers go on while the node is off") {
  Shop shop;
  shop.behaviour.silent["cook"] = 1;
  shop.start("order-1");
  shop.sim.advance(10s);
  shop.node.crash();
  shop.sim.advance(2min);
  REQUIRE(shop.node.start());
  shop.sim.advance(5s);
  CHECK(shop.status("order-1") == "completed");
}

TEST_CASE("a compensation that fails is tried again, then the saga is given up on until somebody decides") {
  Shop shop{{place_order(3, {.deadline = 10s, .attempts = 1, .undo_attempts = 3})}};
  shop.behaviour.refuse["cook"] = 1;
  shop.behaviour.undo_fails["pay"] = 4;
  shop.start("order-1");
  shop.sim.advance(10min);
  CHECK(
      shop.status("order-1") ==
      "dead-lettered (step cook: closed; the compensation of step pay failed 3 times: no answer within 10000 ms) pay: "
      "undoing");
  CHECK(shop.node.log().has("order-1 of 'place-order' is given up on"));
  SUBCASE("try again") {
    shop.order("order-1", sagas::OrderKind::retry);
    shop.sim.advance(10min);
    CHECK(shop.status("order-1").find("compensated") == 0);
    CHECK(shop.effects("order-1").back() == "undo reserve soup");
  }
  SUBCASE("leave it out") {
    shop.order("order-1", sagas::OrderKind::skip);
    shop.sim.advance(10min);
    CHECK(shop.status("order-1").find("compensated") == 0);
    const Lines effects = shop.effects("order-1");
    CHECK(std::count(effects.begin(), effects.end(), "undo pay") == 0);
    CHECK(effects.back() == "undo reserve soup");
  }
}

TEST_CASE("a saga is cancelled while it runs, and undone after it has completed") {
  Shop shop;
  shop.behaviour.silent["cook"] = 5;
  shop.start("order-1");
  shop.start("order-2");
  shop.sim.advance(1s);
  shop.order("order-1", sagas::OrderKind::cancel);
  shop.sim.advance(1s);
  CHECK(shop.status("order-1") == "compensated (cancelled)");
  CHECK(shop.effects("order-1").back() == "undo reserve soup");
  shop.behaviour.silent.clear();
  shop.sim.advance(2min);
  CHECK(shop.status("order-2") == "completed");
  shop.order("order-2", sagas::OrderKind::compensate);
  shop.sim.advance(1s);
  CHECK(shop.status("order-2") == "compensated (ordered to be undone)");
  CHECK(shop.effects("order-2").back() == "undo reserve soup");
}

// --- Signals
// ----------------------------------------------------------------------------------------------------------

void wait_for_it(PlaceOrderT& /*order*/, Step& step) { step.wait(); }
void take_pay(PlaceOrderT& order, const Paid& /*paid*/, Step& step) {
  step.batch().execute("INSERT INTO effects (saga, what) VALUES (?1, 'heard')", order.order);
  step.done();
}
void take_cooked(PlaceOrderT& /*order*/, const Cooked& /*cooked*/, Step& step) { step.done(); }

Saga<PlaceOrder> listener() {
  return saga<PlaceOrder>("listener", 1)
      .step("cooked", &wait_for_it, nothing_to_undo)
      .on<Cooked>(&take_cooked)
      .step("paid", &wait_for_it, nothing_to_undo)
      .on<Paid>(&take_pay)
      .step("paid again", &wait_for_it, nothing_to_undo)
      .on<Paid>(&take_pay);
}

Table<sagas::Signal> signal(const std::string& id, const AnyTable& message) {
  sagas::SignalT signal;
  signal.id = id;
  signal.type = static_cast<std::uint64_t>(message.type());
  const auto* first = reinterpret_cast<const std::uint8_t*>(message.bytes().data());
  signal.data.assign(first, first + message.bytes().size());
  return pack(signal);
}

TEST_CASE("a signal that comes before its step, or before its saga, is kept; one that comes twice counts once") {
  Shop shop{{listener()}};
  shop.send("order-1", make<Paid>(true, ""));
  shop.sim.advance(1s);
  CHECK(shop.status("order-1") == "early");
  shop.send("order-1", Shop::start_of("order-1", Shop::order_of("order-1"), "listener"));
  shop.sim.advance(1s);
  CHECK(shop.status("order-1") == "running cooked: running");
  shop.send("order-1", signal("ready-1", make<Cooked>(true, "")));
  shop.send("order-1", signal("ready-1", make<Cooked>(true, "")));
  shop.sim.advance(1s);
  CHECK(shop.status("order-1") == "running paid again: running");
  CHECK(shop.effects("order-1") == Lines{"heard"});
  shop.send("order-1#1", make<Paid>(true, ""));  // to a step that is over
  shop.sim.advance(1s);
  CHECK(shop.status("order-1") == "running paid again: running");
  shop.send("order-1", make<Route>(1));
  shop.send("order-1", signal("paid-1", make<Paid>(true, "")));
  shop.sim.advance(1s);
  CHECK(shop.status("order-1") == "completed");
  CHECK(shop.dead_letters() == 1);  // the Route, which no step takes
}

// --- Questions, time, branches, sagas within sagas
// --------------------------------------------------------------------

void ask_route(PlaceOrderT& order, Step& step) { step.ask("services", make<RouteQuestion>(order.order), 2s); }
void have_route(PlaceOrderT& order, const Route& route, Step& step) {
  order.cents = route.minutes();
  step.done();
}
void rest(PlaceOrderT& /*order*/, Step& step) { step.sleep(1h); }
void choose(PlaceOrderT& order, Step& step) {
  if (order.pickup) step.go_to("told");
}
void drive(PlaceOrderT& order, Step& step) {
  step.batch().execute("INSERT INTO effects (saga, what) VALUES (?1, 'drive')", order.order);
}
void told(PlaceOrderT& order, Step& step) {
  step.batch().execute("INSERT INTO effects (saga, what) VALUES (?1, ?2)", order.order,
                       "told " + std::to_string(order.cents));
}
AnyTable price_of(const PlaceOrderT& order, const PriceQuestion& /*question*/) { return make<Price>(order.cents); }

Saga<PlaceOrder> delivery(std::uint32_t version = 1) {
  return saga<PlaceOrder>("delivery", version)
      .step("route", &ask_route, nothing_to_undo)
      .on<Route>(&have_route)
      .with({.attempts = 3})
      .step("rest", &rest, nothing_to_undo)
      .step("choose", &choose, nothing_to_undo)
      .step("drive", &drive, nothing_to_undo)
      .step("told", &told)
      .query<PriceQuestion>(&price_of);
}

TEST_CASE("a step asks, again after an error or a crash; one sleeps; one chooses the way; a query reads the data") {
  Shop shop{{delivery()}};
  shop.behaviour.refuse["route"] = 1;
  PlaceOrderT pickup;
  pickup.order = "order-2";
  pickup.pickup = true;
  shop.send("order-1", Shop::start_of("order-1", Shop::order_of("order-1"), "delivery"));
  shop.sim.advance(10s);
  shop.send("order-2", Shop::start_of("order-2", pack(pickup), "delivery"));
  shop.sim.advance(10s);
  CHECK(shop.status("order-1") == "running rest: sleeping");
  const AnyTable question = make<PriceQuestion>(false);
  sagas::DataQuestionT asked;
  asked.id = "order-1";
  asked.type = static_cast<std::uint64_t>(question.type());
  const auto* first = reinterpret_cast<const std::uint8_t*>(question.bytes().data());
  asked.data.assign(first, first + question.bytes().size());
  const auto price = shop.node.probe().ask<Price>(shop.node->ref("sagas"), pack(asked), 1s);
  REQUIRE(price);
  CHECK((*price)->cents() == 12);
  const auto steps = shop.sim.simulator().steps();
  shop.sim.advance(30min);
  CHECK(shop.sim.simulator().steps() - steps < 4);  // nothing wakes up for a saga that waits
  shop.node.crash();
  REQUIRE(shop.node.start());
  shop.sim.advance(1h);
  CHECK(shop.effects("order-1") == Lines{"drive", "told 12"});
  CHECK(shop.effects("order-2") == Lines{"told 12"});
}

TEST_CASE("a question whose answer a crash has lost is asked again") {
  Shop shop{{delivery()}};
  shop.send("order-1", Shop::start_of("order-1", Shop::order_of("order-1"), "delivery"));
  REQUIRE(shop.sim.run_until_handled<RouteQuestion>(shop.node, shop.services, 1s));
  shop.node.crash();
  REQUIRE(shop.node.start());
  shop.sim.advance(10s);
  CHECK(shop.status("order-1") == "running rest: sleeping");
}

void start_child(PlaceOrderT& order, Step& step) {
  step.start_saga("sagas", "place-order", order.order + "-child", Shop::order_of(order.order + "-child"));
}
void undo_child(PlaceOrderT& order, Step& step) { step.undo_saga("sagas", order.order + "-child"); }
void fail_it(PlaceOrderT& order, Step& step) {
  if (order.pickup) step.fail("no pickup today");
}

Saga<PlaceOrder> parent() {
  return saga<PlaceOrder>("parent", 1).step("child", &start_child, &undo_child).step("end", &fail_it);
}

TEST_CASE("a saga within a saga: its failure fails the step, and the failure of a later step undoes it") {
  Shop shop{{parent(), place_order()}};
  const auto run = [&](const std::string& id, bool pickup) {
    PlaceOrderT data;
    data.order = id;
    data.pickup = pickup;
    shop.send(id, Shop::start_of(id, pack(data), "parent"));
    shop.sim.advance(5s);
  };
  run("a", false);
  CHECK(shop.status("a") == "completed");
  CHECK(shop.status("a-child") == "completed");
  shop.behaviour.refuse["cook"] = 1;
  run("b", false);
  CHECK(shop.status("b") == "compensated (step child: saga b-child failed: step cook: closed)");
  run("c", true);
  CHECK(shop.status("c") == "compensated (step end: no pickup today)");
  CHECK(shop.status("c-child") == "compensated (ordered to be undone)");
  CHECK(shop.effects("c-child").back() == "undo reserve soup");
}

void forever(PlaceOrderT& order, Step& step) {
  if (++order.line < 1000) step.repeat();
}

TEST_CASE("a loop of a thousand steps is run a bounded number at once") {
  Shop shop{{saga<PlaceOrder>("loop", 1).step("again", &forever)}};
  shop.send("order-1", Shop::start_of("order-1", Shop::order_of("order-1"), "loop"));
  shop.sim.advance(10s);
  CHECK(shop.status("order-1") == "completed");
}

TEST_CASE("a saga that takes longer than it may is undone") {
  auto table = place_order();
  table.within(10s);
  Shop shop{{table}};
  shop.behaviour.silent["cook"] = 1;
  shop.start("order-1");
  shop.sim.advance(1min);
  CHECK(shop.status("order-1") == "compensated (not completed within 10000 ms)");
}

// --- Versions and bad input
// -------------------------------------------------------------------------------------------

TEST_CASE("a running saga finishes on the version it started with, and waits for a program that knows it") {
  Shop shop{{place_order(1)}};
  shop.behaviour.silent["cook"] = 1;
  shop.start("order-1");
  shop.sim.advance(1s);
  shop.tables = {place_order(2)};
  shop.node.crash();
  REQUIRE(shop.node.start());
  shop.start("order-2");
  shop.sim.advance(1min);
  CHECK(shop.status("order-1") == "waiting (this program knows no version 1 of saga 'place-order') step 2: running");
  CHECK(shop.status("order-2") == "completed");
  shop.send("order-3", Shop::start_of("order-3", Shop::order_of("order-3"), "listener"));
  shop.sim.advance(1s);
  CHECK(shop.status("order-3") == "waiting (no program that knows saga 'listener' has run yet)");
  shop.tables = {place_order(2), place_order(1), listener()};
  shop.node.crash();
  REQUIRE(shop.node.start());
  shop.sim.advance(5min);
  CHECK(shop.status("order-1") == "completed");
  CHECK(shop.status("order-3") == "running cooked: running");
}

TEST_CASE("what cannot be taken is a dead letter that says why, and no saga is lost over it") {
  Shop shop;
  shop.send("order-1", Shop::start_of("order-1", make<Price>(1), "place-order"));
  shop.send("", make<Paid>(true, ""));
  shop.sim.advance(1s);
  CHECK(shop.status("order-1").find("not_found") == 0);
  CHECK(shop.dead_letters() == 2);
  CHECK(shop.node.log().has("a message to a saga has the saga's id as its key"));
}

TEST_CASE("ten thousand sagas that wait are rows on disk: the node sleeps, and starts as fast as ever") {
  Shop shop{{listener()}};
  auto probe = shop.node.probe();
  for (int i = 0; i < 100; ++i) {
    REQUIRE(probe.let([&](testkit::ProbeActor& self) {
      Batch batch;
      for (int j = 0; j < 100; ++j) {
        const std::string id = "order-" + std::to_string(i * 100 + j);
        start_saga(batch, "sagas", "listener", id, Shop::order_of(id));
      }
      self.commit(std::move(batch)).forget();
    }));
    shop.sim.advance(100ms);
  }
  shop.sim.advance(1min);
  CHECK(shop.status("order-9999") == "running cooked: running");
  const auto steps = shop.sim.simulator().steps();
  shop.sim.advance(24h);
  CHECK(shop.sim.simulator().steps() - steps < 4);
  REQUIRE(shop.node.restart());
  shop.send("order-5000", make<Cooked>(true, ""));
  shop.sim.advance(1s);
  CHECK(shop.status("order-5000") == "running paid: running");
}

}  // namespace
}  // namespace pannier::testing::shop
