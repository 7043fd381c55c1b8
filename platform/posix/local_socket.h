#pragma once

#include <cstdint>
#include <string>

#include <pannier/result.h>

namespace pannier::posix {

/// True if a process accepts connections at the socket file `path`. False if there is no file, a dead process left it,
/// or the path is too long. Makes one connection and closes it. Any thread.
[[nodiscard]] bool local_socket_is_served(const std::string& path) noexcept;

/// True if the path exists and is not a socket: listening there would remove it. Any thread.
[[nodiscard]] bool is_no_socket(const std::string& path) noexcept;

/// The user that this process acts as.
[[nodiscard]] std::uint32_t own_user() noexcept;

/// The folder for this user's sockets without a folder of their own: /tmp/pannier-UID.
[[nodiscard]] std::string own_folder();
/// Creates the folder with mode 0700 if it is missing. permission: another user owns it or may write to it.
[[nodiscard]] Result<void> make_own_folder(const std::string& path);

}  // namespace pannier::posix
