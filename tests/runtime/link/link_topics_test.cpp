#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "runtime/actor/system.h"
#include "runtime/actor/worker.h"
#include "runtime/link/topics.h"
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
  fleet.one->publish("order/1/eta", 9, {.retain = true});
  fleet.one->publish("order/1/position", 1);
  CHECK(fleet.heard() == "hub hears order/1/eta=9; hub hears order/1/position=1");
  fleet.two->listen("order/+/eta");
  CHECK(fleet.heard().find("two hears order/1/eta=9") != std::string::npos);
  fleet.one->publish("order/1/eta", 10, {.retain = true});
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

/// Subscribes to many filters at once, and counts what comes.
struct Screen : Actor<Screen, Number, Hand::Order> {
  Screen(std::vector<std::string> filters, std::int64_t* came) : filters_(std::move(filters)), came_(came) {}
  void on_start() {
    for (const std::string& filter : filters_) CHECK(subscribe<Number>(filter));
  }
  void on(const Number&) { ++*came_; }
  void on(const Hand::Order&) { stop(); }

 private:
  std::vector<std::string> filters_;
  std::int64_t* came_;
};

std::vector<std::string> numbered(const std::string& before, const std::string& behind, std::size_t count) {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < count; ++i) all.push_back(before + std::to_string(i) + behind);
  return all;
}

/// One publication a topic, as fast as the node takes them.
void publish_each(Device& device, const std::vector<std::string>& topics, PublishOptions options = {}) {
  for (std::size_t from = 0; from < topics.size(); from += 500) {
    let(device.simulator, *device.node, device.hand, [&](Hand& actor) {
      for (std::size_t i = from; i < std::min(from + 500, topics.size()); ++i) {
        CHECK(actor.publish(topics[i], make<Number>(static_cast<std::int64_t>(i)), options));
      }
    });
  }
}

