#include "platform/posix/connection.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string>

namespace pannier::posix {

void accept_with_data(int listening_fd) noexcept {
  const int seconds = 5;
  ::setsockopt(listening_fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof seconds);
}

std::string source_of(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return {};
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* bytes = nullptr;
  if (address.ss_family == AF_INET) bytes = &reinterpret_cast<const sockaddr_in*>(&address)->sin_addr;
  if (address.ss_family == AF_INET6) bytes = &reinterpret_cast<const sockaddr_in6*>(&address)->sin6_addr;
  if (bytes == nullptr || ::inet_ntop(address.ss_family, bytes, text.data(), text.size()) == nullptr) return {};
  return text.data();
}

std::uint64_t bytes_received(int fd) noexcept {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return 0;
  return info.tcpi_bytes_received;
}

Result<ListeningSocket> listen_tcp(std::string_view text) {
  const Error wrong{ErrorCode::invalid_argument,
                    "'" + std::string{text} + "' is no address: say ADDRESS:PORT, as 127.0.0.1:8080 or [::1]:8080"};
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong;
  const std::string_view digits = text.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, bad] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (bad != std::errc{} || end != digits.data() + digits.size()) return wrong;
  std::string host{text.substr(0, colon)};
  const bool six = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (six) host = host.substr(1, host.size() - 2);
  sockaddr_storage storage{};
  socklen_t size = 0;
  bool loopback = false;
  if (six) {
    auto& address = reinterpret_cast<sockaddr_in6&>(storage);
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(port);
    if (::inet_pton(AF_INET6, host.c_str(), &address.sin6_addr) != 1) return wrong;
    loopback = IN6_IS_ADDR_LOOPBACK(&address.sin6_addr);
    size = sizeof address;
  } else {
    auto& address = reinterpret_cast<sockaddr_in&>(storage);
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    if (::inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) return wrong;
    loopback = (ntohl(address.sin_addr.s_addr) >> 24) == 127;
    size = sizeof address;
  }
  const int fd = ::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const auto fail = [&] {
    const int why = errno;
    if (fd >= 0) ::close(fd);
    const ErrorCode code = why == EADDRINUSE                ? ErrorCode::in_use
                           : why == EACCES || why == EPERM  ? ErrorCode::permission
                           : why == EMFILE || why == ENFILE ? ErrorCode::full
                                                            : ErrorCode::invalid_argument;
    return Error{code, "cannot listen at " + std::string{text} + ": " + std::strerror(why)};
  };
  if (fd < 0) return fail();
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&storage), size) != 0) return fail();
  if (::listen(fd, 511) != 0) return fail();
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return fail();
  const std::uint16_t bound = ntohs(six ? reinterpret_cast<const sockaddr_in6&>(storage).sin6_port
                                        : reinterpret_cast<const sockaddr_in&>(storage).sin_port);
  return ListeningSocket{fd, std::string{text.substr(0, colon)} + ":" + std::to_string(bound), loopback};
}

void close_socket(int fd) noexcept { ::close(fd); }

void cut(int fd) noexcept { ::shutdown(fd, SHUT_RDWR); }

}  // namespace pannier::posix
