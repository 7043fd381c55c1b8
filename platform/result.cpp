#include <pannier/result.h>

#include <array>

namespace pannier {

std::string_view to_string(ErrorCode code) noexcept {
  static constexpr std::array<std::string_view, 17> kNames = {
      "full",      "timeout",      "unreachable", "not_found",   "rejected",         "failed",
      "cancelled", "closed",       "malformed",   "unsupported", "invalid_argument", "permission",
      "in_use",    "storage_full", "storage_io",  "corrupt",     "conflict"};
  static_assert(static_cast<std::size_t>(ErrorCode::conflict) + 1 == kNames.size());
  const auto index = static_cast<std::size_t>(code);
  return index < kNames.size() ? kNames[index] : "unknown";
}

std::string Error::text() const {
  std::string out{to_string(code)};
  if (!detail.empty()) out += ": " + detail;
  return out;
}

}  // namespace pannier
