// Nodes that no link joins reach each other through those between them.

#include <doctest/doctest.h>

#include <memory>
#include <string>

#include "tests/runtime/link/fleet.h"

namespace pannier::testing {
namespace {

/// Two hubs, the town's below the country's, and a device at each: van - town - country - depot.
struct Country : Fleet {
  std::unique_ptr<Device> middle(const std::string& name, std::vector<LinkOptions> dials) {
    return std::make_unique<Device>(simulator, network, script,
                                    NodeOptions{.name = name, .links = std::move(dials), .listen = {"sim://" + name}});
  }
  std::unique_ptr<Device> country = hub("country");
  std::unique_ptr<Device> town = middle("town", {{"country", "sim://country"}});
  std::unique_ptr<Device> van = device("van", "town", "sim://town");
  std::unique_ptr<Device> depot = device("depot", "country", "sim://country");
};

TEST_CASE("devices ask each other through two hubs, and whoever is asked knows the asking node") {
  Country land;
  land.run(5s);
  land.van->ask("depot/echo", 1);
  land.run(1s);
  land.depot->ask("van/echo", 10);
  land.run(1s);
  land.country->ask("van/echo", 20);
  land.run(1s);
  land.van->ask("country/echo", 30);
  land.run(1s);
  CHECK(land.script.take() == "2; 11; 21; 31");
}

TEST_CASE("what is told through hubs names its sender, who can be told in turn") {
  Country land;
  struct Caller : Actor<Caller, Hand::Order, Number> {
    explicit Caller(Script* script) : script_(script) {}
    void on(const Hand::Order&) { CHECK(tell(ref("depot/echo"), note("call me"))); }
    void on(const Number& number) { script_->note("told " + std::to_string(number.value())); }
    Script* script_;
  };
  const auto caller = *land.van->node->spawn<Caller>(SpawnOptions{.name = "caller"}, &land.script);
  land.run(5s);
  CHECK(land.van->node->tell(caller, Hand::Order{}));
  land.run(1s);
  CHECK(land.script.take() == "call me from van/caller; told 7");
}

TEST_CASE("publications and filters cross hubs, each subscriber once") {
  Country land;
  land.depot->listen("fleet/#");
  land.run(5s);
  land.van->publish("fleet/7", 5);
  land.run(1s);
  CHECK(land.script.take() == "depot hears fleet/7=5");
}

TEST_CASE("a node that goes is unreachable at once for those who use it, and reached again when it is back") {
  Country land;
  land.run(5s);
  land.van->ask("depot/echo", 1);
  land.run(1s);
  CHECK(land.script.take() == "2");
  land.network.cut("depot", "country", sim::Cut::reported);
  land.run(1s);
  land.van->ask("depot/echo", 1, 60s);
  land.run(1ms);
  CHECK(land.script.take() == "unreachable");  // van was told, and asks nobody
  land.network.heal_all();
  land.run(31s);
  land.van->ask("depot/echo", 5);
  land.run(1s);
  CHECK(land.script.take() == "6");
}

TEST_CASE("a node says which way its records go: a hub knows all, a leaf its neighbour only") {
  Country land;
  land.run(5s);
  const auto routes = [&](Device& at, const std::string& node) {
    std::string said;
    let(land.simulator, *at.node, at.hand, [&](Hand& hand) {
      hand.routes(node).then([&](const Result<std::vector<NodeRoute>>& all) {
        REQUIRE(all);
        for (const NodeRoute& each : *all)
          said += each.node + " by " + each.via + " " + std::to_string(each.hops) + "; ";
      });
    });
    land.run(1s);
    return said;
  };
  CHECK(routes(*land.town, "") == "country by country 1; depot by country 2; van by van 1; ");
  CHECK(routes(*land.town, "depot") == "depot by country 2; ");
  CHECK(routes(*land.town, "nowhere").empty());
  CHECK(routes(*land.van, "depot") == "depot by town 0; ");
  land.van->ask("nowhere/echo", 1);  // from then on it knows
  land.run(1s);
  CHECK(routes(*land.van, "nowhere").empty());
}

TEST_CASE("a question to a node that nobody knows is unreachable within a round trip, and the next one at once") {
  Country land;
  land.run(5s);
  land.van->ask("nowhere/echo", 1, 60s);
  land.run(1s);
  CHECK(land.script.take() == "unreachable");
  land.van->ask("nowhere/echo", 1, 60s);
  land.run(1ms);
  CHECK(land.script.take() == "unreachable");
  land.town->ask("nowhere/echo", 1, 60s);  // a hub knows all there are
  land.run(1ms);
  CHECK(land.script.take() == "unreachable");
}

TEST_CASE("questions on their way end as unreachable when a link further on breaks, and give up their places") {
  Country land;
  std::vector<Responder> questions;
  REQUIRE(land.depot->node->spawn<Sphinx>(SpawnOptions{.name = "sphinx"}, &questions));
  land.run(5s);
  for (std::size_t i = 0; i < limits::kAsksPerLink; ++i) land.van->ask("depot/sphinx", 1, 60s);
  land.run(1s);
  CHECK(land.script.take() == "");
  land.network.cut("depot", "country", sim::Cut::reported);
  land.run(1s);
  CHECK(land.script.lines.size() == limits::kAsksPerLink);
  CHECK(land.script.lines.front() == "unreachable");
  land.script.take();
  land.country->ask("van/echo", 1);
  land.run(1s);
  CHECK(land.script.take() == "2");
  questions.clear();
}

/// Answers by asking another actor.
struct Relay : Actor<Relay, Number> {
  explicit Relay(std::string next) : next_(std::move(next)) {}
  void on(const Number& number, const Responder& responder) {
    ask<Number>(ref(next_), make<Number>(number.value()), 5s).then([responder](Result<Table<Number>> answer) {
      if (answer) {
        responder.reply(*answer);
      } else {
        responder.refuse(answer.error());
      }
    });
  }

