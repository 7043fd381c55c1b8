#include "runtime/node/queue_service.h"

#include "platform/concat.h"
#include "runtime/link/router_messages.h"

namespace pannier {

QueueService::QueueService(System& system, Store& store, std::vector<LaneOptions> lanes, QueueOptions options)
    : system_(system), queue_(store, system.platform.clock, system.directory.own_node(), std::move(lanes), options) {}

void QueueService::started(ServicePort& port) {
  port_ = &port;
  queue_.start(*this, *system_.settle_sink);
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
  } else if (LinkProgress* progress = nullptr; is(progress)) {
    queue_.link_progress(progress->node);
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
