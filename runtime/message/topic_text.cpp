#include "runtime/message/topic_text.h"

#include <pannier/limits.h>
#include <pannier/message.h>
#include "platform/concat.h"

namespace pannier {

namespace {

Result<void> check(std::string_view text, bool wildcards) {
  const auto wrong = [&](std::string_view rule) {
    return Error{ErrorCode::invalid_argument,
                 concat({"'", printable(text), "' is no topic", wildcards ? " filter: " : ": ", rule})};
  };
  if (text.empty() || text.size() > limits::kTopicBytes) {
    return wrong(concat({"1 to ", limits::kTopicBytes, " bytes."}));
  }
  std::size_t levels = 0;
  std::string_view rest = text;
  for (bool more = true; more;) {
    const std::string_view level = take_level(rest, more);
    if (++levels > limits::kTopicLevels) return wrong(concat({limits::kTopicLevels, " levels at most."}));
    if (level.find('\0') != std::string_view::npos) return wrong("no zero bytes.");
    if (level.find_first_of("+#") == std::string_view::npos) continue;
    if (!wildcards) return wrong("'+' and '#' are for subscriptions.");
    if (level.size() != 1) return wrong("'+' and '#' stand for a whole level.");
    if (level == "#" && more) return wrong("'#' comes last.");
  }
  return {};
}

}  // namespace

Result<void> check_topic(std::string_view topic) { return check(topic, false); }
Result<void> check_filter(std::string_view filter) { return check(filter, true); }

bool topic_matches(std::string_view filter, std::string_view topic) noexcept {
  if (is_reserved_topic(topic) && is_wildcard(filter.substr(0, filter.find('/')))) return false;
  bool filter_more = true;
  bool topic_more = true;
  while (filter_more) {
    const std::string_view level = take_level(filter, filter_more);
    if (level == "#") return true;
    if (!topic_more) return false;
    const std::string_view name = take_level(topic, topic_more);
    if (level != "+" && level != name) return false;
    if (filter_more && !topic_more) return filter == "#";
  }
  return !topic_more;
}

}  // namespace pannier
