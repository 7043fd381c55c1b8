#pragma once

#include <string>

namespace pannier::posix {

/// True if a process accepts connections at the socket file `path`. False if there is no file, a dead process left it,
/// or the path is too long. Makes one connection and closes it. Any thread.
[[nodiscard]] bool local_socket_is_served(const std::string& path) noexcept;

}  // namespace pannier::posix
