#pragma once

#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <pannier/lane.h>
#include <pannier/platform.h>
#include <pannier/result.h>

/// The parts of a policy, as step machines: time and random numbers are arguments, and there are no timers or threads.
/// Destination (resilience.h) combines them for actors. Each object belongs to one thread.
namespace pannier {

/// When a failed call is retried.
struct RetryPolicy {
  std::uint8_t attempts = 3;  ///< At most, including the first. 1: no retries.
  /// Retry budget: each failed attempt takes one token, and nothing is retried while half of the tokens or fewer are
  /// left (gRPC A6). 0: no budget.
  std::uint8_t budget = 10;
  std::uint8_t return_percent = 10;  ///< Percentage of a token that each success returns.
  Backoff backoff = {.base = std::chrono::milliseconds{200}, .cap = std::chrono::seconds{10}};
};

/// When a slow idempotent call is sent a second time while the first is still outstanding.
struct HedgePolicy {
  std::uint8_t extra = 0;    ///< Attempts besides the first. 0: no hedging.
  std::uint8_t percent = 5;  ///< Hedges as a percentage of all calls, at most.
  Duration after{};          ///< Zero: the 95th percentile so far.
};

/// When calls are refused for a while because they would probably fail.
struct BreakerPolicy {
  std::uint8_t calls = 10;            ///< The count window: the latest calls, at most 64.
  std::uint8_t least = 5;             ///< Calls in the window before percentages count.
  std::uint8_t failure_percent = 50;  ///< Opens at this percentage of failures. 0: never.
  std::uint8_t slow_percent = 0;      ///< Opens at this percentage of calls slower than `slow`. 0: never.
  /// Concurrent calls when half-open. As many successes close it, or fewer if there were no more calls in `probe_for`.
  std::uint8_t probes = 2;
  std::uint16_t failures = 0;  ///< Opens at this many failures within `period`. 0: never.
  Duration slow{};
  /// Not zero: percentages cover the calls of this time, in eighths, instead of the latest `calls`.
  Duration period{};
  Duration open_for = std::chrono::seconds{15};  ///< Up to 1.5 times this, drawn each time.
  /// The longest time half-open. A probe still out then counts as a failure.
  Duration probe_for = std::chrono::seconds{30};

  [[nodiscard]] bool on() const noexcept { return failure_percent > 0 || slow_percent > 0 || failures > 0; }
};

/// How many calls may be outstanding.
struct BulkheadPolicy {
  std::uint16_t concurrent = 16;  ///< 0: no limit.
  std::uint16_t waiting = 16;     ///< Calls that wait for a slot, in order. More are refused.
  std::uint16_t least = 1;        ///< Of `adaptive`.
  /// The limit follows the latency between `least` and `concurrent` (a gradient, as in Netflix concurrency-limits).
  bool adaptive = false;
};

/// How many calls may start per second.
struct RatePolicy {
  float per_second = 0;     ///< 0: no limit.
  std::uint16_t burst = 1;  ///< Calls at once after a pause.
  Duration wait{};          ///< How long a call may wait for its turn. Zero: not at all.
};

/// The policy for calls to one destination. The parts nest in this order, however they are set: deadline > retry >
/// hedge > breaker > bulkhead > rate > attempt timeout. A value.
struct Policy {
  Duration deadline = std::chrono::seconds{10};  ///< Of a call as a whole.
  RetryPolicy retry;
  HedgePolicy hedge;
  BreakerPolicy breaker;
  BulkheadPolicy bulkhead;
  RatePolicy rate;
  Duration attempt_timeout{};  ///< Of one attempt. Zero: the time left until the deadline.
};

/// invalid_argument, with one line that says which parts conflict and what to change. Any thread.
[[nodiscard]] Result<void> check(const Policy& policy);

/// True if an error means that the service is unavailable, rather than that it answered no. Such errors count against a
/// destination and call for a fallback.
[[nodiscard]] constexpr bool is_unavailable(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::full:
    case ErrorCode::timeout:
    case ErrorCode::unreachable:
    case ErrorCode::not_found:
    case ErrorCode::failed:
    case ErrorCode::closed: return true;
    default: return false;
  }
}
/// True if an error proves that the other side has not begun. Such a call may be repeated even if it is not idempotent.
[[nodiscard]] constexpr bool was_not_started(ErrorCode code) noexcept {
  return code == ErrorCode::full || code == ErrorCode::not_found || code == ErrorCode::closed;
}

