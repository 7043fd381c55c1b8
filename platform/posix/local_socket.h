#pragma once

#include <string>

namespace pannier::posix {

/// Whether somebody accepts connections at the socket file `path` now. False for a file that a dead process left, for
/// no file, and for a path that is too long. Makes one connection and closes it. Any thread.
[[nodiscard]] bool local_socket_is_served(const std::string& path) noexcept;

/// Whether something other than a socket has that path: listening there would remove it. Any thread.
[[nodiscard]] bool is_no_socket(const std::string& path) noexcept;

}  // namespace pannier::posix
