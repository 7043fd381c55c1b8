#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace pannier::tools {

/// Whether `name` keeps the rule for names of nodes, lanes and actors: 1 to `most` characters of a-z 0-9 . _ -
[[nodiscard]] inline bool is_name(std::string_view name, std::size_t most) noexcept {
  return !name.empty() && name.size() <= most && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
  });
}

}  // namespace pannier::tools
