#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include <pannier/sim.h>
#include "runtime/store/store.h"
#include "tests/support/fixtures.h"

/// What a store must hold, as plain maps: random groups of changes are made to both and the two are compared as text.
namespace pannier::testing {

/// SqliteOptions::batch_bytes for a run of a script: in every other one rows share entries however few they are.
inline std::size_t batch_bytes_of(std::uint64_t seed) { return seed % 2 == 0 ? 4096 : 1; }

struct StoreChange {
  enum class Kind : std::uint8_t { put, erase, erase_through, requeue, mark, watermark, state, erase_state };
  Kind kind{};
  std::size_t stream = 0;  ///< Index of a stream of StoreModel::kStreams.
  Sequence sequence = 0;
  Sequence next = 0;  ///< Of a requeue.
  RowState state = RowState::ready;
  std::uint32_t attempts = 0;
  std::string key;
  std::string text;  ///< Payload, cause or value.
};
using StoreGroup = std::vector<StoreChange>;

class StoreModel {
 public:
  struct StreamName {
    Box box;
    const char* node;
    const char* lane;
  };
  static constexpr StreamName kStreams[] = {
      {Box::outbox, "hub", "orders"}, {Box::outbox, "hub", "news"}, {Box::inbox, "", "jobs"}};

  void apply(const StoreGroup& group) {
    for (const StoreChange& change : group) apply(change);
  }

  /// A group of a few changes, most of which find what they change. `next` gives the sequence numbers.
  template <class Next>
  [[nodiscard]] StoreGroup draw(sim::SeededEntropy& dice, Next&& next) const {
    using Kind = StoreChange::Kind;
    StoreGroup group;
    StoreModel now = *this;  // so that a group may change what it has put
    for (std::uint64_t count = 1 + dice.below(8); count > 0; --count) {
      StoreChange change;
      const bool goes_on = !group.empty() && group.back().kind == Kind::put && dice.chance(0.5);
      change.stream = goes_on ? group.back().stream : dice.below(std::size(kStreams));
      change.sequence = now.any_row(change.stream, dice);
      const std::uint64_t die = dice.below(now.rows_.size() > 40 ? 20 : 14);
      change.kind = goes_on || die < 7 ? Kind::put
                    : die < 9          ? Kind::mark
                    : die < 11         ? Kind::watermark
                    : die < 12         ? Kind::state
                    : die < 13         ? Kind::erase_state
                    : die < 17         ? Kind::erase
                    : die < 18         ? Kind::requeue
                                       : Kind::erase_through;
      if ((change.kind == Kind::mark || change.kind == Kind::requeue) && change.sequence == 0) change.kind = Kind::put;
      if (change.kind == Kind::requeue) {
        change.next = next();
        if (change.next == 0) return group;
      }
      if (change.kind == Kind::put) {
        change.sequence = next();
        if (change.sequence == 0) return group;
        if (dice.chance(0.2)) change.state = kAllRowStates[dice.below(kRowStates)];
      } else if (change.kind == Kind::mark) {
        change.state = kAllRowStates[dice.below(kRowStates)];
        change.attempts = static_cast<std::uint32_t>(dice.below(5));
      } else if (change.kind == Kind::watermark) {
        change.sequence = 1 + now.watermark(change.stream) + dice.below(50);
      }
      change.key = "key-" + std::to_string(dice.below(4));
      // Mostly a line, now and then one that needs pages of its own.
      change.text = std::to_string(change.sequence) + ":";
      change.text.append(dice.chance(0.05) ? 5000 + dice.below(6000) : dice.below(300),
                         static_cast<char>('a' + dice.below(26)));
      if (change.kind == Kind::mark) change.text.resize(std::min<std::size_t>(change.text.size(), 100));
      now.apply(change);
      group.push_back(std::move(change));
    }
    return group;
  }

  /// As dump() of a store that holds the same.
  [[nodiscard]] std::string dump() const {
    std::string text;
    for (std::size_t i = 0; i < std::size(kStreams); ++i) {
      for (const RowState state : kAllRowStates) {
        for (const auto& [position, row] : rows_) {
          if (position.first == i && row.state == state) line(text, i, position.second, row);
        }
      }
    }
    for (const auto& [stream, sequence] : watermarks_) {
      text += "watermark " + std::to_string(stream) + " " + std::to_string(sequence) + "\n";
    }
    for (const auto& [key, value] : state_) text += "state " + key + "=" + value + "\n";
    return text;
  }

