#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>

#include <pannier/limits.h>
#include <pannier/platform.h>

namespace pannier {

/// Limits the bytes in flight over one link to what the line carries in a quarter of a second, as measured. That keeps
/// a fast line busy. On a slow line it keeps the buffers below us short, so that an urgent record can leave next, and
/// it keeps pieces so small that each arrives well before the silence timeout.
///
/// Measures one-way delay (LEDBAT, RFC 6817), so traffic in the other direction does not disturb it. A value; one
/// thread.
class LinkWindow {
 public:
  static constexpr std::size_t kLeast = 1024;
  static constexpr std::size_t kMost = limits::kLinkQueueBytes;
  static constexpr std::size_t kStart = 8 * 1024;
  static constexpr Duration kHorizon = std::chrono::milliseconds{250};
  /// A longer queueing delay is attributed to the line, never to a busy peer.
  static constexpr Duration kCertain = std::chrono::seconds{1};
  static constexpr Duration kRateMemory = std::chrono::seconds{2};
  static constexpr Duration kDelayMemory = std::chrono::minutes{5};

  /// True when `bytes` more may be sent now.
  [[nodiscard]] bool takes(std::size_t bytes) const noexcept {
    return in_flight() == 0 || in_flight() + bytes <= window_;
  }
  [[nodiscard]] std::size_t bytes() const noexcept { return window_; }
  /// Not known to carry more than 256 kB/s.
  [[nodiscard]] bool is_slow() const noexcept { return window_ < kMost / 64; }
  /// The largest frame to send now: at most half of the window and what the line carries in 31 ms.
  [[nodiscard]] std::size_t piece() const noexcept {
    return std::clamp(std::min(window_ / 2, piece_), kLeast, limits::kPayloadBytes + 8192);
  }
  [[nodiscard]] std::size_t in_flight() const noexcept { return static_cast<std::size_t>(line_sent_ - line_echoed_); }
  [[nodiscard]] std::uint64_t sent() const noexcept { return sent_; }
  [[nodiscard]] std::uint64_t echoed() const noexcept { return echoed_; }
  /// True when a frame that adds `bytes` should end with a mark.
  [[nodiscard]] bool wants_mark(std::size_t bytes) const noexcept {
    return bytes > 0 && sent_ + bytes - marked_ >= std::max(window_ / 8, kLeast / 2);
  }
  [[nodiscard]] bool awaits_echo() const noexcept { return !marks_.empty(); }

  /// A frame added `bytes`, which take `on_line` of the line, fewer if it was packed.
  void handed_over(std::size_t bytes, std::size_t on_line) noexcept {
    sent_ += bytes;
    line_sent_ += on_line;
  }
  void handed_over(std::size_t bytes) noexcept { handed_over(bytes, bytes); }
  /// Notes that a mark at position sent() was sent, at the end of a frame that took `on_line` bytes of the line.
  void marked(std::size_t on_line, MonoTime now) {
    marked_ = sent_;
    // Earlier bytes, too few for a mark, may have arrived long ago.
    if (marks_.empty()) burst_ = line_sent_ - on_line;
    if (!marks_.empty() && marks_.back().position == sent_) return;
    marks_.push_back({sent_, line_sent_, static_cast<std::size_t>(line_sent_ - std::max(line_echoed_, burst_)), now});
  }

  /// The peer received the mark at `position`. `transit` is its one-way delay plus the unknown, constant offset of the
  /// peer's clock. Unknown positions are ignored.
  void echo(std::uint64_t position, Duration transit, MonoTime now) noexcept {
    const auto found =
        std::find_if(marks_.begin(), marks_.end(), [&](const Mark& mark) { return mark.position == position; });
    if (found == marks_.end()) return;
    const Mark mark = *found;
    marks_.erase(marks_.begin(), found + 1);
    echoed_ = std::max(echoed_, position);
    line_echoed_ = std::max(line_echoed_, mark.line);
    const std::int64_t queued = transit.count() - delay_.add(transit.count(), now, kDelayMemory);
    const std::int64_t round_trip = round_trip_.add((now - mark.sent_at).count(), now, kDelayMemory);
    // Few bytes with little delay say nothing about the line's rate.
    const bool tells = mark.flown >= window_ / 2 || queued >= kHorizon.count();
    if (tells && mark.flown >= kLeast / 2) adapt(mark.flown, queued, round_trip, now);
  }

 private:
  struct Mark {
    std::uint64_t position;
    std::uint64_t line;  // bytes of the line up to it
    std::size_t flown;   // bytes in flight when it was sent
    MonoTime sent_at;
  };
  /// The minimum of the values added within the last one to two spans.
  struct Least {
    static constexpr std::int64_t kNone = std::numeric_limits<std::int64_t>::max();
    std::int64_t current = kNone;
    std::int64_t previous = kNone;
    MonoTime since{};
    std::int64_t add(std::int64_t value, MonoTime now, Duration span) noexcept {
      if (now - since >= span) {
        previous = now - since >= 2 * span ? kNone : current;
        current = kNone;
        since = now;
      }
      current = std::min(current, value);
      return std::min(current, previous);
    }
  };

  /// Adapts the window to a mark that was sent with `flown` bytes in flight and was queued for `queued`. Uses the best
  /// recent pace: a peer that is busy now and then makes the line look slower than it is, and nothing makes it look
  /// faster.
  void adapt(std::size_t flown, std::int64_t queued, std::int64_t round_trip, MonoTime now) noexcept {
    if (queued >= kCertain.count()) pace_ = {};
    const std::int64_t pace = pace_.add((queued + round_trip) / static_cast<std::int64_t>(flown), now, kRateMemory);
    piece_ = static_cast<std::size_t>(kHorizon.count() / 8 / std::max<std::int64_t>(pace, 1));
    const auto wanted = static_cast<std::size_t>((kHorizon.count() + round_trip) / std::max<std::int64_t>(pace, 1));
    if (wanted < window_) {
      window_ = std::max({wanted, window_ / 2, kLeast});
    } else {
      window_ = std::min({wanted, window_ * 2, kMost});
    }
  }

  std::size_t window_ = kStart;
  std::size_t piece_ = kStart / 2;  // what the line carries in an eighth of the horizon
  std::uint64_t sent_ = 0;          // positions count the bytes of records
  std::uint64_t echoed_ = 0;
  std::uint64_t marked_ = 0;
  std::uint64_t line_sent_ = 0;  // the same in bytes of the line, which the window is about
  std::uint64_t line_echoed_ = 0;
  std::uint64_t burst_ = 0;  // byte of the line from which the marks in flight measure
  std::deque<Mark> marks_;
  Least delay_;       // nanoseconds, including the offset between both clocks
  Least round_trip_;  // nanoseconds
  Least pace_;        // nanoseconds per byte
};

}  // namespace pannier
