#include "runtime/queue/store_clock.h"

#include <algorithm>

#include "runtime/mutants.h"

namespace pannier {

void StoreClock::load(const std::optional<ClockAnchor>& kept) noexcept {
  mono_ = clock_.now();
  if (!kept) return;
  const bool has_id = kept->boot != 0 || is_mutant(Mutant::unknown_boots_equal);
  const bool same_boot = has_id && kept->boot == clock_.boot();
  const Duration passed = same_boot ? mono_ - kept->mono : clock_.wall_now() - kept->wall;
  start_ = kept->store + std::max(passed, Duration::zero());
}

}  // namespace pannier
