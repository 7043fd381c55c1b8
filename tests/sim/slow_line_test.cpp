#include <doctest/doctest.h>

#include <pannier/simulation.h>
#include "tests/runtime/script.h"

namespace pannier::testing {
namespace {

using namespace std::chrono_literals;
using testkit::Probe;
using testkit::Simulation;

/// Takes the next message of a lane and is done with it.
template <class T>
bool take(Probe& consumer, Duration within) {
  auto got = consumer.find<T>(within);
  return got.ok() && got->ack().ok();
}

double seconds(Duration span) { return std::chrono::duration<double>(span).count(); }

/// A van whose line to the hub carries so many bytes a second, each way.
struct Line {
  explicit Line(std::uint64_t bytes_per_second)
      : rate(bytes_per_second),
        hub(sim.add({.name = "hub", .listen = {"sim://hub"}})),
        van(sim.add({.name = "van",
                     .links = {{"hub", "sim://hub"}},
                     .lanes = {{.name = "orders", .priority = 10}, {.name = "photos"}}})),
        cook(hub.probe()),
        driver(van.probe()) {
    sim.network().set_path("hub", "van", {.bytes_per_second = rate});
    REQUIRE(cook.consume("photos"));
    sim.advance(5s);
  }
  Result<Receipt> enqueue(const char* address, std::size_t bytes) {
    return driver.enqueue(address, "k", note(std::string(bytes, 'x')));
  }
  /// What the line alone takes for so many bytes.
  [[nodiscard]] Duration time_of(std::size_t bytes) const { return std::chrono::seconds{bytes / rate}; }

  std::uint64_t rate;
  Simulation sim{7};
  testkit::SimNode& hub;
  testkit::SimNode& van;
  Probe cook;
  Probe driver;
};

TEST_CASE("a payload that a slow line needs minutes for arrives over one link, at the line's speed") {
  for (const std::uint64_t rate : {2000U, 4000U, 16000U}) {
    CAPTURE(rate);
    Line line{rate};
    const std::size_t bytes = 250 * 1024;
    const MonoTime began = line.sim.now();
    REQUIRE(line.enqueue("hub/photos", bytes));
    REQUIRE(take<Note>(line.cook, 30min));
    const Duration took = line.sim.now() - began;
    MESSAGE(rate << " B/s: " << seconds(took) << " s, " << seconds(line.time_of(bytes)) << " s by the line alone");
    CHECK(took < line.time_of(bytes) * 13 / 10);
    CHECK(line.sim.network().counters().dials == 1);
    CHECK(line.sim.network().counters().bytes_delivered < bytes * 5 / 4);  // nothing was sent twice
    CHECK_FALSE(line.hub.log().has("nothing heard"));
  }
}

TEST_CASE("large payloads both ways over a slow line keep the link up and arrive") {
  Line line{2000};
  Probe home = line.van.probe();
  REQUIRE(home.consume("photos"));
  REQUIRE(line.enqueue("hub/photos", 100 * 1024));
  REQUIRE(line.cook.enqueue("van/photos", "k", note(std::string(100 * 1024, 'y'))));
  CHECK(take<Note>(line.cook, 10min));
  CHECK(take<Note>(home, 10min));
  CHECK(line.sim.network().counters().dials == 1);
}

TEST_CASE("a thousand small messages over a slow line arrive over one link") {
  for (const std::uint64_t rate : {2000U, 4000U, 16000U}) {
    CAPTURE(rate);
    Line line{rate};
    line.sim.network().cut("hub", "van", sim::Cut::reported);
    for (int i = 0; i < 1000; ++i) REQUIRE(line.enqueue("hub/photos", 200));
    line.sim.network().heal_all();
    const std::uint64_t dials = line.sim.network().counters().dials;
    for (int i = 0; i < 1000; ++i) REQUIRE(take<Note>(line.cook, 5min));
    CHECK(line.sim.network().counters().dials <= dials + 1);
    CHECK_FALSE(line.hub.log().has("nothing heard"));
  }
}

/// How long each of 20 orders, one every 10 s, waits while a photo is on its way.
TEST_CASE("an urgent message waits for at most one piece of a large one, and so does a question") {
  for (const std::uint64_t rate : {2000U, 4000U, 16000U}) {
    CAPTURE(rate);
    Line line{rate};
    struct Echo : Actor<Echo, Number> {
      Table<Number> on(const Number& number) { return make<Number>(number.value() + 1); }
    };
    line.hub.spawn<Echo>(SpawnOptions{.name = "echo"});
    Probe pass = line.hub.probe();
    REQUIRE(pass.consume("orders"));
    for (int photo = 0; photo < 16; ++photo) REQUIRE(line.enqueue("hub/photos", 250 * 1024));
    line.sim.advance(20s);  // the line is measured
    Duration order{};
    Duration question{};
    for (int i = 0; i < 20; ++i) {
      MonoTime began = line.sim.now();
      REQUIRE(line.driver.enqueue("hub/orders", "", make<Number>(i)));
      REQUIRE(take<Number>(pass, 10s));
      order = std::max(order, line.sim.now() - began);
      began = line.sim.now();
      Result<Table<Number>> answer = ErrorCode::timeout;
      REQUIRE(line.driver.let([&](testkit::ProbeActor& self) {
        self.ask<Number>(self.ref("hub/echo"), make<Number>(1), 10s).then([&](Result<Table<Number>> given) {
          answer = std::move(given);
        });
      }));
      REQUIRE(line.sim.run_until([&] { return answer.ok(); }, 10s));
      question = std::max(question, line.sim.now() - began);
    }
    MESSAGE(rate << " B/s: an order waited " << seconds(order) << " s at most, a question " << seconds(question));
    // A piece and its frame of the least size, the record itself, and the way there and back.
    const Duration piece = std::max<Duration>(1500ms * 1000 / rate, 300ms);
    CHECK(order < piece + 300ms);
    CHECK(question < piece + 300ms);
    CHECK(line.sim.network().counters().dials == 1);
  }
}

TEST_CASE("a fast line is kept full: nothing is cut, and no time is lost waiting for echoes") {
  Line line{10'000'000};
  const MonoTime began = line.sim.now();
  for (int i = 0; i < 200; ++i) REQUIRE(line.enqueue("hub/photos", 250 * 1024));
  const std::uint64_t frames = line.sim.network().counters().frames_sent;
  for (int i = 0; i < 200; ++i) REQUIRE(take<Note>(line.cook, 1min));
  MESSAGE("50 MB in " << seconds(line.sim.now() - began) << " s, " << line.sim.network().counters().frames_sent - frames
                      << " frames");
  CHECK(line.sim.now() - began < 8s);  // 5 s by the line alone
}

}  // namespace
}  // namespace pannier::testing
