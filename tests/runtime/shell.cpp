#include "tests/runtime/shell.h"

#include <pannier/inproc.h>
#include "platform/posix/loop_threads.h"

namespace pannier::testing {

namespace {

// --- Simulated -------------------------------------------------------------------------------------------------------

class SimulatedDrive final : public Drive {
 public:
  [[nodiscard]] Clock& clock() noexcept override { return simulator_.clock(); }
  [[nodiscard]] std::unique_ptr<Wakeup> make_wakeup() override { return std::make_unique<sim::FlagWakeup>(simulator_); }
  void add(Loop& loop) override {
    simulator_.add(loop);
    loops_.push_back(&loop);
  }
  void hang(Loop& loop) override { simulator_.remove(loop); }
  void end() noexcept override {
    for (Loop* loop : loops_) simulator_.remove(*loop);
  }
  void run_for(Duration span) override { simulator_.run_for(span); }
  [[nodiscard]] bool run_until(const std::function<bool()>& done, Duration limit) override {
    return simulator_.run_until(done, limit);
  }
  void pass(Duration span) override { simulator_.clock().advance_to(simulator_.now() + span); }

 private:
  sim::Simulator simulator_{2};
  std::vector<Loop*> loops_;
};

// --- On threads ------------------------------------------------------------------------------------------------------

/// Real threads on a clock that moves only once all of them sleep: then to the next moment that one of them waits for.
/// So a test waits for no real time, and nothing that happens at one moment can be missed.
class ThreadedDrive final : public Drive, public Clock {
 public:
  ~ThreadedDrive() override { end(); }

  [[nodiscard]] Clock& clock() noexcept override { return *this; }
  [[nodiscard]] std::unique_ptr<Wakeup> make_wakeup() override {
    auto made = std::make_unique<Bed>(*this);
    const std::lock_guard hold{mutex_};
    beds_.push_back(made.get());
    return made;
  }
  void add(Loop& loop) override {
    Loop* const one[] = {&loop};
    threads_.push_back(std::make_unique<posix::LoopThreads>(one, *this, Duration::zero()));
  }
  void hang(Loop& loop) override {
    const std::lock_guard hold{mutex_};
    static_cast<Bed&>(loop.wakeup()).hangs = true;
  }
  void end() noexcept override {
    {
      const std::lock_guard hold{mutex_};
      for (Bed* bed : beds_) bed->hangs = false;
      beds_.clear();
      changed_.notify_all();
    }
    threads_.clear();
  }

  void run_for(Duration span) override {
    static_cast<void>(run_until([] { return false; }, span));
  }
  [[nodiscard]] bool run_until(const std::function<bool()>& done, Duration limit) override {
    std::unique_lock hold{mutex_};
    const MonoTime end = now() + limit;
    while (true) {
      // Where somebody never rests, time stands still, but `done` is asked all the same.
      changed_.wait_for(hold, std::chrono::milliseconds{20}, [this] { return all_sleep(); });
      hold.unlock();  // `done` may ask the node
      const bool holds = done();
      hold.lock();
      if (holds) return true;
      if (!all_sleep()) continue;
      if (now() >= end) return false;
      MonoTime next = end;
      for (const Bed* bed : beds_) next = bed->hangs ? next : std::min(next, bed->due);
      now_ns_.store(next.time_since_epoch().count(), std::memory_order_release);
      changed_.notify_all();
    }
  }
  void pass(Duration span) override {
    const std::lock_guard hold{mutex_};
    now_ns_.fetch_add(span.count(), std::memory_order_acq_rel);
    changed_.notify_all();
  }

 private:
  /// Where one thread sleeps.
  struct Bed final : Wakeup {
    explicit Bed(ThreadedDrive& drive) : owner(drive) {}
    void notify() noexcept override {
      const std::lock_guard hold{owner.mutex_};
      notified = true;
      owner.changed_.notify_all();
    }
    void wait_until(MonoTime deadline) noexcept override {
      std::unique_lock hold{owner.mutex_};
      due = deadline;
      asleep = true;
      owner.changed_.notify_all();
      owner.changed_.wait(hold, [&] { return !hangs && (notified || due <= owner.now()); });
      asleep = notified = false;
    }
    [[nodiscard]] bool sleeps() const noexcept { return asleep && (hangs || (!notified && due > owner.now())); }

    ThreadedDrive& owner;
    MonoTime due = kNever;
    bool asleep = false;
    bool notified = false;
    bool hangs = false;
  };

  [[nodiscard]] MonoTime now() const noexcept override {
    return MonoTime{Duration{now_ns_.load(std::memory_order_acquire)}};
  }
  [[nodiscard]] WallTime wall_now() const noexcept override { return WallTime{now().time_since_epoch()}; }
  [[nodiscard]] std::uint64_t boot() const noexcept override { return 1; }
  [[nodiscard]] bool all_sleep() const noexcept {
    return std::all_of(beds_.begin(), beds_.end(), [](const Bed* bed) { return bed->sleeps(); });
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<std::int64_t> now_ns_{Duration{std::chrono::seconds{1000}}.count()};
  std::vector<Bed*> beds_;
  std::vector<std::unique_ptr<posix::LoopThreads>> threads_;
};

class LockedEntropy final : public Entropy {
 public:
  LockedEntropy(Entropy& real, std::mutex& mutex) : real_(real), mutex_(mutex) {}
  void fill(std::span<std::byte> out) noexcept override {
    const std::lock_guard hold{mutex_};
    real_.fill(out);
  }

 private:
  Entropy& real_;
  std::mutex& mutex_;
};

}  // namespace

Shell::Shell(Setup setup) : shared_entropy_(std::make_unique<LockedEntropy>(entropy_, entropy_mutex_)) {
  bool threads = false;
  SUBCASE("simulated, 1 worker") { workers_ = 1; }
  SUBCASE("simulated, 4 workers") { workers_ = 4; }
  SUBCASE("1 thread") {
    workers_ = 1;
    threads = true;
  }
  SUBCASE("4 threads") {
    workers_ = 4;
    threads = true;
  }
  if (threads) {
    drive_ = std::make_unique<ThreadedDrive>();
  } else {
    drive_ = std::make_unique<SimulatedDrive>();
  }
  exchange_ = std::make_shared<inproc::Exchange>();
  static_cast<void>(add(std::move(setup)));
}

Shell::~Shell() {
  drive_->end();
  nodes_.clear();
}

Node& Shell::add(Setup setup) {
  auto made = std::make_unique<OneNode>();
  NodeParts parts{{drive_->clock(), *shared_entropy_, log_}, {}, nullptr, setup.store, setup.observer};
  for (std::uint32_t i = 0; i < workers_; ++i) {
    made->wakeups.push_back(drive_->make_wakeup());
    parts.wakeups.push_back(made->wakeups.back().get());
  }
  if (setup.linked) {
    made->transport = std::make_unique<inproc::InprocTransport>(*static_cast<inproc::Exchange*>(exchange_.get()),
                                                                *made->wakeups.front());
    parts.transport = made->transport.get();
  }
  auto node = Node::create(std::move(setup.options), std::move(parts));
  REQUIRE(node);
  made->node = std::move(*node);
  nodes_.push_back(std::move(made));
  for (Loop* loop : nodes_.back()->node->loops()) drive_->add(*loop);
  return *nodes_.back()->node;
}

void Shell::let(ActorRef<Hand> hand, Hand::Order order) {
  CHECK((**this).tell(hand, std::move(order)));
  run_for(std::chrono::milliseconds{1});
}

}  // namespace pannier::testing
