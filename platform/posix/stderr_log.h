#pragma once

#include <atomic>
#include <cstdint>

#include <pannier/platform.h>

namespace pannier::posix {

/// Writes "2026-01-31T12:00:00.123Z warning text" to stderr, one write(2) per line, so that lines of several threads
/// and processes do not mix. Control characters become spaces, so a peer cannot forge a line. Text beyond 1000 bytes is
/// cut and ends in "...". Any thread.
///
/// Never blocks: if the reader of stderr is stuck, lines are dropped, and the next line written is preceded by their
/// number.
class StderrLog final : public Log {
 public:
  /// Lines below `least` are dropped.
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
