#include "runtime/message/account.h"

namespace pannier {

const char* to_string(Resource resource) noexcept {
  switch (resource) {
    case Resource::links: return "links";
    case Resource::row_bytes: return "row_bytes";
    case Resource::tell_bytes: return "tell_bytes";
    case Resource::relay_bytes: return "relay_bytes";
    case Resource::lanes: return "lanes";
    case Resource::streams: return "streams";
    case Resource::retained_values: return "retained_values";
    case Resource::retained_bytes: return "retained_bytes";
    case Resource::filters: return "filters";
    case Resource::asks: return "asks";
  }
  return "";
}

bool TokenBucket::take(MonoTime now) noexcept {
  if (rate_ == 0) return true;
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now - since_).count();
  if (const std::uint64_t fresh = static_cast<std::uint64_t>(ms) * rate_ / 1000; ms > 0 && fresh > 0) {
    left_ = fresh < burst_ - left_ ? left_ + fresh : burst_;
    since_ = now;
  }
  if (left_ == 0) return false;
  --left_;
  return true;
}

Account::Account(std::string name, const Limits& limits, std::uint64_t rate) : name_(std::move(name)) {
  set(limits, rate);
}

void Account::set(const Limits& limits, std::uint64_t rate) noexcept {
  for (std::size_t i = 0; i < kResources; ++i) limits_[i].store(limits[i], std::memory_order_relaxed);
  rate_ = rate;
  messages_ = {rate, rate};
}

bool Account::takes_message(MonoTime now) noexcept {
  if (messages_.take(now)) return true;
  ++messages_refused_;
  news_.store(true, std::memory_order_relaxed);
  return false;
}

bool Account::take(Resource resource, std::uint64_t amount) noexcept {
  const std::size_t at = index(resource);
  // Two threads may both see room for the last unit; a limit is exceeded by that much at most, never by a sum.
  if (used(resource) + amount <= limit(resource)) {
    used_[at].fetch_add(amount, std::memory_order_relaxed);
    return true;
  }
  refused_[at].fetch_add(1, std::memory_order_relaxed);
  news_.store(true, std::memory_order_relaxed);
  return false;
}

}  // namespace pannier
