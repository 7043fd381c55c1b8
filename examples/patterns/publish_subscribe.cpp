// Publish and subscribe: who publishes does not know who listens. A retained value is there for whoever comes later.

#include <cstdio>
#include <string>
#include <string_view>

#include <pannier/pannier.h>
#include <pannier/run.h>

#include "examples/patterns/patterns.fbs.h"

using namespace std::chrono_literals;
using patterns::Position;

struct Map : pannier::Actor<Map, Position> {
  explicit Map(const char* name) : name_(name) {}
  void on_start() { require(subscribe<Position>("fleet/+/position")); }
  void on(const Position& at) {
    std::printf("%s: %d, %d\n", name_, at.x_m(), at.y_m());
    if (name_ == std::string_view{"late map"}) after(100ms, [this] { stop_node(); });
  }
  const char* name_;
};

struct Courier : pannier::Actor<Courier> {
  void on_start() {
    say(10, 20);
    say(30, 40);
    after(100ms, [this] {
      if (auto late = spawn<Map>(pannier::SpawnOptions{}, "late map"); !late) fail(late.error().text());
    });
  }
  void say(int x_m, int y_m) {
    require(publish("fleet/7/position", pannier::make<Position>(x_m, y_m), {.retain = true}));
  }
};

int main(int argc, char** argv) {
  return pannier::run(argc, argv, {.name = "hub"}, [](pannier::Node& node) -> pannier::Result<void> {
    if (auto map = node.spawn<Map>(pannier::SpawnOptions{}, "early map"); !map) return map.error();
    auto courier = node.spawn<Courier>();
    return courier ? pannier::Result<void>{} : courier.error();
  });
}
