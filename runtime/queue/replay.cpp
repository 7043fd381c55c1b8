#include "runtime/queue/replay.h"

#include <algorithm>
#include <optional>

#include "platform/concat.h"
#include "runtime/message/names.h"
#include "runtime/mutants.h"
#include "runtime/queue/inbox.h"

namespace pannier {

namespace {
/// After the store could not read, or the reader's mailbox was full, or a group failed.
constexpr Duration kReaderRetry = std::chrono::milliseconds{200};
/// More are not held for one reader, whatever its window.
constexpr std::uint32_t kMostWindow = static_cast<std::uint32_t>(limits::kInboxHeldRows);
}  // namespace

void Readers::load(InLane& lane, const Cursor& cursor) {
  auto& slot = readers_[{&lane, cursor.reader}];
  slot = std::make_unique<Reader>();
  slot->lane = &lane;
  slot->name = cursor.reader;
  begin(*slot, cursor.sequence);
}

// --- Who reads ------------------------------------------------------------------------------------------------------

Result<Sequence> Readers::oldest_ready(const InLane& lane) {
  Sequence oldest = ~Sequence{0};
  if (lane.id == StreamId{}) return oldest;
  auto read = store_.read(lane.id, RowState::ready, 0, 1, [&](const Row& row) {
    oldest = row.sequence;
    return false;
  });
  if (!read) return read.error();
  return oldest;
}

Result<Sequence> Readers::start_of(InLane& lane, const Replay& from) {
  if (from.start == Replay::Start::earliest) return Sequence{0};
  if (from.start == Replay::Start::at) return from.position == 0 ? 0 : from.position - 1;
  auto oldest = oldest_ready(lane);
  if (!oldest) return oldest;
  if (*oldest != ~Sequence{0}) return *oldest - 1;
  return store_.next_sequence();  // above all that there are
}

bool Readers::reads(const InLane& lane) const noexcept {
  return std::any_of(readers_.begin(), readers_.end(), [&](const auto& each) { return each.first.first == &lane; });
}

Result<void> Readers::attach(InLane& lane, ActorId actor, const ReplayOptions& options) {
  if (store_.retention() == nullptr)
    return Error{ErrorCode::unsupported, "the node's store was opened without retention."};
  if (!valid_name(options.reader, limits::kLaneNameBytes)) {
    return Error{ErrorCode::invalid_argument,
                 concat({"'", options.reader, "' is not a reader's name: use 1 to 64 characters of a-z 0-9 . _ -"})};
  }
  const auto found = readers_.find({&lane, options.reader});
  const bool known = found != readers_.end();
  if (known && found->second->actor && found->second->actor != actor) {
    return Error{ErrorCode::in_use, concat({"reader '", options.reader, "' of lane '", lane.name(), "' is in use by ",
                                            host_->describe(found->second->actor)})};
  }
  if (!known && readers_.size() >= limits::kCursors) {
    return Error{ErrorCode::full,
                 concat({"this node knows ", limits::kCursors, " readers already; forget some (forget_reader)."})};
  }
  std::optional<Sequence> start;
  if (!known || options.restart) {
    auto found_start = start_of(lane, options.from);
    if (!found_start) return found_start.error();
    start = *found_start;
  }
  auto& slot = readers_[{&lane, options.reader}];
  if (slot == nullptr) slot = std::make_unique<Reader>();
  Reader& reader = *slot;
  reader.lane = &lane;
  reader.name = options.reader;
  reader.actor = actor;
  reader.window = std::clamp(options.window, 1U, kMostWindow);
  reader.dirty = true;
  if (!start) return {};
  begin(reader, *start);
  group_.need(lane.lane->options.durability);
  auto staged = group_.change([&](Store& store) -> Result<void> {
    const auto stream = store.stream(Box::inbox, {}, lane.name());
    if (!stream) return stream.error();
    return store.retention()->put_cursor({*stream, reader.name, *start});
  });
  if (staged) group_.then(effect::ReaderChanged{&lane, reader.name, false});
  return staged;
}

void Readers::begin(Reader& reader, Sequence after) noexcept {
  reader.cursor = reader.staged = after;
  ++reader.life;
  let_go(reader);
}

Result<void> Readers::forget(InLane& lane, const std::string& name) {
  const auto found = readers_.find({&lane, name});
  if (found == readers_.end()) return {};
  auto staged = group_.change([&](Store& store) { return store.retention()->erase_cursor(lane.id, name); });
  if (staged) group_.then(effect::ReaderChanged{&lane, name, true});
  return staged;
}

void Readers::settle(effect::ReaderChanged& changed, const Result<void>& fate) {
  const auto found = readers_.find({changed.lane, changed.reader});
  if (found == readers_.end() || !fate) return;
  found->second->dirty = true;
  if (!changed.forgotten) return;
  let_go(*found->second);
  readers_.erase(found);
}

void Readers::ended(ActorId actor) {
  for (auto& [name, reader] : readers_) {
    if (reader->actor != actor) continue;
    reader->actor = ActorId{};
    let_go(*reader);
  }
}

/// What it holds is read anew, from its cursor on; what comes of it meanwhile finds nothing.
void Readers::let_go(Reader& reader) {
  for (const Held& held : reader.held) deliveries_.erase(held.delivery);
  reader.held.clear();
  reader.loaded = reader.staged;
}

// --- Out ------------------------------------------------------------------------------------------------------------

void Readers::changed(InLane& lane) noexcept {
  for (auto& [name, reader] : readers_) {
    if (name.first == &lane) reader->dirty = true;
  }
}

void Readers::dispatch() {
  for (auto& [name, each] : readers_) {
    Reader& reader = *each;
    if (!reader.actor || reader.lane->id == StreamId{} || !std::exchange(reader.dirty, false)) continue;
    if (auto loaded = load_some(reader); !loaded) {
      host_->log(LogLevel::error,
                 concat({"reader ", reader.name, " of lane ", reader.lane->name(), ": ", loaded.error().text()}));
      host_->after(kReaderRetry, [this, key = name] {
        if (const auto found = readers_.find(key); found != readers_.end()) found->second->dirty = true;
      });
    }
    for (Held& held : reader.held) {
      if (held.state == Held::State::ready && !deliver(reader, held)) break;
    }
  }
}

Result<void> Readers::load_some(Reader& reader) {
  if (reader.held.size() >= reader.window) return {};
  const auto bound = oldest_ready(*reader.lane);
  if (!bound) return bound.error();
  return store_.read(reader.lane->id, RowState::retained, reader.loaded, reader.window - reader.held.size(),
                     [&](const Row& row) {
                       if (row.sequence >= *bound) return false;
                       reader.loaded = row.sequence;
                       reader.held.push_back({.sequence = row.sequence,
                                              .key = std::string{row.key},
                                              .type = row.type,
                                              .payload = BlockRef::copy_of(row.payload)});
                       return true;
                     });
}

bool Readers::deliver(Reader& reader, Held& held) {
  MessagePtr message = any_message(MessageKind::delivery, reader.actor, AnyTable{held.type, nullptr, held.payload});
  message->correlation = next_delivery_;
  message->label = BlockRef::copy_of(std::as_bytes(std::span{held.key}));
  if (auto sent = host_->deliver(std::move(message)); !sent) {
    if (sent.error().code == ErrorCode::full) {
      host_->after(kReaderRetry, [this, key = Name{reader.lane, reader.name}] {
        if (const auto found = readers_.find(key); found != readers_.end()) found->second->dirty = true;
      });
    } else {
      reader.actor = ActorId{};  // gone; its successor asks anew
      let_go(reader);
    }
    return false;
  }
  held.state = Held::State::in_hands;
  held.delivery = next_delivery_++;
  deliveries_.emplace(held.delivery, Handed{&reader, held.sequence});
  return true;
}

// --- Settled --------------------------------------------------------------------------------------------------------

Readers::Held* Readers::find(Reader& reader, Sequence sequence) noexcept {
  const auto at = std::find_if(reader.held.begin(), reader.held.end(),
                               [sequence](const Held& held) { return held.sequence == sequence; });
  return at == reader.held.end() ? nullptr : &*at;
}

Result<void> Readers::settle(const Settle& settle) {
  const auto found = deliveries_.find(settle.delivery);
  if (found == deliveries_.end()) return ErrorCode::not_found;
  if (settle.outcome == Outcome::extend) return {};  // a reader has no visibility timeout
  Reader& reader = *found->second.reader;
  const Sequence sequence = found->second.sequence;
  Held& held = *find(reader, sequence);
  deliveries_.erase(found);
  if (settle.outcome == Outcome::retry) {
    const Backoff& backoff = reader.lane->lane->options.backoff;
    ++held.attempts;
    held.delay = settle.delay ? *settle.delay : backoff.delay(held.attempts, held.delay, host_->random());
    again(reader, held, held.delay);
    return {};
  }
  held.state = Held::State::settling;
  Sequence through = reader.cursor;
  for (const Held& each : reader.held) {
    if (each.state != Held::State::settling && each.state != Held::State::acknowledged) break;
    through = each.sequence;
  }
  if (through > reader.cursor) {
    group_.need(reader.lane->lane->options.durability);
    auto staged = group_.change([&](Store& store) {
      return store.retention()->put_cursor({reader.lane->id, reader.name, through});
    });
    if (!staged) {
      held.state = Held::State::in_hands;  // it is settled again later
      deliveries_.emplace(settle.delivery, Handed{&reader, sequence});
      return staged;
    }
  }
  reader.staged = through;
  effect::ReaderSettled settled{
      reader.lane, reader.name, reader.life, settle.delivery, sequence, through, settle.outcome == Outcome::dead_letter,
      settle.cause};
  if (group_.is_open()) {
    group_.then(std::move(settled));
  } else {  // it has no effects, and messages before it are not acknowledged yet
    this->settle(settled, {});
  }
  return {};
}

void Readers::settle(effect::ReaderSettled& settled, const Result<void>& fate) {
  const auto found = readers_.find({settled.lane, settled.reader});
  if (found == readers_.end() || found->second->life != settled.life) return;
  Reader& reader = *found->second;
  Held* held = find(reader, settled.sequence);
  if (held != nullptr && held->delivery != settled.delivery) held = nullptr;  // its actor has ended meanwhile
  reader.dirty = true;
  if (!fate) {
    if (!is_mutant(Mutant::reader_not_reset)) reader.staged = reader.cursor;
    if (held != nullptr) {
      again(reader, *held, kReaderRetry);
    } else {
      let_go(reader);
    }
    return;
  }
  if (settled.passed_over) {
    ++reader.passed_over;
    host_->log(LogLevel::warning, concat({"reader ", reader.name, " of lane ", reader.lane->name(),
                                          " passed over message ", settled.sequence, ": ", settled.cause}));
  }
  if (held != nullptr) held->state = Held::State::acknowledged;
  reader.cursor = std::max(reader.cursor, settled.through);
  std::erase_if(reader.held, [&](const Held& each) { return each.sequence <= reader.cursor; });
}

void Readers::again(Reader& reader, Held& held, Duration delay) {
  held.state = Held::State::paused;
  host_->after(delay, [this, key = Name{reader.lane, reader.name}, sequence = held.sequence, delivery = held.delivery] {
    const auto found = readers_.find(key);
    Held* paused = found == readers_.end() ? nullptr : find(*found->second, sequence);
    if (paused == nullptr || paused->delivery != delivery || paused->state != Held::State::paused) return;
    paused->state = Held::State::ready;
    found->second->dirty = true;
  });
}

// --- What is let go -------------------------------------------------------------------------------------------------

Result<void> Readers::before_trim(InLane& lane, Unread& unread) {
  for (const auto& [name, reader] : readers_) {
    if (name.first != &lane) continue;
    auto read = store_.read(lane.id, RowState::retained, reader->loaded, 1, [&, &who = name.second](const Row& row) {
      unread.emplace_back(who, row.sequence);
      return false;
    });
    if (!read) return read;
  }
  return {};
}

void Readers::after_trim(InLane& lane, const Unread& unread) {
  for (const auto& [reader, sequence] : unread) {
    bool there = false;
    auto read = store_.read(lane.id, RowState::retained, sequence - 1, 1, [&, wanted = sequence](const Row& row) {
      there = row.sequence == wanted;
      return false;
    });
    if (read && !there) group_.then(effect::ReaderGap{&lane, reader, sequence});
  }
}

void Readers::settle(effect::ReaderGap& gap, const Result<void>& fate) {
  const auto found = readers_.find({gap.lane, gap.reader});
  if (!fate || found == readers_.end()) return;
  ++found->second->gaps;
  host_->log(LogLevel::warning,
             concat({"reader ", gap.reader, " of lane ", gap.lane->name(), " has not read message ", gap.sequence,
                     ", which is no longer retained; it goes on with the oldest that is"}));
}

void Readers::describe(QueueStatus& status) const {
  for (const auto& [name, reader] : readers_) {
    const auto in_hands = std::count_if(reader->held.begin(), reader->held.end(),
                                        [](const Held& held) { return held.state == Held::State::in_hands; });
    status.readers.push_back({reader->lane->name(), reader->name, reader->cursor, static_cast<std::uint64_t>(in_hands),
                              reader->passed_over, reader->gaps, static_cast<bool>(reader->actor)});
  }
}

}  // namespace pannier
