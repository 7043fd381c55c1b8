#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include <pannier/actor.h>
#include "testkit/faulty_store.h"
#include "testkit/memory_store.h"
#include "tests/runtime/script.h"
#include "tests/support/store_streams.h"

namespace pannier::testing {

using namespace std::chrono_literals;

/// Takes messages of lane "jobs" and does with each what the test says. It says its name with each.
struct Hauler : Actor<Hauler, Number> {
  using Act = std::function<void(std::int64_t value, const Delivery& delivery)>;
  Hauler(std::string name, Script* script, ConsumeOptions options, Act act)
      : name_(std::move(name)), script_(script), options_(options), act_(std::move(act)) {}
  void on_start() { CHECK(consume<Number>("jobs", options_)); }
  void on(const Number& number, const Delivery& delivery) {
    script_->note(name_ + std::to_string(number.value()));
    act_(number.value(), delivery);
  }

 private:
  std::string name_;
  Script* script_;
  ConsumeOptions options_;
  Act act_;
};

/// Reads again what lane "jobs" has kept.
struct Historian : Actor<Historian, Number> {
  Historian(std::string name, Script* script, ReplayOptions options, Hauler::Act act)
      : name_(std::move(name)), script_(script), options_(std::move(options)), act_(std::move(act)) {}
  void on_start() { CHECK(replay<Number>("jobs", options_)); }
  void on(const Number& number, const Delivery& delivery) {
    script_->note(name_ + std::to_string(number.value()));
    act_(number.value(), delivery);
  }

 private:
  std::string name_;
  Script* script_;
  ReplayOptions options_;
  Hauler::Act act_;
};

inline Hauler::Act finish() {
  return [](std::int64_t, const Delivery& delivery) { delivery.ack(); };
}

/// A node with one lane, "jobs", that lives as often as the test wants on one store in memory.
struct LaneBench {
  explicit LaneBench(LaneOptions jobs = {}) : lane(std::move(jobs)) {
    lane.name = "jobs";
    start();
  }
  ~LaneBench() { hands.clear(); }

  void start() {
    node.emplace(simulator, nullptr, NodeOptions{.name = "here", .lanes = {lane}}, testkit::Machine{.store = &store});
    hand = *(*node)->spawn<Hand>();
    run(1ms);
  }
  /// The process ends at once, wherever it is.
  void die() {
    for (auto& [value, delivery] : hands) delivery.mark_settled();  // nobody is there to hear of it
    hands.clear();
    node.reset();
    real.rollback();
  }
  void restart() {
    die();
    start();
  }
  void run(Duration span = 10ms) { simulator.run_for(span); }
  void enqueue(std::int64_t value, std::string key = "", EnqueueOptions options = {}) {
    let(simulator, **node, hand, [=](Hand& self) { self.enqueue("jobs", key, make<Number>(value), options).forget(); });
  }
  void enqueue(std::initializer_list<std::int64_t> values, const std::string& key = "") {
    for (const std::int64_t value : values) enqueue(value, key);
  }
  ActorRef<Hauler> consumer(const std::string& name, ConsumeOptions options, Hauler::Act act) {
    const auto actor = (*node)->spawn<Hauler>(SpawnOptions{}, name, &script, options, std::move(act));
    REQUIRE(actor);
    run();
    return *actor;
  }
  ActorRef<Historian> reader(const std::string& name, ReplayOptions options, Hauler::Act act) {
    const auto actor = (*node)->spawn<Historian>(SpawnOptions{}, name, &script, std::move(options), std::move(act));
    REQUIRE(actor);
    run();
    return *actor;
  }
  /// Keeps the delivery, for the test to say what becomes of it.
  Hauler::Act keep() {
    return [this](std::int64_t value, const Delivery& delivery) { hands.insert_or_assign(value, delivery); };
  }
  Delivery take(std::int64_t value) { return hands.extract(value).mapped(); }
  void stop(Ref actor) {
    let(simulator, **node, hand, [actor](Hand& self) { self.stop(actor); });
    run();
  }
  template <class Answer>
  Answer asked(std::function<Pending<Answer>(QueueControl queue)> question) {
    std::optional<Result<Answer>> answer;
    let(simulator, **node, hand,
        [&](Hand& self) { question(self.queue()).then([&](Result<Answer> found) { answer = std::move(found); }); });
    run(1ms);
    REQUIRE(answer);
    REQUIRE(*answer);
    if constexpr (!std::is_void_v<Answer>) return std::move(**answer);
  }
  QueueStatus status(std::size_t rows = 100) {
    return asked<QueueStatus>([rows](QueueControl queue) { return queue.inspect({{}, rows}); });
  }
  LaneCounters counters() { return status(0).lanes.at(0).counters; }
  /// "2 dead-lettered: why" for each row in that state.
  std::string rows(RowState state) {
    std::string all;
    for (const RowStatus& row : status().rows) {
      if (row.state == state) all += (all.empty() ? "" : "; ") + std::to_string(row.id) + " " + row.waits_for;
    }
    return all;
  }
  std::uint64_t load(RowState state) {
    const auto streams = Result<std::vector<Stream>>(testing::all_streams(real));
    REQUIRE(streams);
    for (const Stream& stream : *streams) {
      if (stream.lane == "jobs") return stream[state].messages;
    }
    return 0;
  }

  LaneOptions lane;
  sim::Simulator simulator{7};
  sim::SeededEntropy entropy{7};
  testkit::MemoryStore real{entropy};
  testkit::FaultyStore store{real};
  Script script;
  std::optional<SimNode> node;
  ActorRef<Hand> hand;
  std::map<std::int64_t, Delivery> hands;
};

}  // namespace pannier::testing
