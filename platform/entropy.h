#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace pannier {

/// Where randomness comes from: the system's generator in production, a seeded one in the simulation.
/// Callable from any thread.
class Entropy {
 public:
  virtual ~Entropy() = default;
  /// Fills all of `out`. Never fails: a system without entropy stops the process.
  virtual void fill(std::span<std::byte> out) noexcept = 0;

  [[nodiscard]] std::uint64_t next_u64() noexcept {
    std::uint64_t value = 0;
    fill(std::as_writable_bytes(std::span{&value, 1}));
    return value;
  }
};

}  // namespace pannier
