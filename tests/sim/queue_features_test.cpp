// What a lane can do beyond holding and handing out, against plain lists: delay, expiry, tokens, cancellation, parked
// messages sent again and purged, eviction, replay; random operations, compared after each, through crashes.

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include <pannier/sim.h>
#include "tests/runtime/queue/queue_bench.h"
#include "tests/sim/crashing_store.h"
#include "tests/support/campaign.h"

namespace pannier::testing {
namespace {

/// A message of the model.
struct Message {
  std::int64_t id = 0;
  std::string key;
  Sequence receipt = 0;
  std::optional<MonoTime> due;  ///< Delayed until then.
  MonoTime expires_at = kNever;
};
using Messages = std::vector<Message>;

std::vector<std::int64_t> ids(const Messages& messages) {
  std::vector<std::int64_t> all;
  for (const Message& each : messages) all.push_back(each.id);
  return all;
}
std::vector<std::int64_t> sorted(std::vector<std::int64_t> all) {
  std::sort(all.begin(), all.end());
  return all;
}
std::string list(const std::vector<std::int64_t>& all) {
  std::string text = "[";
  for (const std::int64_t id : all) text += " " + std::to_string(id);
  return text + " ]";
}

class FeatureModel {
 public:
  explicit FeatureModel(std::uint64_t seed)
      : simulator_(seed), dice_(simulator_.entropy().next()), store_(simulator_.entropy().next(), dice_) {
    start();
  }
  ~FeatureModel() { held_.clear(); }
  FeatureModel(const FeatureModel&) = delete;
  FeatureModel& operator=(const FeatureModel&) = delete;

  std::string run(int steps) {
    for (int i = 0; i < steps && wrong_.empty(); ++i) {
      step();
      pass(dice_.chance(0.5) ? 10ms : 2s);
      compare("step " + std::to_string(i));
    }
    // In peace what is delayed comes, and all is handed out and ends.
    for (int i = 0; i < 200 && wrong_.empty() && !(ready_.empty() && delayed_.empty()); ++i) {
      for (const std::int64_t id : in_hands()) finish(id);
      pass(2s);
      compare("the end");
    }
    if (wrong_.empty() && !(ready_.empty() && delayed_.empty())) wrong_ = "what waits is not handed out";
    if (wrong_.empty() && read_.empty() != handled_.empty()) wrong_ = "nothing was replayed";
    return wrong_;
  }
  std::map<std::string, std::uint64_t> done;  ///< What was tried how often.

 private:
  static constexpr std::size_t kCapped = 6;
  static constexpr std::size_t kKept = 8;

  void start() {
    store_.open();
    node_ = std::make_unique<SimNode>(
        simulator_, nullptr,
        NodeOptions{.name = "node",
                    .lanes = {{.name = "capped", .max_messages = kCapped, .eviction = Eviction::oldest},
                              {.name = "latest", .max_messages = 1000, .eviction = Eviction::latest_per_key},
                              {.name = "kept", .retention = {.messages = kKept}}}},
        testkit::Machine{.store = store_.get()});
    hand_ = *(*node_)->spawn<Hand>();
    const auto hold = [this](std::int64_t id, const Delivery& delivery) {
      held_.insert_or_assign(id, delivery);
      came_[id] = simulator_.now();
    };
    const auto read = [this](std::int64_t id, const Delivery& delivery) {
      read_.push_back(id);
      delivery.ack();
    };
    REQUIRE((*node_)->spawn<Consumer>(SpawnOptions{}, "jobs", ConsumeOptions{.window = 3, .max_attempts = 1'000'000},
                                      Act{hold}));
    REQUIRE((*node_)->spawn<Consumer>(SpawnOptions{}, "kept", ConsumeOptions{}, testing::finish()));
    REQUIRE((*node_)->spawn<Replayer>(
        SpawnOptions{}, "kept", ReplayOptions{.reader = "reader", .from = Replay::earliest, .window = 1}, Act{read}));
    pass(10ms);
  }

  void crash() {
    ++done["crash"];
    store_.crash();
    held_.clear();
    node_.reset();
    store_.close();
    just_crashed_ = true;
    start();
  }

