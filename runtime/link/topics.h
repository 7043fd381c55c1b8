#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "platform/function_ref.h"
#include "platform/result.h"

namespace pannier {

/// Who a subscription belongs to, as the owner of the tree counts them: an actor, or a linked node.
using SubscriberId = std::uint64_t;

/// Subscriptions by topic filter, in MQTT's syntax (version 5.0, section 4.7): '/' parts levels, '+' stands for one
/// level, '#' at the end for all the rest, the parent level included. A tree by level; matching costs the depth of the
/// topic times the branches that wildcards open, however many filters there are.
class TopicTree {
 public:
  /// `tag` comes back with each match; the same filter, subscriber and tag again change nothing. True when new.
  bool add(std::string_view filter, SubscriberId subscriber, std::uint64_t tag);
  /// Under every tag. True when it was there.
  bool remove(std::string_view filter, SubscriberId subscriber);
  /// Every filter of one subscriber. Returns how many there were.
  std::size_t remove_all(SubscriberId subscriber);

  /// Calls `visit` for every subscription that matches; a subscriber with several matching filters comes several times.
  void match(std::string_view topic, FunctionRef<void(SubscriberId subscriber, std::uint64_t tag)> visit) const;
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  struct Entry {
    SubscriberId subscriber;
    std::uint64_t tag;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
  };
  struct Level {
    std::unordered_map<std::string, std::unique_ptr<Level>, Hash, std::equal_to<>> children;
    std::unique_ptr<Level> any;  // '+'
    std::vector<Entry> here;     // filters that end here
    std::vector<Entry> rest;     // filters that end in '#' here
    [[nodiscard]] bool empty() const noexcept {
      return children.empty() && any == nullptr && here.empty() && rest.empty();
    }
  };

  static std::size_t remove_from(Level& level, std::string_view filter, SubscriberId subscriber);
  static std::size_t remove_all_from(Level& level, SubscriberId subscriber);
  static void match_from(const Level& level, std::string_view topic, bool at_end,
                         FunctionRef<void(SubscriberId, std::uint64_t)> visit);

  Level root_;
  std::size_t size_ = 0;
};

/// True when a publication to `topic` goes to a subscription to `filter`. Both valid.
[[nodiscard]] bool topic_matches(std::string_view filter, std::string_view topic) noexcept;

}  // namespace pannier
