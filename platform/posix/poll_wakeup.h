#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include <pannier/platform.h>
#include "platform/posix/event_wakeup.h"

namespace pannier::posix {

/// A wake-up of a loop with sockets of its own: a wait also ends while one of them is readable (epoll(7)). All but
/// notify() on the owner's thread.
class PollWakeup final : public Wakeup {
 public:
  /// Aborts if the system is out of descriptors.
  PollWakeup() noexcept;
  ~PollWakeup() override;
  PollWakeup(const PollWakeup&) = delete;
  PollWakeup& operator=(const PollWakeup&) = delete;

  void notify() noexcept override { event_.notify(); }
  void wait_until(MonoTime deadline) noexcept override;

  /// Ends waits while `fd` is readable.
  void watch(int fd) noexcept;
  /// Ends one wait once the far end of `fd` has closed its half of the connection, or all of it; hung_up() then names
  /// `id`.
  void watch_hangup(int fd, std::uint64_t id) noexcept;
  /// Before `fd` is closed.
  void forget(int fd) noexcept;
  /// The ids of those that have hung up since the last call.
  [[nodiscard]] std::vector<std::uint64_t> hung_up();

 private:
  void take(int milliseconds) noexcept;

  EventWakeup event_;
  int epoll_;
  std::map<int, std::uint64_t> watched_;  // for their end
  std::vector<std::uint64_t> hung_up_;
};

}  // namespace pannier::posix
