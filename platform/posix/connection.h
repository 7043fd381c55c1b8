#pragma once

#include <cstdint>
#include <string>

namespace pannier::posix {

// A stream connection that a library has accepted and goes on to own: what we may know of it, and how we end it. Each
// call is harmless where `fd` is closed by now or is no socket.

/// Of a listening TCP socket: its owner is not told of a connection before something has come in on it, or some seconds
/// have passed. Until then the system holds it, and it costs no descriptor. No effect on a local socket.
void accept_with_data(int listening_fd) noexcept;

/// The address that it comes from, without the port; empty for a local socket.
[[nodiscard]] std::string source_of(int fd);

/// Bytes that have come in on it so far; 0 where the system does not say.
[[nodiscard]] std::uint64_t bytes_received(int fd) noexcept;

/// Ends it in both directions: its owner reads its end, and closes it.
void cut(int fd) noexcept;

}  // namespace pannier::posix
