#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include <pannier/result.h>
#include "runtime/store/store.h"

/// What every store refuses alike, before anything is written. Pure functions; any thread.
namespace pannier::store_checks {

/// invalid_argument, with the name of the part that is too long or out of range.
[[nodiscard]] Result<void> row(const Row& row);
[[nodiscard]] Result<void> stream_name(std::string_view node, std::string_view lane);
[[nodiscard]] Result<void> watermark(const Watermark& watermark);
[[nodiscard]] Result<void> cursor(const Cursor& cursor);
[[nodiscard]] Result<void> token(std::string_view token);
/// full: what stream() answers at limits::kStreams, and put_token at limits::kTokens.
[[nodiscard]] Error too_many_streams();
[[nodiscard]] Error too_many_tokens();
[[nodiscard]] Result<void> state(std::string_view key, std::span<const std::byte> value);

/// The part of a cause that is kept, cut before a UTF-8 character that does not fit. Borrows from `cause`.
[[nodiscard]] std::string_view cut_cause(std::string_view cause) noexcept;

}  // namespace pannier::store_checks
