#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

/// What is fed with bytes of anybody's making. Each target must return, whatever the bytes are; AddressSanitizer sees
/// the rest. tests/fuzz/fuzz_test.cpp runs each for a moment with every test run, `./dev fuzz NAME` with libFuzzer for
/// long.
namespace pannier::fuzz {

using Bytes = std::vector<std::byte>;

struct Target {
  std::string_view name;
  void (*run)(std::span<const std::byte> input);
  /// Real inputs, of every kind there is, to begin with.
  std::vector<Bytes> (*seeds)();
};

[[nodiscard]] std::span<const Target> targets();
[[nodiscard]] const Target* find(std::string_view name);

}  // namespace pannier::fuzz
