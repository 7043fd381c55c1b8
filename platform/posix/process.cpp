#include "platform/posix/process.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "platform/concat.h"
#include "platform/posix/progress_probe.h"

namespace pannier::posix {

namespace {

/// A wrong environment is no reason not to work.
ServiceManager open_service_manager(Log& log) {
  auto manager = ServiceManager::open(ServiceEnvironment::of_process());
  if (manager) return *std::move(manager);
  log.write(LogLevel::warning, manager.error().text());
  return {};
}

std::size_t workers_for(std::uint32_t wanted) noexcept {
  if (wanted != 0) return wanted;
  const std::size_t cores = std::max(1U, std::thread::hardware_concurrency());
  return cores == 1 ? 1 : 2 + (cores - 1);
}

}  // namespace

Process::Process(LogLevel log_level, std::uint32_t workers)
    : log_(log_level), service_manager_(open_service_manager(log_)), threads_(workers_for(workers), clock_) {}

std::vector<Wakeup*> Process::wakeups(Wakeup* sockets) {
  std::vector<Wakeup*> all;
  for (std::size_t i = 0; i < threads_.places(); ++i) all.push_back(&threads_.place(i));
  if (sockets != nullptr) all.front() = sockets;
  return all;
}

void Process::wake_main() noexcept { ::kill(::getpid(), SIGTERM); }

void Process::set_status(std::string line) {
  status_ = std::move(line);
  tell("its state", service_manager_.status(status_));
}

void Process::tell(std::string_view what, const Result<void>& told) {
  if (!told) log_.write(LogLevel::warning, concat({"cannot say ", what, ": ", told.error().text()}));
}

void Process::on_hangup(std::function<void()> read_again) {
  read_again_ = std::move(read_again);
  signals_.take_hangups();
}

void Process::wait_for_end() {
  const Duration watchdog = service_manager_.watchdog();
  if (watchdog == Duration::zero()) {
    while (signals_.wait() == SIGHUP) read_again_();
    return;
  }
  ProgressProbe probe{threads_};
  bool complained = false;
  // Half the time, as sd_watchdog_enabled(3) asks; looked at more often while a loop owes an answer, so that one that
  // gets through at last is not killed for it.
  for (Duration pause = watchdog / 2;;) {
    const std::optional<int> signal = signals_.wait_for(pause);
    if (signal == SIGHUP) read_again_();
    if (signal && *signal != SIGHUP) return;
    const std::optional<std::size_t> stuck = probe.stuck();
    if (!stuck) {
      tell("that the node is alive", service_manager_.alive());
      if (complained) tell("its state", service_manager_.status(status_));
      probe.ask();
    } else if (!complained) {
      const std::string line = concat({"worker", *stuck, " makes no progress: the watchdog will end the process"});
      log_.write(LogLevel::error, line);
      tell("its state", service_manager_.status(line));
    }
    complained = stuck.has_value();
    pause = complained ? watchdog / 8 : watchdog / 2;
  }
}

void Process::join() {
  if (threads_.join(kStopLimit)) return;
  log_.write(LogLevel::error, "a worker is stuck in a handler: the process ends without it");
  ::_exit(70);
}

}  // namespace pannier::posix
