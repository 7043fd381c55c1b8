#pragma once

#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace pannier {

/// Writes that follow one another in a file become one. SQLite writes each page of its log by two calls, of 24 and of
/// 4,096 bytes, and a checkpoint page by page: with a group of 2,000 messages some 350 calls instead of a dozen.
///
/// What is held back is in no file yet. Whoever may look at a file, or have it synced, flushes it before; a process
/// that is killed loses what was held back, so a commit that need only survive the process flushes as well. One file
/// at a time, since SQLite writes one at a time. Files are the base's own. One thread.
class WriteGather {
 public:
  WriteGather() : held_(std::make_unique<std::byte[]>(kBytes)) {}

  /// Takes the write, or does it. An SQLite result code; it may be of an earlier write to any file, and fails the
  /// transaction or the checkpoint that both are part of.
  [[nodiscard]] int write(sqlite3_file* file, std::span<const std::byte> from, sqlite3_int64 offset) noexcept;
  /// Before a read of these bytes.
  [[nodiscard]] int flush_before_read(sqlite3_file* file, sqlite3_int64 offset, std::size_t size) noexcept;
  /// SQLITE_OK: all that was written to `file` is with it. Otherwise what was held back is gone, as after a write that
  /// failed. What is held back for another file stays: its error would be given to a call that SQLite makes for this
  /// one, and some of those it does not look at.
  [[nodiscard]] int flush(sqlite3_file* file) noexcept;
  /// What is held back for `file` is not wanted any more.
  void drop(sqlite3_file* file) noexcept;

  static constexpr std::size_t kBytes = 64 * 1024;

 private:
  [[nodiscard]] int flush() noexcept;

  std::unique_ptr<std::byte[]> held_;
  std::size_t size_ = 0;
  sqlite3_file* file_ = nullptr;  ///< Of what is held back.
  sqlite3_int64 offset_ = 0;
};

}  // namespace pannier
