#pragma once

#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "runtime/actor/system.h"
#include "runtime/store/store.h"
#include "tests/sim/world.h"
#include "tests/support/campaign.h"
#include "tests/support/fixtures.h"

namespace pannier::testing {

/// One run of a few hosts under random work and random trouble, all of it drawn from one seed.
class Chaos {
 public:
  struct Plan {
    std::uint32_t actions = 120;
    bool on_disk = false;
    std::vector<std::string> keys = {"", "order-1", "order-2", "order-3"};
  };

  Chaos(std::uint64_t seed, Plan plan)
      : plan_(std::move(plan)), simulator_(seed), network_(simulator_), dice_(simulator_.entropy().next()) {}

  Host& add(Host::Setup setup) {
    setup.on_disk = plan_.on_disk;
    hosts_.push_back(std::make_unique<Host>(simulator_, network_, ledger_, std::move(setup)));
    return *hosts_.back();
  }
  /// `from` may enqueue to `address`; the effect belongs to `effect_at`.
  void allow(Host& from, std::string address, std::string effect_at) {
    ways_.push_back({&from, std::move(address), std::move(effect_at)});
  }
  /// Effects of messages that came to `asked` are answered by a message whose effect belongs to `answered`.
  void answers(const std::string& asked, const std::string& answered) { answered_[asked] = answered; }

  /// The trouble, and after it the peace in which everything must come to rest. False: it did not.
  [[nodiscard]] bool run() {
    for (std::uint32_t i = 0; i < plan_.actions; ++i) {
      const auto pause = dice_.chance(0.1) ? dice_.exponential(3s) : dice_.exponential(40ms);
      for (MonoTime end = simulator_.now() + pause; simulator_.now() < end;) {
        if (!simulator_.run_until([this] { return dying(); }, end - simulator_.now())) break;
        bury();
      }
      act();
    }
    for (auto& host : hosts_) {
      if (host->up() && !host->dying()) host->calm();
      if (host->dying()) host->crash();
    }
    network_.heal_all();
    for (auto& host : hosts_) {
      if (!host->up()) host->start();
    }
    for (int i = 0; i < 60; ++i) {
      simulator_.run_for(5s);
      if (at_rest()) return true;
    }
    return false;
  }

  /// Every broken promise, one a line; empty when all were kept.
  [[nodiscard]] std::string broken_promises() {
    std::string broken;
    std::map<std::tuple<std::string, std::string>, std::int64_t> last_of_key;  // in order of enqueue
    std::map<std::int64_t, std::vector<std::pair<std::string, std::int64_t>>> effects;
    for (auto& host : hosts_) {
      REQUIRE(host->store().state()->read_state("e/", [&](std::string_view key, std::span<const std::byte> value) {
        REQUIRE(verify_table<Number>(value));
        effects[std::stoll(std::string{key.substr(2)})].push_back(
            {host->name(), flatbuffers::GetRoot<Number>(value.data())->value()});
        return true;
      }));
    }
    const auto say = [&](std::int64_t id, const std::string& what) {
      broken += "message " + std::to_string(id) + ": " + what + "\n";
    };
    for (const auto& [id, message] : ledger_.messages) {
      const auto found = effects.find(id);
      const std::size_t count = found == effects.end() ? 0 : found->second.size();
      if (message.acknowledged && count == 0) say(id, "acknowledged, and lost");
      if (count > 1) say(id, "took effect " + std::to_string(count) + " times");
      if (message.together_with != 0 && count != effects[message.together_with].size()) {
        say(id, "has not the fate of the one that shared its transaction");
      }
      if (count == 0) continue;
      if (found->second[0].first != message.node) say(id, "took effect at " + found->second[0].first);
      const auto answered = answered_.find(message.node);
      if (answered != answered_.end()) {
        const auto& answer = effects[id + kAnswer];
        if (answer.size() != count) say(id, "has " + std::to_string(answer.size()) + " answers");
        for (const auto& [where, order] : answer) {
          if (where != answered->second) say(id, "was answered at " + where);
          check_order(last_of_key[{message.key, "answers to " + std::to_string(way_of_[id])}], message.key, order,
                      id + kAnswer, say);
        }
      }
      const std::string way = message.node + " " + std::to_string(way_of_[id]);
      check_order(last_of_key[{message.key, way}], message.key, found->second[0].second, id, say);
    }
    for (auto& host : hosts_) broken += left_over(*host);
    return broken;
  }

  [[nodiscard]] std::size_t effects_asked_for() const noexcept { return static_cast<std::size_t>(ledger_.settled); }
  [[nodiscard]] std::uint32_t deaths() const noexcept { return deaths_; }
  [[nodiscard]] std::uint64_t power_cuts() const {
    std::uint64_t sum = 0;
    for (const auto& host : hosts_) sum += host->power_cuts();
    return sum;
  }
  [[nodiscard]] std::uint64_t digest() const noexcept { return simulator_.digest(); }

 private:
  struct Way {
    Host* from;
    std::string address;
    std::string effect_at;
  };

  template <class Say>
  static void check_order(std::int64_t& last, const std::string& key, std::int64_t order, std::int64_t id, Say&& say) {
    if (!key.empty() && order < last) say(id, "took effect before an older one of its key '" + key + "'");
    last = std::max(last, order);
  }

