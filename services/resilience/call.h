#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <pannier/policy.h>

namespace pannier::detail {

/// What the calls to one destination share. Outlives them.
struct Guard {
  Guard(std::string destination, const Policy& policy);

  std::string name;
  Duration deadline;
  Duration attempt_timeout;
  Duration rate_wait;
  RetryPolicy retry;
  HedgePolicy hedge;
  RetryBudget budget;
  float hedge_tokens = 1;
  CircuitBreaker breaker;
  Bulkhead bulkhead;
  TokenBucket bucket;
  CallCounters counters;
  LatencyHistogram latency;

  [[nodiscard]] DestinationStatus status(MonoTime now) noexcept;
};
static_assert(sizeof(Guard) <= 512, "what a destination with all policies costs");

/// What one attempt came to.
struct AttemptEnd {
  std::optional<ErrorCode> error = {};  ///< Nothing: it succeeded.
  Duration retry_after{};               ///< The server asks not to be called again before. Zero: it does not say.
  bool not_started = false;             ///< Certainly, whatever the error.
};

/// One call under its destination's policy, as a step machine: what happens comes in, with the time and a random
/// number; what is to be done goes out through the shell. It never calls the shell's `start` from report(), so that an
/// attempt is begun by the caller or by a timer only.
class Call {
 public:
  /// Does what a call decides. `serial` numbers the attempts of one call from 1.
  class Shell {
   public:
    /// Begins an attempt that reports within `timeout`, later than this call returns.
    virtual void start(std::uint32_t serial, Duration timeout) = 0;
    /// An attempt is not wanted any more; it need not report.
    virtual void cancel(std::uint32_t serial) noexcept = 0;
    /// advance() is to be called, in a turn of its own.
    virtual void wake() noexcept = 0;

   protected:
    ~Shell() = default;
  };

  /// `guard` and `shell` outlive it. `deadline`: no later than this.
  Call(Guard& guard, Shell& shell, MonoTime deadline, bool idempotent) noexcept;
  ~Call();
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  void begin(MonoTime now, std::uint64_t random);
  /// Reports of attempts that are not wanted any more have no effect.
  void report(std::uint32_t serial, const AttemptEnd& end, MonoTime now, std::uint64_t random);
  /// What is due at `now`.
  void advance(MonoTime now, std::uint64_t random);
  /// The caller gave up.
  void cancel(MonoTime now) noexcept;

  /// When advance is to be called next; kNever once it has ended.
  [[nodiscard]] MonoTime due() const noexcept;
  [[nodiscard]] bool wants(std::uint32_t serial) const noexcept;
  [[nodiscard]] bool ended() const noexcept { return phase_ == Phase::ended; }
  /// Of a call that has ended. Nothing: what the last reported attempt said is the outcome.
  [[nodiscard]] const std::optional<Error>& verdict() const noexcept { return verdict_; }

 private:
  enum class Phase : std::uint8_t { trying, backing_off, ended };

  struct Attempt final : Bulkhead::Waiter {
    enum class State : std::uint8_t { idle, waiting, ready, delayed, running };
    Call* call = nullptr;
    CircuitBreaker::Permit permit;
    Bulkhead::Slot slot;
    MonoTime at{};  // delayed: until; running: since
    std::uint32_t serial = 0;
    State state = State::idle;
    bool paid = false;  // has its token of the rate limit
    void on_slot() noexcept override;
    void reset() noexcept;
  };
  static constexpr std::size_t kAttempts = 4;

  void launch(Attempt& attempt, MonoTime now, std::uint64_t random);
  void refuse(Attempt& attempt, Error why);
  void begin_try(MonoTime now, std::uint64_t random);
  void try_failed(const AttemptEnd& end, MonoTime now, std::uint64_t random);
  void maybe_hedge(MonoTime now, std::uint64_t random);
  [[nodiscard]] MonoTime hedge_after(MonoTime now) const noexcept;
  void end(std::optional<Error> verdict) noexcept;
  void let_go(Attempt& attempt) noexcept;
  void let_go() noexcept;
  [[nodiscard]] bool any_active() const noexcept;

  Guard& guard_;
  Shell& shell_;
  const MonoTime deadline_;
  MonoTime began_{};
  MonoTime due_ = kNever;        // backing off: until
  MonoTime hedge_due_ = kNever;  // trying
  Duration delay_{};             // the last one
  std::optional<Error> verdict_;
  std::array<Attempt, kAttempts> attempts_;
  std::uint32_t serial_ = 0;
  std::uint32_t tries_ = 0;
  Phase phase_ = Phase::trying;
  std::uint8_t hedged_ = 0;  // in this try
  const bool idempotent_;
  bool reported_ = false;  // what an attempt said stands
  bool succeeded_ = false;
};

}  // namespace pannier::detail
