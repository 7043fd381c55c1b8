#pragma once

#include <chrono>
#include <cstdint>

#include "platform/clock.h"

namespace pannier {

/// How long to wait before the next attempt. The jittered kinds spread a fleet that failed at once (Brooker,
/// "Exponential Backoff And Jitter", AWS Architecture Blog, 2015). A value.
struct Backoff {
  enum class Kind : std::uint8_t {
    constant,             ///< base
    linear,               ///< base * attempt
    exponential,          ///< base * 2^(attempt - 1)
    full_jitter,          ///< anything from 0 to the exponential one
    decorrelated_jitter,  ///< anything from base to three times the delay before
  };
  Kind kind = Kind::full_jitter;
  Duration base = std::chrono::milliseconds{200};
  Duration cap = std::chrono::minutes{1};  ///< No delay is longer.

  bool operator==(const Backoff&) const = default;

  /// The delay after the `attempt`-th failure (from 1). `previous` is the delay before it, zero for the first; `random`
  /// any number, drawn anew for each call.
  [[nodiscard]] Duration delay(std::uint32_t attempt, Duration previous, std::uint64_t random) const noexcept;
};

}  // namespace pannier
