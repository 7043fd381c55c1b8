#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <pannier/result.h>

namespace pannier::delivery {

/// What a mobile link lets through over time, in mahimahi's format (Netravali et al., USENIX ATC 2015; traces recorded
/// as in Winstein et al., NSDI 2013): each line is a time in ms at which 1,500 bytes may cross. Repeated lines are
/// several opportunities in that ms; a gap is an outage. After its last time the trace repeats.
class Trace {
 public:
  static constexpr std::size_t kOpportunityBytes = 1'500;

  /// No trace: everything passes at once.
  Trace() = default;

  /// Parses a trace. `name` is for errors: invalid_argument, "FILE:LINE: what is wrong, what is expected".
  [[nodiscard]] static Result<Trace> parse(std::string_view name, std::string_view text);
  /// Reads a file. Errors: not_found, permission, storage_io, otherwise as parse.
  [[nodiscard]] static Result<Trace> read(const std::string& path);
  /// Generates `length_ms`, at least 10 s, of an LTE link in a moving car: a rate around `kbit_per_s` (a tenth to three
  /// times as much) that varies over seconds, short stalls every few seconds, and outages of 1 to 5 s about twice a
  /// minute. The same arguments give the same trace on every machine.
  [[nodiscard]] static Trace generate(std::uint64_t seed, std::uint32_t kbit_per_s, std::uint32_t length_ms = 120'000);

  [[nodiscard]] bool unlimited() const noexcept { return at_ms_.empty(); }
  /// The opportunities of one round, increasing, in ms. Valid as long as the trace.
  [[nodiscard]] const std::vector<std::uint32_t>& opportunities() const noexcept { return at_ms_; }
  /// The length of a round in ms; 0 if unlimited.
  [[nodiscard]] std::uint32_t period_ms() const noexcept { return at_ms_.empty() ? 0 : at_ms_.back(); }
  /// The longest gap between opportunities within a round.
  [[nodiscard]] std::uint32_t longest_gap_ms() const noexcept;

 private:
  explicit Trace(std::vector<std::uint32_t> at_ms) : at_ms_(std::move(at_ms)) {}
  std::vector<std::uint32_t> at_ms_;
};

/// Both directions of a link.
struct TracePair {
  Trace up;    ///< From the device.
  Trace down;  ///< To the device.
};

/// Reads `path` and its other half if there is one: X.down for X.up, and vice versa. A single trace serves both
/// directions. Errors as Trace::read.
[[nodiscard]] Result<TracePair> read_trace_pair(const std::string& path);

/// Walks a trace in its own time (ms from its start, any number of rounds) and hands out its opportunities. An
/// opportunity not used at its time is lost.
class TraceCursor {
 public:
  /// Borrows `trace`, which outlives the cursor.
  explicit TraceCursor(const Trace& trace) : trace_(&trace) {}

  /// Discards the opportunities before `now_ms`.
  void skip_to(std::int64_t now_ms) noexcept;
  /// Takes all opportunities up to and including `now_ms` and returns the bytes they carry. A large number for an
  /// unlimited trace.
  [[nodiscard]] std::size_t take_until(std::int64_t now_ms) noexcept;
  /// When the next opportunity comes; for an unlimited trace long ago.
  [[nodiscard]] std::int64_t next_ms() const noexcept;

 private:
  const Trace* trace_;
  std::int64_t round_ = 0;
  std::size_t index_ = 0;
};

}  // namespace pannier::delivery
