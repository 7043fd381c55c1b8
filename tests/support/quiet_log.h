#pragma once

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <string_view>

#include "platform/log.h"

namespace pannier::testing {

/// Counts warnings and errors, and shows lines only when PANNIER_TEST_LOG is set: tests break things on purpose.
class QuietLog final : public Log {
 public:
  void write(LogLevel level, std::string_view line) noexcept override {
    if (level == LogLevel::error) {
      errors_.fetch_add(1, std::memory_order_relaxed);
      const std::lock_guard hold{mutex_};
      last_error_ = line;
    }
    if (level == LogLevel::warning) warnings_.fetch_add(1, std::memory_order_relaxed);
    if (show_) std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
  }
  [[nodiscard]] std::uint64_t errors() const noexcept { return errors_; }
  [[nodiscard]] std::string last_error() const {
    const std::lock_guard hold{mutex_};
    return last_error_;
  }
  [[nodiscard]] std::uint64_t warnings() const noexcept { return warnings_; }

 private:
  const bool show_ = std::getenv("PANNIER_TEST_LOG") != nullptr;
  mutable std::mutex mutex_;
  std::string last_error_;
  std::atomic<std::uint64_t> errors_{0};
  std::atomic<std::uint64_t> warnings_{0};
};

}  // namespace pannier::testing
