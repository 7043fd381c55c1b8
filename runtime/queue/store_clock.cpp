#include "runtime/queue/store_clock.h"

#include <algorithm>

namespace pannier {

void StoreClock::load(const std::optional<ClockAnchor>& kept) noexcept {
  mono_ = clock_.now();
  if (!kept) return;
  const bool same_boot = kept->boot != 0 && kept->boot == clock_.boot();
  const Duration passed = same_boot ? mono_ - kept->mono : clock_.wall_now() - kept->wall;
  start_ = kept->store + std::max(passed, Duration::zero());
}

}  // namespace pannier
