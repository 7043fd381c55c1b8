#pragma once

#include <atomic>
#include <cstdint>

#include <pannier/platform.h>

namespace pannier::posix {

/// A wake-up on an eventfd. notify() is one atomic exchange while the owner is awake; it makes a system call only
/// when the owner sleeps (the idea of Linux's futex fast path and of libuv's `uv_async_send`).
///
/// A transport that sleeps on its own sockets puts fd() among them: `if (arm()) { poll sockets and fd(); } disarm();`
class EventWakeup final : public Wakeup {
 public:
  /// Stops the process when the system has no descriptor left: nothing can run without a place to sleep.
  EventWakeup() noexcept;
  ~EventWakeup() override;
  EventWakeup(const EventWakeup&) = delete;
  EventWakeup& operator=(const EventWakeup&) = delete;

  void notify() noexcept override;
  void wait_until(MonoTime deadline) noexcept override;
  [[nodiscard]] bool notified_only() const noexcept override { return true; }

  /// Whether a notification waits for the next wait.
  [[nodiscard]] bool notified() const noexcept { return state_.load(std::memory_order_relaxed) == State::notified; }
  /// Owner's thread. Announces a sleep on fd(). False: a notification is here already, do not sleep.
  /// Either way disarm() must follow.
  [[nodiscard]] bool arm() noexcept;
  /// Owner's thread. Ends what arm() began, and takes the notifications that came until now.
  void disarm() noexcept;
  /// Readable once notified while armed. Valid as long as this object.
  [[nodiscard]] int fd() const noexcept { return fd_; }

 private:
  enum class State : std::uint8_t { awake, sleeping, notified };

  std::atomic<State> state_{State::awake};
  bool armed_ = false;  ///< The owner's alone.
  int fd_;
};

}  // namespace pannier::posix
