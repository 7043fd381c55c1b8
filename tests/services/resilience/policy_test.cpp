#include <pannier/policy.h>

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <vector>

namespace pannier {
namespace {

using namespace std::chrono_literals;
using State = CircuitBreaker::State;
using Verdict = CircuitBreaker::Verdict;

MonoTime at(Duration since_start) { return MonoTime{} + 1h + since_start; }

void call(CircuitBreaker& breaker, Verdict verdict, MonoTime now, Duration took = 10ms) {
  auto permit = breaker.acquire(now);
  REQUIRE(permit);
  permit->report(verdict, took, now, 0);
}

TEST_CASE(
    "a breaker opens at half of ten calls, lets two probes through after its time, and closes when both succeed") {
  CircuitBreaker breaker{BreakerPolicy{.calls = 10, .least = 4, .failure_percent = 50, .open_for = 10s}};
  call(breaker, Verdict::success, at(0s));
  call(breaker, Verdict::success, at(1s));
  call(breaker, Verdict::failure, at(2s));
  CHECK(breaker.state(at(2s)) == State::closed);
  call(breaker, Verdict::failure, at(3s));
  CHECK(breaker.state(at(3s)) == State::open);
  CHECK_FALSE(breaker.acquire(at(12s)));
  CHECK(breaker.opens_until(at(12s)) == at(13s));

  auto first = breaker.acquire(at(13s));
  REQUIRE(first);
  auto second = breaker.acquire(at(13s));
  REQUIRE(second);
  CHECK_FALSE(breaker.acquire(at(13s)));
  first->report(Verdict::success, 10ms, at(14s), 0);
  CHECK_FALSE(breaker.acquire(at(14s)));  // one has succeeded, one is out: no third
  CHECK(breaker.state(at(14s)) == State::half_open);
  second->report(Verdict::success, 10ms, at(14s), 0);
  CHECK(breaker.state(at(14s)) == State::closed);
}

TEST_CASE("a probe that fails opens the breaker again, and one that is dropped gives its place to another") {
  CircuitBreaker breaker{BreakerPolicy{.probes = 1, .open_for = 10s}};
  breaker.open(at(0s), 0);
  { const auto dropped = breaker.acquire(at(10s)); }
  auto probe = breaker.acquire(at(11s));
  REQUIRE(probe);
  probe->report(Verdict::failure, 10ms, at(12s), 0);
  CHECK(breaker.state(at(12s)) == State::open);
  CHECK(breaker.state(at(22s)) == State::half_open);
  CHECK(breaker.probes_out() == 0);
}

TEST_CASE("half-open is always left: a probe that never reports counts as a failure when its time is up") {
  CircuitBreaker breaker{BreakerPolicy{.probes = 1, .open_for = 10s, .probe_for = 5s}};
  breaker.open(at(0s), 0);
  auto hung = breaker.acquire(at(10s));
  REQUIRE(hung);
  CHECK(breaker.state(at(14s)) == State::half_open);
  CHECK(breaker.state(at(16s)) == State::open);
  CHECK(breaker.state(at(25s)) == State::half_open);
  CHECK_FALSE(breaker.acquire(at(25s)));  // the hung one is still out: never more than one at once
  hung->report(Verdict::failure, 10ms, at(26s), 0);
  CHECK(breaker.state(at(26s)) == State::half_open);  // too late to say anything about this time
  CHECK(breaker.acquire(at(26s)));
}

TEST_CASE("a device that calls once in ten minutes closes its breaker with the one probe that it made") {
  CircuitBreaker breaker{BreakerPolicy{.probes = 2, .open_for = 10s, .probe_for = 5s}};
  breaker.open(at(0s), 0);
  call(breaker, Verdict::success, at(10min));
  CHECK(breaker.state(at(10min)) == State::half_open);
  CHECK(breaker.state(at(20min)) == State::closed);
}

TEST_CASE("a verdict that comes from before the breaker changed says nothing about its new state") {
  CircuitBreaker breaker{BreakerPolicy{.least = 1, .failure_percent = 100, .open_for = 10s}};
  auto slow = breaker.acquire(at(0s));
  REQUIRE(slow);
  call(breaker, Verdict::failure, at(1s));
  CHECK(breaker.state(at(1s)) == State::open);
  CHECK(breaker.state(at(11s)) == State::half_open);
  CHECK_FALSE(slow->current(at(11s)));
  slow->report(Verdict::failure, 11s, at(11s), 0);
  CHECK(breaker.state(at(11s)) == State::half_open);
}

TEST_CASE("a link that is known to be down opens the breaker at once, a breaker that is off never opens") {
  CircuitBreaker breaker{BreakerPolicy{}};
  call(breaker, Verdict::down, at(0s));
  CHECK(breaker.state(at(0s)) == State::open);

  CircuitBreaker off{BreakerPolicy{.failure_percent = 0}};
  for (int i = 0; i < 100; ++i) call(off, Verdict::down, at(0s));
  CHECK(off.state(at(0s)) == State::closed);
}

TEST_CASE("with a time window only the calls of that time count, and so many failures within it open it") {
  CircuitBreaker rate{BreakerPolicy{.least = 4, .failure_percent = 50, .period = 80s}};
  call(rate, Verdict::failure, at(0s));
  call(rate, Verdict::failure, at(1s));
  call(rate, Verdict::success, at(100s));
  call(rate, Verdict::success, at(101s));
  call(rate, Verdict::success, at(102s));
  call(rate, Verdict::failure, at(103s));
  CHECK(rate.state(at(103s)) == State::closed);
  call(rate, Verdict::failure, at(104s));
  call(rate, Verdict::failure, at(105s));
  CHECK(rate.state(at(105s)) == State::open);

  CircuitBreaker count{BreakerPolicy{.failure_percent = 0, .failures = 3, .period = 10min}};
  for (int i = 0; i < 50; ++i) call(count, Verdict::success, at(i * 1s));
  call(count, Verdict::failure, at(100s));
  call(count, Verdict::failure, at(400s));
  CHECK(count.state(at(400s)) == State::closed);
  call(count, Verdict::failure, at(500s));
  CHECK(count.state(at(500s)) == State::open);
}

TEST_CASE("calls that succeed too slowly open the breaker as well") {
  CircuitBreaker breaker{BreakerPolicy{.least = 2, .slow_percent = 50, .slow = 1s}};
  call(breaker, Verdict::success, at(0s), 100ms);
  call(breaker, Verdict::success, at(1s), 2s);
  CHECK(breaker.state(at(1s)) == State::open);
}

TEST_CASE("the budget allows retries until half of its tokens are gone, and successes earn them back by tenths") {
  RetryBudget budget{10, 10};
  for (int i = 0; i < 4; ++i) budget.failed();
  CHECK(budget.allows());
  budget.failed();
  CHECK_FALSE(budget.allows());
  budget.succeeded();
  CHECK(budget.allows());
  for (int i = 0; i < 1000; ++i) budget.succeeded();
  CHECK(budget.tokens() == 10);
  CHECK(RetryBudget{0, 10}.allows());
}

TEST_CASE("a bucket of two lets two calls through at once, and then one each second, which some may wait for") {
  TokenBucket bucket{1, 2};
  CHECK(bucket.take(at(0s), 0s) == Duration::zero());
  CHECK(bucket.take(at(0s), 0s) == Duration::zero());
  CHECK_FALSE(bucket.take(at(0s), 500ms));
  const auto first = bucket.take(at(0s), 3s);
  const auto second = bucket.take(at(0s), 3s);
  REQUIRE(first);
  REQUIRE(second);
  CHECK(*first == 1s + 1ns);
  CHECK(*second == 2s + 1ns);
  CHECK_FALSE(bucket.take(at(0s), 2s));
  CHECK(bucket.take(at(10s), 0s) == Duration::zero());
}

struct InLine final : Bulkhead::Waiter {
  InLine(Bulkhead& of, std::vector<int>& order, int number) : of_(of), order_(order), number_(number) {}
  void on_slot() noexcept override {
    slot = Bulkhead::Slot{of_};
    order_.push_back(number_);
  }
  Bulkhead& of_;
  std::vector<int>& order_;
  int number_;
  Bulkhead::Slot slot;
};

TEST_CASE(
    "a bulkhead serves those who wait in their order; who gives up leaves the line, who finds it full is refused") {
  Bulkhead bulkhead{{.concurrent = 1, .waiting = 3}};
  std::vector<int> order;
  auto inside = bulkhead.enter();
  REQUIRE(inside);
  CHECK_FALSE(bulkhead.enter());
  InLine first{bulkhead, order, 1};
  auto second = std::make_unique<InLine>(bulkhead, order, 2);
  InLine third{bulkhead, order, 3};
  InLine fourth{bulkhead, order, 4};
  CHECK(bulkhead.wait(first));
  CHECK(bulkhead.wait(*second));
  CHECK(bulkhead.wait(third));
  CHECK_FALSE(bulkhead.wait(fourth));
  second.reset();
  CHECK(bulkhead.waiting() == 2);
  inside->drop();
  CHECK(order == std::vector{1});
  CHECK_FALSE(bulkhead.enter());
  first.slot.drop();
  CHECK(order == std::vector{1, 3});
  third.slot.drop();
  CHECK(bulkhead.running() == 0);
}

TEST_CASE("the adaptive limit falls when latency rises with the load, and comes back when it falls again") {
  Bulkhead bulkhead{{.concurrent = 100, .least = 4, .adaptive = true}};
  for (int i = 0; i < 100; ++i) bulkhead.sample(10ms, false, 100);
  CHECK(bulkhead.limit() == 100);
  for (int i = 0; i < 100; ++i) bulkhead.sample(200ms, false, 100);
  const unsigned loaded = bulkhead.limit();
  CHECK(loaded < 50);
  CHECK(loaded >= 4);
  for (int i = 0; i < 300; ++i) bulkhead.sample(10ms, false, 100);
  CHECK(bulkhead.limit() > 90);
  for (int i = 0; i < 100; ++i) bulkhead.sample(10ms, true, 100);
  CHECK(bulkhead.limit() == 4);
}

TEST_CASE("a percentile of the histogram lies within the right bucket") {
  LatencyHistogram histogram;
  CHECK(histogram.percentile(0.5) == Duration::zero());
  for (int i = 0; i < 95; ++i) histogram.add(20ms);
  for (int i = 0; i < 5; ++i) histogram.add(1s);
  CHECK(histogram.percentile(0.5) > 12ms);
  CHECK(histogram.percentile(0.5) < 26ms);
  CHECK(histogram.percentile(0.95) <= 26ms);
  CHECK(histogram.percentile(0.99) > 800ms);
  histogram.add(1h);
  CHECK(histogram.counts.back() == 1);
}

TEST_CASE("a policy that contradicts itself is refused with one line that names the part") {
  CHECK(check(Policy{}));
  const auto refused = [](auto change) {
    Policy policy;
    change(policy);
    const auto checked = check(policy);
    return checked ? std::string{"accepted"} : checked.error().detail;
  };
  CHECK(refused([](Policy& p) { p.attempt_timeout = 11s; }).starts_with("attempt_timeout is longer than deadline"));
  CHECK(refused([](Policy& p) { p.retry.attempts = 0; }).starts_with("retry: attempts"));
  CHECK(refused([](Policy& p) { p.hedge = {.extra = 1, .after = 20s}; }).starts_with("hedge: after"));
  CHECK(refused([](Policy& p) {
          p.hedge.extra = 1;
          p.bulkhead.concurrent = 1;
        }).starts_with("hedge: bulkhead"));
  CHECK(refused([](Policy& p) { p.breaker.least = 11; }).starts_with("breaker: least"));
  CHECK(refused([](Policy& p) { p.breaker.failures = 3; }).starts_with("breaker: failures"));
  CHECK(refused([](Policy& p) { p.breaker.probes = 0; }).starts_with("breaker: probes"));
  CHECK(refused([](Policy& p) {
          p.rate.per_second = 1;
          p.rate.wait = 10s;
        }).starts_with("rate: wait"));
  CHECK(refused([](Policy& p) { p.bulkhead = {.concurrent = 0, .adaptive = true}; }).starts_with("bulkhead:"));
}

}  // namespace
}  // namespace pannier
