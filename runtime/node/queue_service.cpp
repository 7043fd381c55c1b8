#include "runtime/node/queue_service.h"

#include <algorithm>

#include "platform/concat.h"
#include "runtime/link/router_messages.h"

namespace pannier {

namespace {

/// Destinations remembered as checked; beyond it a warning may repeat.
constexpr std::size_t kKnownWays = 256;

std::vector<std::string> destinations_of(const std::vector<LaneOptions>& lanes) {
  std::vector<std::string> all;
  for (const LaneOptions& lane : lanes) {
    if (!lane.forward_to.empty()) all.push_back(lane.forward_to);
  }
  return all;
}

}  // namespace

bool Ways::lead_to(std::string_view node) const noexcept {
  return anybody || std::find(links.begin(), links.end(), node) != links.end() ||
         std::any_of(peers.begin(), peers.end(), [&](const PeerOptions& peer) {
           return peer.prefix ? node.starts_with(peer.node) : node == peer.node;
         });
}

QueueService::QueueService(System& system, Store& store, std::vector<LaneOptions> lanes, QueueOptions options,
                           Ways ways)
    : system_(system),
      queue_(store, system.platform.clock, system.directory.own_node(), lanes, options),
      ways_(std::move(ways)),
      forwarded_to_(destinations_of(lanes)) {}

void QueueService::look_for_way(const std::string& node) {
  if (node.empty() || known_.contains(node)) return;
  if (known_.size() >= kKnownWays) {
    known_.clear();
    hoped_for_.clear();
  }
  known_.insert(node);
  if (ways_.lead_to(node)) return;
  if (system_.directory.way(node) == Directory::Path::unreachable) {
    warn_of_no_way(node);
  } else {
    hoped_for_.insert(node);
  }
}

void QueueService::warn_of_no_way(const std::string& node) {
  port_->log(LogLevel::warning, concat({"no way leads to '", printable(node),
                                        "' now, and no peer has that name: what is enqueued for it waits; is the "
                                        "name right?"}));
}

void QueueService::started(ServicePort& port) {
  port_ = &port;
  queue_.start(*this, *system_.settle_sink);
  for (const std::string& node : forwarded_to_) look_for_way(node);
}

void QueueService::stopping() {
  queue_.stop();
  port_ = nullptr;
}

void DeliveryDesk::settle(Settle settle) noexcept {
  MessagePtr message = native_message(MessageKind::tell, system_.queue, std::move(settle));
  message->reserved = true;
  system_.send_from_outside(std::move(message)).ignore();
}

void QueueService::send_incarnations(std::string_view node, std::vector<std::uint64_t> incarnations) {
  tell_router(SendIncarnations{std::string{node}, std::move(incarnations)});
}

Result<void> QueueService::handle(Message& message) {
  if (message.inline_bytes == 0) return ErrorCode::rejected;
  const auto is = [&]<class T>(T*& value) {
    if (message.type != type_info<T>().id) return false;
    value = static_cast<T*>(message.inline_value());
    return true;
  };
  const auto refused = [&](const char* verb, const Result<void>& taken) {
    if (taken) return;
    port_->log(LogLevel::error,
               concat({system_.describe(message.sender), " cannot ", verb, ": ", taken.error().text()}));
  };
  const auto question = [&]<class Request>() {
    Request* request = nullptr;
    if (!is(request)) return false;
    const ReplyTo reply_to{message};
    auto answer = queue_.answer(*request);
    reply(answer ? reply_to.message(std::move(*answer)) : reply_to.message(answer.error()));
    return true;
  };

  if (Commit* commit = nullptr; is(commit)) {
    for (const Batch::Enqueue& each : commit->batch.messages()) look_for_way(each.node);
    queue_.enqueue(*commit, ReplyTo{message});
  } else if (IncomingRow* row = nullptr; is(row)) {
    queue_.receive(*row);
  } else if (Settle* settled = nullptr; is(settled)) {
    queue_.settle(*settled);
  } else if (StreamAck* ack = nullptr; is(ack)) {
    queue_.acknowledged(*ack);
  } else if (Fetch* fetch = nullptr; is(fetch)) {
    const ReplyTo reply_to{message};
    if (auto taken = queue_.fetch(reply_to, *fetch); !taken) reply(reply_to.message(taken.error()));
  } else if (WatchSql* watch = nullptr; is(watch)) {
    const ReplyTo reply_to{message};
    if (auto taken = queue_.watch(reply_to, *watch); !taken) reply(reply_to.message(taken.error()));
  } else if (Consume* consume = nullptr; is(consume)) {
    refused("consume", queue_.consume(message.sender, *consume));
  } else if (ReplayLane* replay = nullptr; is(replay)) {
    refused("replay", queue_.replay(message.sender, *replay));
  } else if (Ended* ended = nullptr; is(ended)) {
    queue_.ended(ended->actor);
  } else if (LinkUp* up = nullptr; is(up)) {
    queue_.link_up(up->node);
  } else if (LinkDown* down = nullptr; is(down)) {
    queue_.link_down(down->node);
    // A node behind one link learns from its neighbour, after it has sent something, whether the way goes on.
    if (hoped_for_.erase(down->node) > 0) warn_of_no_way(down->node);
  } else if (LinkProgress* progress = nullptr; is(progress)) {
    queue_.link_progress(progress->node);
  } else if (SetPeers* set = nullptr; is(set)) {
    ways_.peers = std::move(set->peers);
    known_.clear();
    for (const std::string& node : forwarded_to_) look_for_way(node);
  } else if (ProducerIncarnations* known = nullptr; is(known)) {
    queue_.incarnations(known->node, known->incarnations);
  } else {
    const bool answered = question.template operator()<Inspect>() || question.template operator()<Where>() ||
                          question.template operator()<Cancel>() || question.template operator()<Redrive>() ||
                          question.template operator()<Purge>() || question.template operator()<SetLane>() ||
                          question.template operator()<ForgetReader>() || question.template operator()<ReadState>() ||
                          question.template operator()<Query>();
    if (!answered) return ErrorCode::rejected;
  }
  return {};
}

}  // namespace pannier