  struct RowModel {
    RowState state = RowState::ready;
    std::uint32_t attempts = 0;
    std::string key;
    std::string payload;
    std::string cause;
  };
  static void line(std::string& text, std::size_t stream, Sequence sequence, const RowModel& row) {
    text += "row " + std::to_string(stream) + " " + std::to_string(sequence) + " in state " +
            std::to_string(static_cast<int>(row.state)) + " " + std::to_string(row.attempts) + " " + row.key + " " +
            row.cause + " " + row.payload + "\n";
  }

 private:
  [[nodiscard]] Sequence any_row(std::size_t stream, sim::SeededEntropy& dice) const {
    std::vector<Sequence> there;
    for (const auto& [position, row] : rows_) {
      if (position.first == stream) there.push_back(position.second);
    }
    return there.empty() ? 0 : there[dice.below(there.size())];
  }
  [[nodiscard]] Sequence watermark(std::size_t stream) const {
    const auto found = watermarks_.find(stream);
    return found == watermarks_.end() ? 0 : found->second;
  }
  void apply(const StoreChange& change) {
    const auto at = rows_.find({change.stream, change.sequence});
    switch (change.kind) {
      case StoreChange::Kind::put:
        rows_[{change.stream, change.sequence}] = {change.state, change.attempts, change.key, change.text, ""};
        break;
      case StoreChange::Kind::erase:
        if (at != rows_.end()) rows_.erase(at);
        break;
      case StoreChange::Kind::erase_through:
        std::erase_if(rows_, [&](const auto& each) {
          return each.first.first == change.stream && each.first.second <= change.sequence &&
                 each.second.state == RowState::ready;
        });
        break;
      case StoreChange::Kind::requeue: {
        RowModel row = at->second;
        rows_.erase(at);
        row.state = RowState::ready;
        row.attempts = 0;
        row.cause.clear();
        rows_[{change.stream, change.next}] = row;
        break;
      }
      case StoreChange::Kind::mark:
        at->second.state = change.state;
        at->second.attempts = change.attempts;
        at->second.cause = change.text;
        break;
      case StoreChange::Kind::watermark: watermarks_[change.stream] = change.sequence; break;
      case StoreChange::Kind::state: state_[change.key] = change.text; break;
      case StoreChange::Kind::erase_state: state_.erase(change.key); break;
    }
  }

