#include <pannier/admission.h>

#include <algorithm>
#include <cmath>

#include "services/resilience/schema/resilience.fbs.h"

namespace pannier {

namespace {

constexpr std::size_t kPeers = 1024;
constexpr Duration kShortestRetry = std::chrono::milliseconds{50};
constexpr std::array<unsigned, 4> kShareOf = {50, 75, 90, 100};

}  // namespace

Result<void> check(const AdmissionPolicy& policy) {
  if (!(policy.rate.per_second >= 0) || (policy.rate.per_second > 0 && policy.rate.burst == 0)) {
    return Error{ErrorCode::invalid_argument, "rate: per_second must not be negative, and burst is 1 at least."};
  }
  if (policy.adaptive && (policy.least == 0 || policy.least > policy.concurrent)) {
    return Error{ErrorCode::invalid_argument, "adaptive: least is from 1 to concurrent."};
  }
  return {};
}

Admission::Admission(const AdmissionPolicy& policy) noexcept
    : policy_(policy),
      bulkhead_({.concurrent = policy.concurrent, .waiting = 0, .least = policy.least, .adaptive = policy.adaptive}) {}

Admission::Decision Admission::admit(std::string_view peer, Priority priority, MonoTime now) {
  const auto level = static_cast<std::size_t>(priority);
  if (policy_.concurrent > 0) {
    // At least one of any priority: a limit of 1 would turn the background away for ever.
    const unsigned most = std::max(1U, bulkhead_.limit() * kShareOf[level] / 100);
    if (in_work_ >= most) {
      ++shed_[level];
      // About how long until what is in work has made room.
      const float ms = took_ms_ * static_cast<float>(in_work_ - most + 1) / static_cast<float>(most);
      const Duration wait = std::max(kShortestRetry, Duration{static_cast<Duration::rep>(ms * 1e6F)});
      return {std::nullopt, {wait, std::to_string(in_work_) + " questions are in work"}};
    }
  }
  if (policy_.rate.per_second > 0) {
    auto known = peers_.find(peer);
    if (known == peers_.end()) {
      if (peers_.size() >= kPeers) {
        peers_.erase(std::min_element(peers_.begin(), peers_.end(), [](const auto& left, const auto& right) {
          return left.second.at < right.second.at;
        }));
      }
      known =
          peers_.emplace(std::string{peer}, Peer{TokenBucket{policy_.rate.per_second, policy_.rate.burst}, now}).first;
    }
    known->second.at = now;
    if (!known->second.bucket.take(now, Duration::zero())) {
      ++over_rate_;
      return {std::nullopt, {known->second.bucket.next(now), "over the rate limit of a peer"}};
    }
  }
  ++in_work_;
  ++admitted_;
  return {Ticket{*this, now}, {}};
}

void Admission::Ticket::done(MonoTime now) noexcept {
  if (of_ == nullptr) return;
  const Duration took = now - began_;
  const float ms = std::chrono::duration<float, std::milli>(took).count();
  of_->took_ms_ += (of_->took_ms_ == 0 ? 1.0F : 0.1F) * (ms - of_->took_ms_);
  of_->bulkhead_.sample(took, false, of_->in_work_);
  drop();
}

void Admission::Ticket::drop() noexcept {
  if (Admission* const of = std::exchange(of_, nullptr); of != nullptr) --of->in_work_;
}

void refuse_overloaded(const Responder& responder, const Admission::Refusal& refusal) {
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(refusal.retry_after).count();
  responder.reply(make<services::Overloaded>(static_cast<std::uint32_t>(std::clamp<std::int64_t>(ms, 0, 3'600'000)),
                                             refusal.reason));
}

}  // namespace pannier
