#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <pannier/message.h>
#include <pannier/platform.h>

namespace pannier {

/// A histogram of one actor's handler times. Each bucket is twice as wide as the one before it. A value.
struct HandlerTimes {
  static constexpr std::size_t kBuckets = 40;  // the last one starts at about five minutes
  /// Turns that took less than `below(bucket)` but not less than `below(bucket - 1)`.
  std::array<std::uint32_t, kBuckets> counts{};

  [[nodiscard]] static constexpr Duration below(std::size_t bucket) noexcept {
    return Duration{std::int64_t{1} << bucket};
  }
  [[nodiscard]] static constexpr std::size_t bucket_of(Duration took) noexcept {
    const auto width = static_cast<std::size_t>(std::bit_width(static_cast<std::uint64_t>(took.count())));
    return width < kBuckets ? width : kBuckets - 1;
  }
  [[nodiscard]] std::uint64_t total() const noexcept {
    std::uint64_t sum = 0;
    for (const std::uint32_t count : counts) sum += count;
    return sum;
  }
  /// The time below which `share` (0 to 1) of the turns stayed, at most a factor of two too high. Zero if nothing was
  /// timed.
  [[nodiscard]] Duration percentile(double share) const noexcept {
    const double wanted = share * static_cast<double>(total());
    std::uint64_t sum = 0;
    for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
      sum += counts[bucket];
      if (sum > 0 && static_cast<double>(sum) >= wanted) return below(bucket);
    }
    return Duration::zero();
  }
};

/// Written by one worker, read by any thread.
using HandlerTimesCell = std::array<std::atomic<std::uint32_t>, HandlerTimes::kBuckets>;

enum class DeadLetterReason : std::uint8_t {
  no_such_actor,   ///< Stopped, never existed, or no link leads to it.
  mailbox_full,    ///< Dropped by the mailbox's policy.
  unhandled,       ///< The actor has no handler for the type, or the bytes do not verify.
  stopped,         ///< Waiting in the mailbox of an actor that stopped.
  late_reply,      ///< The question already had its outcome.
  handler_failed,  ///< Being handled when the handler failed.
  replaced,        ///< Replaced by a newer message of its key: WhenFull::keep_latest.
  link_full,       ///< A publication that did not fit into a linked node's link.
  not_retained,    ///< A publication that was passed on but, for lack of room, not retained.
};
inline constexpr std::size_t kDeadLetterReasons = 9;
[[nodiscard]] std::string_view to_string(DeadLetterReason reason) noexcept;

/// A message that did not reach a handler or made it fail. `type` is borrowed for the call and empty if unknown.
struct DeadLetter {
  DeadLetterReason reason;
  std::string_view type;
  ActorId sender;
  ActorId receiver;
  std::uint64_t count = 1;  ///< So many alike: another node dropped them, and has said so.
};

/// A handled message. Includes replies, handled by the function waiting for them.
struct Handled {
  std::string_view type;
  ActorId sender;
  ActorId receiver;
  std::uint64_t correlation = 0;  ///< Of a question or a delivery; 0 otherwise.
  /// Its id is that of everything that one message has caused, here and on other nodes; `span` is this turn.
  Trace trace;
  std::uint64_t parent = 0;  ///< The span that caused the message; 0: here begins the trace.
  Duration took{};
  bool ok = true;
};

/// Observes a running node. Called on the workers' threads within their turns: return quickly, never block, never call
/// the node. A node without an observer pays one comparison per message.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void on_handled(const Handled& /*handled*/) noexcept {}
  virtual void on_dead_letter(const DeadLetter& /*letter*/) noexcept {}
};

/// A living actor, as seen from another thread.
struct ActorStatus {
  ActorId id;
  std::string name;            ///< "#worker.slot.generation" if it has none.
  std::string_view type;       ///< The class; static storage.
  std::uint32_t handled = 0;   ///< Since it was spawned, modulo 2^32.
  std::uint32_t rejected = 0;  ///< Messages without a handler, or that did not verify.
  std::uint32_t failures = 0;  ///< Restarts, and the final failure.
  std::uint32_t queued = 0;    ///< In its mailbox.
};

}  // namespace pannier
