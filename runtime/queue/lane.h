#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "platform/function_ref.h"
#include "platform/result.h"
#include "runtime/limits.h"
#include "runtime/queue/backoff.h"
#include "runtime/store/row.h"

namespace pannier {

/// What a lane does with a message that it has no room for. Whatever is given up for it is counted (StreamStatus).
enum class Eviction : std::uint8_t {
  reject,           ///< `full`, now; nothing that was accepted is given up.
  oldest,           ///< The oldest messages that have not left make room.
  lowest_priority,  ///< As reject; but where the node's quota is used up, the oldest messages of lanes with a lower
                    ///< priority make room.
  latest_per_key,   ///< A message takes the place of the one of its key that has not left, full or not: the lane holds
                    ///< the latest of each key. A new key past the quota is refused.
};

enum class Ordering : std::uint8_t {
  per_key,  ///< Messages of one key are handled one at a time, in their order; different keys do not wait.
  none,     ///< Nothing waits for anything.
};

/// What happens once the attempts of a message are used up.
enum class Parking : std::uint8_t {
  message,  ///< It is parked alone; the next message of its key goes on.
  key,      ///< What follows with its key is parked behind it, until a person decides.
};

/// How long what was delivered is kept to be read again (replay). Zero: no limit of that kind; all zero: nothing is
/// kept.
struct Keeping {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
  Duration age{};

  bool operator==(const Keeping&) const = default;
  [[nodiscard]] bool any() const noexcept { return messages > 0 || bytes > 0 || age > Duration::zero(); }
  /// The limits as a load, for Store::trim.
  [[nodiscard]] Load most() const noexcept {
    return {messages > 0 ? messages : ~std::uint64_t{0}, bytes > 0 ? bytes : ~std::uint64_t{0}};
  }
};

/// A lane that differs from the default. Others come into being when they are first used. Where a lane crosses nodes,
/// each node's options speak for its own end. A value; may be changed while the node runs (ActorBase::set_lane).
struct LaneOptions {
  std::string name;
  /// Not empty: what is enqueued here, or arrives here, goes on to the lane of the same name at this node.
  /// That is a gateway: stored first, then sent on.
  std::string forward_to = {};
  /// Higher goes first on a link that has several lanes waiting. Lanes of one priority take turns.
  std::uint32_t priority = 0;
  /// Of what a link sends, at least so much for this lane while it waits behind lanes of higher priority: 0 to 50.
  std::uint32_t share_percent = 5;
  std::uint64_t max_messages = limits::kLaneMessages;  ///< Ready and delayed, each destination for itself.
  std::uint64_t max_bytes = limits::kLaneBytes;
  Eviction eviction = Eviction::reject;
  Duration expiry{};  ///< Of a message that names none itself, from its enqueue. Zero: never.
  std::uint32_t max_attempts = 5;
  Backoff backoff = {};
  Durability durability = Durability::fsynced;  ///< Of receipts that name none themselves.
  Ordering ordering = Ordering::per_key;
  Parking parking = Parking::message;
  Keeping keep = {};
};

/// invalid_argument, with one line that names the lane and says what to change. Pure; any thread.
[[nodiscard]] Result<void> check(const LaneOptions& lane);

/// What has happened in a lane, all destinations together, since the node started.
struct LaneCounters {
  std::uint64_t accepted = 0;    ///< Messages taken in, from here and from other nodes.
  std::uint64_t refused = 0;     ///< Not taken: over the quota, or the store could not.
  std::uint64_t duplicates = 0;  ///< Came again, and were dropped.
  std::uint64_t evicted = 0;     ///< Given up to make room, or replaced by the latest of their key.
  std::uint64_t expired = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t delivered = 0;  ///< Acknowledged by another node.
  std::uint64_t handled = 0;    ///< Deliveries that were done.
  std::uint64_t retried = 0;    ///< Attempts that failed, and are followed by another one.
  std::uint64_t timed_out = 0;  ///< Attempts that were not settled in time.
  std::uint64_t unplaced = 0;   ///< Hand-outs that a consumer's mailbox refused; tried again.
  std::uint64_t parked = 0;
  std::uint64_t redriven = 0;  ///< Parked ones that were made ready again.
  std::uint64_t purged = 0;    ///< Parked ones that were erased.

  bool operator==(const LaneCounters&) const = default;
};

/// The lanes of a node by name. Every name that is used has options: its own, or the default. One thread, the queue's.
class Lanes {
 public:
  explicit Lanes(std::vector<LaneOptions> lanes);

  /// Made with the default where it is new. The reference holds as long as this.
  [[nodiscard]] const LaneOptions& operator[](std::string_view name);
  /// False for a lane that would be one too many (limits::kLanes): names come from programs, but from peers as well.
  [[nodiscard]] bool may_use(std::string_view name) const {
    return lanes_.size() < limits::kLanes || lanes_.contains(std::string{name});
  }
  [[nodiscard]] LaneCounters& count(std::string_view name);
  /// From now on. What waits already stays, and keeps the expiry that it has. `options` passed check().
  void set(LaneOptions options);
  /// `look` at each, in no order.
  void each(FunctionRef<void(const LaneOptions&, const LaneCounters&)> look) const {
    for (const auto& [name, lane] : lanes_) look(lane.options, lane.counters);
  }

 private:
  struct Lane {
    LaneOptions options;
    LaneCounters counters;
  };
  Lane& lane(std::string_view name);
  std::unordered_map<std::string, Lane> lanes_;
};

}  // namespace pannier
