#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include <pannier/link.h>
#include "runtime/actor/directory.h"
#include "runtime/actor/service.h"
#include "runtime/link/inflows.h"
#include "runtime/link/links.h"
#include "runtime/link/router_messages.h"
#include "runtime/link/routes.h"
#include "runtime/link/topic_service.h"

namespace pannier {

/// Everything between this node's actors and other nodes: names elsewhere, questions and answers, topics, and the rows
/// and acknowledgements of the queue. Next on a row's way: runtime/link/links.h, then the transport; at the far end
/// on_record, then runtime/queue/inbox.h.
class Router final : public Service, public LinkEvents, public RouteEvents {
 public:
  /// `transport` may be null: a node on its own. `listens`: other nodes may dial this one. Everything given outlives
  /// the router.
  Router(System& system, Transport* transport, bool listens, std::uint64_t incarnation, std::vector<LinkOptions> dials,
         std::vector<PeerOptions> peers);

  void started(ServicePort& port) override;
  void stopping() override;
  Result<void> handle(Message& message) override;
  bool before_actors(MonoTime now) override;
  bool after_actors(MonoTime now) override;

  void on_link_up(Link& link) override;
  void on_link_down(Link& link) override;
  Result<void> on_record(Link& link, const wire::Record& record) override;
  void on_rows_moved(Link& link) override;
  void on_way(std::string_view node) override;
  void on_no_way(std::string_view node) override;

  /// Any thread.
  [[nodiscard]] TopicCounters topics() const noexcept { return topics_.counters(); }

 private:
  /// A question on its way over a link, by its id there: one of ours, or one that came over another link.
  struct RemoteAsk {
    ActorId asker{};
    ActorId asked{};
    std::uint64_t correlation = 0;
    TimerId deadline{};
    std::uint64_t from_link = 0;  // 0: it is ours
    std::uint64_t from_id = 0;
    Urgency urgency = Urgency::normal;
    bool fetches = false;  // from a history; the answer is a list
  };
  /// A question that came over a link: in the hands of one of our actors, or passed on.
  struct Answering {
    TimerId question{};
    std::uint64_t to_link = 0;  // 0: it is in our actor's hands
    std::uint64_t to_id = 0;
  };
  /// The questions between this node and one linked node, while the link is up. Each side has a bound of its own, so
  /// that a peer that does not answer, or does not stop asking, costs the others nothing.
  struct Peer {
    std::unordered_map<std::uint64_t, RemoteAsk> asked;      // of it, by their ids on the wire
    std::unordered_map<std::uint64_t, Answering> answering;  // that it has asked, by its ids
  };

  Result<void> send_away(Message& message);
  /// An actor wants to hear when the name of the message may be told more.
  void await_room(const Message& question);
  void answer_room(std::uint64_t name, const Result<void>& room);
  /// Those that wait for names that no way leads to any more.
  void give_up_waiting();
  /// Tells senders where the link of `link` is full, or has room again.
  void watch_congestion(Link& link);
  void set_ways(const Link& link, Directory::Path path);
  void cancel(const Answering& question);
  /// Who waits for the answer, as the question says on the wire: "node/actor", with ' ' between.
  [[nodiscard]] std::string chain_text(const Message& question, const std::string& asker);
  void send_credits();
  Result<void> send_row(const OutgoingRow& row);
  Result<void> send_ack(const StreamAck& ack);
  Result<void> send_incarnations(const SendIncarnations& lives);
  void tell_queue(MessagePtr message);

  void heard_credit(std::string_view origin, const wire::Record& record);
  Result<void> heard_ask(Link& link, const wire::Record& record);
  void heard_reply(const Link& link, const wire::Record& record);
  Result<void> heard_row(const Link& link, const wire::Record& record);
  Result<void> heard_lives(std::string_view origin, const wire::Record& record);
  void heard_ack(std::string_view origin, const wire::Record& record);
  void heard_cancel(const Link& link, const wire::Record& record);
  /// A record for another node. Its sender hears where it does not get further.
  void forward(Link& link, wire::Record record);
  void forward_ask(Link& link, Link& next, wire::Record record);
  void bounce(const Link& link, const wire::Record& record, ErrorCode cause);
  void refuse_ask(Link& link, std::uint64_t id, const Error& why);
  void answer_ask(const RemoteAsk& ask, const wire::Record& reply);
  /// Addresses a record of this node; the link on the way, or null.
  [[nodiscard]] Link* address(wire::Record& record, std::string_view node) const noexcept;
  void answer(std::uint64_t link, std::uint64_t correlation, Urgency urgency, Message* reply);
  void fetch_missed(const Message& question, const PublicationGap& gap);
  Result<void> heard_fetch(Link& link, const wire::Record& record);
  /// Sends a question of ours. On error it is not on its way.
  Result<void> send_question(Link& link, const Message& question, wire::Record& record);
  void fail_ask(const RemoteAsk& ask, const Error& why);

  System& system_;
  const std::uint64_t incarnation_;
  std::unique_ptr<Links> links_;
  Routes routes_;
  TopicService topics_;
  ServicePort* port_ = nullptr;
  std::uint64_t next_ask_ = 1;
  std::unordered_map<std::uint64_t, Peer> peers_;  // by link
  Inflows inflows_;
  struct RoomWaiter {
    ActorId asker;
    std::uint64_t correlation;
  };
  std::unordered_map<std::uint64_t, std::vector<RoomWaiter>> room_waiters_;  // by name
  std::unordered_set<std::uint64_t> full_there_;  // names whose mailbox has refused a question
  std::vector<std::uint64_t> congested_;          // links
};

}  // namespace pannier
