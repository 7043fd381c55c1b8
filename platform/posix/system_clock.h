#pragma once

#include <pannier/platform.h>

namespace pannier::posix {

/// The time used by SystemClock and EventWakeup. Any thread.
[[nodiscard]] MonoTime mono_now() noexcept;

/// The machine's clocks. Monotonic time is CLOCK_BOOTTIME where available, so that it advances while a handheld is
/// suspended: expiry and heartbeat deadlines are promises to peers whose clocks went on. Elsewhere it is
/// CLOCK_MONOTONIC. A sleep interrupted by a suspend lasts its remainder after the resume. Any thread; stateless.
class SystemClock final : public Clock {
 public:
  [[nodiscard]] MonoTime now() const noexcept override { return mono_now(); }
  [[nodiscard]] WallTime wall_now() const noexcept override;
  /// A hash of Linux's boot id; 0 if there is none.
  [[nodiscard]] std::uint64_t boot() const noexcept override;
};

}  // namespace pannier::posix
