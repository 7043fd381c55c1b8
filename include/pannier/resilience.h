#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <pannier/actor.h>
#include <pannier/policy.h>

/// Calls under a policy: deadline, retries, hedging, circuit breaker, bulkhead, rate limit, fallbacks. For actors. Link
/// pannier::resilience. Introduction: docs/services.md.
namespace pannier {

class Destination;

/// Options of one call beyond its destination's policy.
struct CallOptions {
  /// Calling twice does no harm, so the call may be retried and hedged. Otherwise it is repeated only if the other side
  /// has certainly not begun.
  bool idempotent = false;
  Duration deadline{};  ///< Zero: the policy's, which it can only shorten, as does ActorBase::deadline().
};

/// One attempt of a call.
struct Attempt {
  Ref to;  ///< The chosen instance. Null if the destination names none.
  Duration timeout{};
  std::uint32_t number = 1;  ///< Counted from 1 within the call.
};

/// What an attempt reports besides its outcome.
struct AttemptNote {
  Duration retry_after{};    ///< The service asks for a pause of this length. Zero: none.
  bool not_started = false;  ///< It has certainly not begun, whatever the error. Some errors imply it:
                             ///< was_not_started().
};

/// The source of an answer.
enum class AnswerSource : std::uint8_t {
  service,   ///< The destination itself.
  other,     ///< The other destination.
  cached,    ///< An earlier answer.
  fallback,  ///< The value given by the caller.
  durable,   ///< No answer yet: the call is in a lane and takes effect once, later.
};

/// The outcome of a call.
template <class R>
struct Answer {
  std::optional<R> value;  ///< Empty only if durable.
  AnswerSource source = AnswerSource::service;
  Duration age{};        ///< Of a cached answer.
  Receipt receipt = {};  ///< Of a durable call.

  [[nodiscard]] const R& operator*() const { return *value; }
  [[nodiscard]] const R* operator->() const { return &*value; }
};

/// Cancels a call. A value that may outlive the call and then does nothing.
class CallHandle {
 public:
  CallHandle() noexcept = default;
  explicit CallHandle(std::function<void()> cancel) : cancel_(std::move(cancel)) {}
  /// Ends the call as `cancelled`, in a turn of its own, unless it has ended. Permits and slots are returned at once.
  void cancel() const {
    if (cancel_) cancel_();
  }

 private:
  std::function<void()> cancel_;
};

namespace detail {

struct AttemptEnd;
class CallBox;
struct DestinationState;

/// One attempt's right to report, once. If dropped without a report, the call ends at its deadline.
class Reporter {
 public:
  Reporter(std::shared_ptr<CallBox> box, std::uint32_t serial) noexcept : box_(std::move(box)), serial_(serial) {}
  /// False: the call has ended or goes on without this attempt, and ignores its outcome.
  [[nodiscard]] bool wanted() const noexcept;
  /// `error` null: success.
  void report(const Error* error, const AttemptNote& note);

 private:
  std::shared_ptr<CallBox> box_;
  std::uint32_t serial_;
};

using StartAttempt = Callback<Callback<void()>(const Attempt&, Reporter)>;
/// Null: the outcome is that of the last attempt.
using CallDone = Callback<void(const Error*)>;

/// `retry_after` of an answer that means "not now"; empty for an ordinary one.
[[nodiscard]] std::optional<Duration> overloaded(const AnyTable& answer) noexcept;

/// What to do if the service is unavailable. Shared by the copies of a call's outcome.
template <class R>
struct CallPlan {
  Callback<Callback<void()>(const Attempt&, Callback<void(Result<R>, AttemptNote)>)> start;
  CallOptions options;
  Callback<void(Result<Answer<R>>)> then;
  std::optional<Result<R>> last;
  // Fallbacks, in the order they are tried.
  Destination* other = nullptr;
  std::string cache_key;
  Duration cache_age{};
  std::optional<R> value;
  std::string lane;
  std::string lane_key;
  std::string token;
  std::optional<AnyTable> command;
};

}  // namespace detail

template <class R>
class PolicyCall;

/// A destination's report to a StatusDesk.
struct DestinationReport {
  DestinationStatus status;
  MonoTime at{};
};

struct DestinationOptions {
  std::string name;          ///< For people and counters.
  std::vector<Ref> to = {};  ///< Instances of the service, used in turn. Empty: the caller's `start` chooses.
  Policy policy = {};
  LocalRef report_to = {};  ///< A StatusDesk to report to, at most once a second and only while called.
};

/// A service, node or method as called by one actor, with the state of its policy: 512 bytes besides names and
/// outstanding calls. A member of the actor; its state is lost with the actor's. To share one, let one actor own it and
/// ask that actor, as Proxy does. Use it in the actor's turns only. No timer runs without outstanding calls.
class Destination {
 public:
  /// `actor` is the owner of this member. A policy that fails check() refuses every call with check's error.
  Destination(NodeActor& actor, DestinationOptions options);
  ~Destination();
  Destination(const Destination&) = delete;
  Destination& operator=(const Destination&) = delete;

