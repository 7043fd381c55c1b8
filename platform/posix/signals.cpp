#include "platform/posix/signals.h"

#include <signal.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "platform/posix/system_clock.h"

namespace pannier::posix {
namespace {

sigset_t stop_set() noexcept {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGHUP);
  return set;
}

}  // namespace

StopSignals::StopSignals() noexcept {
  const sigset_t set = stop_set();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  for (const int ignored : {SIGPIPE, SIGUSR1, SIGUSR2}) ::signal(ignored, SIG_IGN);
}

StopSignals::~StopSignals() {
  // Another signal may be pending: a second request, or the program's own notice of its end. Unblocked, it would kill.
  while (wait_for(Duration::zero())) {
  }
  const sigset_t set = stop_set();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  for (const int ignored : {SIGPIPE, SIGUSR1, SIGUSR2}) ::signal(ignored, SIG_DFL);
}

int StopSignals::wait() noexcept {
  const sigset_t set = stop_set();
  int number = 0;
  while (sigwait(&set, &number) != 0) {
  }
  return number;
}

std::optional<int> StopSignals::wait_for(Duration limit) noexcept {
  const sigset_t set = stop_set();
  const MonoTime deadline = mono_now() + limit;
  for (;;) {
    const Duration left = std::max(deadline - mono_now(), Duration::zero());
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
    timespec timeout{};
    timeout.tv_sec = static_cast<time_t>(seconds.count());
    timeout.tv_nsec = static_cast<long>((left - seconds).count());
    const int number = sigtimedwait(&set, nullptr, &timeout);
    if (number > 0) return number;
    if (errno != EINTR) return std::nullopt;
  }
}

}  // namespace pannier::posix
