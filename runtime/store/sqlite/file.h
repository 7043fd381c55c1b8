#pragma once

#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace pannier {

/// A file of a VFS, opened without a connection. Closes on destruction. The VFS must outlive it. One thread.
class VfsFile {
 public:
  VfsFile(sqlite3_vfs* vfs, const std::string& path)
      : vfs_(vfs),
        name_(static_cast<std::size_t>(vfs->mxPathname) + 2, '\0'),
        // Not from SQLite's allocator, whose limit must not affect whether a file can be read.
        memory_(static_cast<std::size_t>(vfs->szOsFile) / sizeof(std::max_align_t) + 1) {
    named_ = vfs_->xFullPathname(vfs_, path.c_str(), vfs_->mxPathname, name_.data()) == SQLITE_OK;
  }
  ~VfsFile() { close(); }
  VfsFile(const VfsFile&) = delete;
  VfsFile& operator=(const VfsFile&) = delete;

  /// `flags` as for xOpen.
  [[nodiscard]] bool open(int flags) {
    if (!named_) return false;
    close();
    file_ = reinterpret_cast<sqlite3_file*>(memory_.data());
    file_->pMethods = nullptr;
    int out_flags = 0;
    if (vfs_->xOpen(vfs_, name_.c_str(), file_, flags, &out_flags) == SQLITE_OK) return true;
    close();
    return false;
  }
  void close() noexcept {
    if (file_ != nullptr && file_->pMethods != nullptr) file_->pMethods->xClose(file_);
    file_ = nullptr;
  }
  [[nodiscard]] bool is_open() const noexcept { return file_ != nullptr; }
  [[nodiscard]] bool exists() const {
    int found = 0;  // For the POSIX VFS an empty file does not exist.
    return named_ && vfs_->xAccess(vfs_, name_.c_str(), SQLITE_ACCESS_EXISTS, &found) == SQLITE_OK && found != 0;
  }
  void remove() noexcept { static_cast<void>(remove(false)); }
  /// `sync_folder`: sync the directory, so that the file does not reappear after a power cut. True if the file is gone.
  [[nodiscard]] bool remove(bool sync_folder) noexcept {
    if (!named_) return false;
    const int rc = vfs_->xDelete(vfs_, name_.c_str(), sync_folder ? 1 : 0);
    return rc == SQLITE_OK || rc == SQLITE_IOERR_DELETE_NOENT;
  }

  // Of an open file
  [[nodiscard]] std::optional<std::int64_t> size() const {
    sqlite3_int64 bytes = 0;
    if (file_->pMethods->xFileSize(file_, &bytes) != SQLITE_OK) return std::nullopt;
    return bytes;
  }
  /// False also if the file is too short.
  [[nodiscard]] bool read(std::span<std::byte> out, std::int64_t offset) const {
    return file_->pMethods->xRead(file_, out.data(), static_cast<int>(out.size()), offset) == SQLITE_OK;
  }
  [[nodiscard]] bool write(std::span<const std::byte> bytes, std::int64_t offset) {
    return file_->pMethods->xWrite(file_, bytes.data(), static_cast<int>(bytes.size()), offset) == SQLITE_OK;
  }
  /// SQLITE_OK, SQLITE_FULL or another error.
  [[nodiscard]] int write_all(std::span<const std::byte> bytes, std::int64_t offset) {
    return file_->pMethods->xWrite(file_, bytes.data(), static_cast<int>(bytes.size()), offset);
  }
  [[nodiscard]] bool truncate(std::int64_t size) { return file_->pMethods->xTruncate(file_, size) == SQLITE_OK; }
  /// Locks a file opened as a database exclusively until it is closed. False if another connection or process has it
  /// locked.
  [[nodiscard]] bool lock() {
    return file_->pMethods->xLock(file_, SQLITE_LOCK_SHARED) == SQLITE_OK &&
           file_->pMethods->xLock(file_, SQLITE_LOCK_EXCLUSIVE) == SQLITE_OK;
  }
  [[nodiscard]] bool sync() { return file_->pMethods->xSync(file_, SQLITE_SYNC_NORMAL) == SQLITE_OK; }

 private:
  sqlite3_vfs* vfs_;
  std::string name_;
  std::vector<std::max_align_t> memory_;
  sqlite3_file* file_ = nullptr;
  bool named_ = false;
};

}  // namespace pannier
