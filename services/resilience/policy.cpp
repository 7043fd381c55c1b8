#include <pannier/policy.h>

#include <algorithm>
#include <cmath>

namespace pannier {

namespace {

Error contradiction(std::string text) { return {ErrorCode::invalid_argument, std::move(text)}; }

constexpr std::uint64_t low_bits(unsigned count) noexcept {
  return count >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
}

}  // namespace

Result<void> check(const Policy& policy) {
  const auto zero = Duration::zero();
  if (policy.deadline <= zero) return contradiction("deadline: a call needs one, longer than 0.");
  if (policy.attempt_timeout < zero) return contradiction("attempt_timeout: must not be negative.");
  if (policy.attempt_timeout > policy.deadline) {
    return contradiction("attempt_timeout is longer than deadline: no attempt could last so long.");
  }
  const RetryPolicy& retry = policy.retry;
  if (retry.attempts == 0) return contradiction("retry: attempts counts the first one too, so it is 1 at least.");
  if (retry.attempts > 1 && retry.backoff.cap < retry.backoff.base) {
    return contradiction("retry: cap is shorter than base.");
  }
  if (retry.attempts > 1 && retry.backoff.kind != Backoff::Kind::full_jitter && retry.backoff.base >= policy.deadline) {
    return contradiction("retry: base is not shorter than deadline, so nothing would be retried; set attempts = 1.");
  }
  if (retry.return_percent > 100) return contradiction("retry: return_percent is more than 100.");
  const HedgePolicy& hedge = policy.hedge;
  if (hedge.extra > 3) return contradiction("hedge: extra is at most 3.");
  if (hedge.extra > 0 && (hedge.percent == 0 || hedge.percent > 100)) {
    return contradiction("hedge: percent is from 1 to 100.");
  }
  if (hedge.extra > 0 && hedge.after >= policy.deadline) {
    return contradiction("hedge: after is not shorter than deadline, so nothing would be hedged.");
  }
  if (hedge.extra > 0 && policy.attempt_timeout > zero && hedge.after >= policy.attempt_timeout) {
    return contradiction("hedge: after is not shorter than attempt_timeout, so nothing would be hedged.");
  }
  if (hedge.extra > 0 && policy.bulkhead.concurrent == 1) {
    return contradiction("hedge: bulkhead allows one attempt at a time, so nothing would be hedged.");
  }
  const BreakerPolicy& breaker = policy.breaker;
  if (breaker.on()) {
    if (breaker.failure_percent > 100 || breaker.slow_percent > 100) {
      return contradiction("breaker: a percentage is more than 100.");
    }
    if (breaker.period == zero && breaker.failures > 0) {
      return contradiction("breaker: failures are counted within period, which is not set.");
    }
    if (breaker.period < zero || breaker.open_for <= zero || breaker.probe_for <= zero) {
      return contradiction("breaker: open_for and probe_for are longer than 0, and period is not negative.");
    }
    if (breaker.period == zero && (breaker.calls == 0 || breaker.calls > 64)) {
      return contradiction("breaker: calls is from 1 to 64.");
    }
    if (breaker.period == zero && breaker.least > breaker.calls) {
      return contradiction("breaker: least is more than calls, so it would never open.");
    }
    if (breaker.slow_percent > 0 && breaker.slow <= zero) {
      return contradiction("breaker: slow_percent is set, but not from how long on a call is slow.");
    }
    if (breaker.slow_percent > 0 && breaker.slow >= policy.deadline) {
      return contradiction("breaker: slow is not shorter than deadline, so no call would be slow.");
    }
    if (breaker.probes == 0) return contradiction("breaker: probes is 0, so it would never close.");
    if (policy.bulkhead.concurrent > 0 && breaker.probes > policy.bulkhead.concurrent) {
      return contradiction("breaker: more probes at once than bulkhead allows calls.");
    }
  }
  const BulkheadPolicy& bulkhead = policy.bulkhead;
  if (bulkhead.concurrent == 0 && bulkhead.waiting > 0 && bulkhead.adaptive) {
    return contradiction("bulkhead: adaptive needs an upper bound: set concurrent.");
  }
  if (bulkhead.adaptive && (bulkhead.least == 0 || bulkhead.least > bulkhead.concurrent)) {
    return contradiction("bulkhead: least is from 1 to concurrent.");
  }
  const RatePolicy& rate = policy.rate;
  if (!(rate.per_second >= 0)) return contradiction("rate: per_second must not be negative.");
  if (rate.per_second > 0 && rate.burst == 0) return contradiction("rate: burst is 0, so no call would ever start.");
  if (rate.wait < zero || rate.wait >= policy.deadline) {
    return contradiction("rate: wait is not negative, and shorter than deadline.");
  }
  return {};
}

// --- CircuitBreaker --------------------------------------------------------------------------------------------------

bool CircuitBreaker::Permit::current(MonoTime now) noexcept {
  if (breaker_ == nullptr) return false;
  breaker_->settle(now);
  return breaker_->epoch_ == epoch_;
}

void CircuitBreaker::Permit::drop() noexcept {
  if (CircuitBreaker* const breaker = std::exchange(breaker_, nullptr); breaker != nullptr && probe_) {
    --breaker->probes_out_;
  }
}

void CircuitBreaker::Permit::report(Verdict verdict, Duration took, MonoTime now, std::uint64_t random) noexcept {
  CircuitBreaker* const breaker = breaker_;
  if (breaker == nullptr) return;
  drop();
  breaker->settle(now);
  if (breaker->epoch_ != epoch_ || !breaker->policy_.on()) return;  // a verdict on a state that has passed
  const bool failed = verdict != Verdict::success;
  const bool slow = breaker->policy_.slow_percent > 0 && took >= breaker->policy_.slow;
  if (breaker->state_ == State::half_open) {
    if (failed || slow) {
      breaker->open(now, random);
    } else if (++breaker->probes_succeeded_ >= breaker->policy_.probes) {
      breaker->close();
    }
    return;
  }
  breaker->count(failed, slow, now);
  if (verdict == Verdict::down || breaker->too_many()) breaker->open(now, random);
}

std::optional<CircuitBreaker::Permit> CircuitBreaker::acquire(MonoTime now) noexcept {
  settle(now);
  if (state_ == State::closed) return Permit{*this, epoch_, false};
  if (state_ == State::open) return std::nullopt;
  // Probes of an earlier epoch count as well: never more than `probes` at once.
  if (probes_out_ + probes_succeeded_ >= policy_.probes) return std::nullopt;
  ++probes_out_;
  return Permit{*this, epoch_, true};
}

CircuitBreaker::State CircuitBreaker::state(MonoTime now) noexcept {
  settle(now);
  return state_;
}

MonoTime CircuitBreaker::opens_until(MonoTime now) noexcept {
  settle(now);
  return state_ == State::open ? until_ : now;
}

void CircuitBreaker::open(MonoTime now, std::uint64_t random) noexcept {
  if (!policy_.on()) return;
  const auto spread = static_cast<std::uint64_t>(policy_.open_for.count() / 2) + 1;
  open_for_ = policy_.open_for + Duration{static_cast<Duration::rep>(random % spread)};
  state_ = State::open;
  until_ = later(now, open_for_);
  ++epoch_;
  ++openings_;
}

void CircuitBreaker::close() noexcept {
  state_ = State::closed;
  ++epoch_;
  counted_ = 0;
  failed_ = slow_ = 0;
  slices_ = {};
}

/// Brings the state up to `now`: no timer does.
void CircuitBreaker::settle(MonoTime now) noexcept {
  if (state_ == State::closed || now < until_) return;
  if (state_ == State::half_open && probes_out_ > 0) {
    // A probe that was not decided in time is a failure.
    state_ = State::open;
    until_ = later(until_, open_for_);
    ++epoch_;
    ++openings_;
    if (now < until_) return;
  } else if (state_ == State::half_open && probes_succeeded_ > 0) {
    // Fewer calls came than probes were allowed, and all of them succeeded: a device that calls five times an hour would
    // never close it otherwise.
    return close();
  }
  // However long nobody asked: a time of probes that nobody used is no verdict.
  state_ = State::half_open;
  probes_succeeded_ = 0;
  until_ = later(now, policy_.probe_for);
  ++epoch_;
}

void CircuitBreaker::count(bool failed, bool slow, MonoTime now) noexcept {
  if (policy_.period == Duration::zero()) {
    failed_ = (failed_ << 1 | (failed ? 1U : 0U)) & low_bits(policy_.calls);
    slow_ = (slow_ << 1 | (slow ? 1U : 0U)) & low_bits(policy_.calls);
    if (counted_ < policy_.calls) ++counted_;
    return;
  }
  const Duration width = std::max(Duration{1}, policy_.period / static_cast<Duration::rep>(kSlices));
  auto passed = (now - slice_began_) / width;
  if (passed >= static_cast<Duration::rep>(kSlices) || slice_began_ == MonoTime{}) {
    slices_ = {};
    slice_began_ = now;
    passed = 0;
  }
  for (; passed > 0; --passed) {
    slice_ = static_cast<std::uint8_t>((slice_ + 1U) % kSlices);
    slices_[slice_] = {};
    slice_began_ += width;
  }
  Slice& slice = slices_[slice_];
  if (slice.calls == 0xffff) return;
  ++slice.calls;
  if (failed) ++slice.failures;
  if (slow) ++slice.slow;
}

CircuitBreaker::Slice CircuitBreaker::of_slices() const noexcept {
  unsigned calls = 0;
  unsigned failures = 0;
  unsigned slow = 0;
  for (const Slice& slice : slices_) {
    calls += slice.calls;
    failures += slice.failures;
    slow += slice.slow;
  }
  const auto most = [](unsigned count) { return static_cast<std::uint16_t>(std::min(count, 0xffffU)); };
  return {most(calls), most(failures), most(slow)};
}

bool CircuitBreaker::too_many() const noexcept {
  Slice seen;
  if (policy_.period == Duration::zero()) {
    seen = {counted_, static_cast<std::uint16_t>(std::popcount(failed_)),
            static_cast<std::uint16_t>(std::popcount(slow_))};
  } else {
    seen = of_slices();
    if (policy_.failures > 0 && seen.failures >= policy_.failures) return true;
  }
  if (seen.calls < policy_.least) return false;
  const auto reached = [&](unsigned count, unsigned percent) {
    return percent > 0 && count * 100 >= percent * std::uint32_t{seen.calls};
  };
  return reached(seen.failures, policy_.failure_percent) || reached(seen.slow, policy_.slow_percent);
}

std::string_view to_string(CircuitBreaker::State state) noexcept {
  switch (state) {
    case CircuitBreaker::State::closed: return "closed";
    case CircuitBreaker::State::open: return "open";
    case CircuitBreaker::State::half_open: return "half_open";
  }
  return "?";
}

// --- TokenBucket -----------------------------------------------------------------------------------------------------

void TokenBucket::refill(MonoTime now) noexcept {
  if (now <= at_) return;
  const float seconds = std::chrono::duration<float>(now - at_).count();
  tokens_ = std::min(burst_, tokens_ + seconds * per_second_);
  at_ = now;
}

std::optional<Duration> TokenBucket::take(MonoTime now, Duration wait) noexcept {
  if (per_second_ <= 0) return Duration::zero();
  const Duration needed = next(now);
  if (needed > wait) return std::nullopt;
  tokens_ -= 1;
  return needed;
}

void TokenBucket::give_back() noexcept { tokens_ = std::min(burst_, tokens_ + 1); }

Duration TokenBucket::next(MonoTime now) noexcept {
  if (per_second_ <= 0) return Duration::zero();
  refill(now);
  if (tokens_ >= 1) return Duration::zero();
  const double seconds = static_cast<double>(1 - tokens_) / static_cast<double>(per_second_);
  return Duration{static_cast<Duration::rep>(std::min(seconds, 1e9) * 1e9)} + Duration{1};
}

bool TokenBucket::full(MonoTime now) noexcept {
  refill(now);
  return tokens_ >= burst_;
}

// --- Bulkhead --------------------------------------------------------------------------------------------------------

Bulkhead::Waiter::~Waiter() {
  if (line_ != nullptr) line_->quit(*this);
}

std::optional<Bulkhead::Slot> Bulkhead::enter() noexcept {
  if (first_ != nullptr || !has_room()) return std::nullopt;
  ++running_;
  return Slot{*this};
}

bool Bulkhead::wait(Waiter& waiter) noexcept {
  if (waiting_ >= policy_.waiting) return false;
  (last_ == nullptr ? first_ : last_->next_) = &waiter;
  last_ = &waiter;
  waiter.next_ = nullptr;
  waiter.line_ = this;
  ++waiting_;
  return true;
}

void Bulkhead::quit(Waiter& waiter) noexcept {
  if (waiter.line_ == nullptr) return;
  Waiter* before = nullptr;
  for (Waiter* each = first_; each != &waiter; each = each->next_) before = each;
  (before == nullptr ? first_ : before->next_) = waiter.next_;
  if (last_ == &waiter) last_ = before;
  waiter.line_ = nullptr;
  --waiting_;
}

void Bulkhead::leave() noexcept {
  --running_;
  while (first_ != nullptr && has_room()) {
    Waiter& next = *first_;
    quit(next);
    ++running_;
    next.on_slot();
  }
}

void Bulkhead::sample(Duration took, bool failed, unsigned busy) noexcept {
  if (!policy_.adaptive) return;
  const auto least = static_cast<float>(policy_.least);
  const auto most = static_cast<float>(policy_.concurrent);
  if (failed) {
    limit_ = std::max(least, limit_ * 0.9F);
    return;
  }
  const float ms = std::max(0.001F, std::chrono::duration<float, std::milli>(took).count());
  if (long_ms_ == 0) long_ms_ = short_ms_ = ms;
  short_ms_ += 0.2F * (ms - short_ms_);
  long_ms_ += 0.005F * (ms - long_ms_);
  if (long_ms_ > 2 * short_ms_) long_ms_ *= 0.95F;  // what was slow for long has become fast
  const float gradient = std::clamp(1.5F * long_ms_ / short_ms_, 0.5F, 1.0F);
  // A limit that nobody reaches says nothing about a larger one.
  const float room = static_cast<float>(busy) * 2 >= limit_ ? std::sqrt(limit_) : 0.0F;
  limit_ = std::clamp(limit_ + 0.2F * (limit_ * gradient + room - limit_), least, most);
}

// --- LatencyHistogram ------------------------------------------------------------------------------------------------

Duration LatencyHistogram::percentile(double share) const noexcept {
  const double wanted = share * static_cast<double>(total());
  double sum = 0;
  for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
    const double here = counts[bucket];
    if (here > 0 && sum + here >= wanted) {
      const Duration low = bucket == 0 ? Duration::zero() : below(bucket - 1);
      const double into = std::clamp((wanted - sum) / here, 0.0, 1.0);
      return low + Duration{static_cast<Duration::rep>(static_cast<double>((below(bucket) - low).count()) * into)};
    }
    sum += here;
  }
  return Duration::zero();
}

}  // namespace pannier
