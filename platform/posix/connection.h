#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <pannier/result.h>

namespace pannier::posix {

// Inspects and ends a stream connection that a library has accepted and owns. Each call is harmless if `fd` is closed
// or not a socket.

/// For a listening TCP socket: accepts a connection only once data has arrived on it, or after some seconds. Until then
/// the system holds it without a descriptor. No effect on a local socket.
void accept_with_data(int listening_fd) noexcept;

/// The source address without the port; empty for a local socket.
[[nodiscard]] std::string source_of(int fd);

/// Bytes received on it; 0 if unknown.
[[nodiscard]] std::uint64_t bytes_received(int fd) noexcept;

/// A TCP socket that listens.
struct ListeningSocket {
  int fd;
  std::string address;  ///< "127.0.0.1:8080", "[::1]:8080", with the port that the system chose.
  bool loopback;        ///< Only this machine reaches it.
};
/// Listens at "ADDRESS:PORT", both as numbers; port 0: the system chooses. The caller owns the descriptor.
/// invalid_argument: no such address; in_use; permission.
[[nodiscard]] Result<ListeningSocket> listen_tcp(std::string_view address);

/// Of one that no library has taken over.
void close_socket(int fd) noexcept;

/// Ends it in both directions. Its owner reads the end and closes it.
void cut(int fd) noexcept;

}  // namespace pannier::posix
