#pragma once

#include <pannier/platform.h>

namespace pannier::posix {

/// Writes "2026-01-31T12:00:00.123Z warning text" to stderr, one write(2) per line, so that lines of several threads
/// and processes do not mix. Control characters become spaces, so a peer cannot forge a line. Text beyond 1000 bytes is
/// cut and ends in "...". Any thread.
class StderrLog final : public Log {
 public:
  /// Lines below `least` are dropped.
  explicit StderrLog(LogLevel least = LogLevel::info) noexcept : least_(least) {}
  void write(LogLevel level, std::string_view line) noexcept override;

 private:
  LogLevel least_;
};

}  // namespace pannier::posix