  /// What the stores say, and what the queues believe.
  std::string left_over(Host& host) {
    std::string left;
    const auto streams = streams_of(host.store());
    for (const Stream& stream : streams) {
      if (stream[RowState::ready].messages + stream[RowState::dead_lettered].messages > 0) {
        left += host.name() + " keeps " + std::to_string(stream[RowState::ready].messages) + " ready and " +
                std::to_string(stream[RowState::dead_lettered].messages) + " parked messages of lane " + stream.lane +
                " to '" + stream.node + "'\n";
      }
    }
    struct Inspector : Actor<Inspector> {
      Inspector(LocalRef queue, QueueStatus* status) : queue_(queue), status_(status) {}
      void on_start() {
        ask<QueueStatus>(queue_, Inspect{}, 1s).then([this](Result<QueueStatus> status) {
          if (status) *status_ = std::move(*status);
        });
      }
      LocalRef queue_;
      QueueStatus* status_;
    };
    QueueStatus status;
    REQUIRE(host.node().spawn<Inspector>(SpawnOptions{}, LocalRef{host.node().system().queue}, &status));
    simulator_.run_for(1s);
    if (status.streams.empty()) left += host.name() + " does not answer\n";
    for (const StreamStatus& stream : status.streams) {
      if (stream[RowState::ready].messages + stream[RowState::ready].bytes + stream[RowState::dead_lettered].messages +
              stream.in_flight >
          0) {
        left += host.name() + " counts " + std::to_string(stream[RowState::ready].messages) + " messages, " +
                std::to_string(stream[RowState::ready].bytes) + " bytes, " + std::to_string(stream.in_flight) +
                " in flight of lane " + stream.lane + " to '" + stream.node + "'\n";
      }
    }
    return left;
  }

  bool at_rest() {
    for (auto& host : hosts_) {
      const auto streams = streams_of(host->store());
      for (const Stream& stream : streams) {
        if (stream[RowState::ready].messages > 0) return false;
      }
    }
    return true;
  }
  bool dying() const {
    for (const auto& host : hosts_) {
      if (host->dying()) return true;
    }
    return false;
  }
  void bury() {
    for (auto& host : hosts_) {
      if (!host->dying()) continue;
      host->crash();
      ++deaths_;
    }
  }

  void place() {
    const std::size_t index = dice_.below(ways_.size());
    const Way& way = ways_[index];
    const bool two = dice_.chance(0.2);
    const std::int64_t id = ledger_.next;
    ledger_.next += two ? 2 : 1;
    const std::string key = plan_.keys[dice_.below(plan_.keys.size())];
    for (std::int64_t each = id; each < ledger_.next; ++each) {
      ledger_.messages[each] = {key, way.effect_at, false, 0};
      way_of_[each] = index;
    }
    if (two) ledger_.messages[id].together_with = id + 1;
    if (two) ledger_.messages[id + 1].together_with = id;
    way.from->place({way.address, key, id, two ? way.address : ""});
  }

  void act() {
    Host& host = *hosts_[dice_.below(hosts_.size())];
    Host& other = *hosts_[dice_.below(hosts_.size())];
    switch (dice_.below(20)) {
      case 0:
        if (host.up()) host.crash();
        deaths_ += 1;
        return;
      case 1:
        if (host.up() && host.on_disk()) host.cut_power_in_mid_work(1 + dice_.below(60));
        if (host.on_disk()) return;
        [[fallthrough]];
      case 2:
        if (host.up()) host.die_in_mid_work(static_cast<std::uint32_t>(1 + dice_.below(30)), dice_.chance(0.5));
        return;
      case 3:
      case 4:
      case 5:
        for (auto& each : hosts_) {
          if (each->up()) continue;
          each->rejoin();
          each->start();
        }
        return;
      case 6: network_.cut(host.name(), other.name(), sim::Cut::reported); return;
      case 7: network_.cut(host.name(), other.name(), sim::Cut::silent); return;
      case 8: network_.cut_direction(host.name(), other.name(), sim::Cut::silent); return;
      case 9:
      case 10:
      case 11: network_.heal(host.name(), other.name()); return;
      case 12: network_.clog(host.name(), other.name(), dice_.exponential(1s)); return;
      case 13:
        network_.set_path(host.name(), other.name(),
                          {.delay_mean = dice_.exponential(100ms), .connect_failure = dice_.chance(0.3) ? 0.5 : 0.0});
        return;
      case 14:
        if (host.up()) host.faults().fail_commits(static_cast<std::uint32_t>(1 + dice_.below(4)));
        return;
      default:
        for (std::uint64_t i = dice_.below(6) + 1; i > 0; --i) {
          const Host* up = nullptr;
          for (auto& each : hosts_) up = each->up() ? each.get() : up;
          if (up != nullptr) place_if_up();
        }
    }
  }
  void place_if_up() {
    for (const Way& way : ways_) {
      if (!way.from->up()) return;
    }
    place();
  }

  Plan plan_;
  sim::Simulator simulator_;
  sim::Network network_;
  sim::SeededEntropy dice_;
  Ledger ledger_;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::vector<Way> ways_;
  std::map<std::string, std::string> answered_;
  std::map<std::int64_t, std::size_t> way_of_;
  std::uint32_t deaths_ = 0;
};

}  // namespace pannier::testing