 private:
  std::string next_;
};

TEST_CASE("a question that comes back over links to one who waits for it is refused, and the error names the way") {
  Country land;
  const auto relay = [](Device& at, const std::string& next) {
    REQUIRE(at.node->spawn<Relay>(SpawnOptions{.name = "relay"}, next));
  };
  relay(*land.van, "depot/relay");
  relay(*land.depot, "country/relay");
  relay(*land.country, "van/relay");
  land.run(5s);
  std::string why;
  let(land.simulator, *land.town->node, land.town->hand, [&](Hand& hand) {
    hand.ask<Number>(hand.ref("van/relay"), make<Number>(1), 10s).then([&](Result<Table<Number>> answer) {
      why = answer ? "answered" : answer.error().text();
    });
  });
  land.run(2s);
  CAPTURE(why);
  CHECK(why.find("van/relay -> depot/relay -> country/relay -> van/relay") != std::string::npos);
}

TEST_CASE("the time that is left travels: a relay further on cannot wait longer than the asker") {
  Country land;
  std::vector<Responder> questions;
  REQUIRE(land.depot->node->spawn<Sphinx>(SpawnOptions{.name = "sphinx"}, &questions));
  REQUIRE(land.country->node->spawn<Relay>(SpawnOptions{.name = "relay"}, "depot/sphinx"));
  land.run(5s);
  land.van->ask("country/relay", 1, 500ms);
  land.run(1s);
  CHECK(land.script.take() == "timeout");
  REQUIRE(questions.size() == 1);
  land.run(1s);
  CHECK((*land.country->node).dead_letters(DeadLetterReason::late_reply) <= 1);
  questions.clear();
}

TEST_CASE("a tell through hubs has credit of its own, and nothing is lost to a slow one") {
  Country land;
  struct Count : Actor<Count, Number> {
    explicit Count(std::int64_t* next) : next_(next) {}
    void on(const Number& number) {
      if (number.value() == *next_) ++*next_;
    }
    std::int64_t* next_;
  };
  struct Loop : Actor<Loop> {
    explicit Loop(std::int64_t* told) : told_(told) {}
    void on_start() { run(); }
    void run() {
      for (; *told_ < 20'000; ++*told_) {
        if (tell(ref("depot/count"), make<Number>(*told_))) continue;
        on_room(ref("depot/count"), [this](Result<void> room) {
          if (room) run();
        });
        return;
      }
    }
    std::int64_t* told_;
  };
  std::int64_t next = 0;
  std::int64_t told = 0;
  REQUIRE(land.depot->node->spawn<Count>(SpawnOptions{.name = "count", .mailbox = {.messages = 8}}, &next));
  land.run(5s);
  REQUIRE(land.van->node->spawn<Loop>(SpawnOptions{}, &told));
  land.run(60s);
  CHECK(told == 20'000);
  CHECK(next == 20'000);
}

TEST_CASE("links in a ring are refused with the names of the ring, and the rest of it goes on") {
  Fleet fleet;
  const auto node = [&](const std::string& name, const std::string& dials) {
    return std::make_unique<Device>(
        fleet.simulator, fleet.network, fleet.script,
        NodeOptions{.name = name, .links = {{dials, "sim://" + dials}}, .listen = {"sim://" + name}});
  };
  auto a = node("a", "b");
  auto b = node("b", "c");
  auto c = node("c", "a");
  fleet.run(60s);
  CHECK(a->node.log().has("form a ring"));
  CHECK(a->node.log().has("a - b - c - a"));
  a->ask("b/echo", 1);
  fleet.run(1s);
  CHECK(fleet.script.take() == "2");
}

}  // namespace
}  // namespace pannier::testing
