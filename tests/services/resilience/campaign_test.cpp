#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "tests/services/resilience/timeline.h"
#include "tests/support/campaign.h"

namespace pannier {
namespace {

using namespace std::chrono_literals;
using detail::AttemptEnd;
using detail::Guard;
using testing::Dice;
using testing::Driver;
using testing::Served;
using testing::Timeline;
using State = CircuitBreaker::State;

Policy any_policy(Dice& dice) {
  Policy policy;
  policy.deadline = dice.between(1s, 20s);
  policy.attempt_timeout = dice.chance(50) ? policy.deadline / 3 : Duration::zero();
  policy.retry.attempts = static_cast<std::uint8_t>(1 + dice.below(4));
  policy.retry.budget = static_cast<std::uint8_t>(dice.below(11));
  policy.retry.backoff = {static_cast<Backoff::Kind>(dice.below(5)), policy.deadline / 20, policy.deadline / 4};
  policy.hedge = {.extra = static_cast<std::uint8_t>(dice.below(3)),
                  .percent = static_cast<std::uint8_t>(1 + dice.below(100)),
                  .after = dice.chance(50) ? policy.deadline / 10 : Duration::zero()};
  policy.bulkhead = {.concurrent = static_cast<std::uint16_t>(2 + dice.below(6)),
                     .waiting = static_cast<std::uint16_t>(dice.below(6)),
                     .least = 2,
                     .adaptive = dice.chance(30)};
  policy.breaker = {.calls = static_cast<std::uint8_t>(4 + dice.below(16)),
                    .least = static_cast<std::uint8_t>(1 + dice.below(4)),
                    .failure_percent = static_cast<std::uint8_t>(30 + dice.below(70)),
                    .probes = static_cast<std::uint8_t>(1 + dice.below(2)),
                    .open_for = dice.between(1s, 20s),
                    .probe_for = dice.between(1s, 20s)};
  if (dice.chance(30)) policy.breaker.period = dice.between(10s, 100s);
  if (policy.breaker.period > Duration::zero() && dice.chance(50)) policy.breaker.failures = 3;
  if (dice.chance(30)) {
    policy.breaker.slow_percent = 80;
    policy.breaker.slow = policy.deadline / 4;
  }
  if (dice.chance(30)) policy.rate = {.per_second = 3, .burst = 3, .wait = policy.deadline / 5};
  return policy;
}

/// One destination under random calls, a service that comes and goes, callers that give up or vanish. Empty: all of it
/// held.
std::string one_seed(std::uint64_t seed) {
  Dice dice{seed};
  Timeline time;
  const Policy policy = any_policy(dice);
  if (const auto sound = check(policy); !sound) return "the policy is none: " + sound.error().detail;
  Guard guard{"service", policy};
  bool up = true;
  Driver driver{
      time, dice, guard, [&](std::uint32_t) -> Served {
        if (!up && dice.chance(30)) return {0s, {.error = ErrorCode::unreachable}};
        if (dice.chance(up ? 5 : 40)) return {24h, {}};  // lost: nothing is ever heard
        if (dice.chance(up ? 5 : 90)) {
          static constexpr ErrorCode kErrors[] = {ErrorCode::failed, ErrorCode::full, ErrorCode::timeout,
                                                  ErrorCode::rejected, ErrorCode::cancelled};
          return {dice.between(0s, 2s), {.error = kErrors[dice.below(5)], .retry_after = dice.between(0s, 1s)}};
        }
        return {dice.between(1ms, 1s), {}};
      }};
  std::string wrong;
  const auto expect = [&](bool holds, const char* what) {
    if (!holds && wrong.empty()) wrong = what;
  };
  driver.on_start = [&] {
    expect(guard.breaker.probes_out() <= policy.breaker.probes, "more probes than allowed");
    expect(driver.running <= policy.bulkhead.concurrent, "more concurrent calls than allowed");
    expect(guard.breaker.state(time.now()) != State::open, "an attempt past an open breaker");
  };
  unsigned begun = 0;
  unsigned ended = 0;
  unsigned dropped = 0;
  const unsigned calls = 60;
  for (unsigned i = 0; i < calls; ++i) {
    time.after(dice.between(0s, 200s), [&] {
      ++begun;
      const auto told = std::make_shared<int>(0);
      const auto id = driver.begin(dice.chance(60), policy.deadline, [&, told](const auto&, Duration took, bool) {
        ++ended;
        expect(++*told == 1, "a call with two outcomes");
        expect(took <= policy.deadline, "a call past its deadline");
      });
      if (dice.chance(8)) {
        time.after(dice.between(0s, 3s), [&, id] { driver.cancel(id); });
      } else if (dice.chance(8)) {
        time.after(dice.between(0s, 3s), [&, id] {
          if (!driver.under_way(id)) return;
          driver.drop(id);
          ++dropped;
        });
      }
    });
  }
  for (int i = 0; i < 4; ++i) time.after(dice.between(0s, 200s), [&] { up = !up; });
  time.run_until(time.now() + 300s);
  expect(begun == calls && ended + dropped == calls, "a call without an outcome");
  expect(guard.bulkhead.running() == 0, "a place was not given back");
  expect(guard.bulkhead.waiting() == 0, "somebody waits for ever");
  expect(guard.breaker.probes_out() == 0, "a permit was not given back");
  expect(driver.running == 0, "an attempt was left behind");
  const CallCounters& counters = guard.counters;
  expect(counters.succeeded + counters.failed + counters.cancelled == calls, "the counters do not add up");
  expect(counters.attempts == driver.started, "an attempt was not counted");

  // Whatever it has been through: with the service there, and a call a second, it is closed before long.
  up = true;
  Driver healthy{time, dice, guard, [&](std::uint32_t) -> Served { return {1ms, {}}; }};
  const MonoTime begin = time.now();
  while (guard.breaker.state(time.now()) != State::closed && time.now() < begin + 120s) {
    healthy.begin(false, policy.deadline, [](const auto&, Duration, bool) {});
    time.run_until(time.now() + 1s);
  }
  expect(guard.breaker.state(time.now()) == State::closed, "a breaker that never closes");
  return wrong;
}

TEST_CASE("under random calls, failures and callers that vanish: one outcome each, bounds held, nothing leaked") {
  testing::run_seeds(5000, "under random calls*", one_seed);
}

/// Attempts that `calls` a second make in 60 s of a service that fails all of them.
std::uint64_t attempts_of(Policy policy, double per_second, Duration fails_after, std::uint64_t& calls) {
  Dice dice{1};
  Timeline time;
  Guard guard{"service", policy};
  Driver driver{time, dice, guard, [&](std::uint32_t) -> Served {
                  return {fails_after, {.error = ErrorCode::timeout}};
                }};
  const auto total = static_cast<unsigned>(60 * per_second);
  for (unsigned i = 0; i < total; ++i) {
    time.after(Duration{static_cast<Duration::rep>(i * 1e9 / per_second)},
               [&] { driver.begin(true, policy.deadline, [](const auto&, Duration, bool) {}); });
  }
  calls = total;
  time.run_until(time.now() + 90s);
  CHECK(driver.under_way() == 0);
  return driver.started;
}

TEST_CASE("while every call fails for a minute, retries add at most a tenth and ten in ten seconds") {
  for (const bool breaker : {false, true}) {
    for (const double per_second : {0.1, 1.0, 10.0, 100.0}) {
      Policy policy;
      policy.retry.attempts = 5;
      policy.bulkhead = {.concurrent = 0};
      if (!breaker) policy.breaker.failure_percent = 0;
      std::uint64_t calls = 0;
      const std::uint64_t attempts = attempts_of(policy, per_second, 50ms, calls);
      MESSAGE("breaker " << breaker << ", " << per_second << " calls a second: " << attempts << " attempts of " << calls
                         << " calls");
      CHECK(static_cast<double>(attempts) <= 1.1 * static_cast<double>(calls) + 60);
    }
  }
}

TEST_CASE(
    "a hub that comes back meets a thousand callers spread out: its busiest second is at most three times the mean") {
  Dice dice{3};
  Timeline time;
  bool up = false;
  std::vector<unsigned> per_second(60);
  const MonoTime start = time.now();
  const Duration outage = 120s;
  std::vector<std::unique_ptr<Guard>> guards;
  std::vector<std::unique_ptr<Driver>> drivers;
  std::function<void(std::size_t)> call_again;
  for (int i = 0; i < 1000; ++i) {
    guards.push_back(std::make_unique<Guard>("hub", Policy{}));
    drivers.push_back(std::make_unique<Driver>(time, dice, *guards.back(), [&](std::uint32_t) -> Served {
      if (!up) return {0s, {.error = ErrorCode::unreachable}};
      const auto second = static_cast<std::size_t>((time.now() - start - outage) / 1s);
      if (second < per_second.size()) ++per_second[second];
      return {dice.between(5ms, 50ms), {}};
    }));
  }
  // Each has something to ask the hub for, all the time: it asks again two seconds after an answer or an error.
  call_again = [&](std::size_t i) {
    drivers[i]->begin(true, 10s, [&, i](const auto&, Duration, bool) { time.after(2s, [&, i] { call_again(i); }); });
  };
  // The link went down for all of them at once.
  for (std::size_t i = 0; i < 1000; ++i) time.after(0s, [&, i] { call_again(i); });
  time.after(outage, [&] { up = true; });
  time.run_until(start + outage + 60s);
  unsigned sum = 0;
  for (const unsigned each : per_second) sum += each;
  const double mean = sum / 60.0;
  const unsigned peak = *std::max_element(per_second.begin(), per_second.end());
  MESSAGE("peak " << peak << " a second, mean " << mean);
  CHECK(sum > 0);
  CHECK(peak <= 3 * mean);
}

/// The latencies of `calls` calls to twenty servers of which one is slow, and how many attempts they took.
std::vector<Duration> latencies(bool hedging, std::uint64_t seed, std::uint64_t calls, std::uint64_t& attempts) {
  Dice dice{seed};
  Timeline time;
  Policy policy;
  policy.bulkhead = {.concurrent = 0};
  if (hedging) policy.hedge = {.extra = 1, .percent = 5};
  Guard guard{"service", policy};
  std::vector<Duration> took;
  std::uint64_t turn = 0;
  Driver driver{time, dice, guard, [&](std::uint32_t) -> Served {
                  const bool slow = turn++ % 20 == 7;  // instances take turns, as those of a Destination
                  return {slow ? dice.between(500ms, 1500ms) : dice.between(10ms, 60ms), {}};
                }};
  for (std::uint64_t i = 0; i < calls; ++i) {
    time.after(static_cast<Duration::rep>(i) * 20ms,
               [&] { driver.begin(true, 10s, [&](const auto&, Duration span, bool) { took.push_back(span); }); });
  }
  time.run();
  attempts = driver.started;
  std::sort(took.begin(), took.end());
  return took;
}

TEST_CASE(
    "with one server in twenty slow, hedging takes two fifths off the 99th percentile for a twentieth more calls") {
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    const std::uint64_t calls = 20000;
    std::uint64_t plain_attempts = 0;
    std::uint64_t hedged_attempts = 0;
    const auto plain = latencies(false, seed, calls, plain_attempts);
    const auto hedged = latencies(true, seed, calls, hedged_attempts);
    REQUIRE(plain.size() == calls);
    REQUIRE(hedged.size() == calls);
    const auto p99 = [](const auto& all) { return all[all.size() * 99 / 100]; };
    MESSAGE("p99 " << p99(plain) / 1us << " us without, " << p99(hedged) / 1us << " us with hedging; "
                   << static_cast<double>(hedged_attempts) / static_cast<double>(plain_attempts) << " times the calls");
    CHECK(p99(hedged) <= p99(plain) * 6 / 10);
    CHECK(hedged_attempts * 100 <= plain_attempts * 105);
  }
}

}  // namespace
}  // namespace pannier
