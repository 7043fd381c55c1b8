#include "platform/posix/loop_thread.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "platform/posix/system_clock.h"

namespace pannier::posix {

namespace {

/// Tells the core that it waits, so that a sibling thread has the pipeline and the load is not speculated upon.
void relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__) || (defined(__arm__) && __ARM_ARCH >= 7)
  asm volatile("yield");
#endif
}

}  // namespace

Duration LoopThread::default_spin() noexcept {
  return std::thread::hardware_concurrency() > 1 ? kSpin : Duration::zero();
}

LoopThread::LoopThread(Loop& loop, const Clock& clock, std::string name, Duration spin)
    : loop_(loop), clock_(clock), name_(std::move(name)), spin_(spin), thread_([this] { run(); }) {}

LoopThread::~LoopThread() {
  if (!thread_.joinable()) return;
  request_stop();
  thread_.join();
}

void LoopThread::run() noexcept {
  pthread_setname_np(pthread_self(), name_.substr(0, 15).c_str());
  const bool spins = spin_ > Duration::zero() && loop_.wakeup().notified_only();
  bool talking = false;
  while (!stop_.load(std::memory_order_acquire)) {
    const MonoTime now = clock_.now();
    const MonoTime due = loop_.step(now);
    steps_.store(steps_.load(std::memory_order_relaxed) + 1, std::memory_order_release);  // this thread alone writes
    if (due <= now) continue;
    Wakeup& wakeup = loop_.wakeup();
    // request_stop sets the flag before it notifies, and notifications are sticky: neither wait can miss it.
    if (talking && spin_until_pending(due)) continue;  // the notification stays, and ends the next wait at once
    if (!spins) {
      wakeup.wait_until(due);
      continue;
    }
    const MonoTime slept_at = clock_.now();
    wakeup.wait_until(due);
    const MonoTime woken_at = clock_.now();
    talking = woken_at < due && woken_at - slept_at < kSoon * spin_;
  }
  has_ended_.store(true, std::memory_order_release);
  ended_.notify();
}

bool LoopThread::spin_until_pending(MonoTime due) const noexcept {
  constexpr int kLooks = 32;  // between two looks at the clock, which cost as much as a few of these
  MonoTime until = kNever;
  for (;;) {
    for (int i = 0; i < kLooks; ++i) {
      if (loop_.pending()) return true;
      relax();
    }
    const MonoTime now = clock_.now();
    if (until == kNever) until = std::min(due, now + spin_);
    if (now >= until) return false;
  }
}

void LoopThread::request_stop() noexcept {
  stop_.store(true, std::memory_order_release);
  loop_.wakeup().notify();
}

bool LoopThread::join(Duration limit) {
  if (!thread_.joinable()) return true;
  request_stop();
  const MonoTime deadline = mono_now() + limit;
  while (!has_ended_.load(std::memory_order_acquire)) {
    if (mono_now() >= deadline) return false;
    ended_.wait_until(deadline);
  }
  thread_.join();
  return true;
}

}  // namespace pannier::posix
