#include "runtime/store/sqlite/gather.h"

#include <cstring>

namespace pannier {

int WriteGather::write(sqlite3_file* file, std::span<const std::byte> from, sqlite3_int64 offset) noexcept {
  const bool follows = size_ > 0 && file == file_ && offset == offset_ + static_cast<sqlite3_int64>(size_);
  if (!follows || size_ + from.size() > kBytes) {
    if (const int rc = flush(); rc != SQLITE_OK) return rc;
    if (from.size() > kBytes) return file->pMethods->xWrite(file, from.data(), static_cast<int>(from.size()), offset);
    file_ = file;
    offset_ = offset;
  }
  std::memcpy(held_.get() + size_, from.data(), from.size());
  size_ += from.size();
  return SQLITE_OK;
}

int WriteGather::flush_before_read(sqlite3_file* file, sqlite3_int64 offset, std::size_t size) noexcept {
  if (size_ == 0 || file != file_) return SQLITE_OK;
  const bool apart =
      offset + static_cast<sqlite3_int64>(size) <= offset_ || offset >= offset_ + static_cast<sqlite3_int64>(size_);
  return apart ? SQLITE_OK : flush();
}

int WriteGather::flush(sqlite3_file* file) noexcept { return file == file_ ? flush() : SQLITE_OK; }

int WriteGather::flush() noexcept {
  if (size_ == 0) return SQLITE_OK;
  const int rc = file_->pMethods->xWrite(file_, held_.get(), static_cast<int>(size_), offset_);
  size_ = 0;
  return rc;
}

void WriteGather::drop(sqlite3_file* file) noexcept {
  if (file == file_) size_ = 0;
}

}  // namespace pannier
