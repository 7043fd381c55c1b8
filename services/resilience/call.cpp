#include "services/resilience/call.h"

#include <algorithm>
#include <utility>

namespace pannier::detail {

namespace {

/// Hedges saved up at most by calls that needed none.
constexpr float kHedgesSaved = 2;
/// Calls that succeeded before their latency says when to hedge.
constexpr std::uint64_t kHedgeSamples = 20;

std::string in_seconds(Duration span) {
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(span).count();
  return ms < 1000 ? std::to_string(ms) + " ms" : std::to_string((ms + 999) / 1000) + " s";
}

}  // namespace

Guard::Guard(std::string destination, const Policy& policy)
    : name(std::move(destination)),
      deadline(policy.deadline),
      attempt_timeout(policy.attempt_timeout),
      rate_wait(policy.rate.wait),
      retry(policy.retry),
      hedge(policy.hedge),
      budget(policy.retry.budget, policy.retry.return_percent),
      breaker(policy.breaker),
      bulkhead(policy.bulkhead),
      bucket(policy.rate.per_second, policy.rate.burst) {}

DestinationStatus Guard::status(MonoTime now) noexcept {
  return {.name = name,
          .breaker = breaker.state(now),
          .open_for = breaker.opens_until(now) - now,
          .openings = breaker.openings(),
          .running = bulkhead.running(),
          .limit = bulkhead.limit(),
          .waiting = bulkhead.waiting(),
          .retry_tokens = budget.tokens(),
          .counters = counters,
          .latency = latency};
}

Call::Call(Guard& guard, Shell& shell, MonoTime deadline, bool idempotent) noexcept
    : guard_(guard), shell_(shell), deadline_(deadline), idempotent_(idempotent) {
  for (Attempt& attempt : attempts_) attempt.call = this;
}

Call::~Call() {
  // Dropped with whoever made it. Permits, places and tokens go back; there is nobody to tell.
  if (phase_ != Phase::ended) ++guard_.counters.cancelled;
  let_go();
}

void Call::Attempt::on_slot() noexcept {
  slot = Bulkhead::Slot{call->guard_.bulkhead};
  state = State::ready;
  call->shell_.wake();
}

void Call::Attempt::reset() noexcept {
  permit.drop();
  slot.drop();
  state = State::idle;
  paid = false;
}

/// The attempt ends without a verdict on the destination.
void Call::let_go(Attempt& attempt) noexcept {
  if (attempt.state == Attempt::State::idle) return;
  guard_.bulkhead.quit(attempt);
  if (attempt.paid && attempt.state != Attempt::State::running) guard_.bucket.give_back();
  attempt.reset();
}

void Call::let_go() noexcept {
  // Out of the line first: a place that one attempt gives back is for another call, not for a hedge of this one.
  for (Attempt& attempt : attempts_) guard_.bulkhead.quit(attempt);
  for (Attempt& attempt : attempts_) let_go(attempt);
}

void Call::begin(MonoTime now, std::uint64_t random) {
  began_ = now;
  guard_.hedge_tokens = std::min(kHedgesSaved, guard_.hedge_tokens + static_cast<float>(guard_.hedge.percent) / 100.0F);
  begin_try(now, random);
}

void Call::begin_try(MonoTime now, std::uint64_t random) {
  phase_ = Phase::trying;
  due_ = hedge_due_ = kNever;
  hedged_ = 0;
  if (tries_++ > 0) ++guard_.counters.retries;
  launch(attempts_[0], now, random);
}

/// Takes the attempt through breaker, bulkhead and rate limit as far as it gets now.
void Call::launch(Attempt& attempt, MonoTime now, std::uint64_t random) {
  static_cast<void>(random);
  // One that had to wait may find that the breaker has opened meanwhile.
  if (!attempt.permit.current(now)) {
    attempt.permit.drop();
    auto permit = guard_.breaker.acquire(now);
    if (!permit) {
      ++guard_.counters.not_permitted;
      const Duration left = guard_.breaker.opens_until(now) - now;
      const std::string until = left > Duration::zero() ? "open for " + in_seconds(left) : "half-open, probes are out";
      return refuse(attempt, {ErrorCode::unreachable, guard_.name + ": not called, its circuit breaker is " + until});
    }
    attempt.permit = std::move(*permit);
  }
  if (!attempt.slot) {
    auto slot = guard_.bulkhead.enter();
    if (!slot) {
      if (guard_.bulkhead.wait(attempt)) {
        attempt.state = Attempt::State::waiting;
        return;
      }
      ++guard_.counters.no_room;
      return refuse(attempt, {ErrorCode::full, guard_.name + ": " + std::to_string(guard_.bulkhead.running()) +
                                                   " calls are under way and " +
                                                   std::to_string(guard_.bulkhead.waiting()) + " wait"});
    }
    attempt.slot = std::move(*slot);
  }
  if (!attempt.paid) {
    const auto wait = guard_.bucket.take(now, std::min(guard_.rate_wait, deadline_ - now));
    if (!wait) {
      ++guard_.counters.over_rate;
      return refuse(
          attempt, {ErrorCode::full, guard_.name + ": over its rate limit for " + in_seconds(guard_.bucket.next(now))});
    }
    attempt.paid = true;
    if (*wait > Duration::zero()) {
      attempt.state = Attempt::State::delayed;
      attempt.at = now + *wait;
      return;
    }
  }
  attempt.state = Attempt::State::running;
  attempt.at = now;
  attempt.serial = ++serial_;
  ++guard_.counters.attempts;
  if (&attempt == attempts_.data()) {
    hedge_due_ = hedge_after(now);
  } else {
    ++guard_.counters.hedges;
  }
  const Duration left = deadline_ - now;
  shell_.start(attempt.serial,
               guard_.attempt_timeout > Duration::zero() ? std::min(guard_.attempt_timeout, left) : left);
}

/// The destination's own policy does not let the attempt out. That ends the call, since trying again at once would be
/// refused again; a hedge that is refused is none.
void Call::refuse(Attempt& attempt, Error why) {
  let_go(attempt);
  attempt.reset();
  if (any_active()) return;
  // An answer from the other side says more than our own refusal to ask again.
  end(reported_ ? std::nullopt : std::optional<Error>{std::move(why)});
}

MonoTime Call::hedge_after(MonoTime now) const noexcept {
  if (!idempotent_ || hedged_ >= guard_.hedge.extra) return kNever;
  if (guard_.hedge.after > Duration::zero()) return later(now, guard_.hedge.after);
  if (guard_.latency.total() < kHedgeSamples) return kNever;
  return later(now, guard_.latency.percentile(0.95));
}

void Call::maybe_hedge(MonoTime now, std::uint64_t random) {
  hedge_due_ = kNever;
  if (guard_.hedge_tokens < 1) return;
  for (Attempt& attempt : attempts_) {
    if (attempt.state != Attempt::State::idle) continue;
    guard_.hedge_tokens -= 1;
    ++hedged_;
    hedge_due_ = hedge_after(now);
    return launch(attempt, now, random);
  }
}

void Call::report(std::uint32_t serial, const AttemptEnd& end_of, MonoTime now, std::uint64_t random) {
  if (!wants(serial)) return;
  Attempt& attempt = *std::find_if(attempts_.begin(), attempts_.end(), [serial](const Attempt& each) {
    return each.state == Attempt::State::running && each.serial == serial;
  });
  const Duration took = now - attempt.at;
  const bool unavailable = end_of.error && is_unavailable(*end_of.error);
  if (end_of.error != ErrorCode::cancelled) {
    attempt.permit.report(!unavailable                             ? CircuitBreaker::Verdict::success
                          : end_of.error == ErrorCode::unreachable ? CircuitBreaker::Verdict::down
                                                                   : CircuitBreaker::Verdict::failure,
                          took, now, random);
    guard_.bulkhead.sample(took, unavailable);
  }
  attempt.reset();
  reported_ = true;
  if (!unavailable) {
    // A service that answers no is there.
    guard_.budget.succeeded();
    if (!end_of.error) {
      guard_.latency.add(now - began_);
      succeeded_ = true;
    }
    return end(std::nullopt);
  }
  guard_.budget.failed();
  if (!any_active()) try_failed(end_of, now, random);
}

void Call::try_failed(const AttemptEnd& end_of, MonoTime now, std::uint64_t random) {
  if (tries_ >= guard_.retry.attempts) return end(std::nullopt);
  if (!idempotent_ && !end_of.not_started && !was_not_started(*end_of.error)) return end(std::nullopt);
  if (!guard_.budget.allows()) {
    ++guard_.counters.budget_spent;
    return end(std::nullopt);
  }
  delay_ = guard_.retry.backoff.delay(tries_, delay_, random);
  // What the server asks for is the least; the backoff on top keeps those apart whom it told the same.
  const MonoTime at = later(now, end_of.retry_after + delay_);
  if (at >= deadline_) return end(std::nullopt);
  phase_ = Phase::backing_off;
  due_ = at;
  hedge_due_ = kNever;
}

void Call::advance(MonoTime now, std::uint64_t random) {
  if (phase_ == Phase::ended) return;
  if (now >= deadline_) {
    for (Attempt& attempt : attempts_) {
      if (attempt.state != Attempt::State::running) continue;
      attempt.permit.report(CircuitBreaker::Verdict::failure, now - attempt.at, now, random);
      guard_.bulkhead.sample(now - attempt.at, true);
      guard_.budget.failed();
    }
    ++guard_.counters.timed_out;
    return end(Error{ErrorCode::timeout, guard_.name + ": no answer before the deadline"});
  }
  if (phase_ == Phase::backing_off) {
    if (now >= due_) begin_try(now, random);
    return;
  }
  for (Attempt& attempt : attempts_) {
    const bool ready = attempt.state == Attempt::State::ready;
    if (ready || (attempt.state == Attempt::State::delayed && now >= attempt.at)) launch(attempt, now, random);
    if (phase_ == Phase::ended) return;
  }
  if (now >= hedge_due_) maybe_hedge(now, random);
}

void Call::cancel(MonoTime) noexcept {
  if (phase_ == Phase::ended) return;
  end(Error{ErrorCode::cancelled});
}

void Call::end(std::optional<Error> verdict) noexcept {
  phase_ = Phase::ended;
  due_ = hedge_due_ = kNever;
  verdict_ = std::move(verdict);
  const bool cancelled = verdict_ && verdict_->code == ErrorCode::cancelled;
  ++(cancelled ? guard_.counters.cancelled : succeeded_ ? guard_.counters.succeeded : guard_.counters.failed);
  for (Attempt& attempt : attempts_) {
    if (attempt.state == Attempt::State::running) shell_.cancel(attempt.serial);
  }
  let_go();
}

bool Call::wants(std::uint32_t serial) const noexcept {
  return phase_ == Phase::trying && std::any_of(attempts_.begin(), attempts_.end(), [serial](const Attempt& each) {
           return each.state == Attempt::State::running && each.serial == serial;
         });
}

bool Call::any_active() const noexcept {
  return std::any_of(attempts_.begin(), attempts_.end(),
                     [](const Attempt& each) { return each.state != Attempt::State::idle; });
}

MonoTime Call::due() const noexcept {
  if (phase_ == Phase::ended) return kNever;
  if (phase_ == Phase::backing_off) return std::min(due_, deadline_);
  MonoTime next = std::min(deadline_, hedge_due_);
  for (const Attempt& attempt : attempts_) {
    if (attempt.state == Attempt::State::ready) return MonoTime{};
    if (attempt.state == Attempt::State::delayed) next = std::min(next, attempt.at);
  }
  return next;
}

}  // namespace pannier::detail
