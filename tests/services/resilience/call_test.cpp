#include "services/resilience/call.h"

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace pannier {
namespace {

using namespace std::chrono_literals;
using detail::AttemptEnd;
using detail::Call;
using detail::Guard;

/// Writes down what calls want done: "start 1 for 2000; cancel 1; ".
struct Script final : Call::Shell {
  void start(std::uint32_t serial, Duration timeout) override {
    story += "start " + std::to_string(serial) + " for " + std::to_string(timeout / 1ms) + "; ";
  }
  void cancel(std::uint32_t serial) noexcept override { story += "cancel " + std::to_string(serial) + "; "; }
  void wake() noexcept override { story += "wake; "; }
  std::string story;
};

constexpr MonoTime kStart = MonoTime{} + 1h;
constexpr AttemptEnd kOk{};
AttemptEnd failed(ErrorCode code, Duration retry_after = {}) { return {.error = code, .retry_after = retry_after}; }

Policy plain() {
  Policy policy;
  policy.deadline = 10s;
  policy.retry = {.attempts = 3, .budget = 10, .backoff = {Backoff::Kind::constant, 1s, 10s}};
  policy.bulkhead.concurrent = 4;
  return policy;
}

TEST_CASE("an idempotent call that fails is tried again after its backoff, until an attempt succeeds") {
  Guard guard{"hub", plain()};
  Script shell;
  Call call{guard, shell, kStart + 10s, true};
  call.begin(kStart, 0);
  CHECK(shell.story == "start 1 for 10000; ");
  call.report(1, failed(ErrorCode::failed), kStart + 2s, 0);
  CHECK_FALSE(call.ended());
  CHECK(guard.bulkhead.running() == 0);  // nothing is held while it waits
  CHECK(call.due() == kStart + 3s);
  call.advance(kStart + 3s, 0);
  CHECK(shell.story == "start 1 for 10000; start 2 for 7000; ");
  call.report(1, kOk, kStart + 4s, 0);  // the first one is not wanted any more
  CHECK_FALSE(call.ended());
  call.report(2, kOk, kStart + 4s, 0);
  CHECK(call.ended());
  CHECK_FALSE(call.verdict());
  CHECK(call.due() == kNever);
  CHECK(guard.counters.succeeded == 1);
  CHECK(guard.counters.retries == 1);
}

TEST_CASE("a call that is not idempotent is repeated only where the other side has certainly not begun") {
  for (const auto& [code, again] : {std::pair{ErrorCode::timeout, false},
                                    {ErrorCode::failed, false},
                                    {ErrorCode::unreachable, false},
                                    {ErrorCode::full, true},
                                    {ErrorCode::not_found, true},
                                    {ErrorCode::closed, true}}) {
    Guard guard{"hub", plain()};
    Script shell;
    Call call{guard, shell, kStart + 10s, false};
    call.begin(kStart, 0);
    call.report(1, failed(code), kStart + 1s, 0);
    CAPTURE(to_string(code));
    CHECK(call.ended() == !again);
  }
}

TEST_CASE("a service that answers no is there: the call ends, and the breaker counts a success") {
  Guard guard{"hub", plain()};
  Script shell;
  for (int i = 0; i < 20; ++i) {
    Call call{guard, shell, kStart + 10s, true};
    call.begin(kStart, 0);
    call.report(1, failed(ErrorCode::rejected), kStart + 1s, 0);
    CHECK(call.ended());
  }
  CHECK(guard.breaker.state(kStart + 1s) == CircuitBreaker::State::closed);
  CHECK(guard.counters.failed == 20);
  CHECK(guard.counters.retries == 0);
}

TEST_CASE(
    "what the server asks for is waited for before the next attempt, or the call ends if that is past its deadline") {
  Guard guard{"hub", plain()};
  Script shell;
  Call call{guard, shell, kStart + 10s, false};
  call.begin(kStart, 0);
  call.report(1, failed(ErrorCode::full, 3s), kStart, 0);
  CHECK(call.due() == kStart + 4s);
  call.advance(kStart + 4s, 0);
  call.report(2, failed(ErrorCode::full, 8s), kStart + 4s, 0);
  CHECK(call.ended());
}

TEST_CASE("the deadline ends a call whatever it waits for, and takes its attempts back") {
  Policy policy = plain();
  policy.bulkhead = {.concurrent = 1, .waiting = 1};
  Guard guard{"hub", policy};
  Script one;
  Script two;
  Call running{guard, one, kStart + 10s, true};
  Call waiting{guard, two, kStart + 5s, true};
  running.begin(kStart, 0);
  waiting.begin(kStart, 0);
  CHECK(two.story.empty());
  CHECK(waiting.due() == kStart + 5s);
  waiting.advance(kStart + 5s, 0);
  REQUIRE(waiting.ended());
  CHECK(waiting.verdict()->code == ErrorCode::timeout);
  CHECK(guard.bulkhead.waiting() == 0);
  running.advance(kStart + 10s, 0);
  CHECK(one.story == "start 1 for 10000; cancel 1; ");
  CHECK(guard.bulkhead.running() == 0);
  CHECK(guard.counters.timed_out == 2);
}

TEST_CASE("a call that waits for its turn begins in a turn of its own, and not if the breaker has opened meanwhile") {
  Policy policy = plain();
  policy.bulkhead = {.concurrent = 1, .waiting = 2};
  policy.retry.attempts = 1;
  policy.breaker = {.least = 1, .failure_percent = 50, .probes = 1};
  Guard guard{"hub", policy};
  Script shells[3];
  Call first{guard, shells[0], kStart + 10s, true};
  Call second{guard, shells[1], kStart + 10s, true};
  Call third{guard, shells[2], kStart + 10s, true};
  first.begin(kStart, 0);
  second.begin(kStart, 0);
  third.begin(kStart, 0);
  first.report(1, kOk, kStart + 1s, 0);
  CHECK(shells[1].story == "wake; ");
  CHECK(second.due() == MonoTime{});
  second.advance(kStart + 1s, 0);
  CHECK(shells[1].story == "wake; start 1 for 9000; ");
  second.report(1, failed(ErrorCode::timeout), kStart + 2s, 0);
  CHECK(shells[2].story == "wake; ");
  third.advance(kStart + 2s, 0);
  REQUIRE(third.ended());
  CHECK(third.verdict()->code == ErrorCode::unreachable);
  CHECK(third.verdict()->detail == "hub: not called, its circuit breaker is open for 15 s");
  CHECK(guard.bulkhead.running() == 0);
}

TEST_CASE("a hedge goes out while the first attempt is slow; whoever answers first wins and the other is taken back") {
  Policy policy = plain();
  policy.hedge = {.extra = 1, .percent = 100, .after = 100ms};
  Guard guard{"hub", policy};
  Script shell;
  Call call{guard, shell, kStart + 10s, true};
  call.begin(kStart, 0);
  CHECK(call.due() == kStart + 100ms);
  call.advance(kStart + 100ms, 0);
  CHECK(guard.bulkhead.running() == 2);
  call.report(2, kOk, kStart + 150ms, 0);
  CHECK(call.ended());
  CHECK(shell.story == "start 1 for 10000; start 2 for 9900; cancel 1; ");
  CHECK(guard.bulkhead.running() == 0);
  CHECK(guard.counters.hedges == 1);
}

TEST_CASE(
    "one attempt that fails is no reason to end while its hedge is still out; a call that is not idempotent has none") {
  Policy policy = plain();
  policy.hedge = {.extra = 1, .percent = 100, .after = 100ms};
  Guard guard{"hub", policy};
  Script shell;
  Call call{guard, shell, kStart + 10s, true};
  call.begin(kStart, 0);
  call.advance(kStart + 100ms, 0);
  call.report(1, failed(ErrorCode::timeout), kStart + 200ms, 0);
  CHECK_FALSE(call.ended());
  call.report(2, kOk, kStart + 300ms, 0);
  CHECK(guard.counters.succeeded == 1);

  Call once{guard, shell, kStart + 10s, false};
  once.begin(kStart, 0);
  CHECK(once.due() == kStart + 10s);
}

TEST_CASE("hedges are at most their percentage of the calls") {
  Policy policy = plain();
  policy.hedge = {.extra = 1, .percent = 5, .after = 100ms};
  Guard guard{"hub", policy};
  for (int i = 0; i < 1000; ++i) {
    Script shell;
    Call call{guard, shell, kStart + 10s, true};
    call.begin(kStart, 0);
    call.advance(kStart + 100ms, 0);  // all of them are slow
    call.report(1, kOk, kStart + 1s, 0);
    CHECK(call.ended());
  }
  CHECK(guard.counters.hedges <= 52);
  CHECK(guard.counters.hedges >= 45);
}

TEST_CASE("a call over the rate waits as long as its policy allows, holding its place, and is refused otherwise") {
  Policy policy = plain();
  policy.rate = {.per_second = 1, .burst = 1, .wait = 1500ms};
  Guard guard{"hub", policy};
  Script shells[3];
  Call first{guard, shells[0], kStart + 10s, true};
  Call second{guard, shells[1], kStart + 10s, true};
  Call third{guard, shells[2], kStart + 10s, true};
  first.begin(kStart, 0);
  second.begin(kStart, 0);
  third.begin(kStart, 0);
  CHECK(third.verdict()->code == ErrorCode::full);
  CHECK(guard.counters.over_rate == 1);
  CHECK(shells[1].story.empty());
  second.advance(second.due(), 0);
  CHECK(shells[1].story == "start 1 for 8999; ");
}

TEST_CASE("a call that is dropped or taken back gives back everything, at any point") {
  Policy policy = plain();
  policy.bulkhead = {.concurrent = 1, .waiting = 4};
  policy.breaker.probes = 1;
  Guard guard{"hub", policy};
  guard.breaker.open(kStart, 0);
  const MonoTime later = kStart + 15s;
  Script shell;
  auto probe = std::make_unique<Call>(guard, shell, later + 10s, true);
  probe->begin(later, 0);
  CHECK(guard.breaker.probes_out() == 1);
  probe.reset();
  CHECK(guard.breaker.probes_out() == 0);
  CHECK(guard.bulkhead.running() == 0);

  Call taken_back{guard, shell, later + 10s, true};
  taken_back.begin(later, 0);
  taken_back.cancel(later);
  CHECK(taken_back.verdict()->code == ErrorCode::cancelled);
  CHECK(guard.breaker.probes_out() == 0);
  CHECK(guard.counters.cancelled == 2);
}

TEST_CASE("all policies of a destination take 512 bytes") { CHECK(sizeof(Guard) <= 512); }

}  // namespace
}  // namespace pannier
