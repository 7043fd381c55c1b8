#pragma once

#include <cstdint>
#include <string>

#include <pannier/result.h>

namespace pannier::posix {

/// Whether somebody accepts connections at the socket file `path` now. False for a file that a dead process left, for
/// no file, and for a path that is too long. Makes one connection and closes it. Any thread.
[[nodiscard]] bool local_socket_is_served(const std::string& path) noexcept;

/// Whether something other than a socket has that path: listening there would remove it. Any thread.
[[nodiscard]] bool is_no_socket(const std::string& path) noexcept;

/// The user that this process acts as.
[[nodiscard]] std::uint32_t own_user() noexcept;

/// Where this user's sockets are that belong to no other folder: /tmp/pannier-UID.
[[nodiscard]] std::string own_folder();
/// Makes the folder with mode 0700 where it is missing. permission: somebody else made it, or may write to it.
[[nodiscard]] Result<void> make_own_folder(const std::string& path);

}  // namespace pannier::posix
