#include "platform/posix/progress_probe.h"

namespace pannier::posix {

ProgressProbe::ProgressProbe(std::span<const std::unique_ptr<LoopThread>> threads)
    : threads_(threads), steps_(threads.size()) {
  ask();
}

const LoopThread* ProgressProbe::stuck() const noexcept {
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    if (threads_[i]->steps() == steps_[i]) return threads_[i].get();
  }
  return nullptr;
}

void ProgressProbe::ask() noexcept {
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    steps_[i] = threads_[i]->steps();
    threads_[i]->wake();
  }
}

}  // namespace pannier::posix
