#pragma once

#include <string>
#include <string_view>

#include <pannier/result.h>

#include "services/json/json_text.h"

namespace pannier::tools {

/// Exit statuses of the command, besides 0 and Node::kExitFailed.
inline constexpr int kExitRefused = 1;  ///< A node could not be reached, did not answer in time, or refused.
inline constexpr int kExitUsage = 2;    ///< The command line, a file or another input is wrong.

/// Writes "pannier: text" to stderr as one line, and returns `status` for main.
[[nodiscard]] int fail(int status, std::string_view text);
/// The sentence of an error for a person; its code where it has none.
[[nodiscard]] std::string sentence(const Error& error);
[[nodiscard]] int fail(int status, const Error& error);

/// printf into a string: a fraction of the code that adding strings up takes, where a text has many parts.
[[nodiscard, gnu::format(printf, 1, 2)]] std::string format(const char* pattern, ...);

/// Writes one line to stdout, at once: whoever reads a pipe waits for it. False when stdout is gone.
bool print(std::string_view line);

using json::base64;
using json::is_text;
using json::json_text;
using json::JsonObject;

/// A key, a name or a cause for a terminal: what is no such text is escaped, as in JSON but without the quotes.
[[nodiscard]] std::string shown_key(std::string_view text);

}  // namespace pannier::tools
