#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include <pannier/result.h>
#include "runtime/store/store.h"

/// Argument checks shared by all stores. Pure functions; any thread.
namespace pannier::store_checks {

/// invalid_argument, with the name of the part that is too long or out of range.
[[nodiscard]] Result<void> row(const Row& row);
[[nodiscard]] Result<void> stream_name(std::string_view node, std::string_view lane);
[[nodiscard]] Result<void> watermark(const Watermark& watermark);
[[nodiscard]] Result<void> cursor(const Cursor& cursor);
[[nodiscard]] Result<void> token(std::string_view token);
/// full: the errors of stream() at limits::kStreams and of put_token() at limits::kTokens.
[[nodiscard]] Error too_many_streams();
[[nodiscard]] Error too_many_tokens();
[[nodiscard]] Result<void> state(std::string_view key, std::span<const std::byte> value);

/// `cause` truncated to the length that is stored, at a UTF-8 character. Borrows from `cause`.
[[nodiscard]] std::string_view cut_cause(std::string_view cause) noexcept;

}  // namespace pannier::store_checks