  /// A call by `ask`. T is a table type or AnyTable. Sent by `then`.
  template <class T>
  [[nodiscard]] auto call(const AnyTable& question, CallOptions options = {}) {
    using R = typename detail::OutcomeOf<T>::type;
    return PolicyCall<R>{*this, options, ask_starter<T, R>(question)};
  }
  /// As call, under an idempotency token, so that it takes effect once: the receiver uses a OnceDesk (admission.h).
  /// Such a call is idempotent and can become durable. Empty: a random token.
  template <class T>
  [[nodiscard]] auto call_once(const AnyTable& command, std::string token = {}, CallOptions options = {}) {
    using R = typename detail::OutcomeOf<T>::type;
    if (token.empty()) token = new_token();
    options.idempotent = true;
    const AnyTable wrapped = once(token, command);
    PolicyCall<R> call{*this, options, ask_starter<T, R>(wrapped)};
    call.plan_->token = std::move(token);
    call.plan_->command = wrapped;
    return call;
  }
  /// A call by any means. `start(attempt, report)` begins an attempt, which calls `report(Result<R>, AttemptNote)`
  /// once, later, at the latest after attempt.timeout, and returns a function that takes the attempt back.
  template <class R, class Start>
  [[nodiscard]] PolicyCall<R> call_by(Start start, CallOptions options = {}) {
    return PolicyCall<R>{*this, options, std::move(start)};
  }

  [[nodiscard]] DestinationStatus status() const;
  [[nodiscard]] const std::string& name() const noexcept;
  /// Opens the breaker, if you know that nothing leads there. The first call that finds no link does so by itself.
  void mark_down();

  /// Internal.
  CallHandle begin(CallOptions options, detail::StartAttempt start, detail::CallDone done);
  [[nodiscard]] std::optional<std::pair<AnyTable, Duration>> cached(std::string_view key) const;
  void keep(std::string_view key, const AnyTable& answer);
  void fell_back() noexcept;
  [[nodiscard]] NodeActor& actor() const noexcept { return actor_; }
  void enqueue(const std::string& lane, const std::string& key, const AnyTable& command, const std::string& token,
               Callback<void(Result<Receipt>)> then);

 private:
  template <class T, class R>
  auto ask_starter(const AnyTable& question) {
    return [this, question](const Attempt& attempt, Callback<void(Result<R>, AttemptNote)> report) {
      return ask(attempt, question, [report = std::move(report)](Result<AnyTable> answer) mutable {
        if (!answer) return report(answer.error(), {});
        if (const auto wait = detail::overloaded(*answer)) {
          return report(Error{ErrorCode::full, "the service is overloaded"},
                        {.retry_after = *wait, .not_started = true});
        }
        if constexpr (std::same_as<T, AnyTable>) {
          report(std::move(*answer), {});
        } else {
          report(answer->template as<T>(), {});
        }
      });
    };
  }
  Callback<void()> ask(const Attempt& attempt, const AnyTable& question, Callback<void(Result<AnyTable>)> then);
  [[nodiscard]] std::string new_token() const;
  [[nodiscard]] static AnyTable once(const std::string& token, const AnyTable& command);

  NodeActor& actor_;
  std::shared_ptr<detail::DestinationState> state_;
};

/// A call not yet made. The fallbacks below are tried if the service is unavailable (is_unavailable), in the order of
/// the functions, not of the calls. `then` makes the call.
template <class R>
class [[nodiscard]] PolicyCall {
 public:
  template <class Start>
  PolicyCall(Destination& destination, CallOptions options, Start start)
      : destination_(&destination), plan_(std::make_shared<detail::CallPlan<R>>()) {
    plan_->options = options;
    plan_->start = std::move(start);
  }

  /// Calls there, under that destination's policy. `other` belongs to the same actor.
  PolicyCall&& or_from(Destination& other) && {
    plan_->other = &other;
    return std::move(*this);
  }
  /// Uses the latest answer of this destination under the same `key`, if it is not older than `age`. A destination
  /// keeps the answers of its latest 32 keys.
  PolicyCall&& or_cached(std::string key, Duration age) && requires std::convertible_to<R, AnyTable> {
    plan_->cache_key = std::move(key);
    plan_->cache_age = age;
    return std::move(*this);
  }
  PolicyCall&& or_value(R value) && {
    plan_->value = std::move(value);
    return std::move(*this);
  }
  /// Enqueues the call, with its token, at `address` under `key`. It takes effect once, whether or not an attempt
  /// arrived. For call_once only. A crash of this node before the receipt loses it; enqueue directly what must survive
  /// that.
  PolicyCall&& or_enqueue(std::string address, std::string key) && {
    plan_->lane = std::move(address);
    plan_->lane_key = std::move(key);
    return std::move(*this);
  }

