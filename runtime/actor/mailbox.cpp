// Mailbox features beyond FIFO: policies when full, and the stash.

#include "runtime/actor/worker.h"
#include "runtime/mutants.h"

namespace pannier {

namespace {

/// With these policies the actor's own worker decides, by bounds that are not in the cell.
bool decides_itself(const Cell& cell) noexcept {
  return cell.when_full.load(std::memory_order_relaxed) >= WhenFull::keep_latest;
}

KeyedLine::Key key_of(const Cell& cell, Message& message) {
  for (const Handler& handler : cell.type.load(std::memory_order_relaxed)->handlers) {
    if (handler.type != message.type || handler.key == nullptr) continue;
    if (message.info == nullptr) message.info = handler.info;
    return {message.type, handler.key(message)};
  }
  return {message.type, std::string{message.label_text()}};
}

}  // namespace

void Worker::open_mailbox(Cell& cell) {
  if (!decides_itself(cell)) return;
  Annex& annex = cell.open_annex();
  if (cell.when_full.load(std::memory_order_relaxed) == WhenFull::keep_latest) {
    annex.latest = std::make_unique<KeyedLine>();
  } else {
    annex.spill = std::make_unique<Spill>();
    annex.spill->spiller = system_.extensions.start_spiller(*this, cell.id);
    cell.max_count.store(0, std::memory_order_relaxed);  // an earlier life may have left something
  }
}

bool Worker::has_room(const Cell& cell, std::size_t more_bytes) noexcept {
  std::uint32_t messages = cell.max_count.load(std::memory_order_relaxed);
  if (decides_itself(cell)) {  // told before it started, by its spawner or by name: the default bound
    messages = cell.recipe == nullptr ? limits::kMailboxMessages : cell.plan().options().mailbox.messages;
  }
  return cell.local_count.load(std::memory_order_relaxed) < messages &&
         cell.local_bytes.load(std::memory_order_relaxed) + more_bytes <=
             cell.max_bytes.load(std::memory_order_relaxed);
}

Result<void> Worker::overflow(Cell& cell, MessagePtr& message) {
  if (decides_itself(cell) && cell.recipe == nullptr) {
    return has_room(cell, message->payload_bytes()) ? Result<void>{} : ErrorCode::full;
  }
  switch (cell.when_full.load(std::memory_order_relaxed)) {
    case WhenFull::reject: break;
    case WhenFull::drop_newest:
      discard(*message, DeadLetterReason::mailbox_full, ErrorCode::full);
      message.reset();
      return {};
    case WhenFull::drop_oldest: return drop_oldest(cell, message->payload_bytes());
    case WhenFull::keep_latest: return keep_latest(cell, message);
    case WhenFull::spill: return spill(cell, message);
  }
  return ErrorCode::full;
}

Result<void> Worker::drop_oldest(Cell& cell, std::size_t bytes) {
  if (bytes > cell.max_bytes.load(std::memory_order_relaxed)) return ErrorCode::full;
  while (!has_room(cell, bytes)) {
    MessagePtr oldest = cell.annex == nullptr ? nullptr : cell.annex->stash.pop();
    if (oldest == nullptr) oldest = cell.normal.pop();
    if (oldest == nullptr) oldest = cell.urgent.pop();
    if (oldest == nullptr) return ErrorCode::full;
    count_out(cell, *oldest);
    discard(*oldest, DeadLetterReason::mailbox_full, ErrorCode::full);
  }
  return {};
}

// --- Room again -----------------------------------------------------------------------------------------------------

bool Worker::is_half_empty(const Cell& cell) noexcept {
  const auto read = [](const std::atomic<std::uint32_t>& number) { return number.load(std::memory_order_relaxed); };
  return read(cell.local_count) <= read(cell.max_count) / 2 && read(cell.local_bytes) <= read(cell.max_bytes) / 2;
}

void Worker::ask_for_room(Cell& cell, const Message& question) {
  const bool going = cell.phase == Phase::vacant || (cell.phase == Phase::ending && !cell.hold_after_end);
  if (going) {
    reply_error(question, ErrorCode::closed);
  } else if (is_half_empty(cell) || decides_itself(cell)) {
    reply(question, make_message(MessageKind::reply, {}));
  } else {
    cell.open_annex().room_waiters.push_back({question.sender, question.correlation});
    cell.room_wanted = true;
  }
}

void Worker::tell_of_room(Cell& cell, const Error* error) {
  cell.room_wanted = false;
  for (const auto& waiter : std::exchange(cell.annex->room_waiters, {})) {
    MessagePtr word = make_message(MessageKind::reply, waiter.asker);
    word->sender = cell.id;
    word->correlation = waiter.correlation;
    if (error != nullptr) {
      word->has_error = true;
      word->error = error->code;
    }
    send_reserved(std::move(word));
  }
}

// --- The latest of each key ------------------------------------------------------------------------------------------

Result<void> Worker::keep_latest(Cell& cell, MessagePtr& message) {
  const bool keyed = message->urgency == Urgency::normal &&
                     (message->kind == MessageKind::tell || message->kind == MessageKind::publish);
  const std::size_t bytes = message->payload_bytes();
  if (!keyed) return has_room(cell, bytes) ? Result<void>{} : ErrorCode::full;

  KeyedLine& line = *cell.annex->latest;
  KeyedLine::Key key = key_of(cell, *message);
  if (MessagePtr* waiting = line.find(key)) {
    const std::size_t held = cell.local_bytes.load(std::memory_order_relaxed) - (*waiting)->payload_bytes();
    if (held + bytes > cell.max_bytes.load(std::memory_order_relaxed)) return ErrorCode::full;
    count_out(cell, **waiting);
    count_in(cell, *message);
    waiting->swap(message);
    const MessagePtr replaced = std::move(message);
    dead_letter(*replaced, DeadLetterReason::replaced);
    return {};
  }
  if (!has_room(cell, bytes)) return ErrorCode::full;
  count_in(cell, *message);
  line.push(std::move(key), std::move(message));
  cell.keyed = true;
  make_ready(cell);
  return {};
}

MessagePtr Worker::take_keyed(Cell& cell) {
  MessagePtr first = cell.annex->latest->pop();
  cell.keyed = !cell.annex->latest->empty();
  return first;
}

// --- Spilling --------------------------------------------------------------------------------------------------------

Result<void> Worker::spill(Cell& cell, MessagePtr& message) {
  if (message->kind == MessageKind::delivery) return {};  // bounded by the window of its lane
  const bool table = message->block && (message->info == nullptr || message->info->verify != nullptr) &&
                     message->payload_bytes() <= limits::kPayloadBytes;
  const bool goes = table && message->urgency == Urgency::normal &&
                    (message->kind == MessageKind::tell || message->kind == MessageKind::publish);
  if (!goes) return has_room(cell, message->payload_bytes()) ? Result<void>{} : ErrorCode::full;

  Spill& state = *cell.annex->spill;
  Cell* spiller = living(state.spiller);
  if (spiller == nullptr || !has_room(*spiller, message->payload_bytes())) return ErrorCode::full;
  state.active = true;
  ++state.waiting;
  cell.max_count.store(0, std::memory_order_relaxed);  // from now on everything takes this path
  enqueue(*spiller, std::move(message));
  return {};
}

// --- Stash -----------------------------------------------------------------------------------------------------------

Result<void> Worker::stash(Cell& cell) {
  if (message_ == nullptr || message_kept_ || is_system(*message_)) return ErrorCode::rejected;
  if (!has_room(cell, message_->payload_bytes())) return ErrorCode::full;
  Annex& annex = cell.open_annex();
  if (annex.just_stashed != nullptr) annex.stash.push(std::move(annex.just_stashed));
  count_in(cell, *message_);
  annex.just_stashed = keep_message();
  return {};
}

void Worker::unstash(Cell& cell) {
  if (cell.annex == nullptr) return;
  Annex& annex = *cell.annex;
  // The message of the current turn stays: its handler still reads it.
  if (annex.just_stashed != nullptr && annex.just_stashed.get() != message_) {
    annex.stash.push(std::move(annex.just_stashed));
  }
  MessageQueue urgent;
  MessageQueue normal;
  while (MessagePtr message = annex.stash.pop()) {
    (message->urgency == Urgency::urgent ? urgent : normal).push(std::move(message));
  }
  cell.urgent.prepend(urgent);
  cell.normal.prepend(normal);
  make_ready(cell);
}

void Worker::take_back(Cell& cell, const Message& message) noexcept {
  if (cell.annex == nullptr || cell.annex->just_stashed.get() != &message) return;
  count_out(cell, message);
  static_cast<void>(cell.annex->just_stashed.release());  // the caller of the turn owns it again
  message_kept_ = false;
}

// --- End -------------------------------------------------------------------------------------------------------------

void Worker::forget_deliveries(Cell& cell) {
  for (MessageQueue* queue : {&cell.urgent, &cell.normal}) {
    MessageQueue kept;
    while (MessagePtr message = queue->pop()) {
      if (message->kind == MessageKind::delivery) {
        if constexpr (!is_mutant(Mutant::ended_deliveries_counted)) count_out(cell, *message);
      } else {
        kept.push(std::move(message));
      }
    }
    queue->prepend(kept);
  }
}

void Worker::drain_mailbox(Cell& cell) {
  const auto drop = [this](const Message& message) {
    if (message.kind == MessageKind::ask || message.kind == MessageKind::room) reply_error(message, ErrorCode::closed);
    if (message.kind < MessageKind::reply || message.kind == MessageKind::publish) {
      dead_letter(message, DeadLetterReason::stopped);
    }
  };
  while (MessagePtr message = pop_keyed(cell)) drop(*message);
  for (MessageQueue* queue : {&cell.urgent, &cell.normal, &cell.system}) {
    while (MessagePtr message = queue->pop()) drop(*message);
  }
  cell.local_count.store(0, std::memory_order_relaxed);
  cell.local_bytes.store(0, std::memory_order_relaxed);
}

}  // namespace pannier
