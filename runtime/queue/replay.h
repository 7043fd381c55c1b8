#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <pannier/queue.h>
#include "runtime/queue/group.h"
#include "runtime/queue/host.h"
#include "runtime/queue/settle_sink.h"

namespace pannier {

/// Named readers of what lanes retain. Each is given the retained rows of its lane in order, within its window; its
/// cursor says up to where it has acknowledged all of them. Memory is bounded by the windows.
///
/// Rows become retained in the order in which they are acknowledged, not in that of the lane. So that none is passed
/// over, a reader goes no further than the oldest row of its lane that is still ready (Kafka's "last stable offset",
/// KIP-98).
class Readers {
 public:
  /// Both outlive the readers.
  Readers(Store& store, Group& group) : store_(store), group_(group) {}
  void start(QueueHost& host) { host_ = &host; }
  /// A reader that an earlier process left.
  void load(InLane& lane, const Cursor& cursor);

  /// Stages where it begins, if it is new. unsupported: the store keeps no retained rows.
  [[nodiscard]] Result<void> attach(InLane& lane, ActorId actor, const ReplayOptions& options);
  [[nodiscard]] Result<void> forget(InLane& lane, const std::string& reader);
  void ended(ActorId actor);
  /// Whether the lane has a reader.
  [[nodiscard]] bool reads(const InLane& lane) const noexcept;

  /// Whether a delivery's number is one of the readers' at all.
  [[nodiscard]] static bool owns(std::uint64_t delivery) noexcept { return (delivery & kMark) != 0; }
  [[nodiscard]] bool holds(std::uint64_t delivery) const noexcept { return deliveries_.contains(delivery); }
  /// not_found: it was settled before, or its reader has ended.
  [[nodiscard]] Result<void> settle(const Settle& settle);

  void settle(effect::ReaderSettled& settled, const Result<void>& fate);
  void settle(effect::ReaderChanged& changed, const Result<void>& fate);
  void settle(effect::ReaderGap& gap, const Result<void>& fate);

  /// Rows of the lane are retained, or are no longer ready.
  void changed(InLane& lane) noexcept;
  /// Delivers what the windows allow.
  void dispatch();

  /// Of each reader of a lane, the first row that it has not seen.
  using Unread = std::vector<std::pair<std::string, Sequence>>;
  [[nodiscard]] Result<void> before_trim(InLane& lane, Unread& unread);
  /// A reader whose next row was trimmed goes on with the oldest one left; that is logged and counted.
  void after_trim(InLane& lane, const Unread& unread);

  void describe(QueueStatus& status) const;

 private:
  static constexpr std::uint64_t kMark = std::uint64_t{1} << 63;

  struct Held {
    enum class State : std::uint8_t { ready, in_hands, settling, acknowledged, paused };
    Sequence sequence = 0;
    std::string key;
    TypeId type{};
    BlockRef payload;
    std::uint32_t attempts = 0;
    State state = State::ready;
    std::uint64_t delivery = 0;
    Duration delay{};
  };
  struct Reader {
    InLane* lane = nullptr;
    std::string name;
    ActorId actor{};
    std::uint32_t window = 1;
    Sequence cursor = 0;     // everything up to here is acknowledged, and that is committed
    Sequence staged = 0;     // or in the open group
    std::uint64_t life = 0;  // another one each time that it starts anew
    Sequence loaded = 0;     // everything up to here was held once
    std::vector<Held> held = {};
    bool dirty = false;
    std::uint64_t passed_over = 0;
    std::uint64_t gaps = 0;
  };
  struct Handed {
    Reader* reader = nullptr;
    Sequence sequence = 0;
  };
  using Name = std::pair<const InLane*, std::string>;

  [[nodiscard]] Result<Sequence> start_of(InLane& lane, const Replay& from);
  [[nodiscard]] Result<Sequence> oldest_ready(const InLane& lane);
  [[nodiscard]] static Held* find(Reader& reader, Sequence sequence) noexcept;
  void let_go(Reader& reader);
  [[nodiscard]] Result<void> load_some(Reader& reader);
  bool deliver(Reader& reader, Held& held);
  void begin(Reader& reader, Sequence after) noexcept;
  void again(Reader& reader, Held& held, Duration delay);

  Store& store_;
  Group& group_;
  QueueHost* host_ = nullptr;
  std::map<Name, std::unique_ptr<Reader>> readers_;
  std::map<std::uint64_t, Handed> deliveries_;
  std::uint64_t next_delivery_ = kMark | 1;
};

}  // namespace pannier
