#include "platform/posix/progress_probe.h"

namespace pannier::posix {

ProgressProbe::ProgressProbe(LoopThreads& threads) : threads_(threads), steps_(threads.size()) { ask(); }

std::optional<std::size_t> ProgressProbe::stuck() const noexcept {
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    if (threads_.steps(i) == steps_[i]) return i;
  }
  return std::nullopt;
}

void ProgressProbe::ask() noexcept {
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    steps_[i] = threads_.steps(i);
    threads_.wake(i);
  }
}

}  // namespace pannier::posix
