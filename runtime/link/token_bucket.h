#pragma once

#include <cstdint>

#include <pannier/platform.h>

namespace pannier {

/// Allows `rate` events in a second on average, and `burst` of them at once. A rate of 0 allows any number. A value.
class TokenBucket {
 public:
  constexpr TokenBucket(std::uint64_t rate, std::uint64_t burst) noexcept : rate_(rate), burst_(burst), left_(burst) {}

  [[nodiscard]] bool take(MonoTime now) noexcept {
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

 private:
  std::uint64_t rate_;
  std::uint64_t burst_;
  std::uint64_t left_;
  MonoTime since_{};
};

}  // namespace pannier
