#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <pannier/actor.h>
#include "runtime/actor/system.h"
#include "runtime/store/store.h"
#include "tests/runtime/script.h"
#include "tests/support/store_streams.h"

namespace pannier::testing {

/// A node with a store that the test breaks.
struct Bench {
  explicit Bench(std::vector<LaneOptions> lanes = {}, QueueOptions queue = {})
      : node(simulator, nullptr, NodeOptions{.name = "here", .lanes = std::move(lanes), .queue = queue}) {
    begin();
  }
  void begin() {
    hand = *node->spawn<Hand>();
    simulator.run_for(std::chrono::milliseconds{1});
  }
  /// The next life of a node that was put down by node.crash().
  void start() {
    REQUIRE(node.start());
    begin();
  }
  void restart() {
    REQUIRE(node.restart());
    begin();
  }
  void enqueue(const std::string& lane, const std::string& key, std::int64_t value, EnqueueOptions options = {}) {
    let(simulator, *node, hand, [=, this](Hand& actor) {
      actor.enqueue(lane, key, make<Number>(value), options).then([=, this](Result<Receipt> receipt) {
        script.note(std::to_string(value) + (receipt ? " stored" : " " + outcome(receipt.error())));
        if (receipt) last = *receipt;
      });
    });
  }
  /// Asks the queue, and gives its answer.
  template <class Answer>
  Result<Answer> ask(std::function<Pending<Answer>(QueueControl)> question) {
    std::optional<Result<Answer>> answer;
    let(simulator, *node, hand,
        [&](Hand& actor) { question(actor.queue()).then([&](Result<Answer> given) { answer = std::move(given); }); });
    simulator.run_for(std::chrono::milliseconds{1});
    REQUIRE(answer);
    return std::move(*answer);
  }
  /// What waits in `lane`, ready and delayed, as the application sees it: values in their order.
  std::string waiting(const std::string& lane) {
    std::string all;
    for (const Stream& stream : testing::all_streams(node.store())) {
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
  LaneCounters counters(const std::string& lane) {
    for (const LaneStatus& each : status().lanes) {
      if (each.options.name == lane) return each.counters;
    }
    return {};
  }
  QueueStatus status(std::size_t rows = 0) {
    QueueStatus found;
    let(simulator, *node, hand, [&](Hand& actor) {
      actor.ask<QueueStatus>(LocalRef{node->system().queue}, Inspect{{}, rows}, std::chrono::seconds{1})
          .then([&](Result<QueueStatus> s) {
            REQUIRE(s);
            found = std::move(*s);
          });
    });
    simulator.run_for(std::chrono::milliseconds{1});
    return found;
  }
  std::size_t state(const std::string& prefix) {
    std::size_t count = 0;
    REQUIRE(node.store().state()->read_state(
        prefix, [&](std::string_view, std::span<const std::byte>) { return ++count > 0; }));
    return count;
  }
  void run(Duration span = std::chrono::milliseconds{10}) { simulator.run_for(span); }

  sim::Simulator simulator{7};
  SimNode node;
  ActorRef<Hand> hand;
  Script script;
  Receipt last;  ///< Of the last enqueue that was stored.
};

using OnDelivery = std::function<void(std::int64_t value, const std::string& key, Delivery delivery)>;

struct Consumer : Actor<Consumer, Number> {
  Consumer(std::string lane, ConsumeOptions options, OnDelivery act)
      : lane_(std::move(lane)), options_(options), act_(std::move(act)) {}
  void on_start() { CHECK(consume<Number>(lane_, options_)); }
  void on(const Number& number, const Delivery& delivery) { act_(number.value(), std::string{label()}, delivery); }

 private:
  std::string lane_;
  ConsumeOptions options_;
  OnDelivery act_;
};

}  // namespace pannier::testing
