#pragma once

#include <chrono>
#include <optional>

#include <pannier/platform.h>
#include "runtime/store/row.h"

namespace pannier {

/// The time of a store, by which messages expire and fall due: how long the store has lived, the time included in which
/// its process did not run, as far as that can be known.
///
/// While a process runs, and from one process to the next within one boot of the machine, it goes on with the monotonic
/// clock, exactly, whatever happens to the wall clock. Over a boot only the wall clock can tell how long the machine
/// was off: the difference counts where it is positive; a clock that lost its battery and shows an earlier time counts
/// as no time at all. So a message never expires early for a clock that fell back, was corrected or was set while the
/// node ran; it lives longer by the time that nobody counted. What remains: a machine that boots with a wall clock
/// *ahead* of the true time has that counted as time off. One thread.
class StoreClock {
 public:
  explicit StoreClock(const Clock& clock) : clock_(clock) {}

  /// Continues from the anchor of an earlier process. A new store starts at one second, so that no time equals
  /// kNoMoment.
  void load(const std::optional<ClockAnchor>& kept) noexcept;

  [[nodiscard]] StoreTime now() const noexcept { return start_ + (clock_.now() - mono_); }
  /// What to note, so that a later life can go on from here. Any moment is as good as another within one boot; over a
  /// boot, the later the better where the wall clock was stepped in between.
  [[nodiscard]] ClockAnchor anchor() const noexcept { return {now(), clock_.now(), clock_.wall_now(), clock_.boot()}; }

 private:
  const Clock& clock_;
  StoreTime start_{std::chrono::seconds{1}};
  MonoTime mono_{};
};

}  // namespace pannier
