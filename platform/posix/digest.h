#pragma once

#include <string>
#include <string_view>

namespace pannier::posix {

/// SHA-256 in small hexadecimal digits, as sha256sum(1) prints it. Any thread.
[[nodiscard]] std::string sha256_hex(std::string_view bytes);

}  // namespace pannier::posix
