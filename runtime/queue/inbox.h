#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "runtime/actor/service.h"
#include "runtime/link/router_messages.h"
#include "runtime/queue/delivery.h"
#include "runtime/queue/group.h"
#include "runtime/queue/lane.h"
#include "runtime/queue/queue_messages.h"

namespace pannier {

/// What every producer's streams have brought here, and what of it is new. A row at or below its stream's watermark is
/// a duplicate; one whose predecessor is missing is refused.
class Watermarks {
 public:
  explicit Watermarks(Store& store) : store_(store) {}
  [[nodiscard]] Result<void> load();

  enum class Verdict : std::uint8_t { fresh, duplicate, gap };
  [[nodiscard]] Verdict judge(const IncomingRow& row);
  /// The row is in the group: it counts as taken for what follows it. True for the first one of a group, whose fate
  /// then has to come back through settle.
  [[nodiscard]] bool staged(const IncomingRow& row);
  /// Writes what changed into the group.
  [[nodiscard]] Result<void> write(Group& group);
  /// The group is committed: what each changed stream has now. Or it is not: back to what was, and each producer is
  /// told to send again, since nothing else would remind it.
  [[nodiscard]] std::vector<StreamAck> settle(const Result<void>& fate);
  [[nodiscard]] Sequence committed(const IncomingRow& row);

 private:
  struct Mark {
    Watermark watermark;  // what is on disk
    Sequence staged = 0;
  };
  Mark& mark(const IncomingRow& row);

  Store& store_;
  std::map<std::tuple<std::string, std::uint64_t, std::string>, Mark> marks_;
  std::vector<Mark*> changed_;
};

/// The receiving end of lanes: hands each lane's rows to its consumer, in order, one at a time a key, within the
/// consumer's window, and keeps what became of them. Memory is bounded, whatever waits on disk.
class Inbox {
 public:
  Inbox(Store& store, Group& group) : store_(store), group_(group) {}
  void start(ServicePort& port) { port_ = &port; }
  void load(const std::vector<Stream>& streams);
  void recount(const std::vector<Stream>& streams);

  /// Stages one row. full past the lane's limits.
  [[nodiscard]] Result<Sequence> put(const LaneOptions& lane, std::string_view producer, std::string_view key,
                                     TypeId type, const BlockRef& payload, Sequence sequence);
  /// in_use where another living actor consumes the lane.
  [[nodiscard]] Result<void> consume(ActorId consumer, const Consume& request);
  /// The consumer's state has ended: what it had in its hands is ready again, and counts no attempt.
  void ended(ActorId consumer);
  /// Stages what became of a delivery. not_found: it was settled before, or its consumer had ended.
  [[nodiscard]] Result<void> settle(const Settle& settle);
  [[nodiscard]] bool holds(std::uint64_t delivery) const noexcept { return deliveries_.contains(delivery); }
  [[nodiscard]] Load load_of(std::string_view lane) const noexcept;
  /// Hands out what consumers have room for. Outside of a transaction.
  void feed();

  void describe(QueueStatus& status, const Inspect& inspect);

  struct Counters {
    std::uint64_t handled = 0;
    std::uint64_t retried = 0;
    std::uint64_t parked = 0;
    std::uint64_t unplaced = 0;  ///< Hand-outs that the consumer's mailbox refused; tried again.
  };
  [[nodiscard]] const Counters& counters() const noexcept { return counters_; }

 private:
  enum class HeldState : std::uint8_t { ready, in_hands, settling, paused };
  struct Held {
    Sequence sequence = 0;
    std::string key;
    TypeId type{};
    BlockRef payload;
    std::uint32_t attempts = 0;
    HeldState state = HeldState::ready;
    std::uint64_t delivery = 0;
  };
  struct InLane {
    StreamId id{};
    std::string name;
    std::uint64_t messages = 0;
    std::uint64_t bytes = 0;
    std::uint64_t parked = 0;
    ActorId consumer;
    ConsumeOptions options;
    std::deque<Held> held;  // in order; what is not ready blocks its key
    std::uint32_t in_hands = 0;
    Sequence loaded = 0;     // everything up to here was held once
    Sequence committed = 0;  // the newest row on disk; ~0: unknown
    bool dirty = false;
  };

  InLane& lane(StreamId id, std::string_view name);
  void load_some(InLane& lane);
  void feed(InLane& lane);
  bool hand_out(InLane& lane, Held& held);
  Held* find(InLane& lane, Sequence sequence) noexcept;
  void forget(InLane& lane, Sequence sequence) noexcept;
  void pause(InLane& lane, Sequence sequence, Duration delay);

  Store& store_;
  Group& group_;
  ServicePort* port_ = nullptr;
  std::map<std::string, std::unique_ptr<InLane>, std::less<>> lanes_;
  struct Handed {
    InLane* lane;
    Sequence sequence;
  };
  std::unordered_map<std::uint64_t, Handed> deliveries_;
  std::uint64_t next_delivery_ = 1;
  Counters counters_;
};

}  // namespace pannier
