#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "platform/log.h"

namespace pannier::testkit {

/// Keeps what a node writes to its log, for a test to look at. With PANNIER_TEST_LOG in the environment each line goes
/// to stderr as well. Any thread.
class RecordedLog final : public Log {
 public:
  /// `prefix` stands before each line on stderr: the node's name.
  explicit RecordedLog(std::string prefix = {});

  void write(LogLevel level, std::string_view line) noexcept override;

  [[nodiscard]] std::uint64_t errors() const noexcept { return errors_; }
  [[nodiscard]] std::uint64_t warnings() const noexcept { return warnings_; }
  /// Empty where there was none.
  [[nodiscard]] std::string last_error() const;
  /// True when one of the newest kLines lines, of any level, has `part` in it.
  [[nodiscard]] bool has(std::string_view part) const;

  static constexpr std::size_t kLines = 1000;

 private:
  class Hold;

  const std::string prefix_;
  const bool show_;
  mutable std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
  std::deque<std::string> lines_;
  std::string last_error_;
  std::atomic<std::uint64_t> errors_{0};
  std::atomic<std::uint64_t> warnings_{0};
};

}  // namespace pannier::testkit