/// The tokens of RetryPolicy.
class RetryBudget {
 public:
  RetryBudget(std::uint8_t tokens, std::uint8_t return_percent) noexcept
      : most_(static_cast<std::uint16_t>(tokens * 100)), left_(most_), returned_(return_percent) {}
  void failed() noexcept { left_ = left_ > 100 ? static_cast<std::uint16_t>(left_ - 100) : std::uint16_t{0}; }
  void succeeded() noexcept {
    left_ = static_cast<std::uint16_t>(left_ + returned_ < most_ ? left_ + returned_ : int{most_});
  }
  [[nodiscard]] bool allows() const noexcept { return most_ == 0 || left_ * 2 > most_; }
  [[nodiscard]] unsigned tokens() const noexcept { return left_ / 100; }

 private:
  std::uint16_t most_;  // in hundredths
  std::uint16_t left_;
  std::uint8_t returned_;
};

/// Closed: calls pass and failures are counted. Open: calls are refused. Half-open, after a time: a few probes decide.
class CircuitBreaker {
 public:
  enum class State : std::uint8_t { closed, open, half_open };
  enum class Verdict : std::uint8_t {
    success,
    failure,
    down,  ///< The link layer knows no route: opens at once.
  };

  /// The right to make one attempt. Report its outcome once; dropped without a report, it counts as no attempt. Must
  /// not outlive its breaker.
  class Permit {
   public:
    Permit() noexcept = default;
    Permit(Permit&& other) noexcept
        : breaker_(std::exchange(other.breaker_, nullptr)), epoch_(other.epoch_), probe_(other.probe_) {}
    Permit& operator=(Permit&& other) noexcept {
      if (this != &other) {
        drop();
        breaker_ = std::exchange(other.breaker_, nullptr);
        epoch_ = other.epoch_;
        probe_ = other.probe_;
      }
      return *this;
    }
    ~Permit() { drop(); }
    explicit operator bool() const noexcept { return breaker_ != nullptr; }
    /// False once the breaker has changed state: an attempt that has not begun must ask again.
    [[nodiscard]] bool current(MonoTime now) noexcept;
    void report(Verdict verdict, Duration took, MonoTime now, std::uint64_t random) noexcept;
    void drop() noexcept;

   private:
    friend class CircuitBreaker;
    Permit(CircuitBreaker& breaker, std::uint32_t epoch, bool probe) noexcept
        : breaker_(&breaker), epoch_(epoch), probe_(probe) {}
    CircuitBreaker* breaker_ = nullptr;
    std::uint32_t epoch_ = 0;
    bool probe_ = false;
  };

  explicit CircuitBreaker(const BreakerPolicy& policy) noexcept : policy_(policy) {}
  CircuitBreaker(const CircuitBreaker&) = delete;
  CircuitBreaker& operator=(const CircuitBreaker&) = delete;

  /// Empty if open or all probes are out.
  [[nodiscard]] std::optional<Permit> acquire(MonoTime now) noexcept;
  [[nodiscard]] State state(MonoTime now) noexcept;
  /// When it lets the next probe through, if open; otherwise now.
  [[nodiscard]] MonoTime opens_until(MonoTime now) noexcept;
  /// Opens it, like Verdict::down.
  void open(MonoTime now, std::uint64_t random) noexcept;
  [[nodiscard]] unsigned probes_out() const noexcept { return probes_out_; }
  [[nodiscard]] std::uint32_t openings() const noexcept { return openings_; }

