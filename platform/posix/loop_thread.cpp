#include "platform/posix/loop_thread.h"

#include <pthread.h>

#include <utility>

#include "platform/posix/system_clock.h"

namespace pannier::posix {

LoopThread::LoopThread(Loop& loop, const Clock& clock, std::string name)
    : loop_(loop), clock_(clock), name_(std::move(name)), thread_([this] { run(); }) {}

LoopThread::~LoopThread() {
  if (!thread_.joinable()) return;
  request_stop();
  thread_.join();
}

void LoopThread::run() noexcept {
  pthread_setname_np(pthread_self(), name_.substr(0, 15).c_str());
  while (!stop_.load(std::memory_order_acquire)) {
    const MonoTime now = clock_.now();
    const MonoTime due = loop_.step(now);
    // request_stop sets the flag before it notifies, and notifications are sticky: this wait cannot miss it.
    if (due > now) loop_.wakeup().wait_until(due);
  }
  has_ended_.store(true, std::memory_order_release);
  ended_.notify();
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
