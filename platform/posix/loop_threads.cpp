#include "platform/posix/loop_threads.h"

#include <pthread.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "platform/concat.h"
#include "platform/posix/system_clock.h"

namespace pannier::posix {

namespace {

/// Tells the core that this is a spin loop, so that a sibling thread gets the pipeline and loads are not speculated on.
void relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__) || (defined(__arm__) && __ARM_ARCH >= 7)
  asm volatile("yield");
#endif
}

}  // namespace

/// One loop and the thread that drives it or sleeps for it. At any moment a seat has one thread and a thread one seat.
class LoopThreads::Seat final : public Wakeup {
 public:
  enum class State : std::uint8_t { awake, looking, asleep, notified };

  explicit Seat(LoopThreads& owner) : owner_(owner) {}

  void notify() noexcept override {
    if (tell() == State::asleep) owner_.wake_runner(*this);
  }
  void hand_over() noexcept override;
  void wait_until(MonoTime deadline) noexcept override { owner_.sleep(deadline, false); }
  [[nodiscard]] bool notified_only() const noexcept override { return true; }

  /// Notifies, and returns what the seat's thread was doing. If it slept, the caller must wake it or do its work.
  /// Releases the caller's earlier writes; awake_again() acquires them.
  [[nodiscard]] State tell() noexcept { return state_.exchange(State::notified, std::memory_order_acq_rel); }
  /// False: a notification came meanwhile, do not sleep. Call awake_again() in either case.
  [[nodiscard]] bool change(State from, State to) noexcept {
    return state_.compare_exchange_strong(from, to, std::memory_order_acq_rel);
  }
  void awake_again() noexcept { state_.exchange(State::awake, std::memory_order_acq_rel); }
  [[nodiscard]] bool is_notified() const noexcept { return state_.load(std::memory_order_relaxed) == State::notified; }

  Loop* loop = nullptr;
  MonoTime due = kNever;      ///< While asleep; under the mutex.
  Runner* sleeper = nullptr;  ///< The thread sleeping or polling for it, until it drives; under the mutex.
  std::atomic<std::uint32_t> steps{0};

 private:
  LoopThreads& owner_;
  std::atomic<State> state_{State::awake};
};

/// One thread.
struct LoopThreads::Runner {
  explicit Runner(Seat& first) : seat(&first) {}

  Seat* seat;                      ///< Its own while awake; under the mutex while asleep.
  Seat* next = nullptr;            ///< Handed to it in its current step; nobody else will wake it.
  bool looks = false;              ///< Polling for work before it sleeps; under the mutex.
  MonoTime sleeps_until = kNever;  ///< While asleep; under the mutex.
  EventWakeup bed;
  std::thread thread;
};

thread_local LoopThreads::Runner* LoopThreads::current_ = nullptr;

void LoopThreads::Seat::hand_over() noexcept {
  const State was = tell();
  if (was != State::asleep && was != State::looking) return;
  Runner* const runner = current_;
  if (runner == nullptr || &runner->seat->owner_ != &owner_) return owner_.wake_runner(*this);
  if (Seat* const before = std::exchange(runner->next, this)) owner_.wake_runner(*before);  // it can take only one
}

Duration LoopThreads::default_spin() noexcept {
  return std::thread::hardware_concurrency() > 1 ? kSpin : Duration::zero();
}

LoopThreads::LoopThreads(std::size_t count, const Clock& clock, Duration spin) : clock_(clock), spin_(spin) {
  for (std::size_t i = 0; i < count; ++i) seats_.push_back(std::make_unique<Seat>(*this));
}

LoopThreads::LoopThreads(std::span<Loop* const> loops, const Clock& clock, Duration spin)
    : LoopThreads(loops.size(), clock, spin) {
  start(loops);
}

LoopThreads::~LoopThreads() {
  while (!join(std::chrono::hours{1})) {
  }
}

Wakeup& LoopThreads::place(std::size_t i) noexcept { return *seats_[i]; }

void LoopThreads::start(std::span<Loop* const> loops) {
  runners_.clear();
  stop_.store(false, std::memory_order_relaxed);
  for (std::size_t i = 0; i < loops.size(); ++i) {
    seats_[i]->loop = loops[i];
    runners_.push_back(std::make_unique<Runner>(*seats_[i]));
  }
  running_.store(loops.size(), std::memory_order_relaxed);
  for (std::size_t i = 0; i < loops.size(); ++i) {
    runners_[i]->thread = std::thread{[this, i] {
      pthread_setname_np(pthread_self(), concat({"worker", i}).c_str());
      run(*runners_[i]);
      running_.fetch_sub(1, std::memory_order_acq_rel);
      ended_.notify();
    }};
  }
}

