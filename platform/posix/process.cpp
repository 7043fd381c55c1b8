#include <pannier/process.h>

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "platform/concat.h"
#include "platform/posix/loop_threads.h"
#include "platform/posix/progress_probe.h"
#include "platform/posix/service_manager.h"
#include "platform/posix/signals.h"
#include "platform/posix/stderr_log.h"
#include "platform/posix/system_clock.h"
#include "platform/posix/system_entropy.h"

namespace pannier::posix {

namespace {

/// An invalid environment is no reason to stop.
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

/// Fewer than a node needs to start: sockets, libzmq's own, the store's files.
constexpr rlim_t kFewestDescriptors = 64;
/// More than limits::kLinks need.
constexpr rlim_t kMostDescriptors = 16384;

/// Raises the descriptor limit as far as allowed; half-open connections and a store's files share it. False if it is
/// too low.
bool raise_descriptor_limit() noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return true;
  if (limit.rlim_cur < limit.rlim_max && limit.rlim_cur < kMostDescriptors) {
    limit.rlim_cur = std::min(limit.rlim_max, kMostDescriptors);
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  return limit.rlim_cur >= kFewestDescriptors;
}

}  // namespace

struct Process::Parts {
  Parts(LogLevel log_level, std::uint32_t workers)
      : log(log_level), service_manager(open_service_manager(log)), threads(workers_for(workers), clock) {}

  /// Serves SIGHUP. Returns on a signal to end, or when the node itself has ended.
  void wait_for_end();
  /// Logs if the service manager could not be told `what`.
  void tell(std::string_view what, const Result<void>& told);
  void join();

  /// Actors bound their own stops; this limit is for a stuck handler.
  static constexpr Duration kStopLimit = std::chrono::seconds{30};

  StopSignals signals;
  SystemClock clock;
  SystemEntropy entropy;
  StderrLog log;
  ServiceManager service_manager;
  std::string status;
  std::function<void()> read_again;
  LoopThreads threads;
  std::vector<Loop*> others;  // besides the node's
};

Process::Process(LogLevel log_level, std::uint32_t workers) {
  if (!raise_descriptor_limit()) {
    StderrLog{log_level}.write(LogLevel::error, "fewer than 64 descriptors are allowed: raise `ulimit -n`");
    ::_exit(70);
  }
  parts_ = std::make_unique<Parts>(log_level, workers);
}
Process::~Process() = default;

Platform Process::platform() noexcept { return {parts_->clock, parts_->entropy, parts_->log}; }
Log& Process::log() noexcept { return parts_->log; }

std::vector<Wakeup*> Process::wakeups(Wakeup* sockets) {
  std::vector<Wakeup*> all;
  for (std::size_t i = 0; i < parts_->threads.places(); ++i) all.push_back(&parts_->threads.place(i));
  if (sockets != nullptr) all.front() = sockets;
  return all;
}

void Process::wake_main() noexcept { ::kill(::getpid(), SIGTERM); }

void Process::set_status(std::string line) {
  parts_->status = std::move(line);
  parts_->tell("its state", parts_->service_manager.status(parts_->status));
}

void Process::run_loops(std::span<Loop* const> loops, const std::function<void()>& stop,
                        const std::function<bool()>& stopped) {
  Parts& parts = *parts_;
  parts.threads.start(loops);
  std::optional<LoopThreads> others;
  if (!parts.others.empty()) others.emplace(parts.others, parts.clock);
  parts.tell("that the node runs", parts.service_manager.ready());
  parts.wait_for_end();
  parts.tell("that the node is stopping", parts.service_manager.stopping());
  stop();
  while (!stopped()) {
    if (!parts.signals.wait_for(Parts::kStopLimit)) break;
  }
  parts.join();
}

void Process::drive(Loop& loop) { parts_->others.push_back(&loop); }

void Process::on_hangup(std::function<void()> read_again) { parts_->read_again = std::move(read_again); }

void Process::Parts::tell(std::string_view what, const Result<void>& told) {
  if (!told)
    log.write(LogLevel::warning, concat({"cannot tell the service manager ", what, ": ", told.error().text()}));
}

void Process::Parts::wait_for_end() {
  const Duration watchdog = service_manager.watchdog();
  if (watchdog == Duration::zero()) {
    while (signals.wait() == SIGHUP && read_again) read_again();
    return;
  }
  ProgressProbe probe{threads};
  bool complained = false;
  // Half the interval, as sd_watchdog_enabled(3) asks. Checked more often while a loop is overdue, so that one that
  // finishes late does not get the process killed.
  for (Duration pause = watchdog / 2;;) {
    const std::optional<int> signal = signals.wait_for(pause);
    if (signal && (*signal != SIGHUP || !read_again)) return;
    if (signal) read_again();
    const std::optional<std::size_t> stuck = probe.stuck();
    if (!stuck) {
      tell("that the node is alive", service_manager.alive());
      if (complained) tell("its state", service_manager.status(status));
      probe.ask();
    } else if (!complained) {
      const std::string line = concat({"worker", *stuck, " makes no progress; the watchdog will kill the process"});
      log.write(LogLevel::error, line);
      tell("its state", service_manager.status(line));
    }
    complained = stuck.has_value();
    pause = complained ? watchdog / 8 : watchdog / 2;
  }
}

void Process::Parts::join() {
  if (threads.join(kStopLimit)) return;
  log.write(LogLevel::error, "a worker is stuck in a handler; the process exits without waiting for it");
  ::_exit(70);
}

}  // namespace pannier::posix
