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
#include "runtime/message/account.h"

namespace pannier {

/// Delivers publications from actors and links to subscribed actors and links. Retains values. Announces to each linked
/// node the filters that this node's actors and other links want. A part of the router.
///
/// A publication is delivered at once. Work without a small bound is sliced, so that no step takes long: sending
/// retained values to a new subscriber, announcing filters to a new link, removing the subscriptions of an actor or
/// link that has ended. Subscribers with such work take turns, each at the pace of its mailbox or link.
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
  /// Reports, per origin, how many copies of its publications this node has dropped since the last call, because a link
  /// (`on_link`) or a mailbox was full.
  void each_dropped(FunctionRef<void(std::string_view origin, std::uint64_t count, bool on_link)> say);
  /// Another node has dropped copies of publications of this node.
  void dropped_there(std::uint64_t count_there, bool on_link) noexcept {
    count(on_link ? counters_.link_full_there : counters_.mailbox_full_there, count_there);
  }
  [[nodiscard]] const TopicHistory& history() const noexcept { return history_; }
  /// The peer refused one of this node's filters.
  void link_refuses(Link& link, std::string_view filter, ErrorCode code);

  /// Any thread.
  [[nodiscard]] TopicCounters counters() const noexcept;

 private:
  struct Retained {
    BlockRef label;  // the topic
    Publication publication;
    std::uint64_t number;  // of its publication
    std::uint64_t from_link;
    Charge value;  // to the peer it came from
    Charge bytes;
  };
  using RetainedMap = std::map<std::string, Retained, TopicOrder>;

  /// The retained values that a new subscription still gets, from `place` on.
  struct Serving {
    std::string filter;
    TypeId type{};
    std::string place;
    std::uint64_t until;  // publications from this number on were delivered already
  };
  struct Party : Subscriber {
    std::deque<Serving> servings;
    /// The first retained value that did not fit. It and later ones are sent in order once there is room. 0: none.
    std::uint64_t missed = 0;
    bool queued = false;  // in busy_ or in blocked_
    virtual ~Party() = default;
  };
  /// What a linked node was told about filters.
  struct Neighbour : Party {
    std::string name;
    AccountRef account;
    std::string announced;                             // all filters up to this one, in byte order, were announced
    bool announcing = true;                            // later filters are still to be announced
    std::map<std::string, bool, std::less<>> changed;  // to be announced once there is room; true: it was announced
    std::set<std::string, std::less<>> refused;        // the neighbour refused these
    std::set<std::string> cleared;                     // topics to clear there: the link was full
    bool warned_of_theirs = false;
    bool warned_of_ours = false;
  };
  using Room = System::Room;
  enum class Progress : std::uint8_t { done, more, blocked };

  /// False: the party has it already.
  bool add(Party& party, std::string_view filter, TypeId type);
  void remove(Party& party, Filter& filter);
  void party_added(const Filter& filter, std::uint64_t link);
  void party_removed(const Filter& filter, std::uint64_t link);
  [[nodiscard]] static bool wanted_by_others(const Filter& filter, std::uint64_t link) noexcept;
  void tell(Neighbour& neighbour, std::string_view filter, bool wants);
  void retry_refused(Neighbour& neighbour);

  [[nodiscard]] Result<void> send(Subscriber& subscriber, const BlockRef& label, const Publication& publication);
  void drop(const Subscriber& subscriber, const Publication& publication, ActorId publisher, bool full);
  /// False: the limits for retained values are reached.
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
  /// done: sent, or not wanted. blocked: no room. more: the party is gone.
  [[nodiscard]] Progress offer(Party& party, const Retained& retained);
  [[nodiscard]] Progress announce(Neighbour& neighbour);
  void remove_some();
  void spend(std::uint64_t units) noexcept { spent_ += units; }
  [[nodiscard]] bool exhausted() const noexcept { return spent_ >= limits::kTopicWork; }
  /// True if the link has room for sliced work, which leaves some room for publications that cannot wait.
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
  std::deque<std::unique_ptr<Party>> leaving_;                        // ended; their subscriptions are being removed
  std::size_t clears_waiting_ = 0;                                    // in all Neighbour::cleared
  std::deque<Party*> busy_;                                           // have sliced work; in turns
  std::deque<Party*> blocked_;                                        // have sliced work, but no room
  Duration pause_{};                                                  // until blocked_ is retried
  TimerId retry_{};
  TimerId again_{};
  struct Dropped {
    std::uint64_t mailbox = 0;
    std::uint64_t link = 0;
  };
  std::map<std::string, Dropped, std::less<>> dropped_;  // by origin
  std::uint64_t step_ = 0;                               // the worker's step
  std::uint64_t spent_ = 0;                              // units of work done in that step

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
