#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>

#include "platform/function_ref.h"
#include "runtime/actor/service.h"
#include "runtime/link/links.h"
#include "runtime/link/router_messages.h"
#include "runtime/link/topics.h"

namespace pannier {

/// Publications from all sides to all sides: the node's actors and its links. Keeps last values, tells each link which
/// filters the others want. A part of the router.
class TopicService {
 public:
  TopicService(Links* links, std::function<void(std::string_view)> warn) : links_(links), warn_(std::move(warn)) {}
  void start(ServicePort& port) { port_ = &port; }

  void publish(std::string_view topic, const BlockRef& label, const Publication& publication, std::uint64_t from_link);
  void subscribe(ActorId actor, std::string_view filter, TypeId type);
  void unsubscribe(ActorId actor, std::string_view filter);
  void ended(ActorId actor);

  void link_up(Link& link);
  void link_down(Link& link);
  void link_subscribes(Link& link, std::string_view filter, TypeId type);
  void link_unsubscribes(Link& link, std::string_view filter);

  struct Counters {
    std::uint64_t published = 0;
    std::uint64_t delivered = 0;
    std::uint64_t dropped = 0;  ///< A subscriber's mailbox or link was full.
    std::uint64_t last_values_refused = 0;
  };
  [[nodiscard]] const Counters& counters() const noexcept { return counters_; }

 private:
  /// Who wants a filter: actors of this node counted together, links one by one.
  struct Interest {
    std::uint32_t actors = 0;
    std::vector<std::uint64_t> links;
    [[nodiscard]] bool for_others_than(std::uint64_t link) const noexcept;
    [[nodiscard]] bool empty() const noexcept { return actors == 0 && links.empty(); }
  };
  static constexpr SubscriberId kLinkBit = 1ULL << 63;  // an ActorId of an actor never has it

  void deliver(ActorId actor, const BlockRef& label, const Publication& publication);
  void change_interest(const std::string& filter, FunctionRef<void(Interest&)> change);
  void serve_last_values(std::string_view filter, FunctionRef<void(std::string_view, const Publication&)> to);
  void keep(std::string_view topic, const Publication& publication);

  Links* links_;  // null on a node without transport
  std::function<void(std::string_view)> warn_;
  ServicePort* port_ = nullptr;
  TopicTree tree_;
  std::unordered_map<std::string, Interest> interests_;
  std::unordered_map<std::uint64_t, std::vector<std::string>> filters_of_;  // actor or link -> its filters
  std::map<std::string, Publication, std::less<>> last_values_;
  Counters counters_;
};

}  // namespace pannier