  /// Time goes by, and what is due or over by then with it.
  void pass(Duration span) {
    simulator_.run_for(span);
    const MonoTime now = simulator_.now();
    // One that expires before it is due goes when it expires.
    const auto ends = [](const Message& message) { return std::min(*message.due, message.expires_at); };
    std::stable_sort(delayed_.begin(), delayed_.end(),
                     [&](const Message& left, const Message& right) { return ends(left) < ends(right); });
    while (!delayed_.empty() && ends(delayed_.front()) <= now) {
      Message message = delayed_.front();
      delayed_.erase(delayed_.begin());
      if (message.expires_at > *message.due) ready_.push_back(message);
    }
    std::erase_if(ready_, [&](const Message& each) {
      if (each.expires_at > now) return false;
      over_.emplace(each.id, each);
      return true;  // One that is in hands may end well all the same.
    });
    check_reader();
  }

  void check_reader() {
    for (; seen_ < read_.size(); ++seen_) {
      const std::int64_t id = read_[seen_];
      const bool again = just_crashed_ && next_read_ > 0 && handled_[next_read_ - 1] == id;
      const bool next = next_read_ < handled_.size() && handled_[next_read_] == id;
      if (next) ++next_read_;
      if (!next && !again) wrong_ += "the reader was given " + std::to_string(id) + " out of order\n";
      just_crashed_ = false;
    }
  }

  [[nodiscard]] std::vector<std::int64_t> in_hands() const {
    std::vector<std::int64_t> ids;
    for (const auto& [id, delivery] : held_) ids.push_back(id);
    return ids;
  }
  static std::optional<Message> take(Messages& from, std::int64_t id) {
    const auto at = std::find_if(from.begin(), from.end(), [id](const Message& each) { return each.id == id; });
    if (at == from.end()) return std::nullopt;
    Message taken = *at;
    from.erase(at);
    return taken;
  }
  void finish(std::int64_t id) {
    held_.at(id).ack();
    held_.erase(id);
    static_cast<void>(take(ready_, id));
  }

  template <class Answer>
  Result<Answer> ask(const std::function<Pending<Answer>(Hand&)>& question) {
    std::optional<Result<Answer>> answer;
    let(simulator_, **node_, hand_,
        [&](Hand& self) { question(self).then([&answer](Result<Answer> given) { answer = std::move(given); }); });
    pass(10ms);
    REQUIRE(answer.has_value());
    return std::move(*answer);
  }

  void step() {
    const std::uint64_t die = dice_.below(100);
    if (die < 4) return crash();
    if (die < 30) return put_job();
    if (die < 36) return put_with_token();
    if (die < 44) return put_capped();
    if (die < 52) return put_latest();
    if (die < 60) return put_kept();
    if (die < 70) return cancel();
    if (die < 74) return redrive();
    if (die < 77) return purge();
    settle();
  }

  Receipt enqueue(const std::string& lane, const std::string& key, std::int64_t id,
                  const EnqueueOptions& options = {}) {
    const auto receipt = ask<Receipt>([&](Hand& self) { return self.enqueue(lane, key, make<Number>(id), options); });
    if (!receipt) wrong_ += "an enqueue into " + lane + ": " + receipt.error().text() + "\n";
    return receipt ? *receipt : Receipt{};
  }
  std::string any_key() { return dice_.chance(0.3) ? "" : "key-" + std::to_string(dice_.below(3)); }

  void put_job() {
    ++done["job"];
    EnqueueOptions options;
    // Never two at one moment, so that their order is told.
    if (dice_.chance(0.4)) options.delay = 1us * static_cast<std::int64_t>(1 + dice_.below(10'000'000));
    if (dice_.chance(0.4)) options.expires_in = 1us * static_cast<std::int64_t>(1 + dice_.below(12'000'000));
    Message job{next_id_++, any_key(), 0, std::nullopt, kNever};
    const MonoTime now = simulator_.now();
    if (options.delay > Duration::zero()) job.due = now + options.delay;
    if (options.expires_in > Duration::zero()) job.expires_at = now + options.expires_in;
    (job.due ? delayed_ : ready_).push_back(job);  // Before: it may be due, or over, by the time the receipt is here.
    note_receipt(job.id, enqueue("jobs", job.key, job.id, options).sequence);
  }
  void note_receipt(std::int64_t id, Sequence receipt) {
    for (Messages* each : {&ready_, &delayed_}) {
      for (Message& message : *each) {
        if (message.id == id) message.receipt = receipt;
      }
    }
    if (const auto over = over_.find(id); over != over_.end()) over->second.receipt = receipt;
  }

