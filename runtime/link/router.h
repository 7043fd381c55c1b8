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

/// Connects this node's actors and queue with other nodes: tells, questions and answers, topics, rows and
/// acknowledgements. A row goes from here to runtime/link/links.h and the transport; on the receiving node to on_record
/// and runtime/queue/inbox.h.
class Router final : public Service, public LinkEvents, public RouteEvents {
 public:
  /// `transport` is null on a node without links. `listens`: other nodes may dial this one. All references must outlive
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
  /// A question sent over a link: one of this node's actors, or one received over another link.
  struct RemoteAsk {
    ActorId asker{};
    ActorId asked{};
    std::uint64_t correlation = 0;
    TimerId deadline{};
    std::uint64_t from_link = 0;  // 0: asked by an actor of this node
    std::uint64_t from_id = 0;
    Urgency urgency = Urgency::normal;
    bool fetches = false;  // from a history; the answer is a list
  };
  /// A question received over a link, which an actor of this node answers or which was forwarded.
  struct Answering {
    TimerId question{};
    std::uint64_t to_link = 0;  // 0: an actor of this node answers
    std::uint64_t to_id = 0;
    Charge charge = {};
  };
  /// The open questions between this node and one linked node, while the link is up. Each direction has its own bound,
  /// so a peer that does not answer or asks too much does not affect others.
  struct Peer {
    std::unordered_map<std::uint64_t, RemoteAsk> asked;      // sent to the peer, by id on the wire
    std::unordered_map<std::uint64_t, Answering> answering;  // received from the peer, by its ids
  };

  Result<void> send_away(Message& message);
  /// Answers `question` once more may be told to its receiver.
  void await_room(const Message& question);
  void answer_room(std::uint64_t name, const Result<void>& room);
  /// Fails the room questions for names that no longer have a way.
  void give_up_waiting();
  /// Updates the directory when `link` becomes full or has room again.
  void watch_congestion(Link& link);
  void set_ways(const Link& link, Directory::Path path);
  void cancel(const Answering& question);
  /// The chain of actors that wait for the answer, as on the wire: "node/actor", separated by ' '.
  [[nodiscard]] std::string chain_text(const Message& question, const std::string& asker);
  void send_credits();
  Result<void> send_row(const OutgoingRow& row);
  Result<void> send_ack(const StreamAck& ack);
  Result<void> send_incarnations(const SendIncarnations& lives);
  void tell_queue(MessagePtr message);

  void heard_credit(std::string_view origin, const wire::Record& record);
  Result<void> heard_ask(Link& link, const wire::Record& record);
  void heard_reply(const Link& link, const wire::Record& record);
  Result<void> heard_row(Link& link, const wire::Record& record);
  Result<void> heard_lives(const Link& link, std::string_view origin, const wire::Record& record);
  void heard_ack(const Link& link, std::string_view origin, const wire::Record& record);
  void heard_cancel(const Link& link, const wire::Record& record);
  /// Forwards a record for another node. If there is no way, tells the sender.
  void forward(Link& link, wire::Record record);
  void forward_ask(Link& link, Link& next, wire::Record record);
  [[nodiscard]] static Charge relay_charge(const Link& link, const wire::Record& record);
  /// What the peers use up (AskPeers).
  [[nodiscard]] std::vector<PeerUse> peer_uses() const;
  void bounce(const Link& link, const wire::Record& record, ErrorCode cause);
  void refuse_ask(Link& link, std::uint64_t id, const Error& why);
  void answer_ask(const RemoteAsk& ask, const wire::Record& reply);
  /// Addresses a record of this node to `node` and returns the link on the way, or null.
  [[nodiscard]] Link* address(wire::Record& record, std::string_view node) const noexcept;
  void answer(std::uint64_t link, std::uint64_t correlation, Urgency urgency, Message* reply);
  void fetch_missed(const Message& question, const PublicationGap& gap);
  Result<void> heard_fetch(Link& link, const wire::Record& record);
  /// Sends a question of an actor of this node. On error it was not sent.
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
