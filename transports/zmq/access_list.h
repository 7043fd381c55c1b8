#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <set>
#include <vector>

#include <pannier/transport.h>

namespace pannier::zmq {

/// The admitted keys. Empty: none. Any thread.
class AccessList {
 public:
  explicit AccessList(const std::vector<PublicKey>& keys = {}) : keys_(keys.begin(), keys.end()) {}

  void allow(const PublicKey& key) {
    const std::lock_guard lock{mutex_};
    keys_.insert(key);
  }

  void revoke(const PublicKey& key) {
    const std::lock_guard lock{mutex_};
    if (keys_.erase(key) > 0) revocations_.fetch_add(1, std::memory_order_release);
  }

  [[nodiscard]] bool allows(const PublicKey& key) const {
    const std::lock_guard lock{mutex_};
    return keys_.contains(key);
  }

  /// Increases with each revocation, so that peers need checking only when it has changed.
  [[nodiscard]] std::uint64_t revocations() const noexcept { return revocations_.load(std::memory_order_acquire); }

 private:
  mutable std::mutex mutex_;
  std::set<PublicKey> keys_;
  std::atomic<std::uint64_t> revocations_{0};
};

}  // namespace pannier::zmq
