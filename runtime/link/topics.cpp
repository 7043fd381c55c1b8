#include "runtime/link/topics.h"

#include <algorithm>

#include "platform/concat.h"
#include "runtime/limits.h"
#include "runtime/link/router_messages.h"

namespace pannier {

namespace {

/// The first level of `text`; `text` becomes the rest, `more` whether there is one (it may be an empty level).
std::string_view take_level(std::string_view& text, bool& more) noexcept {
  const auto slash = text.find('/');
  more = slash != std::string_view::npos;
  const std::string_view level = text.substr(0, slash);
  text = more ? text.substr(slash + 1) : std::string_view{};
  return level;
}

Result<void> check(std::string_view text, bool wildcards) {
  const auto wrong = [&](std::string_view rule) {
    return Error{ErrorCode::invalid_argument,
                 concat({"'", text, "' is no topic", wildcards ? " filter: " : ": ", rule})};
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

bool TopicTree::add(std::string_view filter, SubscriberId subscriber, std::uint64_t tag) {
  Level* level = &root_;
  std::vector<Entry>* entries = nullptr;
  for (bool more = true; more;) {
    const std::string_view name = take_level(filter, more);
    if (name == "#") {
      entries = &level->rest;
      break;
    }
    std::unique_ptr<Level>* next = &level->any;
    if (name != "+") {
      const auto found = level->children.find(name);
      next = found != level->children.end() ? &found->second : &level->children[std::string{name}];
    }
    if (*next == nullptr) *next = std::make_unique<Level>();
    level = next->get();
    entries = &level->here;
  }
  for (Entry& entry : *entries) {
    if (entry.subscriber != subscriber || entry.tag != tag) continue;
    return false;
  }
  entries->push_back({subscriber, tag});
  ++size_;
  return true;
}

bool TopicTree::remove(std::string_view filter, SubscriberId subscriber) {
  const std::size_t removed = remove_from(root_, filter, subscriber);
  size_ -= removed;
  return removed > 0;
}

std::size_t TopicTree::remove_from(Level& level, std::string_view filter, SubscriberId subscriber) {
  const auto drop = [&](std::vector<Entry>& entries) {
    return std::erase_if(entries, [&](const Entry& entry) { return entry.subscriber == subscriber; });
  };
  bool more = false;
  const std::string_view name = take_level(filter, more);
  if (name == "#") return drop(level.rest);
  const auto found = name == "+" ? level.children.end() : level.children.find(name);
  Level* next = name == "+" ? level.any.get() : found == level.children.end() ? nullptr : found->second.get();
  if (next == nullptr) return 0;
  const std::size_t removed = more ? remove_from(*next, filter, subscriber) : drop(next->here);
  if (next->empty()) {
    if (name == "+") {
      level.any.reset();
    } else {
      level.children.erase(found);
    }
  }
  return removed;
}

std::size_t TopicTree::remove_all(SubscriberId subscriber) {
  const std::size_t removed = remove_all_from(root_, subscriber);
  size_ -= removed;
  return removed;
}

std::size_t TopicTree::remove_all_from(Level& level, SubscriberId subscriber) {
  const auto mine = [&](const Entry& entry) { return entry.subscriber == subscriber; };
  std::size_t removed = std::erase_if(level.here, mine) + std::erase_if(level.rest, mine);
  if (level.any != nullptr) {
    removed += remove_all_from(*level.any, subscriber);
    if (level.any->empty()) level.any.reset();
  }
  for (auto child = level.children.begin(); child != level.children.end();) {
    removed += remove_all_from(*child->second, subscriber);
    child = child->second->empty() ? level.children.erase(child) : std::next(child);
  }
  return removed;
}

void TopicTree::match(std::string_view topic, FunctionRef<void(SubscriberId, std::uint64_t)> visit) const {
  match_from(root_, topic, false, visit);
}

void TopicTree::match_from(const Level& level, std::string_view topic, bool at_end,
                           FunctionRef<void(SubscriberId, std::uint64_t)> visit) {
  for (const Entry& entry : level.rest) visit(entry.subscriber, entry.tag);
  if (at_end) {
    for (const Entry& entry : level.here) visit(entry.subscriber, entry.tag);
    return;
  }
  bool more = false;
  const std::string_view name = take_level(topic, more);
  if (level.any != nullptr) match_from(*level.any, topic, !more, visit);
  const auto child = level.children.find(name);
  if (child != level.children.end()) match_from(*child->second, topic, !more, visit);
}

bool topic_matches(std::string_view filter, std::string_view topic) noexcept {
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
