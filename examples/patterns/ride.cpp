// Event-driven reaction: a ride is requested and accepted; whoever cares reacts, and nobody knows of the others. Events
// that must not be missed go to a lane, or into a stream (bank_account.cpp, catalogue.cpp).

#include <cstdio>
#include <string>

#include <pannier/pannier.h>
#include <pannier/run.h>

#include "examples/patterns/patterns.fbs.h"

using namespace std::chrono_literals;
using patterns::RideAccepted;
using patterns::RideRequested;

struct Drivers : pannier::Actor<Drivers, RideRequested> {
  void on_start() { require(subscribe<RideRequested>("ride/+/requested")); }
  void on(const RideRequested& ride) {
    std::printf("drivers: Anna takes %s\n", ride.ride()->c_str());
    const auto accepted = pannier::make<RideAccepted>(ride.ride()->string_view(), "Anna");
    require(publish("ride/" + ride.ride()->str() + "/accepted", accepted));
  }
};

struct Rider : pannier::Actor<Rider, RideAccepted> {
  void on_start() { require(subscribe<RideAccepted>("ride/17/#")); }
  void on(const RideAccepted& ride) { std::printf("rider: %s is coming\n", ride.driver()->c_str()); }
};

struct Pricing : pannier::Actor<Pricing, RideAccepted> {
  void on_start() { require(subscribe<RideAccepted>("ride/+/accepted")); }
  void on(const RideAccepted& ride) { std::printf("pricing: %s is 12 euros\n", ride.ride()->c_str()); }
};

struct Analytics : pannier::Actor<Analytics, RideRequested, RideAccepted> {
  void on_start() { require(subscribe_any("ride/#")); }
  void on(const RideRequested&) { ++events_; }
  void on(const RideAccepted&) {
    std::printf("analytics: %d events\n", ++events_);
    after(100ms, [this] { stop_node(); });
  }
  int events_ = 0;
};

struct App : pannier::Actor<App> {
  void on_start() { require(publish("ride/17/requested", pannier::make<RideRequested>("17", "the station"))); }
};

int main(int argc, char** argv) {
  return pannier::run(argc, argv, {.name = "rides"}, [](pannier::Node& node) -> pannier::Result<void> {
    if (auto made = node.spawn<Drivers>(); !made) return made.error();
    if (auto made = node.spawn<Rider>(); !made) return made.error();
    if (auto made = node.spawn<Pricing>(); !made) return made.error();
    if (auto made = node.spawn<Analytics>(); !made) return made.error();
    auto app = node.spawn<App>();
    return app ? pannier::Result<void>{} : app.error();
  });
}
