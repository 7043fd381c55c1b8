#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/actor/service.h"
#include "runtime/queue/delivery.h"
#include "runtime/queue/group.h"
#include "runtime/queue/inbox_lane.h"
#include "runtime/queue/queue_messages.h"

namespace pannier {

/// Named readers of what lanes have kept: each is handed the kept rows in the order of their lane, within its window,
/// and its cursor says up to where all of them are done. Memory is bounded by the windows.
///
/// Rows become kept in the order in which they are done, not in that of the lane. So that none is passed over, a reader
/// goes no further than the oldest row of its lane that is still ready (the "last stable offset" of Kafka, KIP-98).
class Readers {
 public:
  /// Both outlive the readers.
  Readers(Store& store, Group& group) : store_(store), group_(group) {}
  void start(ServicePort& port) { port_ = &port; }
  /// One that an earlier life left.
  void load(InboxLane& lane, const Cursor& cursor);

  /// Stages where it begins, where it is new.
  [[nodiscard]] Result<void> attach(InboxLane& lane, ActorId actor, const ReplayOptions& options);
  [[nodiscard]] Result<void> forget(InboxLane& lane, const std::string& reader);
  void ended(ActorId actor);

  /// Whether a delivery's number is one of the readers' at all.
  [[nodiscard]] static bool owns(std::uint64_t delivery) noexcept { return (delivery & kMark) != 0; }
  [[nodiscard]] bool holds(std::uint64_t delivery) const noexcept { return deliveries_.contains(delivery); }
  /// Stages what became of a delivery. not_found: it was settled before, or its reader had ended.
  [[nodiscard]] Result<void> settle(const Settle& settle);

  /// Rows of the lane are kept, or are ready no longer.
  void changed(InboxLane& lane) noexcept;
  /// Hands out what the windows allow. Outside of a transaction, or within one that only erased.
  void feed();

  /// Of each reader of a lane, the first row that it has not seen.
  using Unread = std::vector<std::pair<std::string, Sequence>>;
  [[nodiscard]] Result<void> before_trim(InboxLane& lane, Unread& unread);
  /// A reader whose next row was let go goes on with the oldest one that is left, and that is told and counted.
  void after_trim(InboxLane& lane, Unread unread);

  void describe(QueueStatus& status) const;

 private:
  static constexpr std::uint64_t kMark = std::uint64_t{1} << 63;

  struct Held {
    enum class State : std::uint8_t { ready, in_hands, settling, done, paused };
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
    InboxLane* lane = nullptr;
    std::string name;
    ActorId actor{};
    std::uint32_t window = 1;
    Sequence cursor = 0;     // everything up to here is done, and that is committed
    Sequence staged = 0;     // or in the open group
    std::uint64_t life = 0;  // another one each time that it begins anew
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
  using Name = std::pair<const InboxLane*, std::string>;

  [[nodiscard]] Result<Sequence> start_of(InboxLane& lane, const Replay& from);
  [[nodiscard]] Result<Sequence> oldest_ready(const InboxLane& lane);
  [[nodiscard]] static Held* find(Reader& reader, Sequence sequence) noexcept;
  void let_go(Reader& reader);
  [[nodiscard]] Result<void> load_some(Reader& reader);
  bool hand_out(Reader& reader, Held& held);
  struct Word {
    std::uint64_t delivery = 0;
    Sequence sequence = 0;
    Sequence through = 0;  // where the cursor is once this is committed
    bool passed_over = false;
    std::string cause;
  };
  void settled(Reader& reader, const Word& word, const Result<void>& fate);
  void begin(Reader& reader, Sequence after) noexcept;
  void again(Reader& reader, Held& held, Duration delay);

  Store& store_;
  Group& group_;
  ServicePort* port_ = nullptr;
  std::map<Name, std::unique_ptr<Reader>> readers_;
  std::map<std::uint64_t, Handed> deliveries_;
  std::uint64_t next_delivery_ = kMark | 1;
};

}  // namespace pannier
