#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <pannier/result.h>
#include "platform/function_ref.h"
#include "runtime/message/topic_text.h"

namespace pannier {

/// Orders topics by bytes with '/' before all others, so that a topic comes right before everything below it.
struct TopicOrder {
  using is_transparent = void;
  [[nodiscard]] bool operator()(std::string_view left, std::string_view right) const noexcept;
};

/// Where the search for matches of `filter` begins in TopicOrder.
[[nodiscard]] std::string_view first_candidate(std::string_view filter) noexcept;
/// Where the search continues after `topic`, which does not match; no topic in between matches. Empty: the search is
/// over. This skips whole branches, so a search costs no more than the matches and their siblings.
[[nodiscard]] std::string next_candidate(std::string_view filter, std::string_view topic);

struct Filter;

/// Orders filters by text, so that the iteration order is deterministic in simulations.
struct FilterOrder {
  [[nodiscard]] bool operator()(const Filter* left, const Filter* right) const noexcept;
};

/// An actor of this node or a linked node. It outlives its subscriptions.
struct Subscriber {
  std::uint64_t address = 0;  ///< ActorId bits, or the number of a link.
  bool is_link = false;
  bool gone = false;  ///< It has ended; its subscriptions are being removed.
  std::uint64_t last_publication =
      0;  ///< The last publication it was sent, to send each only once if several of its filters match.
  std::set<Filter*, FilterOrder> filters;
};

/// The subscriptions to one filter. Adding and removing take constant time, however many there are.
class Subscriptions {
 public:
  struct Entry {
    Subscriber* subscriber;
    std::uint64_t tag;
  };
  /// False: the subscriber is already there with this tag.
  bool add(Subscriber& subscriber, std::uint64_t tag);
  /// Removes the subscriber with all tags. Returns how many there were.
  std::size_t remove(const Subscriber& subscriber);
  [[nodiscard]] bool contains(const Subscriber& subscriber, std::uint64_t tag) const;
  [[nodiscard]] std::span<const Entry> entries() const noexcept { return entries_; }
  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }

 private:
  using Places = std::unordered_multimap<const Subscriber*, std::size_t>;
  void remove_at(std::size_t place);

  std::vector<Entry> entries_;
  std::unique_ptr<Places> places_;  // index of each subscriber's entries; null while there are few
};

/// A filter with at least one subscription.
struct Filter {
  std::string_view text;  ///< Valid as long as the filter.
  Subscriptions subscriptions;
  std::uint32_t actors = 0;          ///< Subscribed actors of this node.
  std::vector<std::uint64_t> links;  ///< Subscribed links.
};

/// All filters, in a tree by level. Matching costs the depth of the topic times the branches that wildcards open,
/// however many filters there are.
class FilterTree {
 public:
  [[nodiscard]] Filter* find(std::string_view text) noexcept;
  /// Finds or adds the filter. Valid until `close`.
  [[nodiscard]] Filter& open(std::string_view text);
  /// Removes a filter without subscriptions.
  void close(Filter& filter);
  /// Calls `visit` for every filter that matches. `visit` must not open or close filters.
  void match(std::string_view topic, FunctionRef<void(const Filter&)> visit) const;
  /// The first filter after `text` in byte order, or null.
  [[nodiscard]] const Filter* after(std::string_view text) const noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return filters_.size(); }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
  };
  struct Level {
    std::unordered_map<std::string, std::unique_ptr<Level>, Hash, std::equal_to<>> children;
    std::unique_ptr<Level> any;  // '+'
    Filter* here = nullptr;      // the filter that ends here
    Filter* rest = nullptr;      // the one that ends in '#' here
    [[nodiscard]] bool empty() const noexcept {
      return children.empty() && any == nullptr && here == nullptr && rest == nullptr;
    }
  };

  static void erase_from(Level& level, std::string_view rest);
  static void match_from(const Level& level, std::string_view topic, bool at_end, bool wildcards,
                         FunctionRef<void(const Filter&)> visit);

  std::map<std::string, Filter, std::less<>> filters_;
  Level root_;
};

}  // namespace pannier
