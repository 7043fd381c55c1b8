#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <pannier/limits.h>
#include <pannier/message.h>
#include <pannier/platform.h>
#include <pannier/result.h>
#include <pannier/store.h>

namespace pannier {

/// The delay before the next attempt. Jitter spreads out a fleet that failed at once (Brooker, "Exponential Backoff And
/// Jitter", AWS Architecture Blog, 2015). A value.
struct Backoff {
  enum class Kind : std::uint8_t {
    constant,             ///< base
    linear,               ///< base * attempt
    exponential,          ///< base * 2^(attempt - 1)
    full_jitter,          ///< uniform from 0 to the exponential delay
    decorrelated_jitter,  ///< uniform from base to three times the previous delay
  };
  Kind kind = Kind::full_jitter;
  Duration base = std::chrono::milliseconds{200};
  Duration cap = std::chrono::minutes{1};  ///< The longest delay.

  bool operator==(const Backoff&) const = default;

  /// The delay after failure number `attempt`, counted from 1. `previous` is the delay before it, zero for the first.
  /// `random` is any number, drawn anew for each call.
  [[nodiscard]] Duration delay(std::uint32_t attempt, Duration previous, std::uint64_t random) const noexcept;
};

/// What a lane does with a message that exceeds its quota. Either the message is stored and exactly what had to go is
/// gone and counted, or it is refused and nothing has changed. Messages in flight or in a consumer's hands are never
/// evicted.
enum class Eviction : std::uint8_t {
  reject,           ///< The message is refused as `full`.
  oldest,           ///< The oldest ready messages make room.
  lowest_priority,  ///< As reject. But if the node's quota is exceeded, the oldest ready messages of lower-priority
                    ///< lanes make room.
  latest_per_key,   ///< A message always replaces the ready message of its key; a delayed one replaces the delayed
                    ///< message of its key, and the ready one when it becomes due. A new key past the quota is refused.
};

enum class Ordering : std::uint8_t {
  per_key,  ///< Messages of one key are handled one at a time, in their order. Keys do not wait for each other.
  none,     ///< No message waits for another.
};

/// What is dead-lettered when a message has used up its attempts.
enum class DeadLetterScope : std::uint8_t {
  message,  ///< The message alone. The next one of its key proceeds.
  key,      ///< The message and every later one of its key, until someone redrives or purges it.
};

/// How many handled messages a lane retains for replay. Zero: no limit of that kind. All zero: nothing is retained.
struct RetentionOptions {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
  Duration age{};

  bool operator==(const RetentionOptions&) const = default;
  [[nodiscard]] bool any() const noexcept { return messages > 0 || bytes > 0 || age > Duration::zero(); }
  /// The limits as a load.
  [[nodiscard]] Load most() const noexcept {
    return {messages > 0 ? messages : ~std::uint64_t{0}, bytes > 0 ? bytes : ~std::uint64_t{0}};
  }
};

/// A lane of another node whose messages are all of table type T. See Lane::at.
template <FlatTable T>
struct RemoteLane {
  std::string address;
};

/// A lane whose messages are all of table type T, named once for both ends. A value.
///
///     inline constexpr pannier::Lane<Job> kJobs{"jobs"};
///     enqueue(kJobs.at("handheld-7"), order, job);  // another type does not compile
///     consume(kJobs);
template <FlatTable T>
class Lane {
 public:
  /// `name` is borrowed and should be a literal.
  explicit constexpr Lane(std::string_view name) noexcept : name_(name) {}
  [[nodiscard]] constexpr std::string_view name() const noexcept { return name_; }
  /// The lane of this name at another node.
  [[nodiscard]] RemoteLane<T> at(std::string_view node) const { return {std::string{node}.append("/").append(name_)}; }

 private:
  std::string_view name_;
};

/// Options of a lane. Lanes not listed have the defaults and exist on first use. If a lane crosses nodes, each node's
/// options govern its own end. They can be changed while the node runs (QueueControl::set_lane).
struct LaneOptions {
  std::string name = {};
  /// Not empty: messages are stored here and then sent on to the lane of this name at that node.
  std::string forward_to = {};
  /// On a link, lanes of higher priority go first. Equal priorities take turns.
  std::uint32_t priority = 0;
  /// The least share of a link that this lane gets while lanes of higher priority are sending, 0 to 50.
  std::uint32_t share_percent = 5;
  std::uint64_t max_messages = limits::kLaneMessages;  ///< Ready and delayed, per destination.
  std::uint64_t max_bytes = limits::kLaneBytes;
  Eviction eviction = Eviction::reject;
  Duration expiry{};  ///< Counted from enqueue, for messages that set none. Zero: never.
  std::uint32_t max_attempts = 5;
  Backoff backoff = {};
  Durability durability = Durability::fsynced;  ///< For messages that set no durability.
  Ordering ordering = Ordering::per_key;
  DeadLetterScope dead_letter = DeadLetterScope::message;
  RetentionOptions retention = {};
  /// Filters, as of subscriptions ("order/+/status"), at most limits::kLaneTopics: what is enqueued to a topic that
  /// matches (enqueue_topic) is stored in this lane.
  std::vector<std::string> topics = {};
};

/// Error: invalid_argument, with one line that names the lane and says what to change. Pure. Any thread.
[[nodiscard]] Result<void> check(const LaneOptions& lane);

/// Counters of a lane since the node started, over all destinations.
struct LaneCounters {
  std::uint64_t accepted = 0;    ///< Messages stored, from this node and others, delayed ones included.
  std::uint64_t refused = 0;     ///< Not stored: over quota, invalid, or the store failed.
  std::uint64_t duplicates = 0;  ///< Received or enqueued again, and dropped.
  std::uint64_t evicted = 0;     ///< Erased to make room, or replaced by a later message of their key.
  std::uint64_t expired = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t delivered = 0;    ///< Acknowledged by another node.
  std::uint64_t handled = 0;      ///< Deliveries acknowledged by consumers.
  std::uint64_t retried = 0;      ///< Attempts that failed and will be repeated.
  std::uint64_t timed_out = 0;    ///< Attempts that were not settled in time.
  std::uint64_t undelivered = 0;  ///< Deliveries refused by a consumer's mailbox, and tried again.
  std::uint64_t dead_lettered = 0;
  std::uint64_t redriven = 0;  ///< Dead letters made ready again.
  std::uint64_t purged = 0;    ///< Dead letters erased.

  bool operator==(const LaneCounters&) const = default;
};

/// The options and counters of one lane.
struct LaneStatus {
  LaneOptions options;
  LaneCounters counters;
};

/// Options of all lanes of a node together.
struct QueueOptions {
  /// Quota of waiting payload over all lanes; 0 for no limit. Beyond it messages are refused, or lower lanes make room
  /// (Eviction::lowest_priority).
  std::uint64_t max_bytes = 0;
  /// How long the first message of a group may wait for others to share its commit: 0 to limits::kCommitDelay. With
  /// zero, a group is whatever arrived during the previous commit. A few milliseconds save a lightly loaded device most
  /// of its flash writes but delay each receipt.
  Duration commit_delay{};
};

}  // namespace pannier
