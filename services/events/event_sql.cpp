#include "services/events/event_sql.h"

namespace pannier::event_sql {

std::int64_t integer(const SqlValue& value) noexcept {
  const auto* found = std::get_if<std::int64_t>(&value);
  return found == nullptr ? 0 : *found;
}

std::uint64_t number(const SqlValue& value) noexcept { return static_cast<std::uint64_t>(integer(value)); }

std::string_view text(const SqlValue& value) noexcept {
  const auto* found = std::get_if<std::string>(&value);
  return found == nullptr ? std::string_view{} : *found;
}

BlockRef block(const SqlValue& value) {
  const auto* found = std::get_if<std::vector<std::byte>>(&value);
  return found == nullptr ? BlockRef{} : BlockRef::copy_of(*found);
}

std::vector<std::byte> blob(std::span<const std::byte> bytes) { return {bytes.begin(), bytes.end()}; }

std::optional<std::string> end_of_prefix(std::string prefix) {
  while (!prefix.empty() && static_cast<unsigned char>(prefix.back()) == 0xff) prefix.pop_back();
  if (prefix.empty()) return std::nullopt;
  prefix.back() = static_cast<char>(static_cast<unsigned char>(prefix.back()) + 1);
  return prefix;
}

std::uint64_t sum(std::uint64_t seed, std::span<const std::byte> bytes) noexcept {
  for (const std::byte each : bytes) seed = (seed ^ std::to_integer<std::uint64_t>(each)) * 0x100000001b3;
  return seed;
}

}  // namespace pannier::event_sql