void LoopThreads::run(Runner& runner) noexcept {
  const bool may_trade = &runner.seat->loop->wakeup() == runner.seat;
  if (may_trade) current_ = &runner;
  bool talking = false;
  while (!stop_.load(std::memory_order_acquire)) {
    Seat& seat = *runner.seat;
    Loop& loop = *seat.loop;
    const MonoTime now = clock_.now();
    const MonoTime due = loop.step(now);
    // Written by one thread at a time.
    seat.steps.store(seat.steps.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    Seat* const next = std::exchange(runner.next, nullptr);
    if (due <= now) {
      if (next != nullptr) wake_runner(*next);
      continue;
    }
    if (next != nullptr) {
      trade(runner, due, *next);
      continue;
    }
    Wakeup& wakeup = loop.wakeup();
    // request_stop sets the flag before it notifies, and notifications are sticky, so no wait can miss it.
    if (spin_ == Duration::zero() || !wakeup.notified_only()) {
      wakeup.wait_until(due);
      continue;
    }
    // The notification of what was found stays, and ends the next wait at once.
    if (!may_trade && talking && look_out(loop, due, nullptr)) continue;
    const MonoTime slept_at = clock_.now();
    may_trade ? sleep(due, talking) : wakeup.wait_until(due);
    const MonoTime woken_at = clock_.now();
    talking = woken_at < due && woken_at - slept_at < kSoon * spin_;
  }
  current_ = nullptr;
}

/// Polls briefly for work of `loop` or a notification of `bed`. True if it came.
bool LoopThreads::look_out(const Loop& loop, MonoTime due, const EventWakeup* bed) const noexcept {
  constexpr int kLooks = 32;  // between two clock readings, which cost as much as a few of these
  MonoTime until = kNever;
  for (;;) {
    for (int i = 0; i < kLooks; ++i) {
      if (loop.pending() || (bed != nullptr && bed->notified())) return true;
      relax();
    }
    const MonoTime now = clock_.now();
    if (until == kNever) until = std::min(due, now + spin_);
    if (now >= until) return false;
  }
}

void LoopThreads::sleep(MonoTime deadline, bool looks) noexcept {
  using State = Seat::State;
  Runner& runner = *current_;
  Seat& own = *runner.seat;
  std::unique_lock hold{mutex_};
  own.due = deadline;
  if (!own.change(State::awake, looks ? State::looking : State::asleep)) return own.awake_again();
  own.sleeper = &runner;
  bool found = false;
  if (looks) {
    runner.looks = true;
    hold.unlock();
    static_cast<void>(look_out(*own.loop, deadline, &runner.bed));
    hold.lock();
    runner.looks = false;
    found = runner.seat == &own && (own.loop->pending() || !own.change(State::looking, State::asleep));
  }
  // Read each round: after a trade the seat may be another's.
  while (!found && !runner.seat->is_notified() && clock_.now() < runner.seat->due &&
         !stop_.load(std::memory_order_acquire)) {
    const MonoTime until = runner.sleeps_until = runner.seat->due;
    hold.unlock();
    runner.bed.wait_until(until);
    hold.lock();
  }
  runner.seat->sleeper = nullptr;
  runner.seat->awake_again();
}

void LoopThreads::wake_runner(Seat& seat) noexcept {
  EventWakeup* bed = nullptr;
  {
    const std::lock_guard hold{mutex_};
    // Null: its thread woke by itself and takes the notification.
    if (seat.sleeper != nullptr) bed = &seat.sleeper->bed;
  }
  if (bed != nullptr) bed->notify();
}

/// Moves `runner`, idle until `due`, to the seat `next`, and lets the thread sleeping there take over its old seat. If
/// that thread has woken, or the old seat has work again, both stay.
void LoopThreads::trade(Runner& runner, MonoTime due, Seat& next) noexcept {
  const std::lock_guard hold{mutex_};
  Runner* const other = next.sleeper;
  if (other == nullptr) return;
  Seat& left = *runner.seat;
  if (!left.change(Seat::State::awake, Seat::State::asleep)) {
    left.awake_again();
    other->bed.notify();
    return;
  }
  left.due = due;
  left.sleeper = other;
  other->seat = &left;
  next.sleeper = nullptr;
  next.awake_again();
  runner.seat = &next;
  if (other->looks || due < other->sleeps_until) other->bed.notify();  // to see what it sleeps for now
}

void LoopThreads::request_stop() noexcept {
  stop_.store(true, std::memory_order_release);
  if (running_.load(std::memory_order_acquire) == 0) return;  // the loops may be gone
  for (const auto& runner : runners_) runner->bed.notify();
  for (std::size_t i = 0; i < runners_.size(); ++i) wake(i);
}

bool LoopThreads::join(Duration limit) {
  request_stop();
  const MonoTime deadline = mono_now() + limit;
  while (running_.load(std::memory_order_acquire) != 0) {
    if (mono_now() >= deadline) return false;
    ended_.wait_until(deadline);
  }
  for (const auto& runner : runners_) {
    if (runner->thread.joinable()) runner->thread.join();
  }
  return true;
}

std::uint32_t LoopThreads::steps(std::size_t i) const noexcept {
  return seats_[i]->steps.load(std::memory_order_acquire);
}

void LoopThreads::wake(std::size_t i) noexcept { seats_[i]->loop->wakeup().notify(); }

}  // namespace pannier::posix
