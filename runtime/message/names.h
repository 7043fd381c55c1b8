#pragma once

#include <cstddef>
#include <string_view>

namespace pannier {

/// True if `name` is 1 to `max_bytes` characters of a-z 0-9 . _ -, as node, actor and lane names must be. Any thread.
[[nodiscard]] constexpr bool valid_name(std::string_view name, std::size_t max_bytes) noexcept {
  if (name.empty() || name.size() > max_bytes) return false;
  for (const char c : name) {
    const bool valid = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
    if (!valid) return false;
  }
  return true;
}

}  // namespace pannier
