#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <pannier/limits.h>
#include <pannier/platform.h>

namespace pannier {

/// Limits the bytes of rows in flight to one node: enough to keep a fast link busy, and so few on a slow one that an
/// urgent row does not queue behind seconds of others in lower layers. The window grows while acknowledgements come as
/// soon as they ever did, and shrinks once they come later by more than a target (LEDBAT, RFC 6817, with its target of
/// 100 ms, and multiplicative decrease). For as long as rows of higher lanes come by, lower ones have little on their
/// way: the far end commits what arrives together, and an urgent row waits for the commit that it meets. A value; one
/// thread.
class FlowWindow {
 public:
  static constexpr std::size_t kLeast = limits::kFrameTargetBytes;
  static constexpr std::size_t kMost = limits::kOutboxWindowBytes;
  static constexpr Duration kTarget = std::chrono::milliseconds{100};
  static constexpr Duration kYields = std::chrono::seconds{1};
  static constexpr Duration kNear = std::chrono::milliseconds{5};

  /// For rows of a lane of that priority.
  [[nodiscard]] std::size_t bytes(std::uint32_t priority, MonoTime now) const noexcept {
    return priority < passed_by_ && now < passed_ + kYields ? yielding() : window_;
  }

  /// A row of a lane of that priority went by waiting rows of lower ones.
  void passed(std::uint32_t priority, MonoTime now) noexcept {
    if (now >= passed_ + kYields || priority > passed_by_) passed_by_ = priority;
    passed_ = now;
  }

  /// A row of `bytes` was acknowledged `delay` after it was sent.
  void acknowledged(std::size_t bytes, Duration delay, MonoTime now) noexcept {
    least_delay_ = std::min(least_delay_, delay);
    const Duration queued = delay - least_delay_;
    if (queued <= kTarget / 2) {
      window_ = std::min(window_ + bytes, kMost);
    } else if (queued > kTarget && now - shrunk_ >= delay) {  // once for each round of what is in flight
      window_ = std::max(window_ - window_ / 4, kLeast);
      shrunk_ = now;
    }
  }

 private:
  /// Where an acknowledgement takes little more than the far end's commit, a few rows keep it busy; else a frame.
  [[nodiscard]] std::size_t yielding() const noexcept { return least_delay_ < kNear ? kLeast / 8 : kLeast; }

  std::size_t window_ = 2 * kLeast;
  Duration least_delay_ = Duration::max();
  MonoTime shrunk_{};
  std::uint32_t passed_by_ = 0;
  MonoTime passed_{};
};

}  // namespace pannier
