#include <pannier/resilience.h>

#include <pannier/admission.h>
#include <pannier/simulation.h>

#include <doctest/doctest.h>

#include <chrono>
#include <string>

#include "runtime/store/store.h"
#include "services/resilience/schema/resilience.fbs.h"
#include "tests/runtime/schema/messages.fbs.h"

namespace pannier {
namespace {

using namespace std::chrono_literals;
using testing::Note;
using testing::Number;
using testkit::Probe;
using testkit::Simulation;

Table<Number> number(std::int64_t value) { return make<Number>(value); }

/// What the caller is told to do, and what it says came of it.
struct Go {
  std::int64_t value = 0;
  CallOptions options = {};
  std::string cached = {};
  std::optional<std::int64_t> otherwise = {};
  std::string lane = {};
  bool backup = false;
};
struct Cancel {};
struct HowIsIt {};
struct Outcome {
  std::int64_t value = -1;
  ErrorCode error{};
  AnswerSource source{};
  Duration age{};
  bool ok = false;
};

struct Caller : Actor<Caller, Go, Cancel, HowIsIt> {
  Caller(LocalRef out, std::string to, Policy policy, std::string backup = "nobody", LocalRef desk = {})
      : out_(out),
        hub_(*this, {.name = "hub", .to = {ref(to)}, .policy = policy, .report_to = desk}),
        backup_(*this, {.name = "backup", .to = {ref(backup)}}) {}

  void on(const Go& go) {
    auto call = go.lane.empty() ? hub_.call<Number>(number(go.value), go.options)
                                : hub_.call_once<Number>(number(go.value), "token-" + std::to_string(go.value));
    if (go.backup) std::move(call).or_from(backup_);
    if (!go.cached.empty()) std::move(call).or_cached(go.cached, 1min);
    if (go.otherwise) std::move(call).or_value(number(*go.otherwise));
    if (!go.lane.empty()) std::move(call).or_enqueue(go.lane, "key");
    last_ = std::move(call).then([this](const Result<Answer<Table<Number>>>& answer) {
      Outcome outcome;
      outcome.ok = answer.ok();
      if (!answer) {
        outcome.error = answer.error().code;
      } else {
        if (answer->value) outcome.value = (**answer)->value();
        outcome.source = answer->source;
        outcome.age = answer->age;
      }
      static_cast<void>(tell(out_, outcome));
    });
  }
  void on(const Cancel&) { last_.cancel(); }
  DestinationStatus on(const HowIsIt&) { return hub_.status(); }

  LocalRef out_;
  Destination hub_;
  Destination backup_;
  CallHandle last_;
};

Policy patient() {
  Policy policy;
  policy.deadline = 10s;
  policy.attempt_timeout = 2s;
  policy.retry.backoff = {Backoff::Kind::constant, 1s, 1s};
  policy.breaker = {.least = 3, .failure_percent = 100, .probes = 1, .open_for = 10s};
  return policy;
}

struct World {
  explicit World(Policy policy = patient(), bool linked = true) {
    if (linked) {
      hub = &sim.add({.name = "hub", .listen = {"sim://hub"}});
      tablet = &sim.add({.name = "tablet", .links = {{"hub", "sim://hub"}}});
      sim.advance(2s);
    } else {
      hub = tablet = &sim.add({.name = "hub"});
    }
    service = std::make_unique<Probe>(hub->probe("service"));
    boss = std::make_unique<Probe>(tablet->probe("boss"));
    caller = tablet->spawn<Caller>({}, static_cast<LocalRef>(*boss), std::string{linked ? "hub/service" : "service"},
                                   policy, std::string{linked ? "hub/other" : "other"}, LocalRef{});
  }
  void go(Go go) { REQUIRE(boss->tell(caller, std::move(go))); }
  Outcome outcome(Duration within = 20s) {
    auto received = boss->expect<Outcome>(within);
    REQUIRE_MESSAGE(received, received.error().text());
    return **received;
  }
  DestinationStatus status() {
    auto status = boss->ask<DestinationStatus>(caller, HowIsIt{});
    REQUIRE(status);
    return *status;
  }

