#include <pannier/gather.h>

#include <pannier/field_mask.h>
#include <pannier/simulation.h>

#include <doctest/doctest.h>

#include <chrono>
#include <string>

#include "examples/bff/schema/bff.fbs.h"
#include "tests/runtime/schema/messages.fbs.h"

namespace pannier {
namespace {

using namespace std::chrono_literals;
using testing::Note;
using testing::Number;
using testkit::Probe;
using testkit::Simulation;

struct Collect {
  int number = 0;
  Duration deadline = 1s;
  PartOptions left = {};
  PartOptions right = {};
};
struct GiveUp {
  int number = 0;
};

/// Asks two services one thing, and tells what became of it: "left ok 7, right timeout".
struct Collector : Actor<Collector, Collect, GiveUp> {
  explicit Collector(LocalRef out) : out_(out) {}

  void on(const Collect& collect) {
    handles_[collect.number] =
        gather_.ask(collect.deadline)
            .part("left", left_, AnyTable{make<Number>(1)}, collect.left)
            .part("right", right_, AnyTable{make<Number>(2)}, collect.right)
            .each([this](const Part& part) { static_cast<void>(tell(out_, "part " + one(part))); })
            .then([this](const Gathered& all) {
              std::string text = all.complete() ? "complete:" : "incomplete:";
              for (const Part& part : all.parts()) text += " " + one(part);
              static_cast<void>(tell(out_, std::move(text)));
            });
  }
  void on(const GiveUp& which) { handles_[which.number].cancel(); }

  static std::string one(const Part& part) {
    std::string text = part.name + " " + std::string{to_string(part.status)};
    if (part.value) text += " " + std::to_string((*part.value->as<Number>())->value());
    if (part.status == PartStatus::stale) text += " age " + std::to_string(part.age / 1s);
    return text;
  }
  static Policy policy() {
    Policy policy;
    policy.retry.attempts = 1;
    return policy;
  }

  LocalRef out_;
  Destination left_{*this, {.name = "left", .to = {ref("left")}, .policy = policy()}};
  Destination right_{*this, {.name = "right", .to = {ref("right")}, .policy = policy()}};
  Gatherer gather_{*this};
  std::map<int, CallHandle> handles_;
};

struct World {
  void collect(Collect collect) { REQUIRE(boss.tell(collector, collect)); }
  std::string next(Duration within = 5s) {
    auto text = boss.expect<std::string>(within);
    return text ? **text : text.error().text();
  }
  void answer(Probe& service, std::int64_t value) {
    auto asked = service.expect<Number>();
    REQUIRE_MESSAGE(asked, asked.error().text());
    REQUIRE(asked->reply(make<Number>(value)));
  }