 private:
  static constexpr std::size_t kSlices = 8;
  struct Slice {
    std::uint16_t calls = 0;
    std::uint16_t failures = 0;
    std::uint16_t slow = 0;
  };

  void settle(MonoTime now) noexcept;
  void count(bool failed, bool slow, MonoTime now) noexcept;
  [[nodiscard]] bool too_many() const noexcept;
  [[nodiscard]] Slice of_slices() const noexcept;
  void close() noexcept;

  BreakerPolicy policy_;
  State state_ = State::closed;
  std::uint8_t probes_out_ = 0;  // of all epochs
  std::uint8_t probes_succeeded_ = 0;
  std::uint8_t counted_ = 0;  // calls in the count window
  std::uint8_t slice_ = 0;    // the current one
  std::uint32_t epoch_ = 0;   // incremented with each change of state
  std::uint32_t openings_ = 0;
  std::uint64_t failed_ = 0;  // the count window, the latest call in bit 0
  std::uint64_t slow_ = 0;
  MonoTime until_{};        // of open and half-open
  Duration open_for_{};     // as drawn
  MonoTime slice_began_{};  // of the current slice
  std::array<Slice, kSlices> slices_{};
};
[[nodiscard]] std::string_view to_string(CircuitBreaker::State state) noexcept;

/// Tokens that arrive at a constant rate, with some saved up during a pause.
class TokenBucket {
 public:
  /// `per_second` 0: no limit.
  explicit TokenBucket(float per_second, std::uint16_t burst) noexcept
      : per_second_(per_second), burst_(burst), tokens_(burst) {}
  /// Takes a token and returns how long to wait before using it; zero if one is available. Empty, taking none, if the
  /// wait would exceed `wait`.
  [[nodiscard]] std::optional<Duration> take(MonoTime now, Duration wait) noexcept;
  void give_back() noexcept;
  /// How long until a token is available.
  [[nodiscard]] Duration next(MonoTime now) noexcept;
  /// True if nothing was taken for so long that it is as new.
  [[nodiscard]] bool full(MonoTime now) noexcept;

 private:
  void refill(MonoTime now) noexcept;
  float per_second_;
  float burst_;
  float tokens_;  // below zero: promised to waiters
  MonoTime at_{};
};

/// Calls outstanding, and calls waiting for a slot.
class Bulkhead {
 public:
  /// A waiting call. The owner keeps it alive while it waits; destroying it leaves the queue.
  class Waiter {
   public:
    Waiter() noexcept = default;
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;
    [[nodiscard]] bool waits() const noexcept { return line_ != nullptr; }

   protected:
    virtual ~Waiter();

   private:
    friend class Bulkhead;
    /// A slot is free: take it with `slot()`. Called while another call returns its slot.
    virtual void on_slot() noexcept = 0;
    Bulkhead* line_ = nullptr;
    Waiter* next_ = nullptr;
  };

  /// A slot, returned when dropped. Must not outlive its bulkhead.
  class Slot {
   public:
    Slot() noexcept = default;
    explicit Slot(Bulkhead& of) noexcept : of_(&of) {}
    Slot(Slot&& other) noexcept : of_(std::exchange(other.of_, nullptr)) {}
    Slot& operator=(Slot&& other) noexcept {
      if (this != &other) {
        drop();
        of_ = std::exchange(other.of_, nullptr);
      }
      return *this;
    }
    ~Slot() { drop(); }
    explicit operator bool() const noexcept { return of_ != nullptr; }
    void drop() noexcept {
      if (of_ != nullptr) std::exchange(of_, nullptr)->leave();
    }

   private:
    Bulkhead* of_ = nullptr;
  };

  explicit Bulkhead(const BulkheadPolicy& policy) noexcept : policy_(policy), limit_(policy.concurrent) {}
  Bulkhead(const Bulkhead&) = delete;
  Bulkhead& operator=(const Bulkhead&) = delete;