  void put_with_token() {
    ++done["token"];
    const std::string token = "token-" + std::to_string(dice_.below(12));
    const auto known = tokens_.find(token);
    const Message job{next_id_++, any_key(), 0, std::nullopt, kNever};
    if (known == tokens_.end()) ready_.push_back(job);
    const Receipt receipt = enqueue("jobs", job.key, job.id, {.token = token});
    if (receipt.duplicate != (known != tokens_.end())) wrong_ += "a token is known, and is not\n";
    if (known != tokens_.end() && receipt.sequence != known->second) wrong_ += "a token has another number\n";
    if (known != tokens_.end()) return;
    tokens_[token] = receipt.sequence;
    note_receipt(job.id, receipt.sequence);
  }

  void put_capped() {
    ++done["capped"];
    const std::int64_t id = next_id_++;
    static_cast<void>(enqueue("capped", any_key(), id));
    if (capped_.size() == kCapped) capped_.erase(capped_.begin());
    capped_.push_back(id);
  }

  void put_latest() {
    ++done["latest"];
    const Message message{next_id_++, any_key(), 0, std::nullopt, kNever};
    static_cast<void>(enqueue("latest", message.key, message.id));
    if (!message.key.empty()) std::erase_if(latest_, [&](const Message& each) { return each.key == message.key; });
    latest_.push_back(message);
  }

  void put_kept() {
    ++done["kept"];
    handled_.push_back(next_id_++);
    static_cast<void>(enqueue("kept", any_key(), handled_.back()));
  }

  void cancel() {
    Messages all = ready_;
    all.insert(all.end(), delayed_.begin(), delayed_.end());
    all.insert(all.end(), parked_.begin(), parked_.end());
    if (all.empty()) return;
    ++done["cancel"];
    const Message chosen = all[dice_.below(all.size())];
    const bool held = held_.contains(chosen.id);
    const MonoTime now = simulator_.now();
    const bool soon_over = chosen.expires_at <= now + 1ms || (chosen.due && *chosen.due <= now + 1ms);
    if (soon_over) return;  // Which comes first is not told.
    if (!held) {
      for (Messages* each : {&ready_, &delayed_, &parked_}) static_cast<void>(take(*each, chosen.id));
    }
    const auto answer = ask<Cancelled>([&](Hand& self) { return self.queue().cancel(chosen.receipt); });
    const std::string said = answer ? "done" : outcome(answer.error());
    const std::string wanted = held ? "in_use" : "done";
    if (said != wanted)
      wrong_ += "to cancel " + std::to_string(chosen.id) + " answers " + said + ", not " + wanted + "\n";
  }

  void redrive() {
    ++done["redrive"];
    // In the order of their receipts, behind all others.
    std::stable_sort(parked_.begin(), parked_.end(),
                     [](const Message& left, const Message& right) { return left.receipt < right.receipt; });
    const Messages again = std::exchange(parked_, {});
    ready_.insert(ready_.end(), again.begin(), again.end());
    const auto answer = ask<DeadLetterCount>([&](Hand& self) { return self.queue().redrive({.lane = "jobs"}); });
    if (!answer || answer->messages != again.size()) wrong_ += "a redrive moved another number of messages\n";
  }

  void purge() {
    ++done["purge"];
    const std::size_t gone = std::exchange(parked_, {}).size();
    const auto answer = ask<DeadLetterCount>([&](Hand& self) { return self.queue().purge({.lane = "jobs"}); });
    if (!answer || answer->messages != gone) wrong_ += "a purge erased another number of messages\n";
  }

  void settle() {
    const std::vector<std::int64_t> held = in_hands();
    if (held.empty()) return;
    ++done["settle"];
    const std::int64_t id = held[dice_.below(held.size())];
    const std::uint64_t die = dice_.below(10);
    if (die < 4) return finish(id);
    const Delivery delivery = held_.at(id);
    held_.erase(id);
    if (die < 6) {
      delivery.retry(500ms, "not now");
    } else {
      delivery.dead_letter("for a person");
      // One that was over while it was in hands waits for a person, too; sent again it is over at once.
      const std::optional<Message> parked = take(ready_, id);
      parked_.push_back(parked ? *parked : over_.at(id));
      over_.erase(id);
    }
  }
  template <class See>
  void each_row(const std::string& lane, See&& see) {
    for (const Stream& stream : streams_of(*store_.get())) {
      if (stream.lane != lane) continue;
      for (const RowState state : kAllRowStates) {
        REQUIRE(store_.get()->read(stream.id, state, 0, 1000, [&](const Row& row) {
          see(row, flatbuffers::GetRoot<Number>(BlockRef::copy_of(row.payload).bytes().data())->value());
          return true;
        }));
      }
    }
  }