  Simulation sim{1};
  Probe left = sim.probe("left");
  Probe right = sim.probe("right");
  Probe boss = sim.probe("boss");
  ActorRef<Collector> collector = sim.spawn<Collector>(static_cast<LocalRef>(boss));
};

TEST_CASE("parts come one by one as they settle, and the whole as soon as the last one has") {
  World world;
  world.collect({});
  world.answer(world.right, 20);
  CHECK(world.next() == "part right ok 20");
  CHECK(world.boss.expect_nothing(100ms));
  world.answer(world.left, 10);
  CHECK(world.next() == "part left ok 10");
  CHECK(world.next(0s) == "complete: left ok 10 right ok 20");
}

TEST_CASE("at the deadline the answer comes with what there is; only a missing required part makes it incomplete") {
  World world;
  world.collect({.right = {.required = false}});
  world.answer(world.left, 10);
  CHECK(world.next() == "part left ok 10");
  CHECK(world.next(1s) == "part right timeout");
  CHECK(world.next(0s) == "complete: left ok 10 right timeout");

  world.right.forget();
  world.collect({.left = {.deadline = 200ms}});
  world.answer(world.right, 20);
  CHECK(world.next() == "part right ok 20");
  CHECK(world.next(201ms) == "part left timeout");
  CHECK(world.next(0s) == "incomplete: left timeout right ok 20");
}

TEST_CASE("where a part may be stale, the last answer stands in with its age until it is too old") {
  World world;
  const Collect collect{.right = {.stale_ok = 60s}};
  world.collect(collect);
  world.answer(world.left, 10);
  world.answer(world.right, 20);
  for (int i = 0; i < 3; ++i) world.next();
  world.sim.advance(30s);

  world.collect(collect);
  world.answer(world.left, 11);
  CHECK(world.next() == "part left ok 11");
  CHECK(world.next() == "part right stale 20 age 31");
  CHECK(world.next(0s) == "complete: left ok 11 right stale 20 age 31");
  world.sim.advance(60s);
  world.right.forget();

  world.collect(collect);
  world.answer(world.left, 12);
  CHECK(world.next() == "part left ok 12");
  CHECK(world.next() == "part right timeout");
  CHECK(world.next(0s) == "incomplete: left ok 12 right timeout");
}

TEST_CASE("the same question under way twice is asked once, and taken back with the last one who waits for it") {
  World world;
  world.collect({.number = 1});
  world.sim.advance(100ms);
  world.collect({.number = 2});
  world.sim.advance(100ms);
  REQUIRE(world.boss.tell(world.collector, GiveUp{1}));
  auto left = world.left.expect<Number>();
  auto right = world.right.expect<Number>();
  REQUIRE(left);
  REQUIRE(right);
  CHECK(world.left.waiting().empty());
  REQUIRE(left->reply(make<Number>(10)));
  REQUIRE(right->reply(make<Number>(20)));
  CHECK(world.next() == "part left ok 10");
  CHECK(world.next() == "part right ok 20");
  CHECK(world.next() == "complete: left ok 10 right ok 20");
  CHECK(world.boss.expect_nothing(5s));
}

TEST_CASE("one who joined late and has time left asks anew when the question that it joined ends") {
  World world;
  world.collect({.number = 1, .deadline = 300ms});
  world.sim.advance(200ms);
  world.collect({.number = 2, .deadline = 1s});
  REQUIRE(world.left.expect<Number>());
  REQUIRE(world.right.expect<Number>());
  CHECK(world.next() == "part left timeout");
  CHECK(world.next() == "part right timeout");
  CHECK(world.next() == "incomplete: left timeout right timeout");
  world.answer(world.left, 10);
  world.answer(world.right, 20);
  CHECK(world.next() == "part left ok 10");
  CHECK(world.next() == "part right ok 20");
  CHECK(world.next() == "complete: left ok 10 right ok 20");
}

TEST_CASE("an asker that stops is told nothing, and leaves nothing behind") {
  World world;
  world.collect({});
  REQUIRE(world.left.expect<Number>());
  REQUIRE(world.boss.stop(world.collector));
  CHECK(world.boss.expect_nothing(5s));
}

TEST_CASE("a projected table has the fields of its mask, at the price of those; no mask stands for all") {
  bff::OrderT order;
  order.status = "cooking";
  order.notes = std::string(500, 'x');
  order.total_minor = 2900;
  for (int i = 0; i < 3; ++i) {
    order.lines.push_back(std::make_unique<bff::LineT>());
    order.lines.back()->name = "dish " + std::to_string(i);
  }
  const auto all = pack(order);
  const auto some = project(*all, field_mask<bff::Order>("status", "lines"));
  CHECK(some->status()->str() == "cooking");
  CHECK(some->total_minor() == 0);
  CHECK(some->notes() == nullptr);
  REQUIRE(some->lines()->size() == 3);
  CHECK(some->lines()->Get(2)->name()->str() == "dish 2");
  CHECK(some->lines()->Get(2)->quantity() == 1);  // the schema's default
  CHECK(some.bytes().size() + 500 < all.bytes().size());
  CHECK(verify_table<bff::Order>(some.bytes()));
  CHECK(project(*all, 0)->notes()->size() == 500);

  const auto minutes = project(
      *make<bff::HandheldView>("late", "", std::int16_t{12}, 0U, std::int64_t{0},
                               flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<flatbuffers::String>>>{}),
      field_mask<bff::HandheldView>("status"));
  CHECK(minutes->minutes() == -1);  // not asked for: its default, not 0
}

}  // namespace
}  // namespace pannier
