#include <doctest/doctest.h>

#include <algorithm>

#include "tests/runtime/link/fleet.h"

namespace pannier::testing {
namespace {

/// A hub with two devices: what one publishes reaches the other through it.
struct Triangle : Fleet {
  Triangle() { run(1s); }
  std::string heard() {
    run(1s);
    std::sort(script.lines.begin(), script.lines.end());
    return script.take();
  }
  std::unique_ptr<Device> middle = hub();
  std::unique_ptr<Device> one = device("one");
  std::unique_ptr<Device> two = device("two");
};

TEST_CASE("a publication reaches the subscribers of every node once, and does not come back") {
  Triangle fleet;
  fleet.one->listen("order/1/status");
  fleet.two->listen("order/+/status");
  fleet.two->listen("fleet/#");
  fleet.middle->listen("#");
  fleet.run(1s);
  fleet.one->publish("order/1/status", 5);
  CHECK(fleet.heard() == "hub hears order/1/status=5; one hears order/1/status=5; two hears order/1/status=5");
  fleet.two->publish("order/1/status", 6);
  CHECK(fleet.heard() == "hub hears order/1/status=6; one hears order/1/status=6; two hears order/1/status=6");
  fleet.one->publish("fleet", 7);
  CHECK(fleet.heard() == "hub hears fleet=7; two hears fleet=7");
}

TEST_CASE("a subscriber with several matching filters gets one copy") {
  Triangle fleet;
  struct Greedy : Actor<Greedy, AnyTable> {
    explicit Greedy(Script* script) : script_(script) {}
    void on_start() {
      for (const char* filter : {"a/#", "a/+", "a/b", "#"}) CHECK(subscribe_any(filter));
    }
    void on(const AnyTable&) { script_->note("greedy"); }
    Script* script_;
  };
  REQUIRE(fleet.two->node->spawn<Greedy>(SpawnOptions{}, &fleet.script));
  fleet.run(1s);
  fleet.middle->publish("a/b", 1);
  CHECK(fleet.heard() == "greedy");
}

TEST_CASE("nobody is sent what nobody asked for") {
  Triangle fleet;
  fleet.two->listen("order/2/status");
  fleet.run(1s);
  const auto frames = [&] { return fleet.network.counters().frames_sent; };
  fleet.run(1s);
  const std::uint64_t before = frames();
  fleet.one->publish("order/1/status", 5);
  CHECK(fleet.heard() == "");
  CHECK(frames() - before <= 4);  // heartbeats
}

TEST_CASE("the last value comes to who subscribes later, from another node too") {
  Triangle fleet;
  fleet.middle->listen("#");  // so that the hub takes it
  fleet.run(1s);
  fleet.one->publish("order/1/eta", 9, {.keep_last = true});
  fleet.one->publish("order/1/position", 1);
  CHECK(fleet.heard() == "hub hears order/1/eta=9; hub hears order/1/position=1");
  fleet.two->listen("order/+/eta");
  CHECK(fleet.heard().find("two hears order/1/eta=9") != std::string::npos);
  fleet.one->publish("order/1/eta", 10, {.keep_last = true});
  CHECK(fleet.heard() == "hub hears order/1/eta=10; two hears order/1/eta=10");
}

TEST_CASE("who unsubscribes, or ends, hears no more, and the other nodes stop sending") {
  Triangle fleet;
  const auto gone = fleet.two->listen("a/b");
  fleet.run(1s);
  fleet.one->publish("a/b", 1);
  CHECK(fleet.heard() == "two hears a/b=1");
  struct Reaper : Actor<Reaper> {
    explicit Reaper(Ref victim) : victim_(victim) {}
    void on_start() { stop(victim_); }
    Ref victim_;
  };
  REQUIRE(fleet.two->node->spawn<Reaper>(SpawnOptions{}, Ref{gone}));
  fleet.run(1s);
  fleet.one->publish("a/b", 2);
  CHECK(fleet.heard() == "");
  struct Fickle : Actor<Fickle, AnyTable, Hand::Order> {
    explicit Fickle(Script* script) : script_(script) {}
    void on_start() { CHECK(subscribe_any("a/b")); }
    void on(const AnyTable&) { script_->note("fickle"); }
    void on(const Hand::Order&) { CHECK(unsubscribe("a/b")); }
    Script* script_;
  };
  const auto fickle = *fleet.two->node->spawn<Fickle>(SpawnOptions{}, &fleet.script);
  fleet.run(1s);
  fleet.one->publish("a/b", 3);
  CHECK(fleet.heard() == "fickle");
  REQUIRE(fleet.two->node->tell(fickle, Hand::Order{}));
  fleet.run(1s);
  fleet.one->publish("a/b", 4);
  CHECK(fleet.heard() == "");
}

TEST_CASE("subscriptions are told anew when a link comes back, and forgotten when it goes") {
  Triangle fleet;
  fleet.two->listen("a/#");
  fleet.run(1s);
  fleet.network.cut("two", "hub", sim::Cut::reported);
  fleet.run(1s);
  fleet.one->publish("a/b", 1);
  CHECK(fleet.heard() == "");
  fleet.network.heal_all();
  fleet.run(31s);
  fleet.one->publish("a/b", 2);
  CHECK(fleet.heard() == "two hears a/b=2");
}

TEST_CASE("an actor that subscribes to one filter for two types gets both, and no other") {
  Triangle fleet;
  struct Both : Actor<Both, Number, Note> {
    explicit Both(Script* script) : script_(script) {}
    void on_start() {
      CHECK(subscribe<Number>("a"));
      CHECK(subscribe<Note>("a"));
    }
    void on(const Number& number) { script_->note(std::to_string(number.value())); }
    void on(const Note& note) { script_->note(note.text()->str()); }
    Script* script_;
  };
  REQUIRE(fleet.two->node->spawn<Both>(SpawnOptions{}, &fleet.script));
  fleet.run(1s);
  fleet.one->publish("a", 1);
  let(fleet.simulator, *fleet.one->node, fleet.one->hand, [](Hand& actor) { CHECK(actor.publish("a", note("note"))); });
  CHECK(fleet.heard() == "1; note");
}

}  // namespace
}  // namespace pannier::testing
