#include "runtime/queue/replay.h"

#include <algorithm>
#include <optional>

#include "platform/concat.h"
#include "runtime/actor/directory.h"

namespace pannier {

namespace {
/// After the store could not read, or the reader's mailbox was full, or a group failed.
constexpr Duration kAgain = std::chrono::milliseconds{200};
/// More are not held for one reader, whatever its window.
constexpr std::uint32_t kMostWindow = static_cast<std::uint32_t>(limits::kInboxHeldRows);
}  // namespace

void Readers::load(InboxLane& lane, const Cursor& cursor) {
  auto& slot = readers_[{&lane, cursor.reader}];
  slot = std::make_unique<Reader>();
  slot->lane = &lane;
  slot->name = cursor.reader;
  begin(*slot, cursor.sequence);
}

// --- Who reads ------------------------------------------------------------------------------------------------------

Result<Sequence> Readers::oldest_ready(const InboxLane& lane) {
  Sequence oldest = ~Sequence{0};
  auto read = store_.read(lane.id, RowState::ready, 0, 1, [&](const Row& row) {
    oldest = row.sequence;
    return false;
  });
  if (!read) return read.error();
  return oldest;
}

Result<Sequence> Readers::start_of(InboxLane& lane, const Replay& from) {
  if (from.start == Replay::Start::earliest) return Sequence{0};
  if (from.start == Replay::Start::at) return from.position == 0 ? 0 : from.position - 1;
  auto oldest = oldest_ready(lane);
  if (!oldest) return oldest;
  if (*oldest != ~Sequence{0}) return *oldest - 1;
  return store_.next_sequence();  // above all that there are
}

Result<void> Readers::attach(InboxLane& lane, ActorId actor, const ReplayOptions& options) {
  if (!valid_name(options.reader, limits::kLaneNameBytes)) {
    return Error{ErrorCode::invalid_argument,
                 concat({"'", options.reader, "' is no name of a reader: 1 to 64 characters of a-z 0-9 . _ -"})};
  }
  const auto found = readers_.find({&lane, options.reader});
  const bool known = found != readers_.end();
  if (known && found->second->actor && found->second->actor != actor) {
    return Error{ErrorCode::in_use, concat({"reader '", options.reader, "' of lane '", lane.name(), "' is read by ",
                                            port_->system().describe(found->second->actor)})};
  }
  if (!known && readers_.size() >= limits::kCursors) {
    return Error{ErrorCode::full,
                 concat({"this node knows ", limits::kCursors, " readers already; forget some (forget_reader)."})};
  }
  std::optional<Sequence> start;
  if (!known || options.anew) {
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
  group_.need(lane.options->durability);
  return group_.change([&](Store& store) { return store.retention()->put_cursor({lane.id, reader.name, *start}); });
}

void Readers::begin(Reader& reader, Sequence after) noexcept {
  reader.cursor = reader.staged = after;
  ++reader.life;
  let_go(reader);
}

Result<void> Readers::forget(InboxLane& lane, const std::string& name) {
  const auto found = readers_.find({&lane, name});
  if (found == readers_.end()) return {};
  auto staged = group_.change([&](Store& store) { return store.retention()->erase_cursor(lane.id, name); });
  if (!staged) return staged;
  group_.then([this, key = Name{&lane, name}](const Result<void>& fate) {
    const auto gone = readers_.find(key);
    if (!fate || gone == readers_.end()) return;
    let_go(*gone->second);
    readers_.erase(gone);
  });
  return {};
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

void Readers::changed(InboxLane& lane) noexcept {
  for (auto& [name, reader] : readers_) {
    if (name.first == &lane) reader->dirty = true;
  }
}

void Readers::feed() {
  for (auto& [name, each] : readers_) {
    Reader& reader = *each;
    if (!reader.actor || reader.lane->id == StreamId{} || !std::exchange(reader.dirty, false)) continue;
    if (auto loaded = load_some(reader); !loaded) {
      port_->log(LogLevel::error,
                 concat({"reader ", reader.name, " of lane ", reader.lane->name(), ": ", loaded.error().text()}));
      port_->after(kAgain, [this, key = name] {
        if (const auto found = readers_.find(key); found != readers_.end()) found->second->dirty = true;
      });
    }
    for (Held& held : reader.held) {
      if (held.state == Held::State::ready && !hand_out(reader, held)) break;
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

bool Readers::hand_out(Reader& reader, Held& held) {
  MessagePtr message = any_message(MessageKind::delivery, reader.actor, AnyTable{held.type, nullptr, held.payload});
  message->correlation = next_delivery_;
  message->label = BlockRef::copy_of(std::as_bytes(std::span{held.key}));
  if (auto sent = port_->tell_native(std::move(message)); !sent) {
    if (sent.error().code == ErrorCode::full) {
      port_->after(kAgain, [this, key = Name{reader.lane, reader.name}] {
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
  Reader& reader = *found->second.reader;
  const Sequence sequence = found->second.sequence;
  Held& held = *find(reader, sequence);
  deliveries_.erase(found);
  if (settle.outcome == Outcome::retry) {
    ++held.attempts;
    held.delay =
        settle.delay ? *settle.delay : reader.lane->options->backoff.delay(held.attempts, held.delay, port_->random());
    again(reader, held, held.delay);
    return {};
  }
  held.state = Held::State::settling;
  Sequence through = reader.cursor;
  for (const Held& each : reader.held) {
    if (each.state != Held::State::settling && each.state != Held::State::done) break;
    through = each.sequence;
  }
  if (through > reader.cursor) {
    group_.need(reader.lane->options->durability);
    auto staged = group_.change([&](Store& store) {
      return store.retention()->put_cursor({reader.lane->id, reader.name, through});
    });
    if (!staged) {
      held.state = Held::State::in_hands;  // the word stands, and is said again
      deliveries_.emplace(settle.delivery, Handed{&reader, sequence});
      return staged;
    }
  }
  reader.staged = through;
  Word word{settle.delivery, sequence, through, settle.outcome == Outcome::park, settle.cause};
  if (!group_.is_open()) {  // it has no effects, and those before it are not done yet
    settled(reader, word, {});
    return {};
  }
  group_.then([this, key = Name{reader.lane, reader.name}, life = reader.life,
               word = std::move(word)](const Result<void>& fate) {
    const auto still = readers_.find(key);
    if (still != readers_.end() && still->second->life == life) settled(*still->second, word, fate);
  });
  return {};
}

void Readers::settled(Reader& reader, const Word& word, const Result<void>& fate) {
  Held* held = find(reader, word.sequence);
  if (held != nullptr && held->delivery != word.delivery) held = nullptr;  // its actor has ended meanwhile
  reader.dirty = true;
  if (!fate) {
    reader.staged = reader.cursor;
    if (held != nullptr) {
      again(reader, *held, kAgain);
    } else {
      let_go(reader);
    }
    return;
  }
  if (word.passed_over) {
    ++reader.passed_over;
    port_->log(LogLevel::warning, concat({"reader ", reader.name, " of lane ", reader.lane->name(),
                                          " passed over message ", word.sequence, ": ", word.cause}));
  }
  if (held != nullptr) held->state = Held::State::done;
  reader.cursor = std::max(reader.cursor, word.through);
  std::erase_if(reader.held, [&](const Held& each) { return each.sequence <= reader.cursor; });
}

void Readers::again(Reader& reader, Held& held, Duration delay) {
  held.state = Held::State::paused;
  port_->after(delay, [this, key = Name{reader.lane, reader.name}, sequence = held.sequence, delivery = held.delivery] {
    const auto found = readers_.find(key);
    Held* paused = found == readers_.end() ? nullptr : find(*found->second, sequence);
    if (paused == nullptr || paused->delivery != delivery || paused->state != Held::State::paused) return;
    paused->state = Held::State::ready;
    found->second->dirty = true;
  });
}

// --- What is let go -------------------------------------------------------------------------------------------------

Result<void> Readers::before_trim(InboxLane& lane, Unread& unread) {
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

void Readers::after_trim(InboxLane& lane, Unread unread) {
  std::erase_if(unread, [&](const std::pair<std::string, Sequence>& each) {
    bool there = false;
    auto read = store_.read(lane.id, RowState::retained, each.second - 1, 1, [&](const Row& row) {
      there = row.sequence == each.second;
      return false;
    });
    return !read || there;
  });
  if (unread.empty()) return;
  group_.then([this, &lane, unread = std::move(unread)](const Result<void>& fate) {
    if (!fate) return;
    for (const auto& [who, sequence] : unread) {
      const auto found = readers_.find({&lane, who});
      if (found == readers_.end()) continue;
      ++found->second->gaps;
      port_->log(LogLevel::warning,
                 concat({"reader ", who, " of lane ", lane.name(), " has not read message ", sequence,
                         ", which is no longer kept; it goes on with the oldest that is"}));
    }
  });
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