  std::map<std::pair<std::size_t, Sequence>, RowModel> rows_;
  std::map<std::size_t, Sequence> watermarks_;
  std::map<std::string, std::string> state_;
};

/// Makes the changes within a transaction that the caller has begun.
inline Result<void> perform(Store& store, const StoreGroup& group) {
  for (const StoreChange& change : group) {
    const StoreModel::StreamName& name = StoreModel::kStreams[change.stream];
    const Result<StreamId> stream = store.stream(name.box, name.node, name.lane);
    if (!stream) return stream.error();
    const auto bytes = std::as_bytes(std::span{change.text});
    Row row;
    row.stream = *stream;
    row.sequence = change.sequence;
    row.key = change.key;
    row.payload = bytes;
    row.enqueued_at = WallTime{Duration{1'700'000'000}};
    row.state = change.state;
    row.attempts = change.attempts;
    // Delayed and retained rows have one, and some ready ones; any will do.
    const bool has_moment =
        change.state == RowState::ready ? change.attempts > 2 : change.state != RowState::dead_lettered;
    const StoreTime moment =
        has_moment ? StoreTime{Duration{1 + static_cast<Duration::rep>(change.sequence)}} : kNoMoment;
    row.moment = moment;
    auto done = [&]() -> Result<void> {
      switch (change.kind) {
        case StoreChange::Kind::put: return store.put(row);
        case StoreChange::Kind::erase: return store.erase(*stream, change.sequence);
        case StoreChange::Kind::erase_through: return store.erase_through(*stream, change.sequence);
        case StoreChange::Kind::requeue: return store.requeue(*stream, change.sequence, change.next);
        case StoreChange::Kind::mark:
          return store.mark(*stream, change.sequence, {change.state, change.attempts, change.text, moment});
        case StoreChange::Kind::watermark:
          return store.put_watermark({"producer", 1, std::to_string(change.stream), change.sequence});
        case StoreChange::Kind::state: return store.state()->put_state(change.key, bytes);
        case StoreChange::Kind::erase_state: return store.state()->erase_state(change.key);
      }
      return ErrorCode::invalid_argument;
    }();
    if (!done) return done;
  }
  return {};
}

/// Everything that a store of such groups holds, or what went wrong in reading it. Also holds the counts of its
/// streams against the rows that it shows.
inline std::string dump(Store& store) {
  std::string text;
  const std::vector<Stream> streams = streams_of(store);
  const auto as_text = [](std::span<const std::byte> bytes) {
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  for (std::size_t i = 0; i < std::size(StoreModel::kStreams); ++i) {
    const StoreModel::StreamName& name = StoreModel::kStreams[i];
    for (const Stream& stream : streams) {
      if (stream.box != name.box || stream.node != name.node || stream.lane != name.lane) continue;
      for (const RowState state : kAllRowStates) {
        Load load;
        auto read = store.read(stream.id, state, 0, 1'000'000, [&](const Row& row) {
          load += {1, row.payload.size()};
          StoreModel::line(
              text, i, row.sequence,
              {row.state, row.attempts, std::string(row.key), as_text(row.payload), std::string(row.cause)});
          return true;
        });
        if (!read) return "rows: " + read.error().text();
        if (stream.exact && load != stream[state]) text += "the counts differ\n";
      }
    }
  }
  const Result<std::vector<Watermark>> watermarks = store.watermarks();
  if (!watermarks) return "watermarks: " + watermarks.error().text();
  std::map<std::string, Sequence> by_lane;
  for (const Watermark& mark : *watermarks) by_lane[mark.lane] = mark.sequence;
  for (const auto& [lane, sequence] : by_lane) text += "watermark " + lane + " " + std::to_string(sequence) + "\n";
  auto read = store.state()->read_state("", [&](std::string_view key, std::span<const std::byte> value) {
    text += "state " + std::string(key) + "=" + as_text(value) + "\n";
    return true;
  });
  if (!read) return "state: " + read.error().text();
  if (store.counters().corrupt_pages > 0) text += "corrupt pages\n";
  for (const std::string& finding : store.findings()) text += finding + "\n";
  return text;
}

/// What a store that may fail has acknowledged, and so what may be found in it.
class StoreLedger {
 public:
  /// Makes a drawn group in the store. False: it failed, and was rolled back.
  bool one_group(Store& store, sim::SeededEntropy& dice, Durability durability = Durability::fsynced) {
    Sequence highest = 0;
    const StoreGroup group = model_.draw(dice, [&] { return highest = store.next_sequence().value_or(0); });
    StoreModel after = model_;
    after.apply(group);
    Result<void> done = store.begin();
    if (done) done = perform(store, group);
    if (done) done = store.commit(durability);
    if (!done) {
      store.rollback();
      with_one_failed_.push_back(after);
      return false;
    }
    highest_ = std::max(highest_, highest);
    model_ = after;
    with_one_failed_.clear();
    if (durability == Durability::fsynced) {
      unsynced_.clear();
    } else {
      unsynced_.push_back(model_);
    }
    if (unsynced_.empty()) synced_ = model_;
    return true;
  }
  /// What is wrong with a store that works: it holds what was acknowledged, and nothing else.
  [[nodiscard]] std::string wrong_in(Store& store) const {
    const std::string found = dump(store);
    return found == model_.dump() ? "" : "while it runs, found:\n" + found + "acknowledged:\n" + model_.dump();
  }
  /// As wrong_in, after a power cut: of the groups that failed since the last one that did not, one may be there.
  [[nodiscard]] std::string wrong_after_cut(Store& store) const {
    const std::string found = dump(store);
    const auto is = [&](const StoreModel& each) { return found == each.dump(); };
    if (const Result<Sequence> next = store.next_sequence(); next && *next <= highest_) {
      return "a sequence that was given out before: " + std::to_string(*next);
    }
    // Of the groups that need only survive the process the first so many, up to all.
    const bool possible = std::any_of(with_one_failed_.begin(), with_one_failed_.end(), is) ||
                          std::any_of(unsynced_.begin(), unsynced_.end(), is) || is(synced_);
    if (possible || is(model_)) return {};
    return "after the power cut, found:\n" + found + "acknowledged:\n" + model_.dump();
  }

 private:
  StoreModel model_;
  StoreModel synced_;                 ///< Of the last group whose receipt was `fsynced`.
  std::vector<StoreModel> unsynced_;  ///< With each group since.
  std::vector<StoreModel> with_one_failed_;
  Sequence highest_ = 0;
};

}  // namespace pannier::testing
