// One trace through every verb, over links, the disk and a crash.

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <pannier/observer.h>
#include <pannier/simulation.h>
#include "tests/runtime/script.h"
#include "tests/support/temp_folder.h"

namespace pannier::testing {
namespace {

using namespace std::chrono_literals;
using testkit::Simulation;

/// Every turn on any node.
struct Turns : Observer {
  void on_handled(const Handled& handled) noexcept override { all.push_back(handled); }
  std::vector<Handled> all;
};

/// A driver on a van: an order becomes a job in the depot's lane.
struct VanDriver : Actor<VanDriver, Number> {
  void on(const Number& number) {
    enqueue("depot/jobs", "k", make<Number>(number.value())).then([](const Result<Receipt>& receipt) {
      CHECK(receipt);
    });
  }
};

/// At the depot: a job is answered by a job back, a publication and a question.
struct DepotClerk : Actor<DepotClerk, Number> {
  void on_start() { require(consume("jobs")); }
  void on(const Number& job, const Delivery& delivery) {
    CHECK(publish("done", make<Number>(job.value())));
    ask<Number>(ref("van/echo"), make<Number>(job.value()), 5s).then([](const Result<Table<Number>>& answer) {
      CHECK(answer);
    });
    Batch effects;
    effects.enqueue("van/receipts", "k", make<Number>(job.value()));
    delivery.ack(std::move(effects));
  }
};

struct VanEcho : Actor<VanEcho, Number> {
  Table<Number> on(const Number& number) { return make<Number>(number.value()); }
};

struct HubListener : Actor<HubListener, Number> {
  void on_start() { require(subscribe<Number>("done")); }
  void on(const Number&) {}
};

struct Receipts : Actor<Receipts, Number> {
  void on_start() { require(consume("receipts")); }
  void on(const Number&, const Delivery& delivery) { delivery.ack(); }
};

TEST_CASE("what one order causes on all nodes shares its trace, through a crash while its row is on the disk") {
  const TempFolder folder;
  Turns turns;
  Simulation sim{3};
  auto& hub = sim.add({.name = "hub", .listen = {"sim://hub"}}, {.observer = &turns});
  auto& van = sim.add({.name = "van", .links = {{"hub", "sim://hub"}}},
                      {.file = folder / "van.db", .observer = &turns, .boot = [](Node& node) {
                         REQUIRE(node.spawn<VanDriver>(SpawnOptions{.name = "driver"}));
                         REQUIRE(node.spawn<VanEcho>(SpawnOptions{.name = "echo"}));
                         REQUIRE(node.spawn<Receipts>(SpawnOptions{}));
                       }});
  auto& depot =
      sim.add({.name = "depot", .links = {{"hub", "sim://hub"}}}, {.file = folder / "depot.db", .observer = &turns});
  hub.spawn<HubListener>(SpawnOptions{});
  depot.spawn<DepotClerk>(SpawnOptions{});
  sim.network().cut("van", "hub", sim::Cut::reported);
  sim.advance(1s);
  REQUIRE(van->tell(van->ref("driver"), make<Number>(std::int64_t{7})));
  sim.advance(1s);
  van.crash();
  REQUIRE(van.start());
  sim.network().heal_all();
  sim.advance(30s);

  const auto order = std::find_if(turns.all.begin(), turns.all.end(), [](const Handled& turn) {
    return turn.parent == 0 && turn.type.ends_with("Number");
  });
  REQUIRE(order != turns.all.end());
  std::vector<Handled> caused;
  for (const Handled& turn : turns.all) {
    if (turn.trace.high == order->trace.high && turn.trace.low == order->trace.low) caused.push_back(turn);
  }
  const auto numbers =
      std::count_if(caused.begin(), caused.end(), [](const Handled& turn) { return turn.type.ends_with("Number"); });
  // The order, its job, the publication, the question, its answer (at the router too, which passes it on), the receipt.
  CHECK(numbers == 7);
  std::set<std::uint64_t> spans;
  for (const Handled& turn : caused) spans.insert(turn.trace.span);
  CHECK(spans.size() == caused.size());
  for (const Handled& turn : caused) CHECK((turn.parent == 0 || spans.contains(turn.parent)));
}

}  // namespace
}  // namespace pannier::testing
