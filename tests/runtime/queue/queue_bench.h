#pragma once

#include <algorithm>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include <pannier/actor.h>
#include "runtime/store/store.h"
#include "testkit/faulty_store.h"
#include "tests/runtime/script.h"
#include "tests/support/fixtures.h"

namespace pannier::testing {

using namespace std::chrono_literals;

/// What becomes of a delivery; the test says.
using Act = std::function<void(std::int64_t value, const Delivery& delivery)>;

/// Consumes a lane.
struct Consumer : Actor<Consumer, Number> {
  Consumer(std::string lane, ConsumeOptions options, Act act)
      : lane_(std::move(lane)), options_(options), act_(std::move(act)) {}
  void on_start() { CHECK(consume<Number>(lane_, options_)); }
  void on(const Number& number, const Delivery& delivery) { act_(number.value(), delivery); }

 private:
  std::string lane_;
  ConsumeOptions options_;
  Act act_;
};

/// Reads again what a lane has retained.
struct Replayer : Actor<Replayer, Number> {
  Replayer(std::string lane, ReplayOptions options, Act act)
      : lane_(std::move(lane)), options_(std::move(options)), act_(std::move(act)) {}
  void on_start() { CHECK(replay<Number>(lane_, options_)); }
  void on(const Number& number, const Delivery& delivery) { act_(number.value(), delivery); }

 private:
  std::string lane_;
  ReplayOptions options_;
  Act act_;
};

inline Act finish() {
  return [](std::int64_t, const Delivery& delivery) { delivery.ack(); };
}

/// A node with a store that the test breaks, and that outlives it.
struct Bench {
  explicit Bench(std::vector<LaneOptions> lanes = {}, QueueOptions queue = {})
      : node(simulator, nullptr, NodeOptions{.name = "here", .lanes = std::move(lanes), .queue = queue}) {
    begin();
  }
  ~Bench() { hands.clear(); }

  // --- Lives
  void begin() {
    hand = *node->spawn<Hand>();
    run(1ms);
  }
  /// The process ends at once, wherever it is.
  void crash() {
    for (auto& [value, delivery] : hands) delivery.mark_settled();  // nobody is there to hear of it
    hands.clear();
    node.crash();
  }
  void start() {
    REQUIRE(node.start());
    begin();
  }
  void restart() {
    crash();
    start();
  }
  void run(Duration span = 10ms) { simulator.run_for(span); }

  // --- What is done
  void enqueue(const std::string& lane, const std::string& key, std::int64_t value, EnqueueOptions options = {}) {
    let(simulator, *node, hand, [=, this](Hand& actor) {
      actor.enqueue(lane, key, make<Number>(value), options).then([=, this](Result<Receipt> receipt) {
        script.note(std::to_string(value) + (receipt ? " stored" : " " + outcome(receipt.error())));
        if (receipt) last = *receipt;
      });
    });
  }
  ActorRef<Consumer> consume(const std::string& lane, ConsumeOptions options, Act act) {
    const auto actor = node->spawn<Consumer>(SpawnOptions{}, lane, options, std::move(act));
    REQUIRE(actor);
    return *actor;
  }
  void stop(Ref actor) {
    let(simulator, *node, hand, [actor](Hand& self) { self.stop(actor); });
    run();
  }
  /// Asks the queue, and gives its answer.
  template <class Answer>
  Result<Answer> ask(std::function<Pending<Answer>(QueueControl)> question) {
    std::optional<Result<Answer>> answer;
    let(simulator, *node, hand,
        [&](Hand& actor) { question(actor.queue()).then([&](Result<Answer> given) { answer = std::move(given); }); });
    run(1ms);
    REQUIRE(answer);
    return std::move(*answer);
  }
  /// Keeps the delivery, for the test to say what becomes of it.
  Act keep() {
    return [this](std::int64_t value, const Delivery& delivery) { hands.insert_or_assign(value, delivery); };
  }
  Delivery take(std::int64_t value) { return hands.extract(value).mapped(); }

