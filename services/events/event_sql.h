#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <pannier/queue.h>

/// Reading what SQL gives. Internal to the services.
namespace pannier::event_sql {

[[nodiscard]] std::int64_t integer(const SqlValue& value) noexcept;
[[nodiscard]] std::uint64_t number(const SqlValue& value) noexcept;
[[nodiscard]] std::string_view text(const SqlValue& value) noexcept;
[[nodiscard]] BlockRef block(const SqlValue& value);
[[nodiscard]] std::vector<std::byte> blob(std::span<const std::byte> bytes);
/// The first string behind all that begin with `prefix`, in byte order; nothing where there is none.
[[nodiscard]] std::optional<std::string> end_of_prefix(std::string prefix);
/// FNV-1a, 64 bits (Fowler, Noll, Vo).
[[nodiscard]] std::uint64_t sum(std::uint64_t seed, std::span<const std::byte> bytes) noexcept;
inline constexpr std::uint64_t kSumSeed = 0xcbf29ce484222325;

}  // namespace pannier::event_sql
