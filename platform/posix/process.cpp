#include "platform/posix/process.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

namespace pannier::posix {

Process::Process(LogLevel log_level, std::uint32_t workers) : log_(log_level) {
  const std::uint32_t cores = std::max(1U, std::thread::hardware_concurrency());
  if (workers == 0) workers = cores == 1 ? 1 : 2 + (cores - 1);
  for (std::uint32_t i = 0; i < workers; ++i) wakeups_.push_back(std::make_unique<EventWakeup>());
}

std::vector<Wakeup*> Process::wakeups(Wakeup* sockets) {
  std::vector<Wakeup*> all;
  for (const auto& wakeup : wakeups_) all.push_back(wakeup.get());
  if (sockets != nullptr) all.front() = sockets;
  return all;
}

void Process::wake_main() noexcept { ::kill(::getpid(), SIGTERM); }

void Process::start(std::span<Loop* const> loops) {
  for (std::size_t i = 0; i < loops.size(); ++i) {
    threads_.push_back(std::make_unique<LoopThread>(*loops[i], clock_, "worker" + std::to_string(i)));
  }
}

void Process::join() {
  for (const auto& thread : threads_) thread->request_stop();
  for (const auto& thread : threads_) {
    if (!thread->join(kStopLimit)) {
      log_.write(LogLevel::error, "a worker is stuck in a handler: the process ends without it");
      ::_exit(70);
    }
  }
  threads_.clear();
}

}  // namespace pannier::posix