  Simulation sim{7};
  testkit::SimNode* hub = nullptr;
  testkit::SimNode* tablet = nullptr;
  std::unique_ptr<Probe> service;
  std::unique_ptr<Probe> boss;
  ActorRef<Caller> caller;
};

TEST_CASE("a call goes to its service by ask and brings the typed answer; one lost attempt is made again") {
  World world;
  world.go({.value = 7, .options = {.idempotent = true}});
  REQUIRE(world.service->expect<Number>());  // and lets it go: two seconds until the attempt ends
  auto again = world.service->expect<Number>(5s);
  REQUIRE(again);
  REQUIRE(again->reply(number(8)));
  const Outcome outcome = world.outcome();
  CHECK(outcome.value == 8);
  CHECK(outcome.source == AnswerSource::service);
  const auto status = world.status();
  CHECK(status.counters.succeeded == 1);
  CHECK(status.counters.attempts == 2);
  CHECK(status.counters.retries == 1);
  CHECK(status.latency.total() == 1);
  CHECK(status.running == 0);
}

TEST_CASE("a call that may not be made twice is not: its timeout is the outcome") {
  World world;
  world.go({.value = 7});
  REQUIRE(world.service->expect<Number>());
  CHECK(world.outcome().error == ErrorCode::timeout);
  CHECK(world.service->expect_nothing(20s));
}

TEST_CASE("a link that is down opens the breaker at once, calls are refused without asking, a probe closes it again") {
  World world;
  world.sim.network().cut("hub", "tablet", sim::Cut::reported);
  world.sim.advance(1s);
  world.go({.value = 1});
  CHECK(world.outcome().error == ErrorCode::unreachable);
  CHECK(world.status().breaker == CircuitBreaker::State::open);
  world.go({.value = 2});
  CHECK(world.outcome(0s).error == ErrorCode::unreachable);
  CHECK(world.status().counters.not_permitted == 1);
  CHECK(world.status().counters.attempts == 1);

  world.sim.network().heal_all();
  world.sim.advance(40s);
  CHECK(world.status().breaker == CircuitBreaker::State::half_open);
  world.go({.value = 3});
  auto probe = world.service->expect<Number>();
  REQUIRE(probe);
  REQUIRE(probe->reply(number(3)));
  CHECK(world.outcome().ok);
  CHECK(world.status().breaker == CircuitBreaker::State::closed);
}

TEST_CASE("without the service a call falls back to another destination, an answer of a known age, or a given value") {
  World world{patient(), false};
  world.go({.value = 1, .cached = "route"});
  auto question = world.service->expect<Number>();
  REQUIRE(question);
  REQUIRE(question->reply(number(11)));
  CHECK(world.outcome().value == 11);
  world.sim.advance(30s);

  world.go({.value = 2, .cached = "route"});
  const Outcome cached = world.outcome();
  CHECK(cached.value == 11);
  CHECK(cached.source == AnswerSource::cached);
  CHECK(cached.age >= 30s);
  CHECK(cached.age < 1min);
  world.sim.advance(1min);  // now it is too old

  world.go({.value = 3, .cached = "route", .otherwise = 5});
  const Outcome otherwise = world.outcome();
  CHECK(otherwise.value == 5);
  CHECK(otherwise.source == AnswerSource::fallback);

  Probe other = world.hub->probe("other");
  world.go({.value = 4, .otherwise = 5, .backup = true});
  auto second = other.expect<Number>(20s);
  REQUIRE(second);
  REQUIRE(second->reply(number(44)));
  const Outcome elsewhere = world.outcome();
  CHECK(elsewhere.value == 44);
  CHECK(elsewhere.source == AnswerSource::other);

  world.go({.value = 5, .otherwise = 6});
  question = world.service->find<Number>();
  while (question && (*question)->value() != 5) question = world.service->find<Number>();
  REQUIRE(question);
  REQUIRE(question->refuse(ErrorCode::rejected));
  CHECK(world.outcome().error == ErrorCode::rejected);  // that is an answer, and no reason to fall back
}

TEST_CASE("a call that is taken back ends as cancelled, in a turn of its own, and leaves nothing behind") {
  World world;
  world.go({.value = 1, .options = {.idempotent = true}});
  REQUIRE(world.service->expect<Number>());
  REQUIRE(world.boss->tell(world.caller, Cancel{}));
  CHECK(world.outcome(0s).error == ErrorCode::cancelled);
  CHECK(world.service->expect_nothing(30s));
  CHECK(world.boss->waiting().empty());
  CHECK(world.status().running == 0);
  CHECK(world.status().counters.cancelled == 1);
}

TEST_CASE("an actor that stops takes its calls with it, those that wait for their turn as well") {
  Policy policy = patient();
  policy.bulkhead = {.concurrent = 1, .waiting = 8};
  World world{policy};
  for (int i = 0; i < 5; ++i) world.go({.value = i, .options = {.idempotent = true}});
  REQUIRE(world.service->expect<Number>());
  REQUIRE(world.boss->stop(world.caller));
  CHECK(world.service->expect_nothing(30s));
  CHECK(world.boss->waiting().empty());
}

TEST_CASE("nothing wakes an idle node: neither an open breaker nor a bucket that fills nor a budget") {
  Policy policy = patient();
  policy.rate = {.per_second = 0.1F, .burst = 4};
  World world{policy, false};
  for (int i = 0; i < 3; ++i) {
    world.go({.value = i});
    world.outcome();
  }
  CHECK(world.status().breaker == CircuitBreaker::State::open);
  world.sim.advance(1min);
  const std::uint64_t steps = world.sim.simulator().steps();
  world.sim.advance(24h);
  CHECK(world.sim.simulator().steps() == steps);
  CHECK(world.status().breaker == CircuitBreaker::State::half_open);
}

TEST_CASE("a policy that contradicts itself refuses every call with the reason") {
  Policy policy = patient();
  policy.breaker.probes = 0;
  World world{policy};
  world.go({.value = 1});
  CHECK(world.outcome(0s).error == ErrorCode::invalid_argument);
  CHECK(world.service->expect_nothing(1s));
}

/// Calls on behalf of who asks it, and passes the outcome on.
struct Between : Actor<Between, Number> {
  explicit Between(Policy policy) : service_(*this, {.name = "service", .to = {ref("service")}, .policy = policy}) {}
  void on(const Number& question, Responder responder) {
    service_.call<Number>(number(question.value()), {.idempotent = true})
        .then([responder](const Result<Answer<Table<Number>>>& answer) {
          if (!answer) return responder.refuse(answer.error().code);
          responder.reply(**answer);
        });
  }
  Destination service_;
};

TEST_CASE("a call on behalf of a question does not outlive it, its later attempts included") {
  Simulation sim{3};
  Probe service = sim.probe("service");
  Probe asker = sim.probe();
  const auto between = sim.spawn<Between>(patient());
  REQUIRE(asker.let([&](testkit::ProbeActor& self) {
    self.ask<Number>(between, AnyTable{number(1)}, 4s).then([](const Result<Table<Number>>& answer) {
      CHECK(answer.error().code == ErrorCode::timeout);
    });
  }));
  REQUIRE(service.expect<Number>());
  REQUIRE(service.expect<Number>(5s));  // after 3 s
  CHECK(service.expect_nothing(20s));
}

TEST_CASE("actors share a destination through a proxy, which keeps its bounds for all of them") {
  Simulation sim{5};
  Probe service = sim.probe("service");
  Policy policy = patient();
  policy.bulkhead = {.concurrent = 1, .waiting = 1};
  const auto proxy = sim.spawn<Proxy>(std::string{"service"}, policy, false, LocalRef{});
  std::vector<ErrorCode> errors;
  std::vector<std::int64_t> values;
  Probe asker = sim.probe();
  for (int i = 0; i < 3; ++i) {
    REQUIRE(asker.let([&](testkit::ProbeActor& self) {
      self.ask<Number>(proxy, AnyTable{number(i)}, 1s).then([&](const Result<Table<Number>>& answer) {
        if (answer) {
          values.push_back((*answer)->value());
        } else {
          errors.push_back(answer.error().code);
        }
      });
    }));
  }
  auto first = service.expect<Number>();
  REQUIRE(first);
  CHECK(service.expect_nothing(100ms));
  CHECK(errors == std::vector{ErrorCode::full});
  REQUIRE(first->reply(number(10)));
  auto second = service.expect<Number>();
  REQUIRE(second);
  REQUIRE(second->reply(number(11)));
  sim.advance(1ms);
  CHECK(values == std::vector<std::int64_t>{10, 11});
}

/// A service that can do two things at once, for half a second each, and lets in no more.
struct Busy : Actor<Busy, Number> {
  explicit Busy(AdmissionPolicy policy) : admission_(std::make_shared<Admission>(policy)) {}
  void on(const Number& question, Responder responder) {
    auto decision = admission_->admit(label(), Priority::critical, now());
    if (!decision) return refuse_overloaded(responder, decision.refusal);
    after(500ms, [this, responder, value = question.value(),
                  ticket = std::make_shared<Admission::Ticket>(std::move(*decision.ticket))] {
      ticket->done(now());
      responder.reply(number(value));
    });
  }
  std::shared_ptr<Admission> admission_;
};

TEST_CASE("an overloaded service says when to come again, and callers do") {
  World world;
  world.service.reset();
  world.hub->spawn<Busy>({.name = "busy"}, AdmissionPolicy{.concurrent = 1});
  const auto caller = world.tablet->spawn<Caller>({}, static_cast<LocalRef>(*world.boss), std::string{"hub/busy"},
                                                  patient(), std::string{"nobody"}, LocalRef{});
  REQUIRE(world.boss->tell(caller, Go{.value = 1}));
  REQUIRE(world.boss->tell(caller, Go{.value = 2}));
  const Outcome first = world.outcome();
  const Outcome second = world.outcome();
  CHECK(first.value == 1);
  CHECK(second.value == 2);
  auto status = world.boss->ask<DestinationStatus>(caller, HowIsIt{});
  CHECK(status->counters.retries == 1);
}

TEST_CASE("what is less important is shed first, and each peer has a rate of its own") {
  Admission admission{{.rate = {.per_second = 1, .burst = 6}, .concurrent = 10}};
  const MonoTime now = MonoTime{} + 1h;
  std::vector<Admission::Ticket> work;
  for (int i = 0; i < 5; ++i) {
    auto decision = admission.admit("a", Priority::background, now);
    REQUIRE(decision);
    work.push_back(std::move(*decision.ticket));
  }
  const auto shed = admission.admit("b", Priority::background, now);
  CHECK_FALSE(shed);
  CHECK(shed.refusal.retry_after >= 50ms);
  auto normal = admission.admit("b", Priority::normal, now);
  CHECK(normal);
  CHECK(admission.in_work() == 6);
  normal.ticket.reset();
  work.clear();
  CHECK(admission.in_work() == 0);
  CHECK(admission.admit("a", Priority::critical, now));
  const auto fast = admission.admit("a", Priority::critical, now);
  CHECK_FALSE(fast);
  CHECK(fast.refusal.retry_after <= 1s + 1ns);
  CHECK(admission.over_rate() == 1);
  CHECK(admission.shed(Priority::background) == 1);
}

/// Books numbers: each command adds a row of state, so that one that took effect twice would be seen.
struct Booking : Actor<Booking, AnyTable> {
  void on_start() { require(consume<AnyTable>("bookings")); }
  void on(const AnyTable& call, Responder responder) { once_.handle(call, std::move(responder)); }
  void on(const AnyTable& call, Delivery delivery) { once_.handle(call, std::move(delivery)); }
  OnceDesk once_{*this, [this](const AnyTable& command, Batch& effects) -> Result<AnyTable> {
                   const auto wanted = command.as<Number>();
                   if (!wanted) return wanted.error();
                   const std::int64_t value = (*wanted)->value();
                   const std::string mark = "booked/" + std::to_string(value) + "/" + std::to_string(random());
                   effects.put_state(mark, number(value));
                   return AnyTable{number(value * 10)};
                 }};
};

int booked(testkit::SimNode& hub, std::int64_t value) {
  int count = 0;
  REQUIRE(hub.store().state()->read_state("booked/" + std::to_string(value) + "/", [&](auto, auto) {
    ++count;
    return true;
  }));
  return count;
}

TEST_CASE(
    "a command that gets no answer goes durable under the same token, and takes effect once whichever way it came") {
  for (const auto seed : testkit::seeds(10)) {
    CAPTURE(seed);
    Simulation sim{seed};
    auto& hub = sim.add({.name = "hub", .listen = {"sim://hub"}},
                        {.boot = [](Node& node) { CHECK(node.spawn<Booking>({.name = "booking"})); }});
    auto& tablet = sim.add({.name = "tablet", .links = {{"hub", "sim://hub"}}});
    Probe boss = tablet.probe("boss");
    sim.advance(2s);
    const auto caller = tablet.spawn<Caller>({}, static_cast<LocalRef>(boss), std::string{"hub/booking"}, patient(),
                                             std::string{"nobody"}, LocalRef{});
    REQUIRE(boss.tell(caller, Go{.value = 1, .lane = "hub/bookings"}));
    auto answered = boss.expect<Outcome>(20s);
    REQUIRE(answered);
    CHECK((*answered)->value == 10);

    // The command arrives and its answer does not.
    sim.network().cut_direction("hub", "tablet", sim::Cut::silent);
    REQUIRE(boss.tell(caller, Go{.value = 2, .lane = "hub/bookings"}));
    auto durable = boss.expect<Outcome>(30s);
    REQUIRE(durable);
    CHECK((*durable)->ok);
    CHECK((*durable)->source == AnswerSource::durable);
    CHECK(booked(hub, 2) == 1);
    sim.network().heal_all();
    sim.advance(2min);
    CHECK(booked(hub, 1) == 1);
    CHECK(booked(hub, 2) == 1);

    // It does not arrive at all, and the hub dies while it commits what the lane brings.
    sim.network().cut("hub", "tablet", sim::Cut::reported);
    REQUIRE(boss.tell(caller, Go{.value = 3, .lane = "hub/bookings"}));
    REQUIRE(boss.expect<Outcome>(30s));
    CHECK(booked(hub, 3) == 0);
    sim.network().heal_all();
    hub.crash_in_store_call(4, seed % 2 == 0);
    static_cast<void>(sim.run_until([&] { return !hub.up(); }, 2min));
    REQUIRE(hub.start());
    sim.advance(3min);
    CHECK(booked(hub, 3) == 1);
  }
}

TEST_CASE(
    "a command under a token that is known is answered as the first time, also after a restart, and not done again") {
  Simulation sim{11};
  auto& hub = sim.add({.name = "hub"}, {.boot = [](Node& node) { CHECK(node.spawn<Booking>({.name = "booking"})); }});
  for (int life = 0; life < 2; ++life) {
    Probe boss = hub.probe("boss");
    const auto caller = hub.spawn<Caller>({}, static_cast<LocalRef>(boss), std::string{"booking"}, patient(),
                                          std::string{"nobody"}, LocalRef{});
    for (int i = 0; i < 2; ++i) {
      REQUIRE(boss.tell(caller, Go{.value = 4, .lane = "bookings"}));
      auto outcome = boss.expect<Outcome>(20s);
      REQUIRE(outcome);
      CHECK((*outcome)->value == 40);
    }
    CHECK(booked(hub, 4) == 1);
    REQUIRE(hub.restart());
  }
}

TEST_CASE("a desk collects how destinations stand, and answers the question of the command") {
  Simulation sim{13};
  const auto desk = sim.spawn<StatusDesk>({.name = "services"});
  Probe boss = sim.probe("boss");
  const auto caller = sim.node().spawn<Caller>({}, static_cast<LocalRef>(boss), std::string{"nobody-there"}, patient(),
                                               std::string{"nobody"}, static_cast<LocalRef>(desk));
  for (int i = 0; i < 3; ++i) {
    REQUIRE(boss.tell(caller, Go{.value = 4}));
    REQUIRE(boss.expect<Outcome>(20s));
  }
  auto list = boss.ask<services::ServiceList>(static_cast<Ref>(desk), AnyTable{make<services::ListServices>()});
  REQUIRE_MESSAGE(list, list.error().text());
  REQUIRE((*list)->services()->size() == 1);
  const auto* state = (*list)->services()->Get(0);
  CHECK(state->name()->str() == "hub");
  CHECK(state->breaker()->str() == "open");
  CHECK(state->failed() >= 1);
  sim.advance(1min);
  list = boss.ask<services::ServiceList>(static_cast<Ref>(desk), AnyTable{make<services::ListServices>()});
  REQUIRE(list);
  CHECK((*list)->services()->Get(0)->breaker()->str() == "half_open");
}

/// A call by other means than ask: what a generated client is wrapped in.
struct ByHand : Actor<ByHand, Go> {
  explicit ByHand(LocalRef out) : out_(out) {}
  void on(const Go& go) {
    service_
        .call_by<std::int64_t>(
            [this, go](const Attempt& attempt, Callback<void(Result<std::int64_t>, AttemptNote)> report) {
              const bool fails = attempt.number == 1;
              const TimerId timer = after(100ms, [go, fails, report = std::move(report)]() mutable {
                if (fails) return report(ErrorCode::failed, {.retry_after = 1s});
                report(go.value, {});
              });
              return [this, timer] { cancel(timer); };
            },
            {.idempotent = true})
        .then([this](const Result<Answer<std::int64_t>>& answer) {
          REQUIRE(answer);
          static_cast<void>(tell(out_, Outcome{.value = **answer, .ok = true}));
        });
  }
  LocalRef out_;
  Destination service_{*this, {.name = "by-hand", .policy = patient()}};
};

TEST_CASE("anything that starts an attempt, reports once and can be taken back runs under a policy") {
  Simulation sim{17};
  Probe boss = sim.probe("boss");
  const auto caller = sim.spawn<ByHand>(static_cast<LocalRef>(boss));
  REQUIRE(boss.tell(caller, Go{.value = 9}));
  CHECK(boss.expect_nothing(2s));  // 100 ms, then the second that was asked for, and the backoff of another
  auto outcome = boss.expect<Outcome>(5s);
  REQUIRE(outcome);
  CHECK((*outcome)->value == 9);
}

}  // namespace
}  // namespace pannier
