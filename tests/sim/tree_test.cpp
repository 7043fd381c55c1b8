// Every verb between nodes that no link joins, while links come and go.

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include <pannier/sim.h>
#include <pannier/simulation.h>
#include "tests/runtime/script.h"
#include "tests/support/campaign.h"

namespace pannier::testing {
namespace {

using namespace std::chrono_literals;
using testkit::Probe;
using testkit::Simulation;

/// van - town - country - depot: three links between the two ends.
struct Tree {
  explicit Tree(std::uint64_t seed, bool disk = false)
      : sim(seed),
        country(sim.add({.name = "country", .listen = {"sim://country"}}, {.disk = disk})),
        town(sim.add({.name = "town", .links = {{"country", "sim://country"}}, .listen = {"sim://town"}},
                     {.disk = disk})),
        van(sim.add({.name = "van", .links = {{"town", "sim://town"}}}, {.disk = disk})),
        depot(sim.add({.name = "depot", .links = {{"country", "sim://country"}}}, {.disk = disk})) {}

  Simulation sim;
  testkit::SimNode& country;
  testkit::SimNode& town;
  testkit::SimNode& van;
  testkit::SimNode& depot;
};

TEST_CASE("what is enqueued for a node behind two hubs takes effect there once, whatever links break meanwhile") {
  Tree tree{11, true};
  Probe driver = tree.van.probe();
  Probe clerk = tree.depot.probe();
  REQUIRE(clerk.consume("jobs"));
  tree.sim.network().cut("depot", "country", sim::Cut::reported);
  tree.sim.advance(5s);
  for (std::int64_t i = 0; i < 50; ++i) REQUIRE(driver.enqueue("depot/jobs", "k", make<Number>(i)));
  tree.sim.network().heal_all();
  for (std::int64_t i = 0; i < 50; ++i) {
    if (i == 20) {
      tree.sim.network().cut("town", "country", sim::Cut::reported);
      tree.sim.advance(3s);
      tree.sim.network().heal_all();
    }
    auto got = clerk.find<Number>(5min);
    REQUIRE(got);
    CHECK((*got)->value() == i);
    REQUIRE(got->ack());
  }
  CHECK_FALSE(clerk.find<Number>(1min));
}

/// Answers at once, after a while, or never.
struct Oracle : Actor<Oracle, Number> {
  void on(const Number& number, const Responder& responder) {
    const auto late = std::chrono::milliseconds{random() % 1500};
    const std::int64_t answer = number.value() + 1;
    if (random() % 8 == 0) return;  // dropped: the asker hears `failed`
    after(late, [responder, answer] { responder.reply(make<Number>(answer)); });
  }
};

struct Asked {
  MonoTime deadline{};
  int outcomes = 0;
  bool late = false;
  bool wrong = false;
};

std::string asks_over_three_links(std::uint64_t seed) {
  Tree tree{seed};
  sim::SeededEntropy dice{seed};
  tree.depot.spawn<Oracle>(SpawnOptions{.name = "oracle"});
  tree.van.spawn<Oracle>(SpawnOptions{.name = "oracle"});
  const auto ahead = tree.van.spawn<Hand>(SpawnOptions{});
  const auto back = tree.depot.spawn<Hand>(SpawnOptions{});
  tree.sim.advance(2s);
  std::vector<Asked> all(40);
  const char* const ends[][2] = {{"van", "town"}, {"town", "country"}, {"country", "depot"}};
  for (std::size_t i = 0; i < all.size(); ++i) {
    const bool there = dice.chance(0.5);
    const Duration timeout = std::chrono::milliseconds{1 + dice.below(2000)};
    testkit::SimNode& from = there ? tree.van : tree.depot;
    let(tree.sim.simulator(), *from, there ? ahead : back, [&, i, there, timeout](Hand& hand) {
      Asked& asked = all[i];
      asked.deadline = hand.now() + timeout;
      const Ref whom = hand.ref(there ? "depot/oracle" : "van/oracle");
      const auto number = static_cast<std::int64_t>(i);
      hand.ask<Number>(whom, make<Number>(number), timeout).then([&asked, &hand, number](Result<Table<Number>> answer) {
        ++asked.outcomes;
        asked.late = asked.late || hand.now() > asked.deadline + 1ms;
        asked.wrong = asked.wrong || (answer && (*answer)->value() != number + 1);
      });
    });
    const auto& link = ends[dice.below(3)];
    if (dice.chance(0.1))
      tree.sim.network().cut(link[0], link[1], dice.chance(0.5) ? sim::Cut::reported : sim::Cut::silent);
    if (dice.chance(0.15)) tree.sim.network().heal_all();
    tree.sim.advance(std::chrono::milliseconds{dice.below(300)});
  }
  tree.sim.advance(3s);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Asked& asked = all[i];
    if (asked.outcomes == 1 && !asked.late && !asked.wrong) continue;
    return "question " + std::to_string(i) + " had " + std::to_string(asked.outcomes) + " outcomes" +
           (asked.late ? ", late" : "") + (asked.wrong ? ", a wrong one" : "");
  }
  return {};
}

TEST_CASE("a question over three links has one outcome, by its deadline, whatever links break meanwhile") {
  run_seeds(500, "a question over three links*", asks_over_three_links);
}

}  // namespace
}  // namespace pannier::testing