  // --- What is there
  QueueStatus status(std::size_t rows = 100) {
    auto found = ask<QueueStatus>([rows](QueueControl queue) { return queue.inspect({{}, rows}); });
    REQUIRE(found);
    return std::move(*found);
  }
  LaneCounters counters(const std::string& lane) {
    for (const LaneStatus& each : status(0).lanes) {
      if (each.options.name == lane) return each.counters;
    }
    return {};
  }
  /// What waits in `lane`, ready and delayed, as the application sees it: values in their order.
  std::string waiting(const std::string& lane) {
    std::string all;
    for (const Stream& stream : streams_of(node.store())) {
      if (stream.lane != lane) continue;
      for (const RowState state : {RowState::ready, RowState::delayed}) {
        REQUIRE(node.store().read(stream.id, state, 0, 1000, [&](const Row& row) {
          const auto number = AnyTable{row.type, nullptr, BlockRef::copy_of(row.payload)}.as<Number>();
          all += (all.empty() ? "" : " ") + std::to_string((*number)->value());
          return true;
        }));
      }
    }
    return all;
  }
  std::size_t state(const std::string& prefix) {
    std::size_t count = 0;
    REQUIRE(node.store().state()->read_state(
        prefix, [&](std::string_view, std::span<const std::byte>) { return ++count > 0; }));
    return count;
  }

  sim::Simulator simulator{7};
  SimNode node;
  ActorRef<Hand> hand;
  Script script;
  Receipt last;  ///< Of the last enqueue that was stored.
  std::map<std::int64_t, Delivery> hands;
};

/// The same with one lane, "jobs". Consumers and readers have names, which they put before what they got.
struct LaneBench : Bench {
  explicit LaneBench(LaneOptions jobs = {}, QueueOptions queue = {}) : Bench({named(std::move(jobs))}, queue) {}
  static LaneOptions named(LaneOptions options) {
    options.name = "jobs";
    return options;
  }

  void enqueue(std::int64_t value, std::string key = "", EnqueueOptions options = {}) {
    let(simulator, *node, hand, [=](Hand& self) { self.enqueue("jobs", key, make<Number>(value), options).forget(); });
  }
  void enqueue(std::initializer_list<std::int64_t> values, const std::string& key = "") {
    for (const std::int64_t value : values) enqueue(value, key);
  }
  ActorRef<Consumer> consumer(const std::string& name, ConsumeOptions options, Act act) {
    const auto actor = consume("jobs", options, noting(name, std::move(act)));
    run();
    return actor;
  }
  ActorRef<Replayer> reader(const std::string& name, ReplayOptions options, Act act) {
    const auto actor = node->spawn<Replayer>(SpawnOptions{}, "jobs", std::move(options), noting(name, std::move(act)));
    REQUIRE(actor);
    run();
    return *actor;
  }
  Act noting(std::string name, Act act) {
    return [this, name = std::move(name), act = std::move(act)](std::int64_t value, const Delivery& delivery) {
      script.note(name + std::to_string(value));
      act(value, delivery);
    };
  }
  template <class Answer>
  Answer asked(std::function<Pending<Answer>(QueueControl queue)> question) {
    auto answer = ask<Answer>(std::move(question));
    REQUIRE(answer);
    if constexpr (!std::is_void_v<Answer>) return std::move(*answer);
  }
  LaneCounters counters() { return Bench::counters("jobs"); }
  std::uint64_t load(RowState state) {
    const Stream* stream = node.store().find_stream(Box::inbox, {}, "jobs");
    return stream == nullptr ? 0 : (*stream)[state].messages;
  }
  /// "2 dead-lettered: why" for each row in that state.
  std::string rows(RowState state) {
    std::string all;
    for (const RowStatus& row : status().rows) {
      if (row.state == state) all += (all.empty() ? "" : "; ") + std::to_string(row.id) + " " + row.waits_for;
    }
    return all;
  }
};

}  // namespace pannier::testing
