#include "runtime/link/inflows.h"

#include <algorithm>

#include <pannier/limits.h>
#include "platform/concat.h"
#include "runtime/mutants.h"

namespace pannier {

namespace {
constexpr Duration kPause = std::chrono::milliseconds{1};
}

Inflows::Flow* Inflows::find(std::string_view origin, std::string_view actor) const noexcept {
  if (last_ != nullptr && last_->actor == actor && last_->origin->node == origin) return last_;
  const auto from = origins_.find(std::string{origin});
  if (from == origins_.end()) return nullptr;
  const auto flow = from->second->flows.find(std::string{actor});
  return flow == from->second->flows.end() ? nullptr : flow->second.get();
}

bool Inflows::holds(std::string_view origin, std::string_view actor) const noexcept {
  const Flow* flow = find(origin, actor);
  return flow != nullptr && flow->held > 0;
}

Inflows::Flow& Inflows::open(std::string_view origin, std::string_view actor) {
  if (Flow* known = find(origin, actor)) return *(last_ = known);
  if (flows_ >= forget_at_) {
    forget_idle();
    forget_at_ = std::max(limits::kFlows, 2 * flows_);  // where few are idle, not again for each new one
  }
  auto& from = origins_[std::string{origin}];
  if (from == nullptr) {
    from = std::make_unique<Origin>();
    from->node = origin;
  }
  auto& flow = from->flows[std::string{actor}];
  flow = std::make_unique<Flow>();
  flow->origin = from.get();
  flow->actor = actor;
  ++flows_;
  return *(last_ = flow.get());
}

/// Erases flows that owe their sender no report. Reports all others, so that they can be erased later.
void Inflows::forget_idle() {
  last_ = nullptr;
  for (auto from = origins_.begin(); from != origins_.end();) {
    flows_ -= std::erase_if(from->second->flows,
                            [](const auto& each) { return each.second->idle() && each.second->taken.messages == 0; });
    from = from->second->flows.empty() ? origins_.erase(from) : std::next(from);
  }
  for (const auto& [node, origin] : origins_) {
    for (const auto& [actor, flow] : origin->flows) mark_due(*flow);  // idle once reported
  }
}

void Inflows::mark_due(Flow& flow) {
  if (std::exchange(flow.due, true)) return;
  due_.push_back(&flow);
}

void Inflows::drop(Flow& flow, std::size_t bytes, ErrorCode cause) {
  if (flow.code == 0) flow.code = wire::code_of(cause);
  flow.dropped.add(bytes);
  mark_due(flow);
  const auto reason = cause == ErrorCode::full ? DeadLetterReason::mailbox_full : DeadLetterReason::no_such_actor;
  system_.report({reason, "", {}, flow.receiver});
}

bool Inflows::has_receiver(Flow& flow) {
  flow.receiver = system_.directory.find(flow.actor);
  return static_cast<bool>(flow.receiver);
}

Result<void> Inflows::hand_over(Flow& flow, MessagePtr& message) {
  const std::size_t bytes = message->payload_bytes();
  Result<void> sent = ErrorCode::closed;
  if (flow.receiver) {
    message->receiver = flow.receiver;
    sent = port_->worker().try_send(message);
  }
  if (!sent && sent.error().code != ErrorCode::full && has_receiver(flow)) {  // another actor may have the name now
    message->receiver = flow.receiver;
    sent = port_->worker().try_send(message);
  }
  if (sent) {
    flow.taken.add(bytes);
    if (flow.taken.messages >= limits::kFlowMessages / 4 || flow.taken.bytes >= limits::kFlowBytes / 4) mark_due(flow);
  } else if (sent.error().code != ErrorCode::full) {
    drop(flow, bytes, ErrorCode::not_found);
  }
  return sent;
}

void Inflows::take(std::string_view origin, const wire::Record& tell, const AccountRef& account) {
  Flow& flow = open(origin, tell.first);
  MessagePtr message =
      any_message(MessageKind::tell, flow.receiver, AnyTable{tell.type, nullptr, BlockRef::copy_of(tell.payload)});
  message->set_trace(tell.trace);
  const bool urgent = (tell.flags & wire::kUrgent) != 0;
  if (urgent) message->urgency = Urgency::urgent;
  if (!tell.second.empty()) {
    if (flow.sender_text != tell.second || !system_.directory.knows(flow.sender)) {
      const auto sender = system_.directory.name(concat({origin, "/", tell.second}));
      flow.sender = sender ? sender->id() : ActorId{};
      flow.sender_text = sender ? tell.second : std::string_view{};
    }
    message->sender = flow.sender;
  }
  if (flow.held == 0 || (urgent && flow.urgent.empty())) {
    const auto sent = hand_over(flow, message);
    if (sent || sent.error().code != ErrorCode::full) return;
  }
  if constexpr (is_mutant(Mutant::full_mailbox_drops)) return;
  if (flow.held == 0) flow.account = account;  // those that wait stay charged to the link that they came over
  hold(flow, std::move(message));
}

void Inflows::hold(Flow& flow, MessagePtr message) {
  const std::size_t bytes = message->payload_bytes();
  if (flow.account != nullptr && !flow.account->take(Resource::tell_bytes, bytes + limits::kHeldMessageBytes)) {
    drop(flow, bytes, ErrorCode::full);
    return;
  }
  ++flow.held;
  ++held_;
  (message->urgency == Urgency::urgent ? flow.urgent : flow.normal).push(std::move(message));
  ask_for_room(flow);
}

void Inflows::release(Flow& flow, std::size_t bytes) noexcept {
  if (flow.account != nullptr) flow.account->give_back(Resource::tell_bytes, bytes + limits::kHeldMessageBytes);
  --flow.held;
  --held_;
}

void Inflows::ask_for_room(Flow& flow) {
  if (std::exchange(flow.asks_room, true)) return;
  // `flow` outlives the question: a flow that asks is never idle, and the port's questions end with the port.
  port_->ask_message({port_, make_message(MessageKind::room, flow.receiver), Duration::max()},
                     [this, &flow](Message* reply) { has_room(flow, reply != nullptr && reply->has_error); });
}

void Inflows::has_room(Flow& flow, bool gone) {
  flow.asks_room = false;
  if (gone && !has_receiver(flow)) {
    drop_held(flow, ErrorCode::not_found);
    if (std::exchange(flow.tells_room, false)) flow.code = wire::code_of(ErrorCode::not_found);
    mark_due(flow);
    return;
  }
  if (std::exchange(flow.tells_room, false)) {
    flow.room_came = true;
    mark_due(flow);
  }
  bool moved = false;
  bool full = false;
  for (MessageQueue* queue : {&flow.urgent, &flow.normal}) {
    while (MessagePtr message = full ? nullptr : queue->pop()) {
      const std::size_t bytes = message->payload_bytes();
      if (const auto sent = hand_over(flow, message); !sent && sent.error().code == ErrorCode::full) {
        MessageQueue first;
        first.push(std::move(message));
        queue->prepend(first);
        full = true;
        break;
      }
      moved = true;
      release(flow, bytes);
    }
  }
  if (flow.held == 0) return;
  if (moved) {
    ask_for_room(flow);
  } else {  // the mailbox reported room and yet refused, as one that spills may
    flow.asks_room = true;
    port_->after(kPause, [this, &flow] { has_room(flow, false); });
  }
}

void Inflows::drop_held(Flow& flow, ErrorCode cause) {
  for (MessageQueue* queue : {&flow.urgent, &flow.normal}) {
    while (const MessagePtr message = queue->pop()) {
      const std::size_t bytes = message->payload_bytes();
      drop(flow, bytes, cause);
      release(flow, bytes);
    }
  }
}

void Inflows::await_room(std::string_view origin, std::string_view actor) {
  Flow& flow = open(origin, actor);
  if (has_receiver(flow)) {
    flow.tells_room = true;
    ask_for_room(flow);
  } else {
    flow.code = wire::code_of(ErrorCode::not_found);
    mark_due(flow);
  }
}

void Inflows::each_due(FunctionRef<void(const Due&)> say) {
  for (Flow* const flow : std::exchange(due_, {})) {
    flow->due = false;
    Due due{flow->origin->node, flow->actor};
    const bool room = std::exchange(flow->room_came, false);
    if (flow->taken.messages > 0 || room) {
      due.messages = flow->taken.messages;
      due.bytes = flow->taken.bytes;
      flow->taken = {};
      say(due);
    }
    if (const std::uint16_t code = std::exchange(flow->code, 0); code != 0) {
      due.messages = flow->dropped.messages;
      due.bytes = flow->dropped.bytes;
      due.code = code;
      flow->dropped = {};
      say(due);
    }
  }
}

}  // namespace pannier
