#pragma once

#include <pannier/platform.h>

namespace pannier::posix {

/// Writes "2026-01-31T12:00:00.123Z warning text" to stderr, one write(2) a line, so that lines of several threads and
/// processes do not mix. Control characters in the text become spaces: a peer's bytes cannot forge a line.
/// Text past 1000 bytes is cut and ends in "...". Callable from any thread.
class StderrLog final : public Log {
 public:
  /// Lines below `least` are not written.
  explicit StderrLog(LogLevel least = LogLevel::info) noexcept : least_(least) {}
  void write(LogLevel level, std::string_view line) noexcept override;

 private:
  LogLevel least_;
};

}  // namespace pannier::posix
