#include "runtime/actor/actor.h"

#include "runtime/actor/worker.h"

namespace pannier::detail {

void send_reply(ActorBase& actor, const Message& question, MessagePtr reply) {
  actor.worker().reply(question, std::move(reply));
}

void send_refusal(ActorBase& actor, const Message& question, ErrorCode code) {
  actor.worker().reply_error(question, code);
}

Delivery delivery_of(ActorBase& actor, const Message& message) {
  return Delivery{*actor.system().settle_sink, message.correlation};
}

void end_delivery(ActorBase& actor, const Message& message) { delivery_of(actor, message).ack(); }

Responder responder_of(ActorBase& actor, const Message& message) { return Responder{actor.system(), message}; }

bool stashed(const ActorBase& actor) noexcept { return actor.worker().keeps_message(); }

const void* value_of(Message& message) noexcept {
  if (message.inline_bytes != 0) return message.inline_value();
  return message.block ? message.block.bytes().data() : nullptr;
}

Result<void> verified(Message& message) {
  if (!message.block || message.info == nullptr || message.info->verify == nullptr) return ErrorCode::malformed;
  if (message.block->verified()) return {};
  if (!message.info->verify(message.block.bytes())) return ErrorCode::malformed;
  message.block->set_verified();
  return {};
}

}  // namespace pannier::detail
