#include "platform/posix/loop_threads.h"

#include <pthread.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "platform/concat.h"
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

/// One loop, and who drives it or sleeps for it: at each moment one thread, and each thread has one seat.
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

  /// What the seat's thread did. Where it slept, the caller must wake it, or do its work. Releases what the caller
  /// wrote before; awake_again() acquires it.
  [[nodiscard]] State tell() noexcept { return state_.exchange(State::notified, std::memory_order_acq_rel); }
  /// False: a notification has come meanwhile, do not sleep. Either way awake_again() must follow.
  [[nodiscard]] bool change(State from, State to) noexcept {
    return state_.compare_exchange_strong(from, to, std::memory_order_acq_rel);
  }
  void awake_again() noexcept { state_.exchange(State::awake, std::memory_order_acq_rel); }
  [[nodiscard]] bool is_notified() const noexcept { return state_.load(std::memory_order_relaxed) == State::notified; }

  Loop* loop = nullptr;
  MonoTime due = kNever;      ///< While asleep; under the mutex.
  Runner* sleeper = nullptr;  ///< The thread that sleeps or looks for it, until it drives; under the mutex.
  std::atomic<std::uint32_t> steps{0};

 private:
  LoopThreads& owner_;
  std::atomic<State> state_{State::awake};
};

/// One thread.
struct LoopThreads::Runner {
  explicit Runner(Seat& first) : seat(&first) {}

  Seat* seat;                      ///< Its own while it is awake; under the mutex while it sleeps.
  Seat* next = nullptr;            ///< What it was handed in the step that it is in, and nobody else will wake.
  bool looks = false;              ///< For work, before it sleeps; under the mutex.
  MonoTime sleeps_until = kNever;  ///< While it sleeps; under the mutex.
  EventWakeup bed;
  std::thread thread;
};

thread_local LoopThreads::Runner* LoopThreads::current_ = nullptr;

void LoopThreads::Seat::hand_over() noexcept {
  const State was = tell();
  if (was != State::asleep && was != State::looking) return;
  Runner* const runner = current_;
  if (runner == nullptr || &runner->seat->owner_ != &owner_) return owner_.wake_runner(*this);
  if (Seat* const before = std::exchange(runner->next, this)) owner_.wake_runner(*before);  // it can take one only
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
    // One thread at a time writes it.
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
    // request_stop sets the flag before it notifies, and notifications are sticky: no wait can miss it.
    if (spin_ == Duration::zero() || !wakeup.notified_only()) {
      wakeup.wait_until(due);
      continue;
    }
    // The notification of what is found stays, and ends the next wait at once.
    if (!may_trade && talking && look_out(loop, due, nullptr)) continue;
    const MonoTime slept_at = clock_.now();
    may_trade ? sleep(due, talking) : wakeup.wait_until(due);
    const MonoTime woken_at = clock_.now();
    talking = woken_at < due && woken_at - slept_at < kSoon * spin_;
  }
  current_ = nullptr;
}

/// For work of `loop`, or a notification of `bed`, for a short time. True: it has come.
bool LoopThreads::look_out(const Loop& loop, MonoTime due, const EventWakeup* bed) const noexcept {
  constexpr int kLooks = 32;  // between two looks at the clock, which cost as much as a few of these
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
  // Each round anew: the seat may be another's, once it was traded.
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
    // Nobody: its thread woke by itself meanwhile, and takes the notification with it.
    if (seat.sleeper != nullptr) bed = &seat.sleeper->bed;
  }
  if (bed != nullptr) bed->notify();
}

/// Puts `runner`, which has nothing to do until `due`, at `next`, and to sleep for what it leaves the thread that
/// sleeps for `next`. Where that has woken by itself, or work has come for the seat that `runner` has, each stays where
/// it is.
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