TEST_CASE(
    "filters beyond what a link takes are refused, and both ends can see it; one that goes makes room for another") {
  Fleet fleet;
  auto middle = fleet.hub();
  auto one = fleet.device("one");
  fleet.run(1s);
  std::int64_t came = 0;
  std::int64_t came_of_others = 0;
  const auto first = *one->node->spawn<Screen>(SpawnOptions{}, numbered("first/", "", 10), &came);
  const std::size_t many = limits::kFiltersPerLink + 90;
  REQUIRE(one->node->spawn<Screen>(SpawnOptions{.mailbox = {.messages = 100'000}}, numbered("van/", "/position", many),
                                   &came_of_others));
  fleet.run(10s);
  CHECK((*middle->node).topics().filters_refused == 100);
  CHECK((*one->node).topics().filters_refused_there == 100);
  CHECK(middle->node.log().warnings() == 1);
  CHECK(middle->node.log().has("peer one is refused what exceeds its limits: filters (4096)"));
  CHECK(one->node.log().warnings() == 1);
  CHECK(one->node.log().has("link to hub: it refuses the subscription to 'van/"));
  publish_each(*middle, numbered("van/", "/position", many));
  fleet.run(1s);
  CHECK(came_of_others == static_cast<std::int64_t>(many) - 100);

  REQUIRE(one->node->tell(first, Hand::Order{}));
  fleet.run(1s);
  came_of_others = 0;
  publish_each(*middle, numbered("van/", "/position", many));
  fleet.run(1s);
  CHECK(came_of_others == static_cast<std::int64_t>(many) - 90);
}

TEST_CASE("retained values come at the pace of the subscriber's mailbox, here and over a link, and leave it room") {
  for (const bool far : {false, true}) {
    CAPTURE(far);
    Fleet fleet;
    auto middle = fleet.hub();
    auto one = fleet.device("one");
    fleet.run(1s);
    publish_each(*middle, numbered("van/", "", 12'500), {.retain = true});
    std::int64_t came = 0;
    Device& there = far ? *one : *middle;
    const auto screen =
        *there.node->spawn<Screen>(SpawnOptions{.mailbox = {.messages = 100}}, std::vector<std::string>{"#"}, &came);
    bool refused = false;
    for (int i = 0; i < 200 && came < 12'500; ++i) {
      refused = refused || !there.node->tell(Ref{screen}, make<Number>(-1));
      --came;
      fleet.run(10ms);
    }
    CHECK(came == 12'500);
    CHECK_FALSE(refused);
    CHECK((*there.node).topics().mailbox_full == 0);
    CHECK((*middle->node).topics().link_full == 0);
    CHECK((*there.node).topics().waiting == 0);
  }
}

TEST_CASE("a subscriber that is being served hears a newer value once, and not the older one after it") {
  Fleet fleet;
  auto middle = fleet.hub();
  fleet.run(1s);
  publish_each(*middle, numbered("van/", "", 1000), {.retain = true});
  struct Slow : Actor<Slow, Number> {
    explicit Slow(std::vector<std::int64_t>* heard) : heard_(heard) {}
    void on_start() { CHECK(subscribe<Number>("#")); }
    void on(const Number& number) {
      if (label() == "van/999") heard_->push_back(number.value());
    }
    std::vector<std::int64_t>* heard_;
  };
  std::vector<std::int64_t> heard;
  REQUIRE(middle->node->spawn<Slow>(SpawnOptions{.mailbox = {.messages = 10}}, &heard));
  let(fleet.simulator, *middle->node, middle->hand,
      [&](Hand& actor) { CHECK(actor.publish("van/999", make<Number>(-7), {.retain = true})); });
  fleet.run(10s);
  CHECK(heard == std::vector<std::int64_t>{-7});
}

TEST_CASE("what a link's filters cost does not grow with the values that they do not match, and no step takes long") {
  std::uint64_t before = 0;
  for (const std::size_t values : {8'000U, 64'000U}) {
    CAPTURE(values);
    Fleet fleet;
    auto middle = fleet.hub();
    auto one = fleet.device("one");
    fleet.run(1s);
    publish_each(*middle, numbered("van/", "/position", values), {.retain = true});
    std::int64_t came = 0;
    REQUIRE(one->node->spawn<Screen>(SpawnOptions{}, numbered("driver/", "/position", 4000), &came));
    fleet.run(1s);
    fleet.network.cut("hub", "one", sim::Cut::reported);
    fleet.run(1s);
    fleet.network.heal_all();
    fleet.run(31s);
    const TopicCounters counters = (*middle->node).topics();
    CHECK(counters.filters == 4000);
    CHECK(counters.tried <= 2 * 8000);  // twice the filters, whose values would stand in one place
    CHECK(counters.most_in_a_step <= limits::kTopicWork + limits::kStepBatch);
    if (before != 0) CHECK(counters.tried <= before + before / 10);  // announced in other slices, some are tried twice
    before = counters.tried;
  }
}

TEST_CASE("an actor with 40,000 filters, or one of 40,000 with the same, ends in steps that are short") {
  Fleet fleet;
  auto middle = fleet.hub();
  auto one = fleet.device("one");
  fleet.run(1s);
  std::int64_t came = 0;
  const auto screen = *middle->node->spawn<Screen>(SpawnOptions{}, numbered("van/", "/position", 40'000), &came);
  fleet.run(1s);
  CHECK((*middle->node).topics().filters == 40'000);
  REQUIRE(middle->node->tell(screen, Hand::Order{}));
  const std::uint64_t steps = middle->node->system().workers[0]->steps();
  fleet.run(1s);
  CHECK((*middle->node).topics().filters == 0);
  CHECK((*middle->node).topics().waiting == 0);
  CHECK((*middle->node).topics().most_in_a_step <= limits::kTopicWork + limits::kStepBatch);
  CHECK(middle->node->system().workers[0]->steps() - steps >= 40'000 * 2 / (2 * limits::kTopicWork));

  // While it is being taken away it hears nothing, and its next life does not lose what it subscribed to anew.
  struct Restless : Actor<Restless, Number> {
    explicit Restless(std::int64_t* heard) : heard_(heard) {}
    void on_start() {
      for (const std::string& filter : numbered("van/", "/position", 10'000)) CHECK(subscribe<Number>(filter));
    }
    void on(const Number& number) {
      ++*heard_;
      if (number.value() < 0) throw std::runtime_error("again");
    }
    std::int64_t* heard_;
  };
  std::int64_t heard = 0;
  const auto restless = *middle->node->spawn<Restless>(SpawnOptions{}, &heard);
  fleet.run(1s);
  REQUIRE(middle->node->tell(Ref{restless}, make<Number>(-1)));
  fleet.run(1s);
  heard = 0;
  publish_each(*middle, numbered("van/", "/position", 10'000));
  CHECK(heard == 10'000);
}

TEST_CASE("subscribing to one filter, and ending, costs the same whoever else subscribes to it") {
  Subscriptions all;
  std::vector<Subscriber> many(200'000);  // quadratic cost would take minutes
  for (Subscriber& each : many) REQUIRE(all.add(each, 0));
  for (Subscriber& each : many) REQUIRE_FALSE(all.add(each, 0));
  for (Subscriber& each : many) REQUIRE(all.remove(each) == 1);
  CHECK(all.empty());
}

TEST_CASE("a retained value is cleared by an empty publication, here and wherever a link took it") {
  for (const bool by_call : {false, true}) {
    CAPTURE(by_call);
    Triangle fleet;
    const auto gone = fleet.two->listen("order/#");
    fleet.middle->listen("#");
    fleet.run(1s);
    fleet.one->publish("order/1/eta", 9, {.retain = true});
    CHECK(fleet.heard() == "hub hears order/1/eta=9; two hears order/1/eta=9");
    let(fleet.simulator, *fleet.two->node, fleet.two->hand, [&](Hand& actor) { actor.stop(gone); });
    fleet.run(1s);
    // Nobody at `two` subscribes any more, but it still has the value.
    let(fleet.simulator, *fleet.one->node, fleet.one->hand, [&](Hand& actor) {
      CHECK((by_call ? actor.clear_retained("order/1/eta")
                     : actor.publish("order/1/eta", AnyTable{TypeId{}, nullptr, BlockRef{}}, {.retain = true})));
    });
    CHECK(fleet.heard() == "");  // subscribers are not told
    for (Device* device : {fleet.one.get(), fleet.middle.get(), fleet.two.get()}) {
      device->listen("order/1/eta");
      CHECK((*device->node).topics().retained == 0);
      CHECK((*device->node).topics().cleared == 1);
    }
    CHECK(fleet.heard() == "");
    fleet.one->publish("order/1/eta", 10, {.retain = true});
    CHECK(fleet.heard().find("two hears order/1/eta=10") != std::string::npos);
  }
}

TEST_CASE(
    "a value that finds no room is passed on, not retained, counted and named in the log, until others are cleared") {
  Fleet fleet;
  auto middle = fleet.hub();
  middle->listen("last");
  publish_each(*middle, numbered("order/", "/status", limits::kRetainedValues), {.retain = true});
  middle->publish("last", 1, {.retain = true});
  CHECK(fleet.script.take() == "hub hears last=1");
  CHECK((*middle->node).topics().not_retained == 1);
  CHECK(middle->node->dead_letters(DeadLetterReason::not_retained) == 1);
  CHECK(middle->node.log().warnings() == 1);
  CHECK(middle->node.log().has("the value of topic 'last' is not retained"));
  middle->publish("order/7/status", 2, {.retain = true});  // a topic that has a place
  middle->publish("last", 3, {.retain = true});
  CHECK((*middle->node).topics().not_retained == 2);
  CHECK(middle->node.log().warnings() == 1);
  let(fleet.simulator, *middle->node, middle->hand, [](Hand& actor) { CHECK(actor.clear_retained("order/7/status")); });
  middle->publish("last", 4, {.retain = true});
  CHECK((*middle->node).topics().not_retained == 2);
  fleet.script.take();
  middle->listen("last");
  fleet.run(1s);
  CHECK(fleet.script.take() == "hub hears last=4");
}

TEST_CASE("a retained value that finds a full mailbox or link comes later, and of several of one topic the last") {
  for (const bool far : {false, true}) {
    CAPTURE(far);
    Fleet fleet;
    auto middle = fleet.hub();
    auto one = fleet.device("one");
    fleet.run(1s);
    Device& there = far ? *one : *middle;
    struct Reader : Actor<Reader, Number> {
      explicit Reader(std::map<std::string, std::vector<std::int64_t>>* heard) : heard_(heard) {}
      void on_start() { CHECK(subscribe<Number>("a/+")); }
      void on(const Number& number) { (*heard_)[std::string{label()}].push_back(number.value()); }
      std::map<std::string, std::vector<std::int64_t>>* heard_;
    };
    std::map<std::string, std::vector<std::int64_t>> heard;
    REQUIRE(there.node->spawn<Reader>(SpawnOptions{.mailbox = {.messages = 10}}, &heard));
    fleet.run(1s);
    let(fleet.simulator, *middle->node, middle->hand, [&](Hand& actor) {
      for (std::int64_t value = 0; value < 5; ++value) {
        for (int topic = 0; topic < 12; ++topic) {
          CHECK(actor.publish("a/" + std::to_string(topic), make<Number>(value), {.retain = true}));
        }
        CHECK(actor.publish("b/" + std::to_string(value), make<Number>(value), {.retain = true}));
      }
    });
    fleet.run(10s);
    CHECK(heard.size() == 12);
    for (const auto& [topic, values] : heard) {
      CAPTURE(topic);
      CHECK(values.back() == 4);
      CHECK(std::is_sorted(values.begin(), values.end()));
      CHECK(std::adjacent_find(values.begin(), values.end()) == values.end());
    }
    CHECK((*there.node).topics().deferred > 0);
    CHECK((*there.node).topics().mailbox_full == 0);
    CHECK((*there.node).topics().waiting == 0);
  }
}

TEST_CASE("a retained value that is too large for a mailbox is dropped and counted, and those behind it come") {
  Fleet fleet;
  auto middle = fleet.hub();
  fleet.run(1s);
  let(fleet.simulator, *middle->node, middle->hand, [](Hand& actor) {
    CHECK(actor.publish("a/1", note(std::string(5000, 'x')), {.retain = true}));
    CHECK(actor.publish("a/2", make<Number>(2), {.retain = true}));
  });
  struct Small : Actor<Small, Number, Note> {
    explicit Small(Script* script) : script_(script) {}
    void on_start() { CHECK(subscribe_type("a/+", TypeId{})); }
    void on(const Number& number) { script_->note(std::to_string(number.value())); }
    void on(const Note&) { script_->note("a note"); }
    Script* script_;
  };
  REQUIRE(middle->node->spawn<Small>(SpawnOptions{.mailbox = {.bytes = 1000}}, &fleet.script));
  fleet.run(10s);
  CHECK(fleet.script.take() == "2");
  CHECK((*middle->node).topics().mailbox_full == 1);
  CHECK((*middle->node).topics().waiting == 0);
}

TEST_CASE("copies that are dropped are counted by their cause, and an actor can ask for the figures") {
  Fleet fleet;
  auto middle = fleet.hub();
  struct Stuck : Actor<Stuck, Number> {
    void on_start() { CHECK(subscribe<Number>("a")); }
    void on(const Number&) {}
  };
  REQUIRE(middle->node->spawn<Stuck>(SpawnOptions{.mailbox = {.messages = 2}}));
  fleet.run(1s);
  TopicCounters counters;
  let(fleet.simulator, *middle->node, middle->hand, [&](Hand& actor) {
    for (int i = 0; i < 5; ++i) CHECK(actor.publish("a", make<Number>(i)));
    actor.topic_counters().then([&](Result<TopicCounters> now) { counters = *now; });
  });
  CHECK(counters.published == 5);
  CHECK(counters.delivered == 2);
  CHECK(counters.mailbox_full == 3);
  CHECK(middle->node->dead_letters(DeadLetterReason::mailbox_full) == 3);
}

}  // namespace
}  // namespace pannier::testing
