#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "tests/runtime/script.h"

/// What queue_features_test.cpp holds the queue against: consumers that keep what they are given, and lists.
namespace pannier::testing {

struct Desk {
  std::map<std::int64_t, Delivery> held;  ///< Of jobs: the test decides what becomes of them.
  std::map<std::int64_t, MonoTime> came;  ///< When they were handed out.
  std::vector<std::int64_t> read;         ///< Of what is kept, by the reader, in order.
};

struct Keeper : Actor<Keeper, Number> {
  explicit Keeper(Desk* desk) : desk_(desk) {}
  void on_start() { CHECK(consume<Number>("jobs", {.window = 3, .max_attempts = 1'000'000})); }
  void on(const Number& number, Delivery delivery) {
    desk_->held.insert_or_assign(number.value(), std::move(delivery));
    desk_->came[number.value()] = now();
  }

 private:
  Desk* desk_;
};
struct Doer : Actor<Doer, Number> {
  void on_start() { CHECK(consume<Number>("kept")); }
  void on(const Number& /*number*/, const Delivery& delivery) { delivery.ack(); }
};
struct Reader : Actor<Reader, Number> {
  explicit Reader(Desk* desk) : desk_(desk) {}
  void on_start() { CHECK(replay<Number>("kept", {.reader = "reader", .from = Replay::earliest, .window = 1})); }
  void on(const Number& number, const Delivery& delivery) {
    desk_->read.push_back(number.value());
    delivery.ack();
  }

 private:
  Desk* desk_;
};

/// A message of the model.
struct Message {
  std::int64_t id = 0;
  std::string key;
  Sequence receipt = 0;
  std::optional<MonoTime> due;  ///< Delayed until then.
  MonoTime expires_at = kNever;
};
using Messages = std::vector<Message>;

inline std::vector<std::int64_t> ids(const Messages& messages) {
  std::vector<std::int64_t> all;
  for (const Message& each : messages) all.push_back(each.id);
  return all;
}
inline std::vector<std::int64_t> sorted(std::vector<std::int64_t> all) {
  std::sort(all.begin(), all.end());
  return all;
}
inline std::string list(const std::vector<std::int64_t>& all) {
  std::string text = "[";
  for (const std::int64_t id : all) text += " " + std::to_string(id);
  return text + " ]";
}

}  // namespace pannier::testing
