#pragma once

#include <atomic>
#include <cstdint>

#include <pannier/platform.h>

namespace pannier::posix {

/// A wake-up on an eventfd. notify() is one atomic exchange while the owner is awake and makes a system call only if
/// the owner sleeps (as in Linux's futex fast path and libuv's `uv_async_send`).
///
/// A transport that sleeps on its own sockets polls fd() with them: `if (arm()) { poll sockets and fd(); } disarm();`
class EventWakeup final : public Wakeup {
 public:
  /// Aborts if the system is out of descriptors: without a wake-up nothing can run.
  EventWakeup() noexcept;
  ~EventWakeup() override;
  EventWakeup(const EventWakeup&) = delete;
  EventWakeup& operator=(const EventWakeup&) = delete;

  void notify() noexcept override;
  void wait_until(MonoTime deadline) noexcept override;
  [[nodiscard]] bool notified_only() const noexcept override { return true; }

  /// True if a notification is pending.
  [[nodiscard]] bool notified() const noexcept { return state_.load(std::memory_order_relaxed) == State::notified; }
  /// Owner's thread. Announces a sleep on fd(). False: a notification is pending, do not sleep. Call disarm() in either
  /// case.
  [[nodiscard]] bool arm() noexcept;
  /// Owner's thread. Ends what arm() began and takes all pending notifications.
  void disarm() noexcept;
  /// Readable once notified while armed. Valid as long as this object.
  [[nodiscard]] int fd() const noexcept { return fd_; }

 private:
  enum class State : std::uint8_t { awake, sleeping, notified };

  std::atomic<State> state_{State::awake};
  bool armed_ = false;  ///< Owner's thread only.
  int fd_;
};

}  // namespace pannier::posix
