#include "runtime/store/sim/sqlite_disk.h"

#include <sqlite3.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>
#include <span>

#include "runtime/store/sqlite/vfs_methods.h"

namespace pannier::sim {

struct SqliteDisk::Vfs {
  sqlite3_vfs head{};
  Disk* disk = nullptr;
  std::string name;
};

/// What SQLite holds for each open file.
struct SqliteDisk::File {
  sqlite3_file head;
  Disk* disk;
  Disk::File* file;
  bool sync_entry;  ///< Of a log or journal that may be new: its entry is synced with its first content.

  static File* of(sqlite3_file* file) noexcept { return reinterpret_cast<File*>(file); }
};

/// The callbacks. SQLite is C: none of them may throw, and none does.
struct SqliteDisk::Methods {
  static Disk& disk(sqlite3_vfs* vfs) noexcept { return *static_cast<Vfs*>(vfs->pAppData)->disk; }
  static Disk::File& file(sqlite3_file* file) noexcept { return *File::of(file)->file; }
  static int code(const Result<void>& done, int io_error) {
    if (done) return SQLITE_OK;
    return done.error().code == ErrorCode::storage_full ? SQLITE_FULL : io_error;
  }

  static int close(sqlite3_file* file) {
    delete File::of(file)->file;
    File::of(file)->file = nullptr;
    return SQLITE_OK;
  }
  static int read(sqlite3_file* from, void* to, int size, sqlite3_int64 offset) {
    const std::span out(static_cast<std::byte*>(to), static_cast<std::size_t>(size));
    const Result<std::size_t> got = file(from).read(out, static_cast<std::uint64_t>(offset));
    if (!got) return SQLITE_IOERR_READ;
    if (*got == out.size()) return SQLITE_OK;
    std::memset(out.data() + *got, 0, out.size() - *got);  // SQLite wants the rest to be zeros.
    return SQLITE_IOERR_SHORT_READ;
  }
  static int write(sqlite3_file* to, const void* from, int size, sqlite3_int64 offset) {
    const std::span bytes(static_cast<const std::byte*>(from), static_cast<std::size_t>(size));
    return code(file(to).write(bytes, static_cast<std::uint64_t>(offset)), SQLITE_IOERR_WRITE);
  }
  static int truncate(sqlite3_file* what, sqlite3_int64 size) {
    return code(file(what).truncate(static_cast<std::uint64_t>(size)), SQLITE_IOERR_TRUNCATE);
  }
  static int sync(sqlite3_file* what, int /*flags*/) {
    if (const Result<void> done = file(what).sync(); !done) return SQLITE_IOERR_FSYNC;
    File* ours = File::of(what);
    if (!ours->sync_entry) return SQLITE_OK;
    ours->sync_entry = false;
    return code(ours->disk->sync_folder(), SQLITE_IOERR_DIR_FSYNC);
  }
  static int file_size(sqlite3_file* of, sqlite3_int64* size) {
    const Result<std::uint64_t> bytes = file(of).size();
    if (!bytes) return SQLITE_IOERR_FSTAT;
    *size = static_cast<sqlite3_int64>(*bytes);
    return SQLITE_OK;
  }
  static int lock(sqlite3_file* /*file*/, int /*level*/) { return SQLITE_OK; }
  static int unlock(sqlite3_file* /*file*/, int /*level*/) { return SQLITE_OK; }
  static int check_reserved(sqlite3_file* /*file*/, int* result) {
    *result = 0;
    return SQLITE_OK;
  }
  static int control(sqlite3_file* /*file*/, int operation, void* argument) {
    if (operation != SQLITE_FCNTL_MMAP_SIZE) return SQLITE_NOTFOUND;
    *static_cast<sqlite3_int64*>(argument) = 0;  // Never mapped; the pragma wants an answer.
    return SQLITE_OK;
  }
  static int sector_size(sqlite3_file* /*file*/) { return 4096; }  // As the POSIX VFS says, whatever the sectors are.
  static int characteristics(sqlite3_file* /*file*/) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

  static int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) {
    File* ours = new (file) File{};
    if (name == nullptr) return SQLITE_CANTOPEN;  // A temporary file: the store keeps those in memory.
    const bool create = (flags & SQLITE_OPEN_CREATE) != 0;
    Result<std::unique_ptr<Disk::File>> opened = disk(vfs).open(name, create);
    if (!opened) return opened.error().code == ErrorCode::not_found ? SQLITE_CANTOPEN : SQLITE_IOERR;
    ours->disk = &disk(vfs);
    ours->file = opened->release();
    ours->sync_entry = create && (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL)) != 0;
    ours->head.pMethods = file_methods<Methods>();
    if (out_flags != nullptr) *out_flags = flags;
    return SQLITE_OK;
  }
  static int remove(sqlite3_vfs* vfs, const char* name, int sync_folder) {
    const Result<void> done = disk(vfs).remove(name);
    if (!done) return done.error().code == ErrorCode::not_found ? SQLITE_IOERR_DELETE_NOENT : SQLITE_IOERR_DELETE;
    return sync_folder != 0 ? code(disk(vfs).sync_folder(), SQLITE_IOERR_DIR_FSYNC) : SQLITE_OK;
  }
  static int access(sqlite3_vfs* vfs, const char* name, int flags, int* result) {
    if (!disk(vfs).has_power()) return SQLITE_IOERR_ACCESS;
    *result = disk(vfs).exists(name) ? 1 : 0;
    if (*result != 0 && flags == SQLITE_ACCESS_EXISTS) {  // For the POSIX VFS an empty file does not exist.
      const Result<std::unique_ptr<Disk::File>> found = disk(vfs).open(name, false);
      *result = found && (*found)->size().value_or(0) > 0 ? 1 : 0;
    }
    return SQLITE_OK;
  }
  static int full_path(sqlite3_vfs* /*vfs*/, const char* name, int size, char* out) {
    sqlite3_snprintf(size, out, "%s", name);
    return SQLITE_OK;
  }
  static int randomness(sqlite3_vfs* /*vfs*/, int size, char* out) {
    std::memset(out, 0, static_cast<std::size_t>(size));
    return size;
  }
  static int sleep(sqlite3_vfs* /*vfs*/, int microseconds) { return microseconds; }
  static int current_time(sqlite3_vfs* /*vfs*/, double* time) {
    *time = 2460000.5;  // A day in 2023, in the Julian days that SQLite counts.
    return SQLITE_OK;
  }
  static int last_error(sqlite3_vfs* /*vfs*/, int /*size*/, char* /*out*/) { return 0; }
};

SqliteDisk::SqliteDisk(Disk& disk) : vfs_(std::make_unique<Vfs>()) {
  static std::atomic<std::uint64_t> number{0};
  vfs_->disk = &disk;
  vfs_->name = "pannier-sim-" + std::to_string(++number);
  sqlite3_vfs& vfs = vfs_->head;
  vfs.szOsFile = static_cast<int>(sizeof(File));
  vfs.mxPathname = 512;
  vfs.zName = vfs_->name.c_str();
  vfs.pAppData = vfs_.get();
  set_vfs_methods<Methods>(vfs);
  if (sqlite3_vfs_register(&vfs, 0) != SQLITE_OK) std::abort();  // Out of memory, in a test.
  // Another one each time: a log must not come under the salts of one that was there before.
  sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, static_cast<int>(disk.draw() | 1U), nullptr);
}

SqliteDisk::~SqliteDisk() { sqlite3_vfs_unregister(&vfs_->head); }

const std::string& SqliteDisk::name() const noexcept { return vfs_->name; }

}  // namespace pannier::sim
