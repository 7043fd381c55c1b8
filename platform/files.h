#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "platform/result.h"

namespace pannier {

/// What the operating system owes us of files, besides what SQLite asks of it by itself.
/// The build picks the folder that implements these (platform/posix). All are callable from any thread.

/// The whole file. not_found, permission, or storage_io; larger than `max_bytes` is invalid_argument.
[[nodiscard]] Result<std::string> read_file(const std::string& path, std::uint64_t max_bytes);

/// As read_file, for a secret: refuses (permission) a file that group or others may read, write or run, and says the
/// chmod that mends it.
[[nodiscard]] Result<std::string> read_private_file(const std::string& path, std::uint64_t max_bytes);

/// Creates `path` with mode 0600, writes and syncs it and its directory entry. in_use where it exists already.
[[nodiscard]] Result<void> write_private_file(const std::string& path, std::string_view content);

/// Whether the file, or the folder where it is to be made, lies on a file system in memory, of which a power cut leaves
/// nothing. False where that cannot be told.
[[nodiscard]] bool lies_in_memory(const std::string& path);

}  // namespace pannier
