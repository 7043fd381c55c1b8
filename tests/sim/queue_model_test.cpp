// The queue of one node against a list: random operations on both, compared after each step and after each crash of the
// node and its disk.

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <pannier/sim.h>
#include "tests/runtime/script.h"
#include "tests/sim/crashing_store.h"
#include "tests/support/campaign.h"
#include "tests/support/fixtures.h"

namespace pannier::testing {
namespace {

using namespace std::chrono_literals;

/// What the consumer holds; the test decides what becomes of it.
struct Hands {
  std::map<std::int64_t, Delivery> held;
  std::vector<std::int64_t> came;  ///< In order, since the last look.
};

struct Holder : Actor<Holder, Number> {
  explicit Holder(Hands* hands) : hands_(hands) {}
  void on_start() { CHECK(consume<Number>("jobs", {.window = 3, .max_attempts = 1'000'000})); }
  void on(const Number& number, Delivery delivery) {
    hands_->held.insert_or_assign(number.value(), std::move(delivery));
    hands_->came.push_back(number.value());
  }

 private:
  Hands* hands_;
};

struct ModelMessage {
  std::int64_t id = 0;
  std::string key;
  bool parked = false;
};

class QueueModel {
 public:
  explicit QueueModel(std::uint64_t seed)
      : simulator_(seed), dice_(simulator_.entropy().next()), store_(simulator_.entropy().next(), dice_) {
    start();
  }

  std::string run(int steps) {
    for (int i = 0; i < steps && wrong_.empty(); ++i) {
      step();
      // Short enough to see what waits for a pause, long enough for it to end.
      simulator_.run_for(dice_.chance(0.5) ? 10ms : 2s);
      compare("step " + std::to_string(i));
    }
    while (wrong_.empty() && !ready_.empty()) {  // In peace everything is handed out, in order, and ends.
      const std::size_t before = ready_.size();
      for (const std::int64_t id : in_hands()) finish(id);
      simulator_.run_for(2s);
      compare("the end");
      if (wrong_.empty() && ready_.size() == before) wrong_ = "what waits is not handed out";
    }
    return wrong_;
  }
  [[nodiscard]] std::uint64_t crashes() const noexcept { return crashes_; }
  [[nodiscard]] std::uint64_t steps() const noexcept { return steps_; }

 private:
  static constexpr std::uint64_t kMost = 30;

  void start() {
    store_.open();
    node_ = std::make_unique<SimNode>(simulator_, nullptr,
                                      NodeOptions{.name = "node", .lanes = {{.name = "jobs", .max_messages = kMost}}},
                                      testkit::Machine{.store = store_.get()});
    hand_ = *(*node_)->spawn<Hand>();
    REQUIRE((*node_)->spawn<Holder>(SpawnOptions{}, &hands_));
    simulator_.run_for(10ms);
  }

  /// The node dies between two operations: all of them were answered.
  void crash() {
    ++crashes_;
    store_.crash();
    hands_.held.clear();
    hands_.came.clear();
    node_.reset();
    store_.close();
    start();
  }

  [[nodiscard]] std::vector<std::int64_t> in_hands() const {
    std::vector<std::int64_t> ids;
    for (const auto& [id, delivery] : hands_.held) ids.push_back(id);
    return ids;
  }
  void forget(std::int64_t id) {
    std::erase_if(ready_, [id](const ModelMessage& each) { return each.id == id; });
  }
  void finish(std::int64_t id) {
    hands_.held.at(id).ack();
    hands_.held.erase(id);
    forget(id);
  }

  void step() {
    ++steps_;
    const std::vector<std::int64_t> held = in_hands();
    const std::int64_t id = held.empty() ? 0 : held[dice_.below(held.size())];
    const std::uint64_t die = dice_.below(100);
    if (die < 4) return crash();
    if (die < 45 || id == 0) return put();
    Delivery delivery = hands_.held.at(id);
    hands_.held.erase(id);
    if (die < 60) {
      delivery.ack();
      forget(id);
    } else if (die < 72) {  // with an effect, and a message that follows from it
      Batch batch;
      const std::string state = "s/" + std::to_string(dice_.below(6));
      batch.put_state(state, make<Number>(id));
      const ModelMessage follows{next_id_++, "key-" + std::to_string(dice_.below(3)), false};
      batch.enqueue("jobs", follows.key, make<Number>(follows.id));
      if (ready_.size() >= kMost) {
        delivery.retry(500ms);
      } else {
        delivery.ack(std::move(batch));
        forget(id);
        state_[state] = id;
        ready_.push_back(follows);
      }
    } else if (die < 84) {
      delivery.retry(500ms, "not now");
    } else if (die < 90) {
      static_cast<void>(delivery);  // without a word
    } else {
      delivery.dead_letter("for a person");
      for (ModelMessage& each : ready_) {
        if (each.id == id) parked_.push_back(each.id);
      }
      forget(id);
    }
  }

