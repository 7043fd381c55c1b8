#include "platform/posix/poll_wakeup.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "platform/posix/system_clock.h"

namespace pannier::posix {

PollWakeup::PollWakeup() noexcept : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (epoll_ < 0) {
    std::perror("pannier: out of file descriptors (epoll); raise `ulimit -n`");
    std::abort();
  }
  watch(event_.fd());
}

PollWakeup::~PollWakeup() { ::close(epoll_); }

void PollWakeup::watch(int fd) noexcept {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
}

void PollWakeup::watch_hangup(int fd, std::uint64_t id) noexcept {
  epoll_event event{};
  event.events = EPOLLRDHUP;
  event.data.fd = fd;
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0) watched_[fd] = id;
}

void PollWakeup::forget(int fd) noexcept {
  if (watched_.erase(fd) != 0) ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
}

std::vector<std::uint64_t> PollWakeup::hung_up() {
  take(0);
  return std::exchange(hung_up_, {});
}

void PollWakeup::take(int milliseconds) noexcept {
  std::array<epoll_event, 64> events{};
  const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), milliseconds);
  for (int i = 0; i < count; ++i) {
    const int fd = events[static_cast<std::size_t>(i)].data.fd;
    const auto found = watched_.find(fd);
    if (found == watched_.end()) continue;
    hung_up_.push_back(found->second);
    forget(fd);
  }
}

void PollWakeup::wait_until(MonoTime deadline) noexcept {
  if (event_.arm()) {
    if (deadline == kNever) {
      take(-1);
    } else if (const Duration left = deadline - mono_now(); left > Duration::zero()) {
      // Rounded up: a wait that ends too early would only be repeated.
      const auto whole = std::chrono::ceil<std::chrono::milliseconds>(left).count();
      take(static_cast<int>(std::min<std::int64_t>(whole, 3'600'000)));
    }
  }
  event_.disarm();
}

}  // namespace pannier::posix
