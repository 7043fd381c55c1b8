// A frame that is lost while its link lives, which no transport here does by itself: rows and acknowledgements alike.

#include <doctest/doctest.h>

#include <memory>
#include <string>

#include <pannier/simulation.h>
#include "tests/runtime/script.h"
#include "tests/support/fixtures.h"

namespace pannier::testing {
namespace {

using namespace std::chrono_literals;

struct Eater : Actor<Eater, Number> {
  explicit Eater(Script* script) : script_(script) {}
  void on_start() { CHECK(consume<Number>("orders")); }
  void on(const Number& number) { script_->note("ate " + std::to_string(number.value())); }

 private:
  Script* script_;
};

/// A tablet that sends to a hub, over a path that loses everything in one direction for a while.
struct Path {
  Path() {
    hand = tablet.spawn<Hand>(SpawnOptions{});
    hub.spawn<Eater>(SpawnOptions{}, &script);
    sim.advance(1s);
  }
  void lose_all(const char* from, const char* to, double loss) {
    sim::PathOptions options;
    options.loss = loss;
    sim.network().set_direction(from, to, options);
  }
  void enqueue(std::int64_t value) {
    let(sim.simulator(), *tablet, hand,
        [=](Hand& self) { self.enqueue("hub/orders", "", make<Number>(value)).forget(); });
  }
  [[nodiscard]] std::uint64_t waiting() {
    const auto streams = streams_of(tablet.store());
    std::uint64_t sum = 0;
    for (const Stream& stream : streams) sum += stream[RowState::ready].messages;
    return sum;
  }

  testkit::Simulation sim{3};
  SimNode& hub = sim.add({.name = "hub", .listen = {"sim://hub"}});
  SimNode& tablet = sim.add({.name = "tablet", .links = {{.node = "hub", .address = "sim://hub"}}});
  Script script;
  ActorRef<Hand> hand;
};

TEST_CASE("an acknowledgement that is lost while the link lives is made up for: the row goes again, and is dropped") {
  Path path;
  path.lose_all("hub", "tablet", 1.0);
  path.enqueue(1);
  path.sim.advance(1s);
  path.lose_all("hub", "tablet", 0.0);
  CHECK(path.script.take() == "ate 1");
  CHECK(path.waiting() == 1);
  path.sim.advance(60s);
  CHECK(path.waiting() == 0);
  CHECK(path.script.take().empty());
}

TEST_CASE("a row that is lost while the link lives goes again, in its place") {
  Path path;
  path.lose_all("tablet", "hub", 1.0);
  path.enqueue(1);
  path.sim.advance(1s);
  path.lose_all("tablet", "hub", 0.0);
  path.enqueue(2);  // names the row before it, which the hub has not seen
  path.sim.advance(60s);
  CHECK(path.script.take() == "ate 1; ate 2");
  CHECK(path.waiting() == 0);
}

}  // namespace
}  // namespace pannier::testing
