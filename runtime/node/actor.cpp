#include <pannier/actor.h>

#include <algorithm>

#include "platform/concat.h"
#include "runtime/actor/worker.h"
#include "runtime/link/router_messages.h"
#include "runtime/link/topic_history.h"
#include "runtime/message/names.h"
#include "runtime/queue/requests.h"

namespace pannier {

Result<void> NodeActor::publish(std::string_view topic, const AnyTable& message, PublishOptions options) {
  if (auto valid = check_topic(topic); !valid) return valid;
  MessagePtr sent = native_message(MessageKind::tell, system().router, Publication{message, options});
  sent->label = BlockRef::copy_of(std::as_bytes(std::span{topic}));
  return send(std::move(sent));
}

Result<void> NodeActor::clear_retained(std::string_view topic) {
  return publish(topic, AnyTable{TypeId{}, nullptr, BlockRef{}}, {.retain = true});
}

Result<void> NodeActor::subscribe_type(std::string_view filter, TypeId type) {
  if (auto valid = check_filter(filter); !valid) return valid;
  cell().subscribes = true;
  MessagePtr sent = native_message(MessageKind::tell, system().router, Subscribe{std::string{filter}, type});
  sent->reserved = true;
  return send(std::move(sent));
}

Result<void> NodeActor::unsubscribe(std::string_view filter) {
  MessagePtr sent = native_message(MessageKind::tell, system().router, Unsubscribe{std::string{filter}});
  sent->reserved = true;
  return send(std::move(sent));
}

void NodeActor::announce_sleep(Duration span) {
  MessagePtr sent = native_message(MessageKind::tell, system().router, AnnounceSleep{span});
  sent->reserved = true;
  send(std::move(sent)).ignore();  // refused only where the node ends
}

Pending<TopicCounters> NodeActor::topic_counters() {
  return Pending<TopicCounters>{
      {this, native_message(MessageKind::ask, system().router, CountTopics{}), std::chrono::seconds{5}}};
}

PublicationNumber NodeActor::publication_number() const {
  const Message* message = worker().current_message();
  if (message == nullptr || message->kind != MessageKind::publish) return {};
  return number_of(message->label.bytes());
}

Pending<std::vector<MissedPublication>> NodeActor::fetch_missed(PublicationGap gap) {
  return Pending<std::vector<MissedPublication>>{
      {this, native_message(MessageKind::ask, system().router, FetchMissed{std::move(gap)}), kAskTimeout}};
}

Pending<std::vector<NodeRoute>> NodeActor::routes(std::string_view node) {
  return Pending<std::vector<NodeRoute>>{
      {this, native_message(MessageKind::ask, system().router, AskRoutes{std::string{node}}), std::chrono::seconds{5}}};
}

Pending<std::vector<PeerUse>> NodeActor::peer_uses() {
  return Pending<std::vector<PeerUse>>{
      {this, native_message(MessageKind::ask, system().router, AskPeers{}), std::chrono::seconds{5}}};
}

Pending<Receipt> NodeActor::enqueue(std::string_view address, std::string_view key, const AnyTable& message,
                                    EnqueueOptions options) {
  Batch batch;
  batch.enqueue(address, key, message, std::move(options));
  return commit(std::move(batch));
}

Pending<Receipt> NodeActor::commit(Batch batch) {
  // No deadline: the store answers every waiter of a group in any case.
  return Pending<Receipt>{
      {this, native_message(MessageKind::ask, system().queue, Commit{std::move(batch)}), Duration::max()}};
}

QueueControl NodeActor::queue() noexcept { return QueueControl{*this}; }

Pending<Receipt> NodeActor::commit(Delivery delivery, Batch batch) {
  return Pending<Receipt>{
      {this, native_message(MessageKind::ask, system().queue, Commit{std::move(batch), std::move(delivery)}),
       Duration::max()}};
}

/// Refuses now what the queue could only log later.
Result<void> NodeActor::check_lane(std::string_view lane) const {
  if (!system().queue) {
    return Error{ErrorCode::unsupported, "This node has no lanes because it has no store."};
  }
  if (valid_name(lane, limits::kLaneNameBytes)) return {};
  return Error{ErrorCode::invalid_argument,
               concat({"Invalid lane name '", printable(lane), "'; expected 1 to 64 characters of a-z 0-9 . _ -."})};
}

Result<void> NodeActor::consume_lane(std::string_view lane, ConsumeOptions options) {
  if (auto valid = check_lane(lane); !valid) return valid;
  cell().consumes = true;
  MessagePtr sent = native_message(MessageKind::tell, system().queue, Consume{std::string{lane}, options});
  sent->reserved = true;
  return send(std::move(sent));
}

detail::PendingAsk NodeActor::fetch_question(std::string_view lane, const FetchOptions& options) {
  cell().consumes = true;
  return {this, native_message(MessageKind::ask, system().queue, Fetch{std::string{lane}, options}), Duration::max()};
}

Result<void> NodeActor::replay_lane(std::string_view lane, ReplayOptions options) {
  if (auto valid = check_lane(lane); !valid) return valid;
  cell().consumes = true;
  MessagePtr sent =
      native_message(MessageKind::tell, system().queue, ReplayLane{std::string{lane}, std::move(options)});
  sent->reserved = true;
  return send(std::move(sent));
}

Pending<std::vector<StateRow>> NodeActor::read_state(std::string_view prefix, std::size_t limit) {
  return Pending<std::vector<StateRow>>{
      {this, native_message(MessageKind::ask, system().queue, ReadState{std::string{prefix}, limit}), Duration::max()}};
}

}  // namespace pannier

namespace pannier::detail {

Delivery delivery_of(ActorBase& actor, const Message& message) {
  return Delivery{*actor.system().settle_sink, message.correlation, message.trace};
}

void end_delivery(ActorBase& actor, const Message& message) { delivery_of(actor, message).ack(); }

}  // namespace pannier::detail
