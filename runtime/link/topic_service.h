#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>

#include <pannier/link.h>
#include "runtime/actor/service.h"
#include "runtime/link/links.h"
#include "runtime/link/router_messages.h"
#include "runtime/link/topic_history.h"
#include "runtime/link/topics.h"

namespace pannier {

/// Publications from all sides to all sides: the node's actors and its links. Retains values, and tells each linked
/// node which filters the others want. A part of the router.
///
/// A publication goes out at once. What may be much is sliced, so that no step takes long: retained values for a new
/// subscriber, filters for a new link, and the subscriptions of an actor or a link that has ended. Subscribers with
/// such work take turns, and each goes at the pace that its mailbox or link allows.
class TopicService {
 public:
  TopicService(Links* links, std::string own_node, std::uint64_t series)
      : links_(links), own_node_(std::move(own_node)), history_(series) {}
  void start(ServicePort& port) { port_ = &port; }

  /// `from_link` is 0 for a publication of this node.
  void publish(std::string_view topic, BlockRef label, Publication& publication, ActorId publisher,
               std::uint64_t from_link);
  void subscribe(ActorId actor, std::string_view filter, TypeId type);
  void unsubscribe(ActorId actor, std::string_view filter);
  void ended(ActorId actor);

  void link_up(Link& link);
  void link_down(Link& link);
  void link_subscribes(Link& link, std::string_view filter, TypeId type);
  void link_unsubscribes(Link& link, std::string_view filter);
  /// Copies of what `origin` published and this node dropped, since the last call: before a link, or before a mailbox.
  void each_dropped(FunctionRef<void(std::string_view origin, std::uint64_t count, bool on_link)> say);
  /// Another node has dropped copies of what this one published.
  void dropped_there(std::uint64_t count_there, bool on_link) noexcept {
    count(on_link ? counters_.link_full_there : counters_.mailbox_full_there, count_there);
  }
  [[nodiscard]] const TopicHistory& history() const noexcept { return history_; }
  /// The peer does not take one of this node's filters.
  void link_refuses(Link& link, std::string_view filter, ErrorCode code);

  /// Any thread.
  [[nodiscard]] TopicCounters counters() const noexcept;

 private:
  struct Retained {
    BlockRef label;  // the topic
    Publication publication;
    std::uint64_t number;  // of the publication
    std::uint64_t from_link;
  };
  using RetainedMap = std::map<std::string, Retained, TopicOrder>;

  /// The retained values that a new subscription gets, from `place` on.
  struct Serving {
    std::string filter;
    TypeId type{};
    std::string place;
    std::uint64_t until;  // what was published from then on it has got already
  };
  struct Party : Subscriber {
    std::deque<Serving> servings;
    /// It had no room for a retained value of this number: it gets those from here on later, in their order. 0: none.
    std::uint64_t missed = 0;
    bool queued = false;  // in busy_ or in blocked_
    virtual ~Party() = default;
  };
  /// What a linked node knows of this one's filters.
  struct Neighbour : Party {
    std::string name;
    std::string announced;                       // up to here, in the order of bytes, it was told all filters
    bool announcing = true;                      // those behind are still to come
    std::set<std::string, std::less<>> changed;  // told already, and not true any more: the link had no room
    std::set<std::string, std::less<>> refused;  // it has no room for these
    std::set<std::string> cleared;               // topics to clear there: the link had no room
    bool warned_of_theirs = false;
    bool warned_of_ours = false;
  };
  using Room = System::Room;
  enum class Progress : std::uint8_t { done, more, blocked };

  void add(Party& party, std::string_view filter, TypeId type);
  void remove(Party& party, Filter& filter);
  void party_added(const Filter& filter, std::uint64_t link);
  void party_removed(const Filter& filter, std::uint64_t link);
  [[nodiscard]] static bool wanted_by_others(const Filter& filter, std::uint64_t link) noexcept;
  void tell(Neighbour& neighbour, std::string_view filter, bool wants);
  void retry_refused(Neighbour& neighbour);

  [[nodiscard]] Result<void> send(Subscriber& subscriber, const BlockRef& label, const Publication& publication);
  void drop(const Subscriber& subscriber, const Publication& publication, ActorId publisher, bool full);
  /// False: there is no room for it.
  bool retain(std::string_view topic, const BlockRef& label, const Publication& publication, ActorId publisher,
              std::uint64_t from_link);
  void erase(RetainedMap::iterator value);
  void clear(std::string_view topic, std::uint64_t from_link);

  // Sliced work
  void queue(Party& party);
  void work();
  [[nodiscard]] Progress slice(Party& party);
  [[nodiscard]] Progress serve(Party& party, Serving& serving);
  [[nodiscard]] Progress catch_up(Party& party);
  /// done: sent, or not to be sent; blocked: no room. Else the party has gone.
  [[nodiscard]] Progress offer(Party& party, const Retained& retained);
  [[nodiscard]] Progress announce(Neighbour& neighbour);
  void remove_some();
  void spend(std::uint64_t units) noexcept { spent_ += units; }
  [[nodiscard]] bool exhausted() const noexcept { return spent_ >= limits::kTopicWork; }
  /// The link has room for sliced work, which leaves some to what does not wait.
  [[nodiscard]] bool has_room(const Subscriber& neighbour) const noexcept;

  Links* links_;  // null on a node without transport
  const std::string own_node_;
  ServicePort* port_ = nullptr;
  TopicHistory history_;
  FilterTree tree_;
  RetainedMap retained_;
  std::map<std::uint64_t, const Retained*> latest_;  // the same values, by the numbers of their publications
  std::size_t retained_bytes_ = 0;
  bool warned_of_retained_ = false;
  std::uint64_t publications_ = 0;
  std::unordered_map<std::uint64_t, std::unique_ptr<Party>> actors_;  // those with subscriptions, by ActorId bits
  std::map<std::uint64_t, std::unique_ptr<Neighbour>> neighbours_;    // the links that are up, by number
  std::deque<std::unique_ptr<Party>> leaving_;                        // gone: their subscriptions are being removed
  std::size_t clears_waiting_ = 0;                                    // in all Neighbour::cleared
  std::deque<Party*> busy_;                                           // have sliced work, and take turns
  std::deque<Party*> blocked_;                                        // have, and no room for it
  Duration pause_{};                                                  // until the blocked ones are tried again
  TimerId retry_{};
  TimerId again_{};
  struct Dropped {
    std::uint64_t mailbox = 0;
    std::uint64_t link = 0;
  };
  std::map<std::string, Dropped, std::less<>> dropped_;  // by origin
  std::uint64_t step_ = 0;                               // of the worker, in which
  std::uint64_t spent_ = 0;                              // so many units of work were done

  using Counter = std::atomic<std::uint64_t>;
  struct Counters {
    Counter mailbox_full_there, link_full_there;
    Counter published, delivered, deferred, mailbox_full, subscriber_gone, link_full, not_retained, cleared,
        filters_refused, filters_refused_there, filters, retained, waiting, tried, most_in_a_step;
  };
  static void count(Counter& counter, std::uint64_t more = 1) noexcept { add_by_owner(counter, more); }
  Counters counters_{};
};

}  // namespace pannier
