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

/// Calls under a policy: deadline, retries, hedging, circuit breaker, bulkhead, rate limit, fallbacks. For actors; link
/// pannier::resilience. docs/services.md explains it from the first call on.
namespace pannier {

class Destination;

/// What a call asks for that its destination's policy does not say.
struct CallOptions {
  /// It may be made twice without harm: then it is retried and hedged. Otherwise it is repeated only where the other
  /// side has certainly not begun.
  bool idempotent = false;
  Duration deadline{};  ///< Zero: the policy's. A longer one has no effect, nor one past ActorBase::deadline().
};

/// One attempt of a call, for who starts it.
struct Attempt {
  Ref to;  ///< The instance whose turn it is. Nobody where the destination names none.
  Duration timeout{};
  std::uint32_t number = 1;  ///< From 1 within the call.
};

/// What an attempt reports besides its outcome.
struct AttemptNote {
  Duration retry_after{};    ///< The service asks not to be called again before. Zero: it does not say.
  bool not_started = false;  ///< It has certainly not begun, whatever the error: was_not_started() says so of some.
};

/// Where an answer comes from.
enum class AnswerSource : std::uint8_t {
  service,   ///< The destination itself.
  other,     ///< The other destination.
  cached,    ///< An earlier answer, of a certain age.
  fallback,  ///< The value that the caller gave.
  durable,   ///< No answer yet: the call is in a lane now and takes effect once, later.
};

/// What a call came to.
template <class R>
struct Answer {
  std::optional<R> value;  ///< Nothing only if durable.
  AnswerSource source = AnswerSource::service;
  Duration age{};        ///< Of a cached one.
  Receipt receipt = {};  ///< Of a durable one.

  [[nodiscard]] const R& operator*() const { return *value; }
  [[nodiscard]] const R* operator->() const { return &*value; }
};

/// Takes a call back. A value that may outlive the call, and then does nothing.
class CallHandle {
 public:
  CallHandle() noexcept = default;
  explicit CallHandle(std::function<void()> cancel) : cancel_(std::move(cancel)) {}
  /// It ends as `cancelled`, in a turn of its own, unless it has ended. Permits and places are given back at once.
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

/// The right of one attempt to report, once. Dropped without a report: the call's deadline ends it.
class Reporter {
 public:
  Reporter(std::shared_ptr<CallBox> box, std::uint32_t serial) noexcept : box_(std::move(box)), serial_(serial) {}
  /// False: the call has ended, or goes on without this attempt. Then the outcome is not looked at.
  [[nodiscard]] bool wanted() const noexcept;
  /// `error` nothing: it succeeded.
  void report(const Error* error, const AttemptNote& note);

 private:
  std::shared_ptr<CallBox> box_;
  std::uint32_t serial_;
};

using StartAttempt = Callback<Callback<void()>(const Attempt&, Reporter)>;
/// Null: the outcome is what the last attempt reported.
using CallDone = Callback<void(const Error*)>;

/// `retry_after` of an answer that stands for "not now"; nothing if it is an ordinary one.
[[nodiscard]] std::optional<Duration> overloaded(const AnyTable& answer) noexcept;

/// What there is to do if the service is not available. Shared by the copies of a call's outcome.
template <class R>
struct CallPlan {
  Callback<Callback<void()>(const Attempt&, Callback<void(Result<R>, AttemptNote)>)> start;
  CallOptions options;
  Callback<void(Result<Answer<R>>)> then;
  std::optional<Result<R>> last;
  // Fallbacks, in the order in which they are tried.
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

/// A call of a generated client: rpc::Call.
template <class C>
concept TypedCall = requires(const C& call, C& copy) {
  typename C::response_type;
  { call.method().idempotent } -> std::convertible_to<bool>;
  call.destination();
  copy.options().deadline;
};

template <class R>
class PolicyCall;

/// How a destination stands, on its way to a StatusDesk.
struct DestinationReport {
  DestinationStatus status;
  MonoTime at{};
};

struct DestinationOptions {
  std::string name;          ///< For people and counters.
  std::vector<Ref> to = {};  ///< Instances of the service; attempts go to them in turn. None: the starter knows whom.
  Policy policy = {};
  LocalRef report_to = {};  ///< A StatusDesk that is told how it stands, at most once a second and only while called.
};

/// A service, a node or one method, as one actor calls it, with the state that its policy needs: 512 bytes besides names
/// and calls under way. A member of the actor: it ends, or starts anew, with the actor's state. To share one among
/// actors, let one of them own it and ask that one, as Proxy does. Used in the actor's turns only; no timer runs while
/// no call is under way.
class Destination {
 public:
  /// `actor` is the one whose member this is. A policy that contradicts itself (check) refuses every call with
  /// check's error.
  Destination(NodeActor& actor, DestinationOptions options);
  ~Destination();
  Destination(const Destination&) = delete;
  Destination& operator=(const Destination&) = delete;

