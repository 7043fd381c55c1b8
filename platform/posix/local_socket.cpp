#include "platform/posix/local_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace pannier::posix {

bool local_socket_is_served(const std::string& path) noexcept {
  sockaddr_un address{};
  if (path.empty() || path.size() >= sizeof address.sun_path) return false;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return false;
  const int rc = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  // EAGAIN: the backlog is full, so a process listens.
  const bool served = rc == 0 || errno == EAGAIN || errno == EACCES;
  ::close(fd);
  return served;
}

bool is_no_socket(const std::string& path) noexcept {
  struct stat found {};
  return ::lstat(path.c_str(), &found) == 0 && !S_ISSOCK(found.st_mode);
}

std::uint32_t own_user() noexcept { return ::geteuid(); }

std::string own_folder() { return "/tmp/pannier-" + std::to_string(own_user()); }

Result<void> make_own_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0) return {};
  struct stat status {};
  const bool ours = errno == EEXIST && ::lstat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode) &&
                    status.st_uid == ::geteuid() && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
  if (ours) return {};
  return Error{ErrorCode::permission, path + " is not a folder that this user alone may write to."};
}

}  // namespace pannier::posix
