// Actors found by their names, here and on a linked node.

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include <pannier/simulation.h>
#include "runtime/actor/directory.h"
#include "runtime/actor/system.h"
#include "tests/runtime/shell.h"

namespace pannier::testing {
namespace {

using namespace std::chrono_literals;

struct Adder : Actor<Adder, Number> {
  explicit Adder(std::int64_t amount) : amount_(amount) {}
  Table<Number> on(const Number& number) { return make<Number>(number.value() + amount_); }

 private:
  std::int64_t amount_;
};

struct NameAsker {
  explicit NameAsker(Shell& with) : shell(with), hand(*with->spawn<Hand>()) {}
  std::string ask(const std::string& name) {
    CHECK(
        shell->tell(hand, Hand::Order{[this, name](Hand& self) {
                      self.ask<Number>(self.ref(name), make<Number>(1), 1s).then([this](Result<Table<Number>> answer) {
                        heard.note(answer ? std::to_string((*answer)->value()) : outcome(answer.error()));
                      });
                    }}));
    shell.run_for(100ms);
    return heard.take();
  }
  Script heard;
  Shell& shell;
  ActorRef<Hand> hand;
};

TEST_CASE("a name leads to whoever has it now, and may be asked for before anybody has") {
  Shell shell;
  NameAsker asker{shell};
  CHECK(asker.ask("adder") == "not_found");
  const auto first = *shell->spawn<Adder>(SpawnOptions{.name = "adder"}, 1);
  CHECK(asker.ask("adder") == "2");
  CHECK(asker.ask("here/adder") == "2");  // the own node's name may be given
  const auto twin = shell->spawn<Adder>(SpawnOptions{.name = "adder"}, 5);
  CHECK((!twin && twin.error().code == ErrorCode::in_use));
  shell.let(asker.hand, [&](Hand& self) { self.stop(first); });
  CHECK(asker.ask("adder") == "not_found");
  REQUIRE(shell->spawn<Adder>(SpawnOptions{.name = "adder"}, 10));
  CHECK(asker.ask("adder") == "11");
}

TEST_CASE("node/name leads to the actor of that name on the linked node") {
  Shell shell{{.options = {.name = "here", .links = {{.node = "there", .address = "inproc://there"}}}, .linked = true}};
  Node& there = shell.add({.options = {.name = "there", .listen = {"inproc://there"}}, .linked = true});
  REQUIRE(there.spawn<Adder>(SpawnOptions{.name = "adder"}, 100));
  REQUIRE(shell->spawn<Adder>(SpawnOptions{.name = "adder"}, 1));
  shell.run_for(40s);  // dialled too early at first
  NameAsker asker{shell};
  CHECK(asker.ask("there/adder") == "101");
  CHECK(asker.ask("adder") == "2");
  CHECK(asker.ask("there/nobody") == "not_found");
  CHECK(asker.ask("nowhere/adder") == "unreachable");
}

TEST_CASE("a million names of actors come and go, and none of them is kept") {
  Directory directory{"here"};
  for (int i = 0; i < 1'000'000; ++i) {
    const auto name = directory.reserve("order-" + std::to_string(i));
    REQUIRE(name);
    const ActorId actor{0, 1, static_cast<std::uint32_t>(i)};
    REQUIRE(directory.bear(*name, actor));
    directory.leave(*name, actor);
  }
  CHECK(directory.size() == 0);
}

TEST_CASE(
    "a million names of senders come and go; the latest of each node are remembered, and no node's crowd out "
    "another's") {
  Directory directory{"here"};
  const Ref quiet = *directory.name("quiet/planner");
  std::vector<Ref> noisy;
  for (int i = 0; i < 1'000'000; ++i) {
    const auto ref = directory.name("van-" + std::to_string(i % 3) + "/job-" + std::to_string(i));
    REQUIRE(ref);
    if (i == 0 || i >= 999'990) noisy.push_back(*ref);
  }
  CHECK(directory.size() == 3 * limits::kIdleNames + 1);
  CHECK(directory.text(quiet.id())->full() == "quiet/planner");
  CHECK(directory.text(noisy.back().id())->full() == "van-0/job-999999");
  CHECK(directory.text(noisy.front().id()) == nullptr);
  CHECK_FALSE(directory.knows(noisy.front().id()));
}

TEST_CASE("a name that is used is remembered longer than those that are not") {
  Directory directory{"here"};
  const Ref used = *directory.name("hub/used");
  const Ref asked = *directory.name("hub/asked");
  const Ref left = *directory.name("hub/left");
  for (std::size_t i = 0; i < 3 * limits::kIdleNames; ++i) {
    REQUIRE(directory.name("hub/job-" + std::to_string(i)));
    REQUIRE(directory.text(used.id()) != nullptr);  // as a send does
    REQUIRE(*directory.name("hub/asked") == asked);
  }
  CHECK(directory.text(left.id()) == nullptr);
}

TEST_CASE("an actor's names are held while it lives, and main's for good") {
  Directory directory{"here"};
  const ActorId actor{0, 1, 1};
  const Ref held = *directory.name_for(actor, "hub/planner");
  const Ref good = *directory.name_for_good("hub/archive");
  const auto crowd = [&] {
    for (std::size_t i = 0; i < 2 * limits::kIdleNames; ++i) REQUIRE(directory.name("hub/job-" + std::to_string(i)));
  };
  crowd();
  CHECK(directory.text(held.id()) != nullptr);
  directory.release(actor);
  CHECK(directory.text(held.id()) != nullptr);  // still remembered
  crowd();
  CHECK(directory.text(held.id()) == nullptr);
  CHECK(directory.text(good.id()) != nullptr);
}

TEST_CASE("a full table makes room among the names of whoever has the most, and is full when all are held") {
  Directory directory{"here"};
  const std::size_t nodes = limits::kNames / limits::kIdleNames;
  for (std::size_t i = 0; i < nodes * limits::kIdleNames; ++i) {
    REQUIRE(directory.name("van-" + std::to_string(i % nodes) + "/job-" + std::to_string(i)));
  }
  CHECK(directory.size() == limits::kNames);
  CHECK(directory.name("new/one"));
  CHECK(directory.size() == limits::kNames);
  std::vector<std::uint32_t> all;
  for (std::size_t i = 0; i < limits::kNames; ++i) {
    const auto name = directory.reserve("actor-" + std::to_string(i));
    REQUIRE(name);
    all.push_back(*name);
  }
  const auto refused = directory.reserve("one-more");
  CHECK((!refused && refused.error().code == ErrorCode::full));
  directory.leave(all.back(), ActorId{});
  CHECK(directory.reserve("one-more"));
}

TEST_CASE("a reference to a name that was forgotten leads to nobody, though its place has been given away") {
  Directory directory{"here"};
  const Ref old = *directory.name("order-0");
  for (std::size_t i = 1; i <= limits::kIdleNames; ++i) REQUIRE(directory.name("order-" + std::to_string(i)));
  const auto next = directory.reserve("successor");
  REQUIRE(next);
  REQUIRE(*next == old.id().name_index());
  REQUIRE(directory.bear(*next, ActorId{0, 1, 1}));
  CHECK_FALSE(directory.living(old.id()));
  const Ref successor = *directory.name("successor");
  CHECK(directory.living(successor.id()) == ActorId{0, 1, 1});
  CHECK(old != successor);
}

TEST_CASE("an actor an order, named after it, that stops when the order is done: names do not run out") {
  struct Order : Actor<Order, int> {
    void on(int) { stop(); }
  };
  testkit::Simulation sim{1};
  auto& hub = sim.node();
  for (int i = 0; i < 70'000; ++i) {
    const auto order = hub->spawn<Order>(SpawnOptions{.name = "order-" + std::to_string(i)});
    REQUIRE(order);
    REQUIRE(hub->tell(*order, 1));
    sim.settle();
  }
  CHECK(hub->system().directory.size() < 10);
}

}  // namespace
}  // namespace pannier::testing