  /// A call by `ask`. T is a table type or AnyTable. Nothing happens before `then`.
  template <class T>
  [[nodiscard]] auto call(const AnyTable& question, CallOptions options = {}) {
    using R = typename detail::OutcomeOf<T>::type;
    return PolicyCall<R>{*this, options, ask_starter<T, R>(question)};
  }
  /// The same under an idempotency token, so that it takes effect once: the receiver handles it by a OnceDesk
  /// (admission.h). That makes it idempotent, and lets it go durable. Empty: a random token.
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
  /// A call of a generated client (<pannier/rpc.h>), sent to this destination's instances where it names some, else to
  /// the client's own. Methods that are `idempotent` in the schema are so here.
  ///     orders_.call(client_.get_order(request)).then(...)
  template <TypedCall C>
  [[nodiscard]] auto call(const C& call, CallOptions options = {}) {
    using R = Table<typename C::response_type>;
    options.idempotent = options.idempotent || call.method().idempotent;
    return call_by<R>(
        [call](const Attempt& attempt, Callback<void(Result<R>, AttemptNote)> report) {
          auto one = call.to(attempt.to ? attempt.to : call.destination());
          one.options().deadline = attempt.timeout;
          const auto sent = one.then([report = std::move(report)](auto response) mutable {
            const AttemptNote note{.retry_after = response.failure().retry_after,
                                   .not_started = response.failure().not_started};
            report(response, note);
          });
          return [sent] { sent.cancel(); };
        },
        options);
  }
  /// A call by any means. `start(attempt, report)` begins an attempt, which calls `report(Result<R>, AttemptNote)` once,
  /// later, at the latest after attempt.timeout, and returns a function that takes the attempt back.
  template <class R, class Start>
  [[nodiscard]] PolicyCall<R> call_by(Start start, CallOptions options = {}) {
    return PolicyCall<R>{*this, options, std::move(start)};
  }

  [[nodiscard]] DestinationStatus status() const;
  [[nodiscard]] const std::string& name() const noexcept;
  /// Opens the breaker: for who knows that nothing leads there. The first call that finds no link does so by itself.
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
          return report(Error{ErrorCode::full, "the service is overloaded"}, {.retry_after = *wait, .not_started = true});
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

/// A call about to be made. Says what to do if the service is not available (is_unavailable), which is tried in the order
/// of the functions below, whatever the order in which they are called. `then` makes the call.
template <class R>
class [[nodiscard]] PolicyCall {
 public:
  template <class Start>
  PolicyCall(Destination& destination, CallOptions options, Start start)
      : destination_(&destination), plan_(std::make_shared<detail::CallPlan<R>>()) {
    plan_->options = options;
    plan_->start = std::move(start);
  }

  /// Makes the call there, under that destination's policy. `other` belongs to the same actor.
  PolicyCall&& or_from(Destination& other) && {
    plan_->other = &other;
    return std::move(*this);
  }
  /// The latest answer that a call under the same `key` got from this destination, if it is not older than `age`. A
  /// destination keeps the answers of its latest 32 keys.
  PolicyCall&& or_cached(std::string key, Duration age) && requires std::convertible_to<R, AnyTable> {
    plan_->cache_key = std::move(key);
    plan_->cache_age = age;
    return std::move(*this);
  }
  PolicyCall&& or_value(R value) && {
    plan_->value = std::move(value);
    return std::move(*this);
  }
  /// Goes durable: the same call, with the same token, is enqueued at `address` under `key`. Whether or not an attempt
  /// has arrived, it takes effect once. Of call_once only. Until the receipt is there a crash of this node loses it:
  /// what must survive that is enqueued in the first place.
  PolicyCall&& or_enqueue(std::string address, std::string key) && {
    plan_->lane = std::move(address);
    plan_->lane_key = std::move(key);
    return std::move(*this);
  }

  /// Makes the call. `function` takes a Result<Answer<R>>, exactly once, as a turn of its own; it is dropped if the
  /// actor stops or restarts.
  template <class F>
  requires std::invocable<F&, Result<Answer<R>>> CallHandle then(F function) && {
    plan_->then = std::move(function);
    return begin(*destination_, plan_);
  }
  /// Makes it and lets the outcome go.
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
          return plan->start(attempt, [plan, reporter = std::move(reporter)](Result<R> result,
                                                                            AttemptNote note) mutable {
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
        if (!answer) return is_unavailable(answer.error().code) ? fall_back(destination, plan, answer.error())
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
      return destination.enqueue(plan->lane, plan->lane_key, *plan->command, plan->token,
                                 [plan](Result<Receipt> receipt) {
                                   if (!receipt) return plan->then(receipt.error());
                                   plan->then(Answer<R>{
                                       .value = {}, .source = AnswerSource::durable, .receipt = *receipt});
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

/// Collects how the destinations of a node stand (DestinationOptions::report_to), and answers the question of
/// `pannier services`. `main` starts one, by convention under the name "services". Bounded: the 1,024 destinations
/// that were heard of last.
class StatusDesk : public Actor<StatusDesk, DestinationReport, AnyTable> {
 public:
  void on(const DestinationReport& report);
  Result<AnyTable> on(const AnyTable& question);

 private:
  struct Known {
    std::uint64_t caller;
    DestinationReport report;
  };
  std::vector<Known> known_;  // the one heard of last at the end
};

/// A destination that a whole node shares, as an actor: what any actor asks it, it asks the destination under the policy
/// and answers as that does. So bulkhead, breaker and rate limit hold for all that ask by it. A question's own deadline
/// holds if it is shorter than the policy's. Tables only.
///
///     node.spawn<pannier::Proxy>({.name = "orders"}, "hub/orders", policy);
class Proxy : public Actor<Proxy, AnyTable> {
 public:
  /// `idempotent`: all that is asked through it may be made twice.
  Proxy(std::string to, Policy policy, bool idempotent = false, LocalRef report_to = {});
  void on(const AnyTable& question, Responder responder);

 private:
  Destination destination_;
  bool idempotent_;
};

}  // namespace pannier
