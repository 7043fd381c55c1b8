// One order in two shapes: five services answer a backend for frontends, which a handheld and a tablet ask. Prints both
// views. The courier service does not answer, and the tablet's view says so.
#include <cstdio>
#include <memory>
#include <string>

#include <pannier/run.h>

#include "examples/bff/bff.h"

namespace {

using namespace std::chrono_literals;

/// A service that has one answer, and sends of it what is asked for.
template <class T>
struct Service : pannier::Actor<Service<T>, bff::Ask> {
  explicit Service(pannier::Table<T> answer) : answer_(std::move(answer)) {}
  pannier::Table<T> on(const bff::Ask& ask) { return pannier::project(*answer_, ask.fields()); }
  pannier::Table<T> answer_;
};

struct Silent : pannier::Actor<Silent, bff::Ask> {
  void on(const bff::Ask&, pannier::Responder responder) { kept_.push_back(std::move(responder)); }
  std::vector<pannier::Responder> kept_;
};

pannier::Table<bff::Order> an_order() {
  bff::OrderT order;
  order.status = "cooking";
  order.total_minor = 2900;
  order.notes = "no onions";
  auto line = std::make_unique<bff::LineT>();
  line->name = "Lasagne";
  line->quantity = 2;
  line->price_minor = 1450;
  order.lines.push_back(std::move(line));
  return pannier::pack(order);
}

pannier::Table<bff::Restaurant> a_restaurant() {
  bff::RestaurantT restaurant;
  restaurant.name = "Alpenhof";
  restaurant.address = "Marktgasse 3";
  return pannier::pack(restaurant);
}

struct Devices : pannier::Actor<Devices> {
  void on_start() {
    const pannier::Ref frontend = ref("bff");
    ask<bff::HandheldView>(frontend, pannier::make<bff::HandheldQuestion>("7"), 1s).then([this](auto view) {
      if (!view) return fail(view.error().text());
      std::printf("handheld: %s, pick up at %s in %d min, collect %lld\n", (*view)->status()->c_str(),
                  (*view)->pick_up_at()->c_str(), (*view)->minutes(),
                  static_cast<long long>((*view)->to_collect_minor()));
      done();
    });
    ask<bff::TabletView>(frontend, pannier::make<bff::TabletQuestion>("7"), 1s).then([this](auto view) {
      if (!view) return fail(view.error().text());
      const auto* line = (*view)->lines()->Get(0);
      std::printf("tablet: %u x %s (%s), ready for the courier in %d min\n", unsigned{line->quantity()},
                  line->name()->c_str(), (*view)->notes()->c_str(), (*view)->minutes());
      for (const auto* missing : *(*view)->missing()) std::printf("  missing: %s\n", missing->c_str());
      done();
    });
  }
  void done() {
    if (++views_ == 2) stop_node();
  }
  int views_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  return pannier::run(argc, argv, {.name = "bff"}, [](pannier::Node& node) -> pannier::Result<void> {
    const auto start = [&]<class A, class... Args>(const char* name, Args... args) {
      const auto started = node.spawn<A>({.name = name}, std::move(args)...);
      return started ? pannier::Result<void>{} : pannier::Result<void>{started.error()};
    };
    for (const auto& started :
         {start.operator()<Service<bff::Order>>("orders", an_order()), start.operator()<Silent>("couriers"),
          start.operator()<Service<bff::Restaurant>>("restaurants", a_restaurant()),
          start.operator()<Service<bff::Eta>>("etas", pannier::make<bff::Eta>(std::uint16_t{12}, "rain")),
          start.operator()<Service<bff::Payment>>("payments", pannier::make<bff::Payment>(false, "cash", "")),
          start.operator()<bff::Frontend>("bff", bff::Places{}), start.operator()<Devices>("devices")}) {
      if (!started) return started;
    }
    return {};
  });
}
