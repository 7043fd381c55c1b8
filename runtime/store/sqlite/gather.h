#pragma once

#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace pannier {

/// Combines consecutive writes to a file into one. SQLite writes each page of its log by two calls, of 24 and 4,096
/// bytes, and a checkpoint page by page: some 350 calls instead of a dozen for a group of 2,000 messages.
///
/// The caller flushes before anyone reads or syncs the file. A killed process loses what was not flushed, so a commit
/// that must survive the process flushes as well. Buffers one file at a time, as SQLite writes. Files are those of the
/// base VFS. One thread.
class WriteGather {
 public:
  WriteGather() : held_(std::make_unique<std::byte[]>(kBytes)) {}

  /// Buffers or performs the write. Returns an SQLite code. An error may be that of an earlier write, to any file; it
  /// fails the transaction or checkpoint that both belong to.
  [[nodiscard]] int write(sqlite3_file* file, std::span<const std::byte> from, sqlite3_int64 offset) noexcept;
  /// Call before these bytes are read.
  [[nodiscard]] int flush_before_read(sqlite3_file* file, sqlite3_int64 offset, std::size_t size) noexcept;
  /// Writes what is buffered for `file`. On an error the buffer is dropped, as after a failed write. Does not flush
  /// another file's buffer: SQLite ignores the error of some calls for `file`.
  [[nodiscard]] int flush(sqlite3_file* file) noexcept;
  /// Drops what is buffered for `file`.
  void drop(sqlite3_file* file) noexcept;

  static constexpr std::size_t kBytes = 64 * 1024;

 private:
  [[nodiscard]] int flush() noexcept;

  std::unique_ptr<std::byte[]> held_;
  std::size_t size_ = 0;
  sqlite3_file* file_ = nullptr;  ///< The file of what is buffered.
  sqlite3_int64 offset_ = 0;
};

}  // namespace pannier
