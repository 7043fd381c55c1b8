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
#include "runtime/link/topic_service.h"

namespace pannier {

/// Everything between this node's actors and other nodes: names elsewhere, questions and answers, topics, and the rows
/// and acknowledgements of the queue. Next on a row's way: runtime/link/links.h, then the transport; at the far end
/// on_record, then runtime/queue/inbox.h.
class Router final : public Service, public LinkEvents {
 public:
  /// `transport` may be null: a node on its own. Everything given outlives the router.
  Router(System& system, Transport* transport, std::uint64_t incarnation, std::vector<LinkOptions> dials,
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

  /// Any thread.
  [[nodiscard]] TopicCounters topics() const noexcept { return topics_.counters(); }

 private:
  struct RemoteAsk {  // a question of ours on its way to another node, by its id on the wire
    ActorId asker;
    ActorId asked;
    std::uint64_t correlation;
    TimerId deadline;
  };
  /// The questions between this node and one linked node, while the link is up. Each side has a bound of its own, so
  /// that a peer that does not answer, or does not stop asking, costs the others nothing.
  struct Peer {
    std::unordered_map<std::uint64_t, RemoteAsk> asked;    // ours, by their ids on the wire
    std::unordered_map<std::uint64_t, TimerId> answering;  // its own, in the hands of our actors, by its ids
  };

  Result<void> send_away(Message& message);
  /// An actor wants to hear when the name of the message may be told more.
  void await_room(const Message& question);
  void answer_room(std::uint64_t name, const Result<void>& room);
  /// Those that wait for names that no way leads to any more.
  void give_up_waiting();
  /// Tells senders where the link of `link` is full, or has room again.
  void watch_congestion(Link& link);
  void send_credits();
  Result<void> send_row(const OutgoingRow& row);
  Result<void> send_ack(const StreamAck& ack);
  Result<void> send_incarnations(const SendIncarnations& lives);
  void tell_queue(MessagePtr message);

  void heard_credit(const Link& link, const wire::Record& record);
  Result<void> heard_ask(Link& link, const wire::Record& record);
  void heard_reply(const Link& link, const wire::Record& record);
  Result<void> heard_row(const Link& link, const wire::Record& record);
  Result<void> heard_lives(const Link& link, const wire::Record& record);
  void heard_ack(const Link& link, const wire::Record& record);
  void answer(std::uint64_t link, std::uint64_t correlation, Urgency urgency, Message* reply);
  /// Sends a question of ours. On error it is not on its way.
  Result<void> send_question(Link& link, const Message& question, wire::Record& record);
  void fail_ask(const RemoteAsk& ask, ErrorCode code);

  System& system_;
  const std::uint64_t incarnation_;
  std::unique_ptr<Links> links_;
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