  /// Takes a slot if one is free.
  [[nodiscard]] std::optional<Slot> enter() noexcept;
  /// Queues for a slot; on_slot announces it, and the waiter takes it as Slot{bulkhead}. False: the queue is full.
  [[nodiscard]] bool wait(Waiter& waiter) noexcept;
  /// Leaves the queue. No effect on a waiter not in it.
  void quit(Waiter& waiter) noexcept;
  /// For `adaptive`: the latency of a call, or its failure, while `busy` were outstanding.
  void sample(Duration took, bool failed, unsigned busy) noexcept;
  void sample(Duration took, bool failed) noexcept { sample(took, failed, running_); }

  [[nodiscard]] unsigned running() const noexcept { return running_; }
  [[nodiscard]] unsigned waiting() const noexcept { return waiting_; }
  [[nodiscard]] unsigned limit() const noexcept { return static_cast<unsigned>(limit_); }

 private:
  void leave() noexcept;
  [[nodiscard]] bool has_room() const noexcept { return policy_.concurrent == 0 || running_ < limit(); }

  BulkheadPolicy policy_;
  std::uint16_t running_ = 0;
  std::uint16_t waiting_ = 0;
  float limit_;
  float long_ms_ = 0;  // estimated latency without load
  float short_ms_ = 0;
  Waiter* first_ = nullptr;
  Waiter* last_ = nullptr;
};

/// Latencies of calls. Each bucket is twice as wide as the one before. A value.
struct LatencyHistogram {
  static constexpr std::size_t kBuckets = 22;  // from 0.1 ms to 3.5 minutes
  std::array<std::uint32_t, kBuckets> counts{};

  [[nodiscard]] static constexpr Duration below(std::size_t bucket) noexcept {
    return std::chrono::microseconds{std::int64_t{100} << bucket};
  }
  void add(Duration took) noexcept {
    const auto steps = static_cast<std::uint64_t>(took.count() > 0 ? took.count() : 0) / 100'000;
    const auto bucket = static_cast<std::size_t>(std::bit_width(steps));
    ++counts[bucket < kBuckets ? bucket : kBuckets - 1];
  }
  [[nodiscard]] std::uint64_t total() const noexcept {
    std::uint64_t sum = 0;
    for (const std::uint32_t count : counts) sum += count;
    return sum;
  }
  /// The latency below which `share` (0 to 1) of the calls stayed, interpolated within its bucket. Zero if empty.
  [[nodiscard]] Duration percentile(double share) const noexcept;
};

/// Counters of calls to one destination since its state was made. A finished call is in exactly one of the first three.
/// Attempts = calls that got as far + retries + hedges.
struct CallCounters {
  std::uint32_t succeeded = 0;
  std::uint32_t failed = 0;     ///< With an error, including local refusals.
  std::uint32_t cancelled = 0;  ///< Cancelled, or the caller stopped.
  std::uint32_t attempts = 0;
  std::uint32_t retries = 0;
  std::uint32_t hedges = 0;
  std::uint32_t not_permitted = 0;  ///< Refused by the open breaker.
  std::uint32_t no_room = 0;        ///< Refused by the bulkhead.
  std::uint32_t over_rate = 0;      ///< Refused by the rate limit.
  std::uint32_t budget_spent = 0;   ///< Not retried for lack of budget.
  std::uint32_t timed_out = 0;      ///< Of `failed`: the deadline passed.
  std::uint32_t fell_back = 0;      ///< Finally answered by a fallback.
};

/// The state of one destination. A value.
struct DestinationStatus {
  std::string name;
  CircuitBreaker::State breaker = CircuitBreaker::State::closed;
  Duration open_for{};  ///< Time left.
  std::uint32_t openings = 0;
  unsigned running = 0;
  unsigned limit = 0;
  unsigned waiting = 0;
  unsigned retry_tokens = 0;
  CallCounters counters;
  LatencyHistogram latency;  ///< Of calls that succeeded.
};

}  // namespace pannier
