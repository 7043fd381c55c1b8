#pragma once

#include <atomic>
#include <cstdint>

#include <pannier/platform.h>

namespace pannier::posix {

/// Writes "2026-01-31T12:00:00.123Z warning text" to stderr, one write(2) a line, so that lines of several threads and
/// processes do not mix. Control characters in the text become spaces: a peer's bytes cannot forge a line.
/// Text past 1000 bytes is cut and ends in "...". Callable from any thread.
///
/// Never blocks: a line that stderr has no room for, since its reader is stuck, is dropped. The next line that finds
/// room says before it how many were.
class StderrLog final : public Log {
 public:
  /// Lines below `least` are not written.
  explicit StderrLog(LogLevel least = LogLevel::info) noexcept : least_(least) {}
  void write(LogLevel level, std::string_view line) noexcept override;

 private:
  /// False: not now.
  bool put(std::string_view line) noexcept;

  LogLevel least_;
  std::atomic_flag busy_ = ATOMIC_FLAG_INIT;  ///< Between a look for room and the write that uses it.
  std::atomic<std::uint64_t> dropped_{0};
};

}  // namespace pannier::posix
