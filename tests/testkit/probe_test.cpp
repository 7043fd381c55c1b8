// A probe in the place of whoever a tested actor talks to, and as the one who talks to it.

#include <doctest/doctest.h>

#include <memory>
#include <string>

#include <pannier/simulation.h>
#include "tests/runtime/schema/messages.fbs.h"
#include "tests/testkit/outcome.h"

namespace pannier::testkit {
namespace {

using namespace std::chrono_literals;
using testing::Number;

struct Route {
  std::string text;
};
struct RouteRequest {
  int number;
};
struct Job {
  int number;
  std::unique_ptr<int> weight = {};  // cannot be copied
};

/// Asks a planner for the route of each job, and tells the reporter what came of it.
struct Courier : Actor<Courier, Job, Number> {
  Courier(LocalRef planner, LocalRef reporter) : planner_(planner), reporter_(reporter) {}
  void on(const Job& job) {
    ask<Route>(planner_, RouteRequest{job.number}, 2s).then([this](Result<Route> route) {
      CHECK(tell(reporter_, route ? Route{*route} : Route{"no route: " + std::string{to_string(route.error().code)}}));
    });
  }
  Table<Number> on(const Number& number) { return make<Number>(number.value() + 1); }

 private:
  LocalRef planner_;
  LocalRef reporter_;
};

struct World {
  Simulation sim{42};
  Probe planner = sim.probe("planner");
  Probe reporter = sim.probe("reporter");
  ActorRef<Courier> courier = sim.spawn<Courier>(planner, reporter);
  Probe boss = sim.probe("boss");
};

TEST_CASE("a probe stands in for an actor: it gets the question, and answers it when the test says so") {
  World world;
  REQUIRE(world.boss.tell(world.courier, Job{7}));
  auto question = world.planner.expect<RouteRequest>();
  REQUIRE(question);
  CHECK((*question)->number == 7);
  CHECK(question->sender() == LocalRef{world.courier});
  CHECK(question->kind() == MessageKind::ask);
  CHECK(world.reporter.expect_nothing(500ms));
  CHECK(question->reply(Route{"A9, exit 70"}));
  const auto told = world.reporter.expect<Route>();
  REQUIRE(told);
  CHECK((*told)->text == "A9, exit 70");
}

TEST_CASE("a question that the test lets go runs into its deadline, one that it refuses is refused") {
  World world;
  const MonoTime asked = world.sim.now();
  REQUIRE(world.boss.tell(world.courier, Job{1}));
  REQUIRE(world.planner.expect<RouteRequest>());
  const auto late = world.reporter.expect<Route>(3s);
  REQUIRE(late);
  CHECK((*late)->text == "no route: timeout");
  CHECK(world.sim.now() - asked == 2s);
  REQUIRE(world.boss.tell(world.courier, Job{2}));
  auto question = world.planner.expect<RouteRequest>();
  REQUIRE(question);
  CHECK(question->refuse(ErrorCode::full));
  const auto refused = world.reporter.expect<Route>();
  REQUIRE(refused);
  CHECK((*refused)->text == "no route: full");
}

TEST_CASE(
    "what cannot be answered says so: a question answered before, one that was none, one of a node that is down") {
  World world;
  REQUIRE(world.boss.tell(world.courier, Job{1}));
  auto question = world.planner.expect<RouteRequest>();
  REQUIRE(question);
  CHECK(question->reply(Route{"A9"}));
  CHECK(outcome(question->reply(Route{"A8"})) == "rejected");
  CHECK(outcome(question->ack()) == "rejected");
  auto told = world.reporter.expect<Route>();
  REQUIRE(told);
  CHECK((*told)->text == "A9");
  CHECK(outcome(told->reply(Route{"thanks"})) == "rejected");
  REQUIRE(world.boss.tell(world.courier, Job{2}));
  auto second = world.planner.expect<RouteRequest>();
  REQUIRE(second);
  world.sim.node().crash();
  CHECK(outcome(second->reply(Route{"too late"})) == "closed");
  CHECK((*second)->number == 2);
}

TEST_CASE("an expectation that is not met takes nothing, and explains itself with the time and the seed") {
  World world;
  const auto nothing = world.planner.expect<RouteRequest>(250ms);
  REQUIRE_FALSE(nothing);
  CHECK(outcome(nothing) == "timeout");
  CHECK(nothing.error().detail == "Expected RouteRequest within 0.25 s, nothing came (at 0.25 s, seed 42).");
  REQUIRE(world.boss.tell(world.planner, make<Number>(5)));
  const auto other = world.planner.expect<RouteRequest>();
  REQUIRE_FALSE(other);
  CHECK(outcome(other) == "rejected");
  CHECK(other.error().detail == "Expected RouteRequest, got Number from boss (at 0.25 s, seed 42).");
  CHECK(world.planner.waiting() == "Number from boss");
  const auto some = world.planner.expect_nothing(1s);
  REQUIRE_FALSE(some);
  CHECK(some.error().detail == "Expected nothing within 1 s, got Number from boss (at 0.25 s, seed 42).");
  const auto number = world.planner.expect<Number>();
  REQUIRE(number);
  CHECK((*number)->value() == 5);
  CHECK(world.planner.waiting().empty());
}

TEST_CASE("a probe finds a message behind others, which stay in their order") {
  World world;
  for (const int value : {1, 2}) REQUIRE(world.boss.tell(world.planner, make<Number>(value)));
  REQUIRE(world.boss.tell(world.planner, Route{"A9"}));
  REQUIRE(world.planner.find<Route>());
  CHECK(outcome(world.planner.find<Route>(10ms)) == "timeout");
  for (const int value : {1, 2}) {
    const auto number = world.planner.expect<Number>();
    REQUIRE(number);
    CHECK((*number)->value() == value);
  }
  CHECK(world.planner.expect_nothing(0s));
}

TEST_CASE("a probe asks, and gets the outcome as a value: an answer, or why there is none") {
  World world;
  const auto answer = world.boss.ask<Number>(world.courier, make<Number>(41));
  REQUIRE(answer);
  CHECK((*answer)->value() == 42);
  const auto none = world.boss.ask<Route>(world.planner, RouteRequest{1}, 3s);
  REQUIRE_FALSE(none);
  CHECK(outcome(none) == "timeout");
  CHECK(outcome(world.boss.ask<Number>(world.sim.node()->ref("nobody"), make<Number>(1))) == "not_found");
}

TEST_CASE("a probe hears topics with their names, and hears of the end of whom it watches") {
  World world;
  REQUIRE(world.planner.subscribe("fleet/+/position"));
  REQUIRE(world.boss.publish("fleet/7/position", make<Number>(48)));
  REQUIRE(world.boss.publish("fleet/7/speed", make<Number>(50)));
  const auto heard = world.planner.expect<Number>();
  REQUIRE(heard);
  CHECK(heard->label() == "fleet/7/position");
  CHECK((*heard->table<Number>()).value() == 48);
  REQUIRE(world.planner.watch(world.courier));
  REQUIRE(world.boss.stop(world.courier));
  const auto down = world.planner.expect<Down>();
  REQUIRE(down);
  CHECK((*down)->actor == Ref{world.courier});
  CHECK_FALSE((*down)->failed);
}

TEST_CASE("a probe consumes a lane, and says what became of each delivery") {
  World world;
  REQUIRE(world.boss.enqueue("jobs", "order-1", make<Number>(1)));
  REQUIRE(world.boss.enqueue("jobs", "order-1", make<Number>(2)));
  REQUIRE(world.planner.consume("jobs"));
  auto first = world.planner.expect<Number>();
  REQUIRE(first);
  CHECK(first->label() == "order-1");
  CHECK(world.planner.expect_nothing(60s));  // its key waits for the first
  CHECK(first->retry(5s));
  auto again = world.planner.expect<Number>(10s);
  REQUIRE(again);
  CHECK((*again)->value() == 1);
  CHECK(again->ack());
  auto second = world.planner.expect<Number>();
  REQUIRE(second);
  CHECK((*second)->value() == 2);
  CHECK(second->dead_letter("no such street"));
}

TEST_CASE("a probe that has ended says so; an order that did not get its turn never will") {
  World world;
  world.sim.node().crash();
  CHECK(outcome(world.boss.tell(world.courier, Job{1})) == "closed");
  CHECK(outcome(world.planner.expect<RouteRequest>(1s)) == "closed");
  REQUIRE(world.sim.node().start());
  Probe stuck = world.sim.probe("stuck");
  world.sim.settle();
  for (Loop* loop : world.sim.node()->loops()) world.sim.simulator().remove(*loop);  // its thread hangs
  bool ran = false;
  CHECK(stuck.let([&ran](ProbeActor&) { ran = true; }).error().code == ErrorCode::timeout);
  for (Loop* loop : world.sim.node()->loops()) world.sim.simulator().add(*loop);
  world.sim.advance(1s);
  CHECK_FALSE(ran);
}

TEST_CASE("a probe takes the place of a class where its reference is typed") {
  struct Shop : Actor<Shop, Job> {
    explicit Shop(ActorRef<Courier> courier) : courier_(courier) {}
    void on(const Job& job) { CHECK(tell(courier_, Job{job.number + 1})); }
    ActorRef<Courier> courier_;
  };
  Simulation sim;
  Probe courier = sim.probe();
  const auto shop = sim.spawn<Shop>(courier.as<Courier>());
  Probe customer = sim.probe();
  REQUIRE(customer.tell(shop, Job{1}));
  const auto job = courier.expect<Job>();
  REQUIRE(job);
  CHECK((*job)->number == 2);
}

}  // namespace
}  // namespace pannier::testkit
