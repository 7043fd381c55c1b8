#include <pannier/policy.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

namespace pannier {

namespace {

/// Reads the settings under one name, and remembers the first thing that was wrong.
class Settings {
 public:
  Settings(const std::map<std::string, std::string>& all, std::string prefix) : all_(all), prefix_(std::move(prefix)) {}

  template <class Number>
  void read(const char* key, Number& into) {
    const std::string* text = find(key);
    if (text == nullptr) return;
    if constexpr (std::is_same_v<Number, bool>) {
      if (*text != "true" && *text != "false") return wrong(key, "must be true or false");
      into = *text == "true";
    } else {
      char* end = nullptr;
      const double value = std::strtod(text->c_str(), &end);
      const bool number = !text->empty() && *end == '\0';
      if constexpr (std::is_same_v<Number, Duration>) {
        if (!number || !(value >= 0 && value <= 1e9)) return wrong(key, "must be seconds, from 0 to 1,000,000,000");
        into = Duration{static_cast<Duration::rep>(value * 1e9)};
      } else if constexpr (std::is_floating_point_v<Number>) {
        if (!number || !(value >= 0 && value <= 1e9)) return wrong(key, "must be a number, from 0 to 1,000,000,000");
        into = static_cast<Number>(value);
      } else {
        const double most = std::numeric_limits<Number>::max();
        if (!number || !(value >= 0 && value <= most) || value != static_cast<double>(static_cast<Number>(value))) {
          return wrong(key, "must be a whole number from 0 to " + std::to_string(std::numeric_limits<Number>::max()));
        }
        into = static_cast<Number>(value);
      }
    }
  }
  void read(const char* key, Backoff::Kind& into) {
    static constexpr std::array<std::string_view, 5> kKinds = {"constant", "linear", "exponential", "full_jitter",
                                                               "decorrelated_jitter"};
    const std::string* text = find(key);
    if (text == nullptr) return;
    const auto* const found = std::find(kKinds.begin(), kKinds.end(), *text);
    if (found == kKinds.end()) {
      return wrong(key, "'" + *text + "' is none of constant, linear, exponential, full_jitter, decorrelated_jitter");
    }
    into = static_cast<Backoff::Kind>(found - kKinds.begin());
  }

  /// The first error, one of which is a setting that nobody read.
  [[nodiscard]] std::optional<Error> problem() {
    if (problem_) return problem_;
    for (auto each = all_.lower_bound(prefix_); each != all_.end() && each->first.starts_with(prefix_); ++each) {
      if (std::find(asked_.begin(), asked_.end(), each->first) != asked_.end()) continue;
      std::string known;
      for (const std::string& key : asked_) known += (known.empty() ? "" : ", ") + key.substr(prefix_.size());
      return Error{ErrorCode::invalid_argument, "unknown setting " + each->first + "; there are " + known};
    }
    return std::nullopt;
  }

 private:
  const std::string* find(const char* key) {
    asked_.push_back(prefix_ + key);
    const auto found = all_.find(asked_.back());
    return found == all_.end() ? nullptr : &found->second;
  }
  void wrong(const char* key, const std::string& why) {
    if (!problem_) problem_ = Error{ErrorCode::invalid_argument, prefix_ + key + ": " + why};
  }

  const std::map<std::string, std::string>& all_;
  const std::string prefix_;
  std::vector<std::string> asked_;
  std::optional<Error> problem_;
};

}  // namespace

Result<Policy> read_policy(const std::map<std::string, std::string>& settings, std::string_view name) {
  Policy policy;
  Settings read{settings, std::string{name} + "."};
  read.read("deadline", policy.deadline);
  read.read("attempt_timeout", policy.attempt_timeout);
  read.read("retry.attempts", policy.retry.attempts);
  read.read("retry.budget", policy.retry.budget);
  read.read("retry.return_percent", policy.retry.return_percent);
  read.read("retry.kind", policy.retry.backoff.kind);
  read.read("retry.base", policy.retry.backoff.base);
  read.read("retry.cap", policy.retry.backoff.cap);
  read.read("hedge.extra", policy.hedge.extra);
  read.read("hedge.percent", policy.hedge.percent);
  read.read("hedge.after", policy.hedge.after);
  read.read("breaker.calls", policy.breaker.calls);
  read.read("breaker.least", policy.breaker.least);
  read.read("breaker.failure_percent", policy.breaker.failure_percent);
  read.read("breaker.slow_percent", policy.breaker.slow_percent);
  read.read("breaker.slow", policy.breaker.slow);
  read.read("breaker.failures", policy.breaker.failures);
  read.read("breaker.period", policy.breaker.period);
  read.read("breaker.open_for", policy.breaker.open_for);
  read.read("breaker.probes", policy.breaker.probes);
  read.read("breaker.probe_for", policy.breaker.probe_for);
  read.read("bulkhead.concurrent", policy.bulkhead.concurrent);
  read.read("bulkhead.waiting", policy.bulkhead.waiting);
  read.read("bulkhead.adaptive", policy.bulkhead.adaptive);
  read.read("bulkhead.least", policy.bulkhead.least);
  read.read("rate.per_second", policy.rate.per_second);
  read.read("rate.burst", policy.rate.burst);
  read.read("rate.wait", policy.rate.wait);
  if (auto problem = read.problem()) return *problem;
  if (const auto sound = check(policy); !sound) {
    return Error{ErrorCode::invalid_argument, std::string{name} + ": " + sound.error().detail};
  }
  return policy;
}

}  // namespace pannier
