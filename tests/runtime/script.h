#pragma once

#include <algorithm>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <pannier/actor.h>
#include <pannier/node.h>
#include <pannier/simulation.h>
#include "tests/runtime/schema/messages.fbs.h"

namespace pannier::testing {

using testkit::SimNode;

/// What happened, in order, as a test reads it. Any thread may write.
struct Script {
  void note(std::string line) {
    const std::lock_guard hold{mutex};
    lines.push_back(std::move(line));
  }
  [[nodiscard]] std::string text() {
    const std::lock_guard hold{mutex};
    std::string all;
    for (const std::string& line : lines) all += (all.empty() ? "" : "; ") + line;
    return all;
  }
  std::string take() {
    std::string all = text();
    const std::lock_guard hold{mutex};
    lines.clear();
    return all;
  }
  /// The same, where the order says nothing: sorted.
  std::string take_sorted() {
    {
      const std::lock_guard hold{mutex};
      std::sort(lines.begin(), lines.end());
    }
    return take();
  }
  std::mutex mutex;
  std::vector<std::string> lines;
};

/// An actor that does what the test tells it to, in its own turn.
struct Hand : Actor<Hand, std::function<void(Hand&)>> {
  using Order = std::function<void(Hand&)>;
  void on(const Order& order) { order(*this); }

  using Actor::after;
  using Actor::announce_sleep;
  using Actor::ask;
  using Actor::cancel;
  using Actor::clear_retained;
  using Actor::commit;
  using Actor::enqueue;
  using Actor::enqueue_topic;
  using Actor::every;
  using Actor::fetch;
  using Actor::now;
  using Actor::on_room;
  using Actor::publish;
  using Actor::queue;
  using Actor::read_state;
  using Actor::ref;
  using Actor::routes;
  using Actor::stop;
  using Actor::tell;
  using Actor::topic_counters;
};

/// Runs `order` in a turn of `hand`, and what follows from it at once.
inline void let(sim::Simulator& simulator, Node& node, ActorRef<Hand> hand, Hand::Order order) {
  CHECK(node.tell(hand, std::move(order)));
  simulator.run_for(std::chrono::milliseconds{1});
}

inline Table<Note> note(std::string text) {
  NoteT object;
  object.text = std::move(text);
  return pack(object);
}

inline std::string outcome(const Error& error) { return std::string{to_string(error.code)}; }

}  // namespace pannier::testing
