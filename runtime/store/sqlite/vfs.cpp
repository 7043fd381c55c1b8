#include "runtime/store/sqlite/vfs.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <new>
#include <string_view>

#include "platform/concat.h"
#include "runtime/mutants.h"
#include "runtime/store/sqlite/log.h"
#include "runtime/store/sqlite/page_sum.h"
#include "runtime/store/sqlite/vfs_methods.h"

namespace pannier {

namespace {

// SQLite's file format: the header of a log, before its frames; a frame, which is a header and a page; where a
// database's header has its page size and the bytes that are reserved in each page.
constexpr sqlite3_int64 kLogHeaderBytes = 32;
constexpr sqlite3_int64 kFrameBytes = 24 + static_cast<sqlite3_int64>(kPageBytes);
constexpr std::size_t kPageSizeAt = 16;
constexpr std::size_t kReservedAt = 20;

}  // namespace

/// An open file: our part, followed by the base's part of base_->szOsFile bytes. SQLite allocates both as one block,
/// aligned to 8.
struct CountingVfs::File {
  sqlite3_file head;
  CountingVfs* vfs;
  bool is_log;
  bool is_database;
  bool seals;  ///< A database whose header says that pages have checksums.

  static File* of(sqlite3_file* file) noexcept { return reinterpret_cast<File*>(file); }
  [[nodiscard]] sqlite3_file* base() noexcept { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

/// The callbacks. None may throw, since SQLite is C.
struct CountingVfs::Methods {
  static CountingVfs* self(sqlite3_vfs* vfs) noexcept { return static_cast<CountingVfs*>(vfs->pAppData); }
  static sqlite3_vfs* base(sqlite3_vfs* vfs) noexcept { return self(vfs)->base_; }
  static sqlite3_file* base(sqlite3_file* file) noexcept { return File::of(file)->base(); }

  static int close(sqlite3_file* file) {
    File* ours = File::of(file);
    if (ours->vfs->log_ == ours->base()) {
      ours->vfs->log_ = nullptr;
      ours->vfs->log_unsynced_ = false;
      ours->vfs->frame_sums_.clear();
    }
    const int written = ours->vfs->gather_.flush(ours->base());
    const int closed = base(file)->pMethods->xClose(base(file));
    return written == SQLITE_OK ? closed : written;
  }
  static int read(sqlite3_file* file, void* to, int size, sqlite3_int64 offset) {
    File* ours = File::of(file);
    const int written = ours->vfs->gather_.flush_before_read(base(file), offset, static_cast<std::size_t>(size));
    if (written != SQLITE_OK) return written;
    const int rc = base(file)->pMethods->xRead(base(file), to, size, offset);
    const std::span<std::byte> bytes{static_cast<std::byte*>(to), static_cast<std::size_t>(size)};
    if (ours->is_log && rc == SQLITE_OK) return ours->vfs->check_frame(bytes, offset);
    return ours->is_database ? check_page(*ours, bytes, offset, rc) : rc;
  }
  /// Checks what was read from the database. SQLite reads a page beyond the end of the file as zeros; here it is an
  /// error.
  static int check_page(File& file, std::span<std::byte> bytes, sqlite3_int64 offset, int rc) noexcept {
    if (offset == 0 && !file.vfs->first_page_.empty() && bytes.size() <= kPageBytes) {
      std::copy_n(file.vfs->first_page_.begin(), bytes.size(), bytes.begin());
      file.seals = true;
      return SQLITE_OK;
    }
    if (offset == 0 && rc == SQLITE_OK) file.seals = file.seals || says_sealed(bytes);
    const bool whole_page = bytes.size() == kPageBytes && offset % static_cast<sqlite3_int64>(kPageBytes) == 0;
    if (!file.seals || !whole_page || (rc != SQLITE_OK && rc != SQLITE_IOERR_SHORT_READ)) return rc;
    const auto page = static_cast<std::uint32_t>(offset / static_cast<sqlite3_int64>(kPageBytes)) + 1;
    if (rc == SQLITE_OK && page_holds(page, bytes)) return SQLITE_OK;
    if (rc == SQLITE_OK && file.vfs->accepts_unsealed_ && stored_sum(bytes) == 0) return SQLITE_OK;
    if (rc == SQLITE_OK && !file.vfs->first_page_.empty() && repair_page(page, bytes)) {
      ++file.vfs->repaired_pages_;
      return SQLITE_OK;
    }
    ++file.vfs->corrupt_pages_;
    return SQLITE_IOERR_DATA;
  }
  /// Whether the header is that of a database with room for checksums in its pages.
  static bool says_sealed(std::span<const std::byte> header) noexcept {
    return header.size() >= kPageSizeAt + 5 && header[kReservedAt] == std::byte{kPageSumBytes} &&
           header[kPageSizeAt] == std::byte{kPageBytes >> 8U} && header[kPageSizeAt + 1] == std::byte{0};
  }
  static int write(sqlite3_file* file, const void* from, int size, sqlite3_int64 offset) {
    File* ours = File::of(file);
    const std::span bytes{static_cast<const std::byte*>(from), static_cast<std::size_t>(size)};
    if (ours->is_log) {
      if (!ours->vfs->notes_->log_written(bytes, offset)) return SQLITE_IOERR_WRITE;
      if (offset > 0 && ours->vfs->first_frame_ < 0) ours->vfs->first_frame_ = offset;
      ours->vfs->frames_are_last_ = offset >= kLogHeaderBytes;
    }
    ours->vfs->bytes_written_ += static_cast<std::uint64_t>(size);
    if (ours->is_log) ours->vfs->note_frame(bytes, offset);
    if (!ours->is_database || bytes.size() != kPageBytes) return ours->vfs->gather_.write(ours->base(), bytes, offset);
    const auto page = static_cast<std::uint32_t>(offset / size) + 1;
    if (page == 1) ours->seals = says_sealed(bytes);
    std::array<std::byte, kPageBytes> sealed;
    std::memcpy(sealed.data(), from, sealed.size());
    if (ours->seals) seal_page(page, sealed);
    if (ours->vfs->log_ != nullptr) {
      ours->vfs->notes_->page_written(page, sealed);
    } else if (!ours->vfs->notes_->page_written_past_log(page)) {
      return SQLITE_IOERR_WRITE;
    }
    return ours->vfs->gather_.write(ours->base(), sealed, offset);
  }
  static int truncate(sqlite3_file* file, sqlite3_int64 size) {
    File* ours = File::of(file);
    CountingVfs* vfs = ours->vfs;
    if (const int written = vfs->gather_.flush(base(file)); written != SQLITE_OK) return written;
    if (!ours->is_log || size > 0) {
      if (ours->is_database)
        vfs->notes_->database_cut(static_cast<std::uint32_t>(static_cast<std::uint64_t>(size) / kPageBytes));
      return base(file)->pMethods->xTruncate(base(file), size);
    }
    // The log is abandoned as a whole, which must be on the disk before anything follows.
    vfs->frame_sums_.clear();
    if (!vfs->notes_->forget_log()) return SQLITE_IOERR_TRUNCATE;
    const int rc = base(file)->pMethods->xTruncate(base(file), size);
    return rc == SQLITE_OK ? vfs->sync_base(base(file), SQLITE_SYNC_NORMAL) : rc;
  }
  static int sync(sqlite3_file* file, int flags) {
    File* ours = File::of(file);
    CountingVfs* vfs = ours->vfs;
    if (const int written = vfs->gather_.flush(ours->base()); written != SQLITE_OK) return written;
    if (ours->is_log && vfs->leave_out_ && vfs->frames_are_last_) {
      // A checkpoint within the same commit syncs the log again; that sync is not skipped.
      vfs->leave_out_ = false;
      vfs->log_unsynced_ = true;
      return SQLITE_OK;
    }
    const int rc = vfs->sync_base(base(file), flags);
    if (ours->is_log && rc == SQLITE_OK) {
      vfs->log_unsynced_ = false;
      vfs->notes_->log_synced();
    }
    if (ours->is_database && rc == SQLITE_OK) vfs->notes_->database_synced();
    return rc;
  }
  static int file_size(sqlite3_file* file, sqlite3_int64* size) {
    if (const int written = File::of(file)->vfs->gather_.flush(base(file)); written != SQLITE_OK) return written;
    return base(file)->pMethods->xFileSize(base(file), size);
  }
  static int lock(sqlite3_file* file, int level) { return base(file)->pMethods->xLock(base(file), level); }
  static int unlock(sqlite3_file* file, int level) { return base(file)->pMethods->xUnlock(base(file), level); }
  static int check_reserved(sqlite3_file* file, int* result) {
    return base(file)->pMethods->xCheckReservedLock(base(file), result);
  }
  static int control(sqlite3_file* file, int operation, void* argument) {
    return base(file)->pMethods->xFileControl(base(file), operation, argument);
  }
  static int sector_size(sqlite3_file* file) { return base(file)->pMethods->xSectorSize(base(file)); }
  static int characteristics(sqlite3_file* file) { return base(file)->pMethods->xDeviceCharacteristics(base(file)); }

  static int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) {
    File* ours = new (file) File{};
    ours->vfs = self(vfs);
    ours->is_log = (flags & SQLITE_OPEN_WAL) != 0;
    ours->is_database = (flags & SQLITE_OPEN_MAIN_DB) != 0;
    ours->seals = false;
    ours->base()->pMethods = nullptr;
    const int rc = base(vfs)->xOpen(base(vfs), name, ours->base(), flags, out_flags);
    // A base whose open failed still needs its close called if it set its methods.
    ours->head.pMethods = ours->base()->pMethods == nullptr ? nullptr : file_methods<Methods>();
    if (rc == SQLITE_OK && ours->is_log) {
      ours->vfs->log_ = ours->base();
      // Assume so: the last commits of an earlier process may not have been synced.
      ours->vfs->log_unsynced_ = true;
    }
    return rc;
  }
  static int remove(sqlite3_vfs* vfs, const char* name, int sync_directory) {
    if (std::string_view(name).ends_with("-wal") && !self(vfs)->notes_->forget_log()) return SQLITE_IOERR_DELETE;
    return base(vfs)->xDelete(base(vfs), name, sync_directory);
  }
  static int access(sqlite3_vfs* vfs, const char* name, int flags, int* result) {
    return base(vfs)->xAccess(base(vfs), name, flags, result);
  }
  static int full_path(sqlite3_vfs* vfs, const char* name, int size, char* out) {
    return base(vfs)->xFullPathname(base(vfs), name, size, out);
  }
  static int randomness(sqlite3_vfs* vfs, int size, char* out) { return base(vfs)->xRandomness(base(vfs), size, out); }
  static int sleep(sqlite3_vfs* vfs, int microseconds) { return base(vfs)->xSleep(base(vfs), microseconds); }
  static int current_time(sqlite3_vfs* vfs, double* time) { return base(vfs)->xCurrentTime(base(vfs), time); }
  static int last_error(sqlite3_vfs* vfs, int size, char* out) {
    return base(vfs)->xGetLastError(base(vfs), size, out);
  }
};

Result<std::unique_ptr<CountingVfs>> CountingVfs::create(const std::string& base) {
  std::unique_ptr<CountingVfs> made(new CountingVfs);
  made->base_ = sqlite3_vfs_find(base.empty() ? nullptr : base.c_str());
  if (made->base_ == nullptr) return Error{ErrorCode::not_found, concat({"SQLite has no VFS named ", base, "."})};
  made->notes_ = std::make_unique<Notes>(made->base_);
  // A number, not an address: a name must not be reused while a connection of an older VFS is being closed.
  static std::atomic<std::uint64_t> number{0};
  made->name_ = concat({"pannier-", ++number});
  sqlite3_vfs& vfs = made->vfs_;
  vfs.szOsFile = static_cast<int>(sizeof(File)) + made->base_->szOsFile;
  vfs.mxPathname = made->base_->mxPathname;
  vfs.zName = made->name_.c_str();
  vfs.pAppData = made.get();
  set_vfs_methods<Methods>(vfs);
  if (sqlite3_vfs_register(&vfs, 0) != SQLITE_OK) {
    made->vfs_.zName = nullptr;
    return Error{ErrorCode::storage_io, "SQLite did not take the store's VFS."};
  }
  return made;
}

CountingVfs::~CountingVfs() {
  if (vfs_.zName != nullptr) sqlite3_vfs_unregister(&vfs_);
}

std::optional<std::int64_t> CountingVfs::size_of(const std::string& path) {
  // Opened as a database in any case: only then does the POSIX VFS preserve locks held by this process.
  VfsFile file(base_, path);
  if (!file.exists()) return 0;
  if (!file.open(SQLITE_OPEN_READONLY | SQLITE_OPEN_MAIN_DB)) return std::nullopt;
  return file.size();
}

bool CountingVfs::is_unsealed(const std::string& path) {
  VfsFile file(base_, path);
  std::array<std::byte, kPageBytes> page{};
  return file.exists() && file.open(SQLITE_OPEN_READONLY | SQLITE_OPEN_MAIN_DB) && file.read(page, 0) &&
         Methods::says_sealed(page) && stored_sum(page) == 0;
}

bool CountingVfs::hold_room(const std::string& path, std::int64_t bytes) {
  VfsFile file(base_, path);
  bool held = file.open(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MAIN_JOURNAL);
  if (!held) return false;
  if (file.size().value_or(0) >= bytes) return true;
  static constexpr std::array<std::byte, 16384> kZeros{};
  for (std::int64_t at = 0; held && at < bytes; at += static_cast<std::int64_t>(kZeros.size())) {
    held = file.write(kZeros, at);
    bytes_written_ += kZeros.size();
  }
  ++syncs_;
  if (!is_mutant(Mutant::reserve_not_synced)) held = held && file.sync();
  file.close();
  if (!held) file.remove();
  return held;
}

void CountingVfs::release_room(const std::string& path) noexcept { VfsFile(base_, path).remove(); }

int CountingVfs::sync_base(sqlite3_file* file, int flags) noexcept {
  ++syncs_;
  const int rc = file->pMethods->xSync(file, flags);
  if (rc != SQLITE_OK && !is_mutant(Mutant::failed_sync_forgotten)) sync_failed_ = true;
  return rc;
}

std::size_t CountingVfs::frame_of(sqlite3_int64 offset) noexcept {
  return static_cast<std::size_t>((offset - kLogHeaderBytes) / kFrameBytes);
}

void CountingVfs::note_frame(std::span<const std::byte> bytes, sqlite3_int64 offset) {
  if (offset == 0) frame_sums_.clear();  // The log is restarted.
  if (bytes.size() != kPageBytes) return;
  const std::size_t frame = frame_of(offset);
  if (frame_sums_.size() <= frame) frame_sums_.resize(frame + 1);
  frame_sums_[frame] = page_sum(0, bytes);
}

int CountingVfs::check_frame(std::span<const std::byte> bytes, sqlite3_int64 offset) {
  notes_->log_read(bytes, offset);
  if (bytes.size() < kPageBytes) return SQLITE_OK;
  const std::uint64_t sum = page_sum(0, bytes.last(kPageBytes));
  const std::size_t frame = frame_of(offset);
  if (frame_sums_.size() <= frame) frame_sums_.resize(frame + 1);
  // A recovery reads whole frames and stops at the first with a wrong frame checksum.
  if (frame_sums_[frame] == 0) frame_sums_[frame] = sum;
  if (frame_sums_[frame] == sum) return SQLITE_OK;
  ++corrupt_pages_;
  return SQLITE_IOERR_DATA;
}

int CountingVfs::sync_log() noexcept {
  if (log_ == nullptr || !log_unsynced_) return SQLITE_OK;
  if (const int written = gather_.flush(log_); written != SQLITE_OK) return written;
  const int rc = sync_base(log_, SQLITE_SYNC_NORMAL);
  if (rc == SQLITE_OK) {
    log_unsynced_ = false;
    notes_->log_synced();
  }
  return rc;
}

void CountingVfs::void_transaction() noexcept {
  if (log_ == nullptr || first_frame_ < 0 || is_mutant(Mutant::failed_group_stays)) return;
  gather_.drop(log_);
  static constexpr std::array<std::byte, 24> kZeros{};  // The header of a frame.
  static_cast<void>(log_->pMethods->xWrite(log_, kZeros.data(), static_cast<int>(kZeros.size()), first_frame_));
}

}  // namespace pannier
