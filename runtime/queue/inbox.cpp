#include "runtime/queue/inbox.h"

#include <algorithm>

#include "runtime/queue/mutants.h"

namespace pannier {

namespace {
constexpr Sequence kUnknown = ~Sequence{0};
/// After a consumer's mailbox was full.
constexpr Duration kPlaceAgain = std::chrono::milliseconds{20};
/// After the store could not read.
constexpr Duration kReadAgain = std::chrono::seconds{1};
}  // namespace

Inbox::InLane& Inbox::lane(StreamId id, std::string_view name) {
  const auto found = lanes_.find(name);
  if (found != lanes_.end()) {
    found->second->id = id;  // another one than before where the group that made the stream was given up
    return *found->second;
  }
  auto made = std::make_unique<InLane>();
  made->id = id;
  made->name = name;
  return *lanes_.emplace(std::string{name}, std::move(made)).first->second;
}

void Inbox::load(const std::vector<Stream>& streams) {
  for (const Stream& kept : streams) {
    if (kept.box == Box::inbox) lane(kept.id, kept.lane).committed = kept.messages > 0 ? kUnknown : 0;
  }
  recount(streams);
}

void Inbox::recount(const std::vector<Stream>& streams) {
  for (auto& [name, each] : lanes_) {  // made in a group that failed: not there
    each->id = StreamId{};
    each->messages = each->bytes = each->parked = 0;
  }
  for (const Stream& kept : streams) {
    if (kept.box != Box::inbox) continue;
    InLane& mine = lane(kept.id, kept.lane);
    mine.messages = kept.messages;
    mine.bytes = kept.bytes;
    mine.parked = kept.parked;
  }
}

Load Inbox::load_of(std::string_view lane) const noexcept {
  const auto found = lanes_.find(lane);
  return found == lanes_.end() ? Load{} : Load{found->second->messages, found->second->bytes};
}

// --- In
// ----------------------------------------------------------------------------------------------------------------

Result<Sequence> Inbox::put(const LaneOptions& options, std::string_view producer, std::string_view key, TypeId type,
                            const BlockRef& payload, Sequence sequence) {
  InLane* target = nullptr;
  Row row{.stream = {},
          .sequence = sequence,
          .key = key,
          .type = type,
          .payload = payload.bytes(),
          .enqueued_at = port_->system().platform.clock.wall_now(),
          .state = RowState::ready,
          .attempts = 0,
          .producer = producer,
          .cause = {}};
  auto staged = group_.change([&](Store& store) -> Result<void> {
    const auto id = store.stream(Box::inbox, {}, options.name);
    if (!id) return id.error();
    row.stream = *id;
    target = &lane(*id, options.name);
    return store.put(row);
  });
  if (!staged) return staged.error();
  ++target->messages;
  target->bytes += payload.bytes().size();
  group_.then([this, target, sequence, key = std::string{key}, type, payload](const Result<void>& fate) {
    if (!fate) return;  // the queue counts anew
    const bool caught_up = target->loaded >= target->committed;
    if (target->committed != kUnknown) target->committed = sequence;
    target->dirty = true;
    // Caught up: held at once. Else the row is read when its turn comes.
    if (caught_up && target->consumer && target->held.size() < limits::kInboxHeldRows) {
      target->loaded = sequence;
      target->held.push_back({sequence, key, type, payload, 0, HeldState::ready, 0});
    }
  });
  return sequence;
}

// --- Out
// ---------------------------------------------------------------------------------------------------------------

Result<void> Inbox::consume(ActorId consumer, const Consume& request) {
  const auto found = lanes_.find(request.lane);
  InLane* target = found == lanes_.end() ? nullptr : found->second.get();
  if (target == nullptr) {
    auto made = group_.change([&](Store& store) -> Result<void> {
      const auto id = store.stream(Box::inbox, {}, request.lane);
      if (!id) return id.error();
      target = &lane(*id, request.lane);
      return {};
    });
    if (!made) return made;
  }
  if (target->consumer && target->consumer != consumer) {
    return Error{ErrorCode::in_use,
                 "lane '" + request.lane + "' has a consumer already: " + port_->system().describe(target->consumer)};
  }
  target->consumer = consumer;
  target->options = request.options;
  target->options.window = std::max(1U, target->options.window);
  target->options.max_attempts = std::max(1U, target->options.max_attempts);
  target->dirty = true;
  return {};
}

void Inbox::ended(ActorId consumer) {
  for (auto& [name, lane] : lanes_) {
    if (lane->consumer != consumer) continue;
    lane->consumer = ActorId{};
    for (Held& held : lane->held) {
      if (held.state != HeldState::in_hands) continue;
      deliveries_.erase(held.delivery);
      held.state = HeldState::ready;
      --lane->in_hands;
    }
  }
}

void Inbox::feed() {
  for (auto& [name, lane] : lanes_) {
    if (lane->consumer && std::exchange(lane->dirty, false)) feed(*lane);
  }
}

void Inbox::load_some(InLane& lane) {
  const std::size_t limit = limits::kInboxHeldRows - lane.held.size();
  if (limit == 0 || lane.loaded >= lane.committed || lane.id == StreamId{}) return;
  std::size_t read = 0;
  auto done = store_.read(lane.id, RowState::ready, lane.loaded, limit, [&](const Row& row) {
    ++read;
    lane.loaded = row.sequence;
    lane.held.push_back({row.sequence, std::string{row.key}, row.type, BlockRef::copy_of(row.payload), row.attempts,
                         HeldState::ready, 0});
    return true;
  });
  if (!done) {
    port_->log(LogLevel::error, "lane " + lane.name + ": " + done.error().text());
    port_->after(kReadAgain, [&lane] { lane.dirty = true; });
  }
  if (done && read < limit) lane.committed = lane.loaded;  // read to the end
}

void Inbox::feed(InLane& lane) {
  if (lane.held.size() < limits::kInboxHeldRows / 2) load_some(lane);
  std::unordered_set<std::string_view> blocked;
  for (Held& held : lane.held) {
    if (lane.in_hands >= lane.options.window) return;
    const bool free = is_mutant(Mutant::keys_not_ordered) || held.key.empty() || !blocked.contains(held.key);
    if (!held.key.empty()) blocked.insert(held.key);
    if (!free || held.state != HeldState::ready) continue;
    if (!hand_out(lane, held)) return;
  }
}

bool Inbox::hand_out(InLane& lane, Held& held) {
  const std::uint64_t id = next_delivery_++;
  MessagePtr message = any_message(MessageKind::delivery, lane.consumer, AnyTable{held.type, nullptr, held.payload});
  message->correlation = id;
  message->label = BlockRef::copy_of(std::as_bytes(std::span{held.key}));
  if (auto sent = port_->tell_native(std::move(message)); !sent) {
    ++counters_.unplaced;
    if (sent.error().code != ErrorCode::full) {
      lane.consumer = ActorId{};  // gone; its successor asks anew
      return false;
    }
    port_->after(kPlaceAgain, [&lane] { lane.dirty = true; });
    return false;
  }
  held.state = HeldState::in_hands;
  held.delivery = id;
  ++lane.in_hands;
  deliveries_.emplace(id, Handed{&lane, held.sequence});
  return true;
}

Inbox::Held* Inbox::find(InLane& lane, Sequence sequence) noexcept {
  const auto at = std::lower_bound(lane.held.begin(), lane.held.end(), sequence,
                                   [](const Held& held, Sequence wanted) { return held.sequence < wanted; });
  return at != lane.held.end() && at->sequence == sequence ? &*at : nullptr;
}

void Inbox::forget(InLane& lane, Sequence sequence) noexcept {
  // By iterator: a deque's elements do not stand in one piece, so a pointer's distance says nothing.
  const auto at = std::lower_bound(lane.held.begin(), lane.held.end(), sequence,
                                   [](const Held& held, Sequence wanted) { return held.sequence < wanted; });
  if (at == lane.held.end() || at->sequence != sequence) return;
  lane.messages -= std::min<std::uint64_t>(lane.messages, 1);
  lane.bytes -= std::min<std::uint64_t>(lane.bytes, at->payload.bytes().size());
  lane.held.erase(at);
}

// --- Settled
// -----------------------------------------------------------------------------------------------------------

void Inbox::pause(InLane& lane, Sequence sequence, Duration delay) {
  Held* held = find(lane, sequence);
  if (held == nullptr) return;
  held->state = HeldState::paused;
  port_->after(delay, [this, &lane, sequence] {
    Held* again = find(lane, sequence);
    if (again == nullptr) return;
    again->state = HeldState::ready;
    lane.dirty = true;
  });
}

Result<void> Inbox::settle(const Settle& settle) {
  const auto found = deliveries_.find(settle.delivery);
  if (found == deliveries_.end()) return ErrorCode::not_found;
  InLane& lane = *found->second.lane;
  const Sequence sequence = found->second.sequence;
  Held* held = find(lane, sequence);
  const std::uint32_t attempts = held->attempts + 1;
  const bool give_up =
      settle.outcome == Outcome::park || (settle.outcome == Outcome::retry && attempts >= lane.options.max_attempts);
  auto staged = group_.change([&](Store& store) {
    if (settle.outcome == Outcome::done) return store.erase(lane.id, sequence);
    auto marked = store.mark(lane.id, sequence, give_up ? RowState::parked : RowState::ready, attempts, settle.cause);
    // A row that is gone, moved aside as damaged perhaps, has nothing to be marked; that is no reason to fail a group.
    return !marked && marked.error().code == ErrorCode::not_found ? Result<void>{} : marked;
  });
  if (!staged) return staged;
  deliveries_.erase(found);
  held->state = HeldState::settling;
  --lane.in_hands;
  lane.dirty = true;
  group_.then([this, &lane, sequence, attempts, give_up, outcome = settle.outcome,
               delay = settle.delay](const Result<void>& fate) {
    lane.dirty = true;
    Held* settled = find(lane, sequence);
    if (settled == nullptr) return;
    if (!fate) {  // not stored: the row is delivered again, as after a crash
      pause(lane, sequence, kDefaultRetryDelay);
    } else if (outcome == Outcome::done) {
      ++counters_.handled;
      forget(lane, sequence);
    } else if (give_up) {
      ++counters_.parked;
      ++lane.parked;
      port_->log(LogLevel::warning, "lane " + lane.name + ": parked message " + std::to_string(sequence) + " of key '" +
                                        settled->key + "' after " + std::to_string(attempts) + " attempts");
      forget(lane, sequence);
    } else {
      ++counters_.retried;
      settled->attempts = attempts;
      pause(lane, sequence, delay);
    }
  });
  return {};
}

void Inbox::describe(QueueStatus& status, const Inspect& inspect) {
  for (const auto& [name, lane] : lanes_) {
    status.streams.push_back({Box::inbox, {}, name, lane->messages, lane->bytes, lane->parked, lane->in_hands, false});
    if (inspect.rows == 0) continue;
    for (const RowState state : {RowState::ready, RowState::parked}) {
      std::uint64_t position = 0;
      auto read = store_.read(lane->id, state, 0, ~std::size_t{0}, [&](const Row& row) {
        if (inspect.key.empty() || row.key == inspect.key) {
          std::string why = "its turn has not come: rows before it are in the consumer's hands";
          const Held* held = find(*lane, row.sequence);
          if (row.state == RowState::parked) {
            why = "parked: " + std::string{row.cause};
          } else if (!lane->consumer) {
            why = "nobody consumes the lane";
          } else if (held != nullptr && held->state == HeldState::paused) {
            why = "tried again after a pause: " + std::string{row.cause};
          } else if (held != nullptr && held->state != HeldState::ready) {
            why = "in the hands of " + port_->system().describe(lane->consumer);
          }
          status.rows.push_back({Box::inbox, std::string{row.producer}, name, row.sequence, std::string{row.key},
                                 row.type, row.payload.size(), row.enqueued_at, row.state, row.attempts, position,
                                 std::move(why)});
        }
        ++position;
        return status.rows.size() < inspect.rows && position < 100'000;
      });
      if (!read) port_->log(LogLevel::error, "looking into the inbox: " + read.error().text());
    }
  }
}

}  // namespace pannier
