#pragma once

#include <sqlite3.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>

#include "runtime/store/sqlite/file.h"

namespace pannier {

/// A database file with what its log adds, read as pages and without SQLite: what SQLite would find after recovery,
/// whatever state the trees in it are in. Reads only, locks nothing. The VFS outlives it. One thread.
class SqliteImage {
 public:
  static constexpr std::size_t kPageBytes = 4096;  // Of every store (docs/storage.md, Connection settings).
  using Page = std::array<std::byte, kPageBytes>;

  /// Of a file that is not there: no pages.
  SqliteImage(sqlite3_vfs* vfs, const std::string& path);

  /// Pages are numbered from 1 to this.
  [[nodiscard]] std::uint32_t pages() const noexcept { return pages_; }
  /// False where it is not there or cannot be read.
  [[nodiscard]] bool read(std::uint32_t number, Page& to) const;
  /// The disk did not give what is there: at another time there may be more.
  [[nodiscard]] bool disk_failed() const noexcept { return disk_failed_; }

 private:
  void read_log();

  VfsFile file_;
  VfsFile log_;
  std::uint32_t pages_ = 0;
  mutable bool disk_failed_ = false;
  std::unordered_map<std::uint32_t, std::int64_t> in_log_;  ///< Page -> offset of its newest committed content.
};

}  // namespace pannier
