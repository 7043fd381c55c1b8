// Questions over links: each peer has a share of its own, and what belongs to a lost link ends with it.

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/runtime/link/fleet.h"

namespace pannier::testing {
namespace {

/// A hub with a slow actor, that holds its questions, and a fast one; and two devices.
struct Counter : Fleet {
  Counter() {
    REQUIRE(middle->node->spawn<Sphinx>(SpawnOptions{.name = "sphinx", .mailbox = {.messages = 100'000}}, &held));
    run(1s);
  }
  ~Counter() { held.clear(); }
  /// Answers are noted in the script.
  void ask_often(Device& device, const std::string& whom, std::size_t times) {
    let(simulator, *device.node, device.hand, [&](Hand& actor) {
      for (std::size_t i = 0; i < times; ++i) {
        actor.ask<Number>(actor.ref(whom), make<Number>(1), 24h).then([this](Result<Table<Number>> answer) {
          ++outcomes[answer ? "answered" : outcome(answer.error())];
        });
      }
    });
    run(1s);
  }
  std::size_t count(const std::string& what) { return std::exchange(outcomes[what], 0); }

  std::vector<Responder> held;
  std::map<std::string, std::size_t> outcomes;
  std::unique_ptr<Device> middle = hub();
  std::unique_ptr<Device> van = device("van");
  std::unique_ptr<Device> tablet = device("tablet");
};

TEST_CASE("a device whose questions wait, or that has vanished, does not keep others from asking") {
  Counter counter;
  counter.ask_often(*counter.van, "hub/sphinx", 6000);
  CHECK(counter.held.size() == limits::kAsksPerLink);
  CHECK(counter.count("full") == 6000 - limits::kAsksPerLink);  // the asker's own node says so, at once
  counter.ask_often(*counter.tablet, "hub/echo", 100);
  CHECK(counter.count("answered") == 100);
  counter.van->node.crash();
  counter.run(1min);
  counter.ask_often(*counter.tablet, "hub/echo", 100);
  CHECK(counter.count("answered") == 100);
}

TEST_CASE("the places of a vanished device's questions are free at once, for all its later links") {
  Counter counter;
  for (int life = 0; life < 80; ++life) {  // more than a worker has questions, if none came free
    counter.ask_often(*counter.van, "hub/sphinx", limits::kAsksPerLink);
    REQUIRE(counter.count("full") == 0);
    counter.van->node.crash();
    counter.run(10s);
    REQUIRE(counter.van->node.start());
    counter.van->hand = *counter.van->node->spawn<Hand>();
    counter.run(10s);
  }
  CHECK(counter.held.size() == 80 * limits::kAsksPerLink);
  counter.ask_often(*counter.tablet, "hub/echo", 1);
  CHECK(counter.count("answered") == 1);
}

TEST_CASE("questions to a peer that does not answer are refused past its share, and those to others are not") {
  Counter counter;
  std::vector<Responder> held;
  REQUIRE(counter.tablet->node->spawn<Sphinx>(SpawnOptions{.name = "sphinx", .mailbox = {.messages = 100'000}}, &held));
  counter.ask_often(*counter.middle, "tablet/sphinx", limits::kAsksPerLink + 10);
  CHECK(counter.count("full") == 10);
  counter.ask_often(*counter.middle, "van/echo", 10);
  CHECK(counter.count("answered") == 10);
  held.clear();  // the tablet's actor gives all of them up
  counter.run(1s);
  CHECK(counter.count("failed") == limits::kAsksPerLink);
  counter.ask_often(*counter.middle, "tablet/echo", 10);
  CHECK(counter.count("answered") == 10);
}

TEST_CASE("questions on a link that goes down fail at once, and later ones find no link") {
  Counter counter;
  counter.ask_often(*counter.van, "hub/sphinx", 500);
  counter.network.cut("van", "hub", sim::Cut::reported);
  counter.run(100ms);
  CHECK(counter.count("unreachable") == 500);
  counter.ask_often(*counter.van, "hub/sphinx", 1);
  CHECK(counter.count("unreachable") == 1);
}

}  // namespace
}  // namespace pannier::testing
