#pragma once

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

namespace pannier::testing {

/// A service manager's end: a real datagram socket that hears what a process says of itself.
class NotifySocket {
 public:
  /// `address` as in NOTIFY_SOCKET: a path of a file that is not there yet, or "@" and an abstract name.
  explicit NotifySocket(const std::string& address) : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path, address.data(), address.size());
    if (address.front() == '@') name.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
    if (fd_ < 0 || ::bind(fd_, reinterpret_cast<const sockaddr*>(&name), size) != 0) std::abort();
  }
  ~NotifySocket() { ::close(fd_); }
  NotifySocket(const NotifySocket&) = delete;
  NotifySocket& operator=(const NotifySocket&) = delete;

  /// The next datagram; waits for it.
  [[nodiscard]] std::string next() const {
    char text[512];
    const ssize_t size = ::recv(fd_, text, sizeof text, 0);
    return size < 0 ? std::string{} : std::string(text, static_cast<std::size_t>(size));
  }
  /// Waits for one that starts with `text`; the others are passed over. The test's own limit ends a wait in vain.
  [[nodiscard]] std::string next_of(const std::string& text) const {
    for (;;) {
      if (std::string datagram = next(); datagram.starts_with(text)) return datagram;
    }
  }
  /// The datagram that is here already; empty where there is none.
  [[nodiscard]] std::string here() const {
    char text[512];
    const ssize_t size = ::recv(fd_, text, sizeof text, MSG_DONTWAIT);
    return size < 0 ? std::string{} : std::string(text, static_cast<std::size_t>(size));
  }

 private:
  int fd_;
};

}  // namespace pannier::testing
