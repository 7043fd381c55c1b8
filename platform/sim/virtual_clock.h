#pragma once

#include "platform/clock.h"

namespace pannier::sim {

/// Time that passes only when the simulator says so. Starts at a round second, so that "zero" is never a valid time by
/// accident. One thread.
class VirtualClock final : public Clock {
 public:
  [[nodiscard]] MonoTime now() const noexcept override { return now_; }
  [[nodiscard]] WallTime wall_now() const noexcept override { return wall_; }

  [[nodiscard]] std::uint64_t boot() const noexcept override { return boot_; }

  /// Moves both clocks on. `time` must not lie before now(); an earlier one is ignored: monotonic time never goes back.
  void advance_to(MonoTime time) noexcept {
    if (time <= now_) return;
    wall_ += time - now_;
    now_ = time;
  }

  /// A step of the wall clock alone, either way: an operator, NTP, a battery that was out.
  void step_wall(Duration by) noexcept { wall_ += by; }

  /// The machine boots anew: from here on nobody may compare monotonic times with earlier ones.
  void reboot() noexcept { ++boot_; }

  static constexpr MonoTime kStart{std::chrono::seconds{1000}};

 private:
  std::uint64_t boot_ = 1;
  MonoTime now_ = kStart;
  WallTime wall_{std::chrono::seconds{1'700'000'000}};
};

}  // namespace pannier::sim