  void put() {
    Batch batch;
    std::vector<ModelMessage> added;
    for (std::uint64_t count = 1 + dice_.below(3); count > 0; --count) {
      added.push_back({next_id_++, dice_.chance(0.3) ? "" : "key-" + std::to_string(dice_.below(3)), false});
      batch.enqueue("jobs", added.back().key, make<Number>(added.back().id));
    }
    const bool fits = ready_.size() + added.size() <= kMost;
    std::string answer = "none";
    let(simulator_, **node_, hand_, [&](Hand& self) {
      self.commit(std::move(batch)).then([&answer](Result<Receipt> receipt) {
        answer = receipt ? "stored" : outcome(receipt.error());
      });
    });
    simulator_.run_for(10ms);
    if (answer != (fits ? "stored" : "full"))
      wrong_ = "an enqueue that " + std::string(fits ? "fits" : "does not fit") + ": " + answer;
    if (fits) ready_.insert(ready_.end(), added.begin(), added.end());
  }

  /// What the queue says of itself, what the store holds, and what the consumer was given, against the list.
  void compare(const std::string& when) {
    const auto say = [&](const std::string& what) { wrong_ += when + ": " + what + "\n"; };
    std::map<std::string, std::int64_t> state;
    REQUIRE(store_.get()->state()->read_state("s/", [&](std::string_view key, std::span<const std::byte> value) {
      state[std::string(key)] = flatbuffers::GetRoot<Number>(value.data())->value();
      return true;
    }));
    if (state != state_) say("the state differs");

    const auto streams = streams_of(*store_.get());
    for (const RowState kind : {RowState::ready, RowState::dead_lettered}) {
      std::vector<std::int64_t> found;
      for (const Stream& stream : streams) {
        REQUIRE(store_.get()->read(stream.id, kind, 0, 1000, [&](const Row& row) {
          found.push_back(flatbuffers::GetRoot<Number>(BlockRef::copy_of(row.payload).bytes().data())->value());
          return true;
        }));
      }
      std::vector<std::int64_t> wanted;
      if (kind == RowState::ready) {
        for (const ModelMessage& each : ready_) wanted.push_back(each.id);
      } else {
        wanted = parked_;
        std::sort(found.begin(), found.end());
        std::sort(wanted.begin(), wanted.end());
      }
      if (found != wanted)
        say("it holds " + list(found) + ", not " + list(wanted) +
            (kind == RowState::ready ? " ready" : " dead-lettered"));
    }

    if (hands_.held.size() > 3) say("more in the consumer's hands than its window");
    for (const auto& [number, delivery] : hands_.held) {
      const auto id = number;  // clang 14 captures no structured binding
      const auto at =
          std::find_if(ready_.begin(), ready_.end(), [&](const ModelMessage& each) { return each.id == id; });
      if (at == ready_.end()) {
        say("message " + std::to_string(id) + " was handed out, and is done");
        continue;
      }
      const bool first = at->key.empty() || std::none_of(ready_.begin(), at,
                                                         [&](const ModelMessage& each) { return each.key == at->key; });
      if (!first) say("message " + std::to_string(id) + " was handed out before an older one of its key");
    }
    hands_.came.clear();
  }

  static std::string list(const std::vector<std::int64_t>& ids) {
    std::string text = "[";
    for (const std::int64_t id : ids) text += " " + std::to_string(id);
    return text + " ]";
  }

  sim::Simulator simulator_;
  sim::SeededEntropy dice_;
  Hands hands_;
  CrashingStore store_;
  std::unique_ptr<SimNode> node_;
  ActorRef<Hand> hand_;

  std::vector<ModelMessage> ready_;  ///< In the order of their enqueue.
  std::vector<std::int64_t> parked_;
  std::map<std::string, std::int64_t> state_;
  std::int64_t next_id_ = 1;
  std::string wrong_;
  std::uint64_t crashes_ = 0;
  std::uint64_t steps_ = 0;
};

}  // namespace

TEST_CASE("the queue holds, hands out and forgets what a plain list would, through crashes of node and disk") {
  std::uint64_t crashes = 0;
  std::uint64_t steps = 0;
  run_seeds(30, "the queue holds*", [&](std::uint64_t seed) {
    QueueModel model(seed);
    std::string wrong = model.run(200);
    crashes += model.crashes();
    steps += model.steps();
    return wrong;
  });
  MESSAGE(steps << " steps, " << crashes << " crashes");
}

}  // namespace pannier::testing
