#pragma once

#include <string_view>

#include <pannier/result.h>

/// The text of topics and filters, as in MQTT (version 5.0, section 4.7): '/' separates levels, '+' stands for one
/// level,
/// '#' at the end for all the rest, the parent level included. Neither stands for a first level that begins with '$'.
namespace pannier {

/// Checks a topic: 1 to 16 levels of text between '/', no wildcard. invalid_argument names the rule.
[[nodiscard]] Result<void> check_topic(std::string_view topic);
/// Checks a filter: a topic that may have '+' for one whole level and '#' for all the rest, at the end.
[[nodiscard]] Result<void> check_filter(std::string_view filter);
/// True when a publication to `topic` goes to a subscription to `filter`. Both are valid.
[[nodiscard]] bool topic_matches(std::string_view filter, std::string_view topic) noexcept;

/// The first level of `text`; `text` becomes the rest, `more` whether there is one (it may be an empty level).
[[nodiscard]] inline std::string_view take_level(std::string_view& text, bool& more) noexcept {
  const auto slash = text.find('/');
  more = slash != std::string_view::npos;
  const std::string_view level = text.substr(0, slash);
  text = more ? text.substr(slash + 1) : std::string_view{};
  return level;
}
[[nodiscard]] inline bool is_wildcard(std::string_view level) noexcept { return level == "+" || level == "#"; }
/// True for a first level that wildcards do not match.
[[nodiscard]] inline bool is_reserved_topic(std::string_view topic) noexcept { return topic.starts_with('$'); }

}  // namespace pannier
