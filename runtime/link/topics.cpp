#include "runtime/link/topics.h"

#include <algorithm>

#include <pannier/limits.h>
#include "platform/concat.h"
#include "runtime/message/topic_text.h"

namespace pannier {

// --- In order -------------------------------------------------------------------------------------------------------

bool TopicOrder::operator()(std::string_view left, std::string_view right) const noexcept {
  const auto rank = [](char c) { return c == '/' ? 0U : static_cast<unsigned char>(c); };
  return std::lexicographical_compare(left.begin(), left.end(), right.begin(), right.end(),
                                      [&](char a, char b) { return rank(a) < rank(b); });
}

std::string_view first_candidate(std::string_view filter) noexcept {
  const auto wildcard = filter.find_first_of("+#");  // a whole level
  if (wildcard == std::string_view::npos) return filter;
  return filter.substr(0, wildcard == 0 ? 0 : wildcard - 1);
}

std::string next_candidate(std::string_view filter, std::string_view topic) {
  constexpr std::string_view kBehindReserved = "%";  // the byte after '$'
  if (is_reserved_topic(topic) && is_wildcard(filter.substr(0, filter.find('/')))) return std::string{kBehindReserved};
  std::size_t branch = std::string_view::npos;  // where the last level of `topic` matched by a '+' ends
  std::size_t begin = 0;                        // of the current level of `topic`
  bool filter_more = true;
  bool topic_more = true;
  for (std::string_view left = filter, rest = topic; filter_more;) {
    const std::string_view wanted = take_level(left, filter_more);
    if (!topic_more) return concat({topic, "/", wanted == "+" ? std::string_view{} : wanted});  // below it
    const std::string_view name = take_level(rest, topic_more);
    if (wanted == "+") {
      branch = begin + name.size();
    } else if (name < wanted) {
      return concat({topic.substr(0, begin), wanted});
    } else if (name > wanted) {
      break;
    }
    begin += name.size() + 1;
  }
  // No more matches in this branch. Continue with the next level that the last '+' may match.
  return branch == std::string_view::npos ? std::string{} : concat({topic.substr(0, branch), "\x01"});
}

bool FilterOrder::operator()(const Filter* left, const Filter* right) const noexcept {
  return left->text < right->text;
}

// --- The subscriptions to one filter --------------------------------------------------------------------------------

bool Subscriptions::contains(const Subscriber& subscriber, std::uint64_t tag) const {
  const auto is_it = [&](const Entry& entry) { return entry.subscriber == &subscriber && entry.tag == tag; };
  if (places_ == nullptr) return std::any_of(entries_.begin(), entries_.end(), is_it);
  const auto [first, last] = places_->equal_range(&subscriber);
  return std::any_of(first, last, [&](const auto& place) { return is_it(entries_[place.second]); });
}

bool Subscriptions::add(Subscriber& subscriber, std::uint64_t tag) {
  constexpr std::size_t kFew = 16;
  if (contains(subscriber, tag)) return false;
  entries_.push_back({&subscriber, tag});
  if (places_ != nullptr) {
    places_->emplace(&subscriber, entries_.size() - 1);
  } else if (entries_.size() > kFew) {
    places_ = std::make_unique<Places>();
    for (std::size_t i = 0; i < entries_.size(); ++i) places_->emplace(entries_[i].subscriber, i);
  }
  return true;
}

std::size_t Subscriptions::remove(const Subscriber& subscriber) {
  std::size_t removed = 0;
  if (places_ == nullptr) {
    return std::erase_if(entries_, [&](const Entry& entry) { return entry.subscriber == &subscriber; });
  }
  for (auto place = places_->find(&subscriber); place != places_->end(); place = places_->find(&subscriber)) {
    const std::size_t at = place->second;
    places_->erase(place);
    remove_at(at);
    ++removed;
  }
  return removed;
}

void Subscriptions::remove_at(std::size_t place) {
  const std::size_t last = entries_.size() - 1;
  if (place != last) {
    const auto [first, end] = places_->equal_range(entries_[last].subscriber);
    std::find_if(first, end, [&](const auto& each) { return each.second == last; })->second = place;
    entries_[place] = entries_[last];
  }
  entries_.pop_back();
}

// --- The tree of filters --------------------------------------------------------------------------------------------

Filter* FilterTree::find(std::string_view text) noexcept {
  const auto found = filters_.find(text);
  return found == filters_.end() ? nullptr : &found->second;
}

Filter& FilterTree::open(std::string_view text) {
  if (Filter* known = find(text)) return *known;
  const auto added = filters_.emplace(std::string{text}, Filter{}).first;
  Filter& filter = added->second;
  filter.text = added->first;
  Level* level = &root_;
  std::string_view rest = filter.text;
  for (bool more = true; more;) {
    const std::string_view name = take_level(rest, more);
    if (name == "#") {
      level->rest = &filter;
      return filter;
    }
    std::unique_ptr<Level>* next = &level->any;
    if (name != "+") {
      const auto found = level->children.find(name);
      next = found != level->children.end() ? &found->second : &level->children[std::string{name}];
    }
    if (*next == nullptr) *next = std::make_unique<Level>();
    level = next->get();
  }
  level->here = &filter;
  return filter;
}

void FilterTree::close(Filter& filter) {
  erase_from(root_, filter.text);
  filters_.erase(filters_.find(filter.text));
}

void FilterTree::erase_from(Level& level, std::string_view rest) {
  bool more = false;
  const std::string_view name = take_level(rest, more);
  if (name == "#") {
    level.rest = nullptr;
    return;
  }
  const auto child = name == "+" ? level.children.end() : level.children.find(name);
  Level& next = name == "+" ? *level.any : *child->second;
  if (more) {
    erase_from(next, rest);
  } else {
    next.here = nullptr;
  }
  if (!next.empty()) return;
  if (name == "+") {
    level.any.reset();
  } else {
    level.children.erase(child);
  }
}

const Filter* FilterTree::after(std::string_view text) const noexcept {
  const auto next = filters_.upper_bound(text);
  return next == filters_.end() ? nullptr : &next->second;
}

void FilterTree::match(std::string_view topic, FunctionRef<void(const Filter&)> visit) const {
  match_from(root_, topic, false, !is_reserved_topic(topic), visit);
}

void FilterTree::match_from(const Level& level, std::string_view topic, bool at_end, bool wildcards,
                            FunctionRef<void(const Filter&)> visit) {
  if (level.rest != nullptr && wildcards) visit(*level.rest);
  if (at_end) {
    if (level.here != nullptr) visit(*level.here);
    return;
  }
  bool more = false;
  const std::string_view name = take_level(topic, more);
  if (level.any != nullptr && wildcards) match_from(*level.any, topic, !more, true, visit);
  const auto child = level.children.find(name);
  if (child != level.children.end()) match_from(*child->second, topic, !more, true, visit);
}

}  // namespace pannier
