#include <pannier/platform.h>

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "platform/concat.h"

namespace pannier {
namespace {

/// A descriptor that closes itself.
class Fd {
 public:
  explicit Fd(int fd) noexcept : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  [[nodiscard]] int get() const noexcept { return fd_; }

 private:
  int fd_;
};

Error file_error(const char* action, const std::string& path, int cause) {
  ErrorCode code = ErrorCode::storage_io;
  if (cause == ENOENT || cause == ENOTDIR) code = ErrorCode::not_found;
  if (cause == EACCES || cause == EPERM || cause == EROFS) code = ErrorCode::permission;
  if (cause == EEXIST) code = ErrorCode::in_use;
  if (cause == ENOSPC || cause == EDQUOT) code = ErrorCode::storage_full;
  return {code, concat({"Cannot ", action, " ", path, ": ", std::strerror(cause), "."})};
}

Result<std::string> read_open_file(const Fd& file, const std::string& path, std::uint64_t max_bytes) {
  std::string content;
  char block[16 * 1024];
  for (;;) {
    const ssize_t got = ::read(file.get(), block, sizeof block);
    if (got < 0) {
      if (errno == EINTR) continue;
      return file_error("read", path, errno);
    }
    if (got == 0) return content;
    if (content.size() + static_cast<std::size_t>(got) > max_bytes) {
      return Error{ErrorCode::invalid_argument, concat({path, " exceeds the limit of ", max_bytes, " bytes."})};
    }
    content.append(block, static_cast<std::size_t>(got));
  }
}

Result<void> write_all(const Fd& file, const std::string& path, std::string_view content) {
  while (!content.empty()) {
    const ssize_t written = ::write(file.get(), content.data(), content.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return file_error("write", path, errno);
    }
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::fsync(file.get()) != 0) return file_error("sync", path, errno);
  return {};
}

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

/// A new name is on disk only once its directory is synced.
Result<void> sync_directory_of(const std::string& path) {
  const std::string directory = directory_of(path);
  const Fd handle{::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (handle.get() < 0) return file_error("open", directory, errno);
  // Some file systems cannot sync a directory and return EINVAL.
  if (::fsync(handle.get()) != 0 && errno != EINVAL) return file_error("sync", directory, errno);
  return {};
}

}  // namespace

Result<void> ensure_private_file(const std::string& path) {
  const Fd file{::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR)};
  if (file.get() < 0 && errno != EEXIST) return file_error("create", path, errno);
  return {};
}

Result<std::string> read_file(const std::string& path, std::uint64_t max_bytes) {
  // Opening a pipe would wait for somebody who writes into it.
  const Fd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.get() < 0) return file_error("open", path, errno);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return file_error("inspect", path, errno);
  if (!S_ISREG(status.st_mode))
    return Error{ErrorCode::storage_io, concat({"Cannot read ", path, ": it is no regular file."})};
  return read_open_file(file, path, max_bytes);
}

Result<std::string> read_private_file(const std::string& path, std::uint64_t max_bytes) {
  const Fd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.get() < 0) return file_error("open", path, errno);
  struct stat status {};
  // On the open descriptor, so that nobody can swap the file between check and read.
  if (::fstat(file.get(), &status) != 0) return file_error("inspect", path, errno);
  if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return Error{ErrorCode::permission,
                 concat({path, " holds a secret that other users can access; run `chmod 600 ", path, "`."})};
  }
  return read_open_file(file, path, max_bytes);
}

Result<void> write_private_file(const std::string& path, std::string_view content) {
  const Fd file{::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR)};
  if (file.get() < 0) return file_error("create", path, errno);
  Result<void> written = write_all(file, path, content);
  if (written) written = sync_directory_of(path);
  // Half a secret is useless and would block the next attempt.
  if (!written) ::unlink(path.c_str());
  return written;
}

bool lies_in_memory(const std::string& path) {
  struct statfs where {};
  if (::statfs(path.c_str(), &where) != 0 && ::statfs(directory_of(path).c_str(), &where) != 0) return false;
  return where.f_type == TMPFS_MAGIC || where.f_type == static_cast<decltype(where.f_type)>(RAMFS_MAGIC);
}

}  // namespace pannier
