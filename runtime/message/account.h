#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <pannier/limits.h>
#include <pannier/platform.h>

namespace pannier {

/// What a peer can use up of a node.
enum class Resource : std::uint8_t {
  links,
  row_bytes,
  tell_bytes,
  relay_bytes,
  lanes,
  streams,
  retained_values,
  retained_bytes,
  filters,
  asks,
};
inline constexpr std::size_t kResources = 10;
[[nodiscard]] const char* to_string(Resource resource) noexcept;

/// Allows `rate` events in a second on average, and `burst` of them at once. A rate of 0 allows any number. A value;
/// one thread.
class TokenBucket {
 public:
  constexpr TokenBucket(std::uint64_t rate, std::uint64_t burst) noexcept : rate_(rate), burst_(burst), left_(burst) {}
  [[nodiscard]] bool take(MonoTime now) noexcept;

 private:
  std::uint64_t rate_;
  std::uint64_t burst_;
  std::uint64_t left_;
  MonoTime since_{};
};

/// What one peer uses of this node, over all its links, and how much it may. Lives as long as anything is charged to
/// it. Any thread, except where stated.
class Account {
 public:
  using Limits = std::array<std::uint64_t, kResources>;  // by Resource
  Account(std::string name, const Limits& limits, std::uint64_t rate);

  /// False: the peer would exceed its limit; that is counted, and nothing is charged.
  [[nodiscard]] bool take(Resource resource, std::uint64_t amount = 1) noexcept;
  void give_back(Resource resource, std::uint64_t amount = 1) noexcept {
    used_[index(resource)].fetch_sub(amount, std::memory_order_relaxed);
  }
  /// Replaces the limits. What is charged stays. On the router's thread.
  void set(const Limits& limits, std::uint64_t rate) noexcept;

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] std::uint64_t used(Resource resource) const noexcept {
    return used_[index(resource)].load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t limit(Resource resource) const noexcept {
    return limits_[index(resource)].load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t refused(Resource resource) const noexcept {
    return refused_[index(resource)].load(std::memory_order_relaxed);
  }

  // --- The router's thread only
  /// Messages that the peer may send in a second; 0: any number.
  [[nodiscard]] std::uint64_t rate() const noexcept { return rate_; }
  /// False: the peer has sent more messages than that. Counted.
  [[nodiscard]] bool takes_message(MonoTime now) noexcept;
  [[nodiscard]] std::uint64_t messages_refused() const noexcept { return messages_refused_; }
  /// False: the peer changes filters and routes faster than limits::kChangesPerSecond.
  [[nodiscard]] bool takes_change(MonoTime now) noexcept { return changes_.take(now); }
  /// True once after something was refused.
  [[nodiscard]] bool has_news() noexcept {
    return news_.load(std::memory_order_relaxed) && news_.exchange(false, std::memory_order_relaxed);
  }

 private:
  using Counters = std::array<std::atomic<std::uint64_t>, kResources>;
  [[nodiscard]] static constexpr std::size_t index(Resource resource) noexcept {
    return static_cast<std::size_t>(resource);
  }

  const std::string name_;
  Counters used_{};
  Counters limits_{};
  Counters refused_{};
  std::atomic<bool> news_{false};
  std::uint64_t rate_ = 0;
  std::uint64_t messages_refused_ = 0;
  TokenBucket messages_{0, 0};
  TokenBucket changes_{limits::kChangesPerSecond, limits::kChangesAtOnce};
};

using AccountRef = std::shared_ptr<Account>;

/// An amount that is charged to an account until this is gone. Empty: charged to nobody. Move-only.
class Charge {
 public:
  Charge() = default;
  /// Charges `account` (null: nobody) with `amount`. Check ok() unless null.
  Charge(AccountRef account, Resource resource, std::uint64_t amount = 1)
      : account_(std::move(account)), resource_(resource), amount_(amount) {
    if (account_ != nullptr && !account_->take(resource, amount)) {
      account_ = nullptr;
      ok_ = false;
    }
  }
  Charge(Charge&& other) noexcept { *this = std::move(other); }
  Charge& operator=(Charge&& other) noexcept {
    if (this == &other) return *this;
    release();
    account_ = std::move(other.account_);
    resource_ = other.resource_;
    amount_ = other.amount_;
    ok_ = other.ok_;
    return *this;
  }
  Charge(const Charge&) = delete;
  Charge& operator=(const Charge&) = delete;
  ~Charge() { release(); }

  /// False: the account's limit did not allow it, and nothing is charged.
  [[nodiscard]] bool ok() const noexcept { return ok_; }
  [[nodiscard]] const AccountRef& account() const noexcept { return account_; }
  void release() noexcept {
    if (const AccountRef account = std::exchange(account_, nullptr)) account->give_back(resource_, amount_);
  }

 private:
  AccountRef account_;
  Resource resource_{};
  std::uint64_t amount_ = 0;
  bool ok_ = true;
};

}  // namespace pannier
