#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "services/resilience/call.h"

namespace pannier::testing {

/// splitmix64 (Steele, Lea, Flood, 2014).
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }
  bool chance(unsigned percent) { return below(100) < percent; }
  Duration between(Duration low, Duration high) {
    return low + Duration{static_cast<Duration::rep>(below(static_cast<std::uint64_t>((high - low).count()) + 1))};
  }

 private:
  std::uint64_t state_;
};

/// Virtual time for step machines, without nodes.
class Timeline {
 public:
  [[nodiscard]] MonoTime now() const { return now_; }
  void after(Duration delay, std::function<void()> what) { events_.emplace(now_ + delay, std::move(what)); }
  void run_until(MonoTime end) {
    while (!events_.empty() && events_.begin()->first <= end) {
      auto event = events_.extract(events_.begin());
      now_ = event.key();
      event.mapped()();
    }
    now_ = end;
  }
  void run() {
    while (!events_.empty()) run_until(events_.begin()->first);
  }

 private:
  MonoTime now_ = MonoTime{} + std::chrono::hours{1};
  std::multimap<MonoTime, std::function<void()>> events_;
};

/// What a server makes of an attempt: an outcome after some time.
struct Served {
  Duration after{};
  detail::AttemptEnd end;
};

/// Makes calls of one guard on a timeline, and lets `serve` decide on their attempts. Counts what is under way.
class Driver {
 public:
  using Serve = std::function<Served(std::uint32_t attempt)>;
  using Done = std::function<void(const detail::Call& call, Duration took, bool ok)>;

  Driver(Timeline& time, Dice& dice, detail::Guard& guard, Serve serve)
      : time_(time), dice_(dice), guard_(guard), serve_(std::move(serve)) {}

  std::size_t begin(bool idempotent, Duration deadline, Done done) {
    const std::size_t id = next_++;
    auto& one = calls_[id] = std::make_unique<One>(*this, id, deadline, idempotent, std::move(done));
    one->call.begin(time_.now(), dice_.next());
    settle(id);
    return id;
  }
  /// The caller is gone without a word, or says that it gives up.
  void drop(std::size_t id) { calls_.erase(id); }
  void cancel(std::size_t id) {
    const auto found = calls_.find(id);
    if (found == calls_.end()) return;
    found->second->call.cancel(time_.now());
    settle(id);
  }
  [[nodiscard]] bool under_way(std::size_t id) const { return calls_.contains(id); }
  [[nodiscard]] std::size_t under_way() const { return calls_.size(); }

  int running = 0;
  int most_running = 0;
  std::uint64_t started = 0;
  std::function<void()> on_start;

 private:
  struct One final : detail::Call::Shell {
    One(Driver& driver, std::size_t number, Duration deadline, bool idempotent, Done function)
        : of(driver),
          id(number),
          began(driver.time_.now()),
          done(std::move(function)),
          call(driver.guard_, *this, began + deadline, idempotent) {}
    virtual ~One() { of.running -= out; }
    void start(std::uint32_t serial, Duration) override {
      ++out;
      ++of.started;
      of.most_running = std::max(of.most_running, ++of.running);
      if (of.on_start) of.on_start();
      const Served served = of.serve_(serial);
      of.time_.after(served.after, [driver = &of, number = id, serial, end = served.end] {
        const auto found = driver->calls_.find(number);
        if (found == driver->calls_.end() || !found->second->call.wants(serial)) return;
        --found->second->out;
        --driver->running;
        found->second->call.report(serial, end, driver->time_.now(), driver->dice_.next());
        found->second->ok = !end.error;
        driver->settle(number);
      });
    }
    void cancel(std::uint32_t) noexcept override {
      --out;
      --of.running;
    }
    void wake() noexcept override { of.arm(id); }

    Driver& of;
    std::size_t id;
    MonoTime began;
    Done done;
    int out = 0;
    bool ok = false;
    detail::Call call;
  };

  void arm(std::size_t id) {
    const auto found = calls_.find(id);
    const MonoTime due = found->second->call.due();
    time_.after(std::max(Duration::zero(), due - time_.now()), [this, id, due] {
      const auto still = calls_.find(id);
      if (still == calls_.end() || still->second->call.due() != due) return;
      still->second->call.advance(time_.now(), dice_.next());
      settle(id);
    });
  }
  void settle(std::size_t id) {
    const auto found = calls_.find(id);
    if (found == calls_.end()) return;
    if (!found->second->call.ended()) return arm(id);
    const auto ended = std::move(found->second);
    calls_.erase(found);
    ended->done(ended->call, time_.now() - ended->began, ended->ok && !ended->call.verdict());
  }

  Timeline& time_;
  Dice& dice_;
  detail::Guard& guard_;
  Serve serve_;
  std::map<std::size_t, std::unique_ptr<One>> calls_;
  std::size_t next_ = 0;
};

}  // namespace pannier::testing
