#include "runtime/actor/worker.h"

#include <algorithm>

namespace pannier {

Worker::Worker(System& system, std::uint32_t index, Wakeup& wakeup) : system_(system), index_(index), wakeup_(wakeup) {}

Worker::~Worker() {
  Pool::Scope scope{*pool_};
  for (Message* message = inbound_.exchange(nullptr, std::memory_order_acquire); message != nullptr;) {
    Message* next = message->next;
    MessagePtr{message}.reset();
    message = next;
  }
  for (std::size_t k = 0; k < kChunks; ++k) {
    Cell* chunk = chunks_[k].load(std::memory_order_relaxed);
    if (chunk == nullptr) continue;
    std::atomic<HandlerTimesCell*>* times = times_[k].load(std::memory_order_relaxed);
    for (std::uint32_t i = 0; i < kFirstChunk << k; ++i) {
      timers_.cancel_all(chunk[i]);
      destroy_actor(chunk[i]);
      if (times != nullptr) delete times[i].load(std::memory_order_relaxed);
    }
    delete[] times;
    delete[] chunk;
  }
}
// --- Sending ---------------------------------------------------------------------------------------------------------

Result<void> Worker::try_send(MessagePtr& message) {
  ActorId cell_id = message->receiver;
  if (cell_id.is_named()) {
    const auto target = system_.resolve(*message);
    if (!target) return target.error();
    message->receiver = target->receiver;
    cell_id = target->cell;
  }
  const ActorId elsewhere = message->receiver.is_named() ? message->receiver : ActorId{};
  const std::size_t bytes = message->payload_bytes();
  Result<void> sent;
  if (cell_id.worker() == index_) [[likely]] {
    Cell* cell = living(cell_id);
    sent = cell == nullptr ? Result<void>{ErrorCode::closed} : deliver(*cell, message);
  } else if (cell_id.worker() >= system_.workers.size()) {
    return ErrorCode::not_found;
  } else if (sent = system_.workers[cell_id.worker()]->reserve_room(cell_id, *message); sent) {
    send_across(std::move(message), cell_id.worker());
  }
  if (!sent && elsewhere && message->kind == MessageKind::tell) [[unlikely]] {
    system_.directory.give_back(elsewhere, bytes);
  }
  return sent;
}

void Worker::send_reserved(MessagePtr message) {
  message->reserved = true;
  const ActorId receiver = message->receiver;
  const ActorId sender = message->sender;
  const std::string_view type = message->type_name();
  if (auto sent = send(std::move(message)); !sent) {
    system_.report({DeadLetterReason::no_such_actor, type, sender, receiver});
  }
}

void Worker::reply(const Message& question, MessagePtr answer) {
  answer->kind = MessageKind::reply;
  answer->receiver = question.sender;
  answer->sender = question.receiver;
  answer->correlation = question.correlation;
  answer->trace = question.trace;
  send_reserved(std::move(answer));
}

void Worker::reply_error(const Message& question, const Error& error) {
  MessagePtr answer = make_message(MessageKind::reply, question.sender);
  answer->has_error = true;
  answer->error = error.code;
  if (!error.detail.empty()) answer->label = BlockRef::copy_of(std::as_bytes(std::span{error.detail}));
  reply(question, std::move(answer));
}

Result<void> Worker::deliver(Cell& cell, MessagePtr& message) {
  if (!is_system(*message)) {
    const std::uint32_t count = cell.local_count.load(std::memory_order_relaxed);
    const std::size_t bytes = cell.local_bytes.load(std::memory_order_relaxed) + message->payload_bytes();
    if (count >= cell.max_count.load(std::memory_order_relaxed) ||
        bytes > cell.max_bytes.load(std::memory_order_relaxed)) [[unlikely]] {
      if (auto placed = overflow(cell, message); !placed || message == nullptr) return placed;
    }
  }
  enqueue(cell, std::move(message));
  return {};
}

void Worker::enqueue(Cell& cell, MessagePtr message) noexcept {
  if (is_system(*message)) {
    cell.system.push(std::move(message));
  } else {
    count_in(cell, *message);
    (message->urgency == Urgency::urgent ? cell.urgent : cell.normal).push(std::move(message));
  }
  make_ready(cell);
}

void Worker::make_ready(Cell& cell) noexcept {
  if (cell.ready || !cell.has_message()) return;
  cell.ready = true;
  cell.next_ready = nullptr;
  (ready_head_ == nullptr ? ready_head_ : ready_tail_->next_ready) = &cell;
  ready_tail_ = &cell;
}

// --- Between workers -------------------------------------------------------------------------------------------------

Result<void> Worker::reserve_room(ActorId target, const Message& message) noexcept {
  Cell* found = cell(target.slot());
  if (found == nullptr || found->generation.load(std::memory_order_acquire) != target.generation()) {
    return ErrorCode::closed;
  }
  if (is_system(message)) return {};
  const auto bytes = static_cast<std::uint32_t>(message.payload_bytes());
  const std::uint32_t count =
      found->remote_count.fetch_add(1, std::memory_order_relaxed) + found->local_count.load(std::memory_order_relaxed);
  const std::uint64_t held = std::uint64_t{found->remote_bytes.fetch_add(bytes, std::memory_order_relaxed)} +
                             found->local_bytes.load(std::memory_order_relaxed) + bytes;
  const WhenFull policy = found->when_full.load(std::memory_order_relaxed);
  // With the other policies the receiving worker decides. What is on the way there is bounded by twice the mailbox, or
  // by the default mailbox if only the receiver knows the bound.
  const std::uint32_t slack = policy == WhenFull::reject ? 1 : 2;
  if (policy >= WhenFull::keep_latest) {
    if (count < limits::kMailboxMessages && held <= limits::kMailboxBytes) return {};
  } else if (count < slack * found->max_count.load(std::memory_order_relaxed) &&
             held <= std::uint64_t{slack} * found->max_bytes.load(std::memory_order_relaxed)) {
    return {};
  }
  found->remote_count.fetch_sub(1, std::memory_order_relaxed);
  found->remote_bytes.fetch_sub(bytes, std::memory_order_relaxed);
  return ErrorCode::full;
}

void Worker::send_across(MessagePtr message, std::uint32_t worker) {
  if (across_.empty()) across_.resize(system_.workers.size());
  Across& batch = across_[worker];
  Message* raw = message.release();
  raw->next = batch.first;
  batch.first = raw;
  if (batch.last == nullptr) batch.last = raw;
  across_any_ = true;
}

void Worker::flush_across(bool last) {
  if (!across_any_) return;
  across_any_ = false;
  for (std::uint32_t worker = 0; worker < across_.size(); ++worker) {
    Across& batch = across_[worker];
    if (batch.first == nullptr) continue;
    system_.workers[worker]->push_inbound(batch.first, batch.last, last);
    batch = {};
  }
}

void Worker::push_inbound(Message* first, Message* last, bool hand_over) noexcept {
  Message* head = inbound_.load(std::memory_order_relaxed);
  do {
    last->next = head;
  } while (!inbound_.compare_exchange_weak(head, first, std::memory_order_release, std::memory_order_relaxed));
  if (head != nullptr) return;  // whoever put that there has notified
  hand_over ? wakeup_.hand_over() : wakeup_.notify();
}

void Worker::take_inbound() {
  if (inbound_.load(std::memory_order_relaxed) == nullptr) return;
  Message* newest = inbound_.exchange(nullptr, std::memory_order_acquire);
  Message* oldest = nullptr;
  while (newest != nullptr) {  // the inbox is a stack: reverse it
    Message* next = newest->next;
    newest->next = oldest;
    oldest = newest;
    newest = next;
  }
  while (oldest != nullptr) {
    Message* next = oldest->next;
    MessagePtr message{oldest};
    oldest = next;
    const ActorId target = message->receiver.is_named() ? system_.router : message->receiver;
    Cell* slot = cell(target.slot());
    if (!is_system(*message)) {
      slot->remote_count.fetch_sub(1, std::memory_order_relaxed);
      slot->remote_bytes.fetch_sub(static_cast<std::uint32_t>(message->payload_bytes()), std::memory_order_relaxed);
    }
    if (slot->generation.load(std::memory_order_relaxed) != target.generation()) {
      if (message->kind == MessageKind::ask || message->kind == MessageKind::room) {
        reply_error(*message, ErrorCode::closed);
      }
      if (message->kind == MessageKind::room) continue;
      if (message->kind == MessageKind::watch) {
        send_reserved(native_message(MessageKind::down, message->sender, Down{Ref{target}}));
      } else {
        dead_letter(*message, DeadLetterReason::no_such_actor);
      }
    } else if (slot->when_full.load(std::memory_order_relaxed) == WhenFull::reject) {
      enqueue(*slot, std::move(message));  // already counted by the sender
    } else if (!deliver(*slot, message)) {
      discard(*message, DeadLetterReason::mailbox_full, ErrorCode::full);
    }
  }
}

// --- The step --------------------------------------------------------------------------------------------------------

MonoTime Worker::step(MonoTime now) {
  Pool::Scope scope{*pool_};
  now_ = now;
  add_by_owner(steps_, std::uint64_t{1});
  bool more = false;
  for (StepHook* hook : hooks_) more = hook->before_actors(now) || more;
  take_inbound();
  fire_timers();
  run_ready();
  for (StepHook* hook : hooks_) more = hook->after_actors(now) || more;
  more = more || ready_head_ != nullptr;
  flush_across(!more);
  return more ? now : timers_.next_due();
}

void Worker::fire_timers() {
  // As many as are armed now. One armed for now by a callback waits for the next step, so that an actor that always
  // does so cannot starve the worker.
  for (std::size_t left = std::min(timers_.armed(), system_.step_batch); left > 0; --left) {
    auto fired = timers_.pop_due(now_);
    if (!fired) break;
    Cell& owner = *fired.owner;
    if (owner.phase == Phase::running || owner.phase == Phase::ending) {
      auto ran = turn(owner, nullptr, [&]() -> Result<void> {
        fired.function(nullptr);
        return {};
      });
      if (!ran) fail(owner, ran.error());
    }
    // From now, not from when it was due: after a long sleep a periodic timer fires once, not once per missed period.
    if (fired.period != Duration::zero()) {
      const MonoTime due = later(now_, fired.period);
      timers_.rearm(std::move(fired), due);
    }
  }
}

void Worker::run_ready() {
  std::size_t budget = system_.step_batch;
  while (ready_head_ != nullptr && budget > 0) {
    Cell& cell = *ready_head_;
    ready_head_ = cell.next_ready;
    cell.ready = false;
    run_cell(cell, budget);
    make_ready(cell);
    if (ready_head_ != nullptr || !hooks_.empty()) flush_across();  // otherwise this was the last: step() does it
  }
}

void Worker::run_cell(Cell& cell, std::size_t& budget) {
  std::uint64_t ran = 0;
  for (std::size_t batch = limits::kActorBatch; batch > 0 && budget > 0; --batch, --budget) {
    if (MessagePtr message = cell.system.pop()) {
      handle_system(cell, std::move(message));
      continue;
    }
    if (cell.phase != Phase::running) break;
    MessagePtr message = cell.urgent.pop();
    if (message == nullptr) message = cell.normal.pop();
    if (message == nullptr) message = pop_keyed(cell);
    if (message == nullptr) break;
    count_out(cell, *message);
    if (cell.room_wanted && is_half_empty(cell)) [[unlikely]]
      tell_of_room(cell);
    handle(cell, *message);
    if (std::exchange(message_kept_, false)) [[unlikely]]
      static_cast<void>(message.release());
    ++ran;
  }
  add_by_owner(handled_, ran);
}

}  // namespace pannier
