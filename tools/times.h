#pragma once

#include <cstdint>
#include <string>

#include <pannier/result.h>

namespace pannier::tools {

/// "2026-12-01T12:31:07.250Z": UTC.
[[nodiscard]] std::string time_text(std::int64_t unix_ns);
/// The end of the span that a text names, in UTC: "12:31" is today's minute, up to 12:31:59.999..., "12:31:07" that
/// second, "2026-12-01" that day, "2026-12-01T12:31" and "...:07Z" likewise. invalid_argument: it is none of these.
[[nodiscard]] Result<std::int64_t> parse_time(const std::string& text);

}  // namespace pannier::tools
