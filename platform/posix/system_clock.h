#pragma once

#include <pannier/platform.h>

namespace pannier::posix {

/// The time that SystemClock and EventWakeup agree on. Any thread.
[[nodiscard]] MonoTime mono_now() noexcept;

/// The machine's clocks. Monotonic time is CLOCK_BOOTTIME where the system has it, so that it goes on while a handheld
/// is suspended: expiry and heartbeat deadlines are promises to a peer whose clock did not stop. Elsewhere it is
/// CLOCK_MONOTONIC. A sleep that was under way at a suspend lasts its remainder after the resume.
/// Callable from any thread; holds no state.
class SystemClock final : public Clock {
 public:
  [[nodiscard]] MonoTime now() const noexcept override { return mono_now(); }
  [[nodiscard]] WallTime wall_now() const noexcept override;
  /// A hash of Linux's boot id; 0 where the system has none.
  [[nodiscard]] std::uint64_t boot() const noexcept override;
};

}  // namespace pannier::posix