  /// Makes the call. `function` takes a Result<Answer<R>>, exactly once, in a turn of its own. Dropped if the actor
  /// stops or restarts.
  template <class F>
  requires std::invocable<F&, Result<Answer<R>>> CallHandle then(F function) && {
    plan_->then = std::move(function);
    return begin(*destination_, plan_);
  }
  /// Makes the call and discards the outcome.
  void forget() && {
    std::move(*this).then([](const Result<Answer<R>>&) {});
  }

 private:
  friend class Destination;
  using Plan = std::shared_ptr<detail::CallPlan<R>>;

  static CallHandle begin(Destination& destination, Plan plan) {
    return destination.begin(
        plan->options,
        [plan](const Attempt& attempt, detail::Reporter reporter) mutable {
          return plan->start(attempt,
                             [plan, reporter = std::move(reporter)](Result<R> result, AttemptNote note) mutable {
                               if (!reporter.wanted()) return;
                               plan->last = std::move(result);
                               reporter.report(plan->last->ok() ? nullptr : &plan->last->error(), note);
                             });
        },
        [plan, &destination](const Error* refusal) mutable { finish(destination, plan, refusal); });
  }
  static void finish(Destination& destination, const Plan& plan, const Error* refusal) {
    Result<R> result = refusal != nullptr ? Result<R>{*refusal} : std::move(*plan->last);
    plan->last.reset();
    if (result) {
      if constexpr (std::convertible_to<R, AnyTable>) {
        if (!plan->cache_key.empty()) destination.keep(plan->cache_key, *result);
      }
      return plan->then(Answer<R>{.value = std::move(*result)});
    }
    if (!is_unavailable(result.error().code)) return plan->then(result.error());
    fall_back(destination, plan, result.error());
  }
  static void fall_back(Destination& destination, const Plan& plan, const Error& error) {
    if (Destination* other = std::exchange(plan->other, nullptr)) {
      destination.fell_back();
      auto there = std::make_shared<detail::CallPlan<R>>();
      there->start = [plan](const Attempt& attempt, Callback<void(Result<R>, AttemptNote)> report) {
        return plan->start(attempt, std::move(report));
      };
      there->options = plan->options;
      there->then = [plan, &destination](Result<Answer<R>> answer) {
        if (!answer)
          return is_unavailable(answer.error().code) ? fall_back(destination, plan, answer.error())
                                                     : plan->then(answer.error());
        answer->source = AnswerSource::other;
        plan->then(std::move(answer));
      };
      begin(*other, std::move(there));
      return;
    }
    if constexpr (std::convertible_to<R, AnyTable>) {
      if (!plan->cache_key.empty()) {
        const auto kept = destination.cached(plan->cache_key);
        if (kept && kept->second <= plan->cache_age) {
          if (auto value = unpack(kept->first)) {
            destination.fell_back();
            return plan->then(
                Answer<R>{.value = std::move(*value), .source = AnswerSource::cached, .age = kept->second});
          }
        }
      }
    }
    if (plan->value) {
      destination.fell_back();
      return plan->then(Answer<R>{.value = std::move(*plan->value), .source = AnswerSource::fallback});
    }
    if (!plan->lane.empty() && plan->command) {
      destination.fell_back();
      return destination.enqueue(
          plan->lane, plan->lane_key, *plan->command, plan->token, [plan](Result<Receipt> receipt) {
            if (!receipt) return plan->then(receipt.error());
            plan->then(Answer<R>{.value = {}, .source = AnswerSource::durable, .receipt = *receipt});
          });
    }
    plan->then(error);
  }
  static Result<R> unpack(const AnyTable& table) {
    if constexpr (std::same_as<R, AnyTable>) {
      return table;
    } else {
      return table.as<typename R::table_type>();
    }
  }

  Destination* destination_;
  Plan plan_;
};

/// Collects the reports of a node's destinations (DestinationOptions::report_to) and answers `pannier services`. By
/// convention, main spawns one as "services". Keeps the latest 1,024 destinations.
class StatusDesk : public Actor<StatusDesk, DestinationReport, AnyTable> {
 public:
  void on(const DestinationReport& report);
  Result<AnyTable> on(const AnyTable& question);

 private:
  struct Known {
    std::uint64_t caller;
    DestinationReport report;
  };
  std::vector<Known> known_;  // the latest report last
};

/// A destination shared by a node, as an actor: it forwards every question under the policy and returns the answer. So
/// bulkhead, breaker and rate limit hold for all its askers. A question's deadline can only shorten the policy's.
/// Tables only.
///
///     node.spawn<pannier::Proxy>({.name = "orders"}, "hub/orders", policy);
class Proxy : public Actor<Proxy, AnyTable> {
 public:
  /// `idempotent`: everything asked through it may be repeated without harm.
  Proxy(std::string to, Policy policy, bool idempotent = false, LocalRef report_to = {});
  void on(const AnyTable& question, Responder responder);

 private:
  Destination destination_;
  bool idempotent_;
};

}  // namespace pannier
