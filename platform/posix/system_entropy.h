#pragma once

#include <pannier/platform.h>

namespace pannier::posix {

/// The kernel's generator (getrandom). Fit for keys. Any thread; stateless.
class SystemEntropy final : public Entropy {
 public:
  void fill(std::span<std::byte> out) noexcept override;
};

}  // namespace pannier::posix
