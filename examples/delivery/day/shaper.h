#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "examples/delivery/day/trace.h"

namespace pannier::delivery {

/// "Never", in ms.
inline constexpr std::int64_t kNeverMs = std::numeric_limits<std::int64_t>::max();

/// The bytes of one direction of one connection on their way through a link: first waiting, then granted.
class Flow {
 public:
  /// Adds bytes that may not leave before `due_ms`, which must not decrease between calls.
  void push(std::int64_t due_ms, std::string_view bytes);

  /// When the first waiting byte may leave; kNeverMs if none waits.
  [[nodiscard]] std::int64_t first_due_ms() const noexcept {
    return waiting_.empty() ? kNeverMs : waiting_.front().due_ms;
  }
  /// Grants up to `budget` of the waiting bytes that are due. Returns how many.
  std::size_t grant(std::int64_t now_ms, std::size_t budget);

  /// What may be written to the socket now. Valid until the flow changes.
  [[nodiscard]] std::string_view granted() const noexcept { return std::string_view(granted_).substr(sent_); }
  /// The first `bytes` of granted() were written.
  void sent(std::size_t bytes);

  /// Bytes inside, waiting and granted.
  [[nodiscard]] std::size_t size() const noexcept { return waiting_bytes_ + granted_.size() - sent_; }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }

 private:
  struct Chunk {
    std::int64_t due_ms;
    std::string bytes;
  };
  std::deque<Chunk> waiting_;
  std::size_t waiting_bytes_ = 0;
  std::string granted_;
  std::size_t sent_ = 0;
};

struct ShaperOptions {
  std::shared_ptr<const Trace> trace;  ///< Null: unlimited.
  std::int64_t base_delay_ms = 0;      ///< Of one direction, in wall time.
  double speed = 1.0;                  ///< Milliseconds of the trace per millisecond of wall time; above 0.
  std::int64_t offset_ms = 0;          ///< Where in the trace this link begins, so that links differ.
};

/// One direction of a link: lets its flows through as the trace allows. A step machine that gets the time (wall ms
/// since any start) as an argument, for exact tests. Not thread-safe.
class Shaper {
 public:
  explicit Shaper(ShaperOptions options);

  [[nodiscard]] std::int64_t due_ms(std::int64_t now_ms) const noexcept { return now_ms + options_.base_delay_ms; }
  /// Grants what the opportunities up to now carry to the flows, which take turns to be first. Opportunities at which
  /// nothing was due are lost.
  void grant(std::span<Flow* const> flows, std::int64_t now_ms);
  /// Discards the opportunities up to now: the link was down.
  void skip_to(std::int64_t now_ms) noexcept { cursor_.skip_to(trace_ms(now_ms)); }
  /// When to call grant again; kNeverMs if nothing waits.
  [[nodiscard]] std::int64_t next_ms(std::span<Flow* const> flows) const noexcept;

 private:
  [[nodiscard]] std::int64_t trace_ms(std::int64_t wall_ms) const noexcept;
  [[nodiscard]] std::int64_t wall_ms(std::int64_t trace_ms) const noexcept;
  ShaperOptions options_;
  TraceCursor cursor_;
  std::size_t turn_ = 0;
};

}  // namespace pannier::delivery