  void compare(const std::string& when) {
    const auto check = [&](const std::string& what, const std::vector<std::int64_t>& found,
                           const std::vector<std::int64_t>& wanted) {
      if (found != wanted) wrong_ += when + ": " + what + " " + list(found) + ", not " + list(wanted) + "\n";
    };
    std::map<RowState, std::vector<std::int64_t>> jobs;
    each_row("jobs", [&](const Row& row, std::int64_t id) {
      if (!(over_.contains(id) && row.state == RowState::ready)) jobs[row.state].push_back(id);
    });
    check("ready", jobs[RowState::ready], ids(ready_));
    std::sort(jobs[RowState::delayed].begin(), jobs[RowState::delayed].end());
    std::sort(jobs[RowState::dead_lettered].begin(), jobs[RowState::dead_lettered].end());
    check("delayed", jobs[RowState::delayed], sorted(ids(delayed_)));
    check("parked", jobs[RowState::dead_lettered], sorted(ids(parked_)));
    std::vector<std::int64_t> capped;
    std::vector<std::int64_t> latest;
    std::map<RowState, std::vector<std::int64_t>> kept;
    each_row("capped", [&](const Row&, std::int64_t id) { capped.push_back(id); });
    each_row("latest", [&](const Row&, std::int64_t id) { latest.push_back(id); });
    each_row("kept", [&](const Row& row, std::int64_t id) { kept[row.state].push_back(id); });
    check("capped", capped, capped_);
    check("latest", latest, ids(latest_));
    // The newest may wait to be handled, behind what may have ended an earlier life.
    const auto wait =
        handled_.end() - static_cast<std::ptrdiff_t>(std::min(kept[RowState::ready].size(), handled_.size()));
    const auto left = std::min(wait - handled_.begin(), static_cast<std::ptrdiff_t>(kKept));
    check("waits to be kept", kept[RowState::ready], {wait, handled_.end()});
    check("kept", kept[RowState::retained], {wait - left, wait});

    if (held_.size() > 3) wrong_ += when + ": more in hands than the window\n";
    for (const auto& [number, delivery] : held_) {
      const auto id = number;  // clang 14 captures no structured binding
      const auto at = std::find_if(ready_.begin(), ready_.end(), [&](const Message& each) { return each.id == id; });
      if (at == ready_.end()) {
        const auto over = over_.find(id);  // Since; what was over before is not handed out.
        if (over == over_.end()) wrong_ += when + ": " + std::to_string(id) + " is handed out, and is not ready\n";
        if (over != over_.end() && over->second.expires_at <= came_.at(id)) {
          wrong_ += when + ": " + std::to_string(id) + " was handed out after its time\n";
        }
        continue;
      }
      const bool first =
          at->key.empty() || std::none_of(ready_.begin(), at, [&](const Message& each) { return each.key == at->key; });
      if (!first) wrong_ += when + ": " + std::to_string(id) + " was handed out before an older one of its key\n";
    }
  }

  sim::Simulator simulator_;
  sim::SeededEntropy dice_;
  std::map<std::int64_t, Delivery> held_;  ///< Of jobs: the test decides what becomes of them.
  std::map<std::int64_t, MonoTime> came_;  ///< When they were handed out.
  std::vector<std::int64_t> read_;         ///< Of what is kept, by the reader, in order.
  CrashingStore store_;
  std::unique_ptr<SimNode> node_;
  ActorRef<Hand> hand_;

  Messages ready_;  ///< Jobs, in the order in which they became ready.
  Messages delayed_;
  Messages parked_;
  std::map<std::int64_t, Message> over_;  ///< Jobs that were ready and have expired.
  std::map<std::string, Sequence> tokens_;
  std::vector<std::int64_t> capped_;
  Messages latest_;
  std::vector<std::int64_t> handled_;  ///< Of the lane that keeps, in order.
  std::size_t seen_ = 0;               ///< Of what the reader read.
  std::size_t next_read_ = 0;
  bool just_crashed_ = false;
  std::int64_t next_id_ = 1;
  std::string wrong_;
};

}  // namespace

TEST_CASE(
    "delay, expiry, tokens, cancel, redrive, purge, eviction and replay are what plain lists say, through crashes") {
  std::map<std::string, std::uint64_t> done;
  run_seeds(30, "delay*", [&](std::uint64_t seed) {
    FeatureModel model(seed);
    std::string wrong = model.run(200);
    for (const auto& [what, count] : model.done) done[what] += count;
    return wrong;
  });
  std::string text;
  for (const auto& [what, count] : done) text += " " + what + " " + std::to_string(count);
  MESSAGE("done:" << text);
}

}  // namespace pannier::testing
