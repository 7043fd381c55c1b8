#include "examples/bff/bff.h"

#include <pannier/simulation.h>

#include <doctest/doctest.h>

#include <chrono>
#include <string>

namespace bff {
namespace {

using pannier::testkit::Probe;
using pannier::testkit::Simulation;

std::string missing_of(const flatbuffers::Vector<flatbuffers::Offset<flatbuffers::String>>* missing) {
  std::string all;
  if (missing == nullptr) return all;
  for (const auto* each : *missing) all += each->str() + "; ";
  return all;
}

pannier::Table<Order> an_order() {
  OrderT order;
  order.status = "cooking";
  order.total_minor = 2900;
  order.notes = "no onions";
  auto line = std::make_unique<LineT>();
  line->name = "Lasagne";
  line->quantity = 2;
  order.lines.push_back(std::move(line));
  return pannier::pack(order);
}

/// The five services in the test's hands, and two devices.
struct World {
  void answer_order() { answer(orders, *an_order()); }
  void answer_restaurant() {
    RestaurantT restaurant;
    restaurant.name = "Alpenhof";
    restaurant.address = "Marktgasse 3";
    answer(restaurants, *pannier::pack(restaurant));
  }
  void answer_courier() {
    CourierT courier;
    courier.name = "Mia";
    courier.phone = "555";
    answer(couriers, *pannier::pack(courier));
  }
  void answer_eta(std::uint16_t minutes) { answer(etas, *pannier::make<Eta>(minutes, "rain")); }
  void answer_payment(bool paid) { answer(payments, *pannier::make<Payment>(paid, "card", "receipt")); }

  template <class T>
  void answer(Probe& service, const T& all) {
    auto asked = service.expect<Ask>();
    REQUIRE_MESSAGE(asked, asked.error().text());
    const auto part = pannier::project(all, (*asked)->fields());
    bytes += part.bytes().size();
    REQUIRE(asked->reply(part));
  }
  template <class View, class Question>
  std::shared_ptr<pannier::Result<pannier::Table<View>>> ask(Probe& device, const char* order) {
    auto view = std::make_shared<pannier::Result<pannier::Table<View>>>(pannier::ErrorCode::full);
    REQUIRE(device.let([&](pannier::testkit::ProbeActor& self) {
      self.ask<View>(frontend, pannier::AnyTable{pannier::make<Question>(order)}, 3s).then([view](auto answer) {
        *view = std::move(answer);
      });
    }));
    return view;
  }

  Simulation sim{1};
  Probe orders = sim.probe("orders");
  Probe couriers = sim.probe("couriers");
  Probe restaurants = sim.probe("restaurants");
  Probe etas = sim.probe("etas");
  Probe payments = sim.probe("payments");
  Probe handheld = sim.probe("handheld");
  Probe tablet = sim.probe("tablet");
  pannier::ActorRef<Frontend> frontend = sim.spawn<Frontend>({.name = "bff"}, Places{});
  std::size_t bytes = 0;
};

TEST_CASE("a handheld and a tablet see one order in their own shapes, and only the fields of those travel") {
  World world;
  const auto for_handheld = world.ask<HandheldView, HandheldQuestion>(world.handheld, "7");
  world.answer_order();
  world.answer_restaurant();
  world.answer_payment(false);
  world.answer_eta(12);
  world.sim.advance(1ms);
  REQUIRE(*for_handheld);
  const auto& handheld = **for_handheld;
  CHECK(handheld->status()->str() == "cooking");
  CHECK(handheld->pick_up_at()->str() == "Marktgasse 3");
  CHECK(handheld->minutes() == 12);
  CHECK(handheld->to_collect_minor() == 2900);
  CHECK(missing_of(handheld->missing()).empty());
  CHECK(world.bytes < an_order().bytes().size() + 120);

  const auto for_tablet = world.ask<TabletView, TabletQuestion>(world.tablet, "7");
  world.answer_order();
  world.answer_courier();
  world.answer_eta(11);
  world.sim.advance(1ms);
  REQUIRE(*for_tablet);
  const auto& tablet = **for_tablet;
  REQUIRE(tablet->lines()->size() == 1);
  CHECK(tablet->lines()->Get(0)->name()->str() == "Lasagne");
  CHECK(tablet->notes()->str() == "no onions");
  CHECK(tablet->courier_phone()->str() == "555");
  CHECK(tablet->minutes() == 11);
}

TEST_CASE("a slow estimate is replaced by one of a known age, a missing payment is named, and the view is in time") {
  World world;
  auto view = world.ask<HandheldView, HandheldQuestion>(world.handheld, "7");
  world.answer_order();
  world.answer_restaurant();
  world.answer_payment(true);
  world.answer_eta(12);
  world.sim.advance(60s);
  REQUIRE(*view);
  CHECK((**view)->to_collect_minor() == 0);

  view = world.ask<HandheldView, HandheldQuestion>(world.handheld, "7");
  world.answer_order();
  world.answer_restaurant();
  world.sim.advance(700ms);
  CHECK_FALSE(*view);  // it still waits for the payment
  world.sim.advance(101ms);
  REQUIRE(*view);
  CHECK((**view)->minutes() == 12);
  CHECK((**view)->minutes_age_s() == 60);
  CHECK((**view)->status()->str() == "cooking");
  CHECK(missing_of((**view)->missing()) == "payment: timeout; ");
}

TEST_CASE(
    "what a device has asked for is taken back when it leaves: a late answer finds nobody, a slow service no retry") {
  World world;
  const auto view = world.ask<TabletView, TabletQuestion>(world.tablet, "7");
  REQUIRE(world.orders.expect<Ask>());
  REQUIRE(world.handheld.stop(world.tablet));
  world.sim.advance(10s);
  CHECK(view->error().code == pannier::ErrorCode::full);  // as it was: the asker is gone
  CHECK(world.orders.waiting().empty());
}

}  // namespace
}  // namespace bff
