// How a worker handles one message: from the handler table to reply, failure or dead letter.

#include "platform/concat.h"
#include "runtime/actor/worker.h"

namespace pannier {

Worker::Handle Worker::find_handler(const Cell& cell, Message& message) noexcept {
  const ActorType& type = *cell.type.load(std::memory_order_relaxed);
  if (type.intercept != nullptr) return type.intercept;
  for (const Handler& handler : type.handlers) {
    if (handler.type != message.type) continue;
    // Received bytes are never a native value, whatever type they claim to be.
    if (message.info == nullptr && handler.info->verify == nullptr) return nullptr;
    if (message.info == nullptr) message.info = handler.info;
    return handler.handle;
  }
  const bool table = message.block && (message.info == nullptr || message.info->verify != nullptr);
  return table ? type.any : nullptr;
}

Result<void> Worker::timed_turn(Cell& cell, Message& message, FunctionRef<Result<void>()> body) {
  Trace trace = message.trace_context();
  const std::uint64_t parent = trace.span;
  if (!trace) trace = {next_trace_id(), next_trace_id(), 0, 1};  // here begins what it causes
  trace.span = next_trace_id();
  message.set_trace(trace);
  const MonoTime began = system_.platform.clock.now();
  Result<void> handled = turn(cell, &message, body);
  timed(cell, message, parent, system_.platform.clock.now() - began, handled);
  return handled;
}

/// No two are the same, nor those of two nodes or of two lives, for all practical purposes. Not random: a simulation
/// with an observer goes as it goes without one.
std::uint64_t Worker::next_trace_id() noexcept {
  if (traces_ == 0) {
    const auto wall = static_cast<std::uint64_t>(system_.platform.clock.wall_now().time_since_epoch().count());
    traces_ = static_cast<std::uint64_t>(type_id_of(system_.directory.own_node())) ^ wall * 0x9e3779b97f4a7c15 ^ index_;
  }
  // SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
  std::uint64_t id = traces_ += 0x9e3779b97f4a7c15;
  id = (id ^ (id >> 30)) * 0xbf58476d1ce4e5b9;
  id = (id ^ (id >> 27)) * 0x94d049bb133111eb;
  return (id ^ (id >> 31)) | 1;
}

void Worker::timed(Cell& cell, const Message& message, std::uint64_t parent, Duration took, Result<void>& handled) {
  if (system_.times_handlers.load(std::memory_order_relaxed)) record_time(cell.id.slot(), took);
  if (system_.observer != nullptr) {
    system_.observer->on_handled({message.type_name(), message.sender, message.receiver, message.correlation,
                                  message.trace_context(), parent, took, handled.ok()});
  }
  const Duration budget = cell.plan().options().handler_budget;
  if (!handled || !cell.timed || took <= budget) return;
  disorderly_ = true;
  const auto micros = [](Duration span) { return std::chrono::duration_cast<std::chrono::microseconds>(span).count(); };
  handled =
      Error{ErrorCode::timeout, concat({"took ", micros(took), " us, over its budget of ", micros(budget), " us"})};
}

void Worker::handle(Cell& cell, Message& message) {
  const Handle act = find_handler(cell, message);
  const auto body = [&] { return act(*cell.actor, message); };
  const Result<void> handled = act == nullptr   ? Result<void>{ErrorCode::rejected}
                               : is_timed(cell) ? timed_turn(cell, message, body)
                                                : turn(cell, &message, body);
  if (handled) [[likely]] {
    add_by_owner(cell.handled, 1U);
    return;
  }
  if (message_kept_) take_back(cell, message);
  const ErrorCode code = handled.error().code;
  const bool at_fault_itself = code == ErrorCode::rejected || code == ErrorCode::malformed;
  // If the handler has already answered or settled, this does nothing.
  if (message.kind == MessageKind::ask) reply_error(message, at_fault_itself ? code : ErrorCode::failed);
  const bool delivery = message.kind == MessageKind::delivery;
  if (delivery) settle_failed(message, handled.error());
  if (at_fault_itself) {
    add_by_owner(cell.rejected, 1U);
    dead_letter(message, DeadLetterReason::unhandled);
    return;
  }
  dead_letter(message, DeadLetterReason::handler_failed);
  // A handler that returns an error for a delivery blames the message, and its state is intact. One that threw may have
  // left its state half changed. See "Failed deliveries" in docs/actors.md.
  if (delivery && !disorderly_) return;
  fail(cell, Error{code, concat({"while handling ", message.type_name(), ": ", handled.error().detail})},
       delivery ? Blame::delivery : Blame::actor);
}

void Worker::handle_reply(Cell& cell, Message& message) {
  Timers::Fired question = timers_.take(TimerId{message.correlation});
  // A failed actor waiting to be rebuilt has no state for it.
  if (!question || question.owner != &cell || cell.phase == Phase::suspended) {
    dead_letter(message, DeadLetterReason::late_reply);
    return;
  }
  reply_waiting_ = std::move(question.waiting);
  const auto body = [&]() -> Result<void> {
    question.function(&message);
    return {};
  };
  const Result<void> ran = is_timed(cell) ? timed_turn(cell, message, body) : turn(cell, &message, body);
  const Blame blame = std::exchange(reply_waiting_, {}).delivery ? Blame::delivery : Blame::actor;
  if (!ran) fail(cell, Error{ran.error().code, "while handling a reply: " + ran.error().detail}, blame);
}

void Worker::settle_failed(const Message& delivery, const Error& error) {
  system_.extensions.delivery_failed(*this, delivery, error);
}

void Worker::discard(const Message& message, DeadLetterReason reason, ErrorCode code) {
  if (message.kind == MessageKind::ask) reply_error(message, code);
  if (message.kind == MessageKind::delivery) settle_failed(message, Error{code, "dropped by the consumer's mailbox"});
  dead_letter(message, reason);
}

void Worker::dead_letter(const Message& message, DeadLetterReason reason) noexcept {
  system_.report({reason, message.type_name(), message.sender, message.receiver});
}

}  // namespace pannier
