#include "platform/posix/event_wakeup.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "platform/posix/system_clock.h"

namespace pannier::posix {

EventWakeup::EventWakeup() noexcept : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (fd_ < 0) {
    std::perror("pannier: out of file descriptors (eventfd); raise `ulimit -n`");
    std::abort();
  }
}

EventWakeup::~EventWakeup() { ::close(fd_); }

void EventWakeup::notify() noexcept {
  // The exchange releases what the caller wrote before; disarm() acquires it.
  if (state_.exchange(State::notified, std::memory_order_acq_rel) != State::sleeping) return;
  const std::uint64_t one = 1;
  // EAGAIN means that the counter is full, thus readable already. No other error is possible on our own descriptor.
  while (::write(fd_, &one, sizeof one) < 0 && errno == EINTR) {
  }
}

bool EventWakeup::arm() noexcept {
  State expected = State::awake;
  armed_ = state_.compare_exchange_strong(expected, State::sleeping, std::memory_order_acq_rel);
  return armed_;
}

void EventWakeup::disarm() noexcept {
  state_.exchange(State::awake, std::memory_order_acq_rel);
  if (!armed_) return;  // The notification found us awake and wrote nothing.
  armed_ = false;
  std::uint64_t count = 0;
  // EAGAIN: the sleep ended otherwise. A notify() that saw us asleep may still write; that ends the next sleep early,
  // which the contract allows, and is read then.
  while (::read(fd_, &count, sizeof count) < 0 && errno == EINTR) {
  }
}

void EventWakeup::wait_until(MonoTime deadline) noexcept {
  if (arm()) {
    pollfd item{fd_, POLLIN, 0};
    if (deadline == kNever) {
      // EINTR and any other cause are early returns, which the contract allows.
      ::ppoll(&item, 1, nullptr, nullptr);
    } else if (const Duration left = deadline - mono_now(); left > Duration::zero()) {
      const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
      timespec timeout{};
      timeout.tv_sec = static_cast<time_t>(seconds.count());
      timeout.tv_nsec = static_cast<long>((left - seconds).count());
      ::ppoll(&item, 1, &timeout, nullptr);
    }
  }
  disarm();
}

}  // namespace pannier::posix
