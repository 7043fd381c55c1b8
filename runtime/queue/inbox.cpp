// Who takes a lane's messages, and how its rows come into memory.

#include "runtime/queue/inbox.h"

#include <algorithm>

#include "platform/concat.h"
#include "runtime/message/names.h"

namespace pannier {

namespace {

/// Past so many rows in memory a key that has one already gets no more, so that other keys find space.
constexpr std::size_t kHalf = limits::kInboxHeldRows / 2;
/// Rows of one key that are read at once when those in memory are used up.
constexpr std::size_t kRefillRows = 64;
constexpr std::string_view kEndedProcess = "the process ended while it was in a handler's hands";

HeldRow held_row(const Row& row) {
  return {.sequence = row.sequence,
          .id = row.id(),
          .key = std::string{row.key},
          .type = row.type,
          .payload = BlockRef::copy_of(row.payload),
          .expires_at = row.expires_at,
          .attempts = row.attempts,
          .cause = std::string{row.cause},
          .trace = hold(row.trace)};
}

/// The rows behind it in its key have to wait.
bool is_busy(HeldRow::State state) noexcept {
  return state == HeldRow::State::in_hands || state == HeldRow::State::settling || state == HeldRow::State::paused;
}

bool before(const HeldRow& row, Sequence sequence) noexcept { return row.sequence < sequence; }

}  // namespace

// --- What one lane holds --------------------------------------------------------------------------------------------

bool InLane::has_window() const noexcept {
  return !fetchers.empty() ||
         std::any_of(consumers.begin(), consumers.end(), [](const LaneConsumer& each) { return each.has_window(); });
}

bool InLane::is_ordered(std::string_view key) const noexcept {
  return !key.empty() && lane->options.ordering == Ordering::per_key;
}

const HeldRow* InLane::find(Sequence sequence) const noexcept {
  const auto at = std::lower_bound(held.begin(), held.end(), sequence, before);
  return at != held.end() && at->sequence == sequence ? &*at : nullptr;
}

HeldRow* InLane::find(Sequence sequence) noexcept { return const_cast<HeldRow*>(std::as_const(*this).find(sequence)); }

void InLane::hold(HeldRow row) {
  held_bytes += row.payload.bytes().size();
  if (is_ordered(row.key)) ++keys[row.key].held;
  if (held.empty() || held.back().sequence < row.sequence) {
    held.push_back(std::move(row));
  } else {
    held.insert(std::lower_bound(held.begin(), held.end(), row.sequence, before), std::move(row));
  }
}

void InLane::set_state(HeldRow& row, HeldRow::State state) noexcept {
  const bool was_busy = is_busy(row.state);
  row.state = state;
  const auto key = is_ordered(row.key) ? keys.find(row.key) : keys.end();
  if (key != keys.end() && was_busy != is_busy(state)) key->second.busy = is_busy(state);
}

bool InLane::is_due(const HeldRow& row) const noexcept {
  if (row.state != HeldRow::State::ready) return false;
  const auto key = is_ordered(row.key) ? keys.find(row.key) : keys.end();
  return key == keys.end() || !key->second.busy;
}

void InLane::forget(Sequence sequence) {
  const auto at = std::lower_bound(held.begin(), held.end(), sequence, before);
  if (at == held.end() || at->sequence != sequence) return;
  set_state(*at, HeldRow::State::removed);
  if (const auto key = is_ordered(at->key) ? keys.find(at->key) : keys.end();
      key != keys.end() && --key->second.held == 0) {
    if (key->second.more_from == 0) {
      keys.erase(key);
    } else {
      used_up.push_back(key->first);
    }
  }
  held_bytes -= at->payload.bytes().size();
  held.erase(at);
}

void InLane::drop_key(const std::string& key) {
  std::erase_if(held, [&](const HeldRow& row) {
    if (row.key != key || row.state != HeldRow::State::ready) return false;
    held_bytes -= row.payload.bytes().size();
    return true;
  });
  const auto left = std::count_if(held.begin(), held.end(), [&](const HeldRow& row) { return row.key == key; });
  if (left == 0) keys.erase(key);
}

void InLane::drop_waiting() {
  const auto too_much = [&] { return held.size() > kHalf || held_bytes > limits::kInboxHeldBytes / 2; };
  for (std::size_t i = held.size(); i > 0 && too_much(); --i) {
    const HeldRow& row = held[i - 1];
    if (row.state != HeldRow::State::ready || is_due(row)) continue;
    Key& key = keys[row.key];
    key.more_from = row.sequence;  // from the back, so it is the lowest so far
    --key.held;
    held_bytes -= row.payload.bytes().size();
    held.erase(held.begin() + static_cast<std::ptrdiff_t>(i - 1));
  }
}

LaneConsumer* InLane::consumer(ActorId actor) noexcept {
  const auto at = std::find_if(consumers.begin(), consumers.end(),
                               [actor](const LaneConsumer& each) { return each.actor == actor; });
  return at == consumers.end() ? nullptr : &*at;
}

std::uint32_t InLane::max_attempts() const noexcept {
  const std::uint32_t usual = lane->options.max_attempts;
  std::uint32_t most = consumers.empty() || !fetchers.empty() ? usual : 0;
  for (const LaneConsumer& each : consumers) {
    most = std::max(most, each.options.max_attempts == 0 ? usual : each.options.max_attempts);
  }
  return most;
}

// --- Lanes ----------------------------------------------------------------------------------------------------------

Result<InLane*> Inbox::lane(std::string_view name) {
  const auto found = lanes_.find(name);
  if (found != lanes_.end()) return found->second.get();
  if (!valid_name(name, limits::kLaneNameBytes)) {
    return Error{ErrorCode::invalid_argument,
                 concat({"'", name, "' is not a lane of this node: use 1 to 64 characters of a-z 0-9 . _ -"})};
  }
  LaneStatus* options = lanes_options_.use(name);
  if (options == nullptr) return Error{ErrorCode::full, concat({"this node uses ", limits::kLanes, " lanes already"})};
  auto made = std::make_unique<InLane>();
  made->lane = options;
  return lanes_.emplace(std::string{name}, std::move(made)).first->second.get();
}

InLane* Inbox::find(StreamId id) const noexcept {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

/// Only while no group is open: a stream that an open group made may not stay.
void Inbox::resolve(InLane& lane) {
  if (lane.id != StreamId{} || group_.is_open()) return;
  const Stream* stream = store_.find_stream(Box::inbox, {}, lane.name());
  if (stream == nullptr) return;
  lane.id = stream->id;
  lane.loaded = 0;
  lane.committed = kUnknownSequence;
  by_id_[lane.id] = &lane;
}

void Inbox::touch(InLane& lane) {
  if (!std::exchange(lane.dirty, true)) dirty_.push_back(&lane);
}

bool Inbox::forget(StreamId id) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return true;
  InLane& lane = *found->second;
  if (lane.has_takers() || !lane.held.empty() || readers_.reads(lane)) return false;
  host_->cancel(lane.age_timer);
  std::erase(dirty_, &lane);
  by_id_.erase(found);
  lanes_.erase(lanes_.find(lane.name()));
  return true;
}

void Inbox::start(QueueHost& host, SettleSink& sink) {
  host_ = &host;
  sink_ = &sink;
  readers_.start(host);
  // Lanes that retain for a time let go of what is too old, whoever reads them.
  std::vector<std::string> retaining;
  store_.visit_streams(Box::inbox, std::nullopt, [&](const Stream& stream) {
    if (stream[RowState::retained].messages > 0 || !stream.exact) retaining.push_back(stream.lane);
    return true;
  });
  for (const std::string& name : retaining) {
    const auto known = lane(name);
    if (!known) continue;
    resolve(**known);
    watch_age(**known);
  }
}

Result<void> Inbox::load(std::vector<std::string>& findings) {
  if (Retention* retention = store_.retention()) {
    auto cursors = retention->cursors();
    if (!cursors) return cursors.error();
    for (const Cursor& cursor : *cursors) {
      const Stream* stream = store_.find_stream(cursor.stream);
      const auto known = stream == nullptr ? Result<InLane*>{ErrorCode::not_found} : lane(stream->lane);
      if (!known) continue;
      resolve(**known);
      readers_.load(**known, cursor);
    }
  }
  const std::vector<Store::InFlight> notes = store_.take_in_flight();
  struct Suspect {
    RowName name;
    std::uint32_t attempts;
  };
  std::vector<Suspect> suspects;
  Result<void> counted;
  for (const Store::InFlight& note : notes) {
    if (!counted) break;
    counted = store_.read(note.stream, RowState::ready, note.sequence - 1, 1, [&](const Row& row) {
      if (row.sequence == note.sequence) suspects.push_back({{note.stream, note.sequence}, row.attempts + 1});
      return false;
    });
  }
  for (const Suspect& each : suspects) {
    if (!counted) break;
    suspects_[each.name] = suspects.size() > 1;
    counted = group_.change([&](Store& store) {
      return store.mark(each.name.first, each.name.second, {RowState::ready, each.attempts, kEndedProcess, kNoMoment});
    });
    const Stream* stream = store_.find_stream(each.name.first);
    findings.push_back(concat({"message ", each.name.second, " of lane ", stream == nullptr ? "?" : stream->lane,
                               " was in a handler's hands when the process ended (attempt ", each.attempts,
                               "); it is tried alone, in case it is the cause"}));
  }
  if (counted) counted = group_.commit();
  if (!counted) {
    // The notes stand, for the next process to count.
    for (const Store::InFlight& note : notes) static_cast<void>(store_.note_in_flight(note.stream, note.sequence));
  }
  return counted;
}

// --- Who takes messages ---------------------------------------------------------------------------------------------

Result<void> Inbox::consume(ActorId consumer, const Consume& request) {
  auto known = lane(request.lane);
  if (!known) return known.error();
  InLane& target = **known;
  LaneConsumer* mine = target.consumer(consumer);
  if (mine == nullptr) {
    if (target.consumers.size() >= limits::kConsumers) {
      return Error{ErrorCode::full, concat({"lane '", request.lane, "' has ", limits::kConsumers,
                                            " consumers already; let fewer actors share it."})};
    }
    target.consumers.push_back({consumer, {}});
    mine = &target.consumers.back();
  }
  mine->options = request.options;
  mine->options.window = std::max(1U, mine->options.window);
  touch(target);
  return {};
}

Result<void> Inbox::fetch(const ReplyTo& reply_to, const Fetch& request) {
  const FetchOptions& options = request.options;
  auto known = lane(request.lane);
  if (!known) return known.error();
  InLane& target = **known;
  if (target.fetchers.size() >= limits::kFetchers) {
    return Error{ErrorCode::full, concat({limits::kFetchers, " fetches wait for lane '", request.lane, "' already."})};
  }
  LaneFetcher fetcher{next_fetcher_++, reply_to, options};
  fetcher.options.max = std::max(1U, options.max);
  if (options.wait > Duration::zero()) {
    fetcher.deadline = host_->after(options.wait, [this, lane = &target, number = fetcher.number] {
      const auto at = std::find_if(lane->fetchers.begin(), lane->fetchers.end(),
                                   [number](const LaneFetcher& each) { return each.number == number; });
      if (at == lane->fetchers.end()) return;
      answer(*at);
      lane->fetchers.erase(at);
    });
  }
  target.fetchers.push_back(std::move(fetcher));
  touch(target);
  return {};
}

Result<void> Inbox::replay(ActorId reader, const ReplayLane& request) {
  auto known = lane(request.lane);
  if (!known) return known.error();
  resolve(**known);
  touch(**known);
  return readers_.attach(**known, reader, request.options);
}

Result<void> Inbox::forget_reader(const ForgetReader& request) {
  const auto found = lanes_.find(request.lane);
  return found == lanes_.end() ? Result<void>{} : readers_.forget(*found->second, request.reader);
}

void Inbox::ended(ActorId consumer) {
  readers_.ended(consumer);
  std::vector<std::uint64_t> handed;
  for (const auto& [id, each] : deliveries_) {
    if (each.holder == consumer) handed.push_back(id);
  }
  for (const std::uint64_t id : handed) {
    const Handed given = deliveries_.find(id)->second;
    take_back(id);
    HeldRow* row = given.lane->find(given.sequence);
    given.lane->set_state(*row, HeldRow::State::ready);
    clear_note(*given.lane, *row);
  }
  for (auto& [name, lane] : lanes_) {
    std::erase_if(lane->consumers, [consumer](const LaneConsumer& each) { return each.actor == consumer; });
    std::erase_if(lane->fetchers, [&](const LaneFetcher& each) {
      if (each.reply_to.asker != consumer) return false;
      host_->cancel(each.deadline);
      return true;
    });
  }
}

void Inbox::options_changed(std::string_view name) {
  const auto found = lanes_.find(name);
  if (found == lanes_.end()) return;
  InLane& lane = *found->second;
  // What keys mean may have changed: rows that nobody has in hands are read again.
  lane.keys.clear();
  lane.used_up.clear();
  std::deque<HeldRow> held = std::exchange(lane.held, {});
  lane.held_bytes = 0;
  for (HeldRow& row : held) {
    if (row.state == HeldRow::State::ready) continue;
    const HeldRow::State state = row.state;
    const Sequence sequence = row.sequence;
    lane.hold(std::move(row));
    lane.set_state(*lane.find(sequence), state);
  }
  lane.loaded = 0;
  lane.committed = kUnknownSequence;
  watch_age(lane);
  touch(lane);
}

// --- Rows that come -------------------------------------------------------------------------------------------------

void Inbox::added(effect::Added& row) {
  InLane* in = find(row.stream);
  if (in == nullptr) {
    const auto found = lanes_.find(row.lane->options.name);
    if (found == lanes_.end()) return;  // nobody has asked for the lane: it is read from disk once somebody does
    in = found->second.get();
    resolve(*in);
    touch(*in);
    return;
  }
  const bool caught_up = in->loaded >= in->committed;
  if (in->committed != kUnknownSequence) in->committed = row.sequence;
  touch(*in);
  // Caught up: held at once. Else it is read when its turn comes.
  if (!caught_up || !in->has_takers() || !in->has_space()) return;
  in->loaded = row.sequence;
  const auto key = in->is_ordered(row.key) ? in->keys.find(row.key) : in->keys.end();
  if (key != in->keys.end()) {
    if (key->second.more_from != 0) return;
    if (in->held.size() >= kHalf) {
      key->second.more_from = row.sequence;
      return;
    }
  }
  if (key_waits(*in, row.key)) return;
  in->hold({.sequence = row.sequence,
            .id = row.sequence,
            .key = std::move(row.key),
            .type = row.type,
            .payload = std::move(row.payload),
            .expires_at = row.expires_at});
}

void Inbox::grew(StreamId id, Sequence from) {
  InLane* in = find(id);
  if (in == nullptr) {
    const Stream* stream = store_.find_stream(id);
    const auto found = stream == nullptr ? lanes_.end() : lanes_.find(stream->lane);
    if (found == lanes_.end()) return;
    in = found->second.get();
    resolve(*in);
  }
  if (from != 0) in->loaded = std::min(in->loaded, from - 1);
  in->committed = kUnknownSequence;
  touch(*in);
}

bool Inbox::remove(StreamId id, Sequence sequence) {
  InLane* in = find(id);
  HeldRow* row = in == nullptr ? nullptr : in->find(sequence);
  if (row == nullptr) return true;
  if (row->state != HeldRow::State::ready && row->state != HeldRow::State::paused) return false;
  in->set_state(*row, HeldRow::State::removed);
  return true;
}

void Inbox::settle(effect::Removed& removed, const Result<void>& fate) {
  if (fate) suspects_.erase({removed.stream, removed.sequence});
  InLane* in = find(removed.stream);
  if (in == nullptr) return;
  touch(*in);
  HeldRow* row = in->find(removed.sequence);
  if (row == nullptr && fate) {
    // It may have waited for its next attempt, and kept the rest of its key out of memory: that is read again.
    in->loaded = std::min(in->loaded, removed.sequence - 1);
    in->committed = kUnknownSequence;
  }
  if (row == nullptr || row->state != HeldRow::State::removed) return;
  if (fate) {
    in->forget(removed.sequence);
  } else if (fate.error().code == ErrorCode::full || fate.error().code == ErrorCode::rejected) {
    in->set_state(*row, HeldRow::State::ready);  // only its part of the group was undone
  } else {
    pause(*in, *row, limits::kStoreRetry);
  }
}

/// Whether a row of this key waits on disk for its next attempt.
bool Inbox::key_waits(const InLane& lane, std::string_view key) {
  if (!rows_may_wait_ || !lane.is_ordered(key)) return false;
  const auto first = store_.first_of_key(lane.id, RowState::ready, key);
  return first && *first != 0;
}

/// Brings rows into memory where there is space and somebody who would take them.
void Inbox::load_more(InLane& lane) {
  std::vector<std::string> used_up = std::exchange(lane.used_up, {});
  for (std::string& key : used_up) {
    const auto known = lane.keys.find(key);
    if (known == lane.keys.end() || known->second.held > 0) continue;
    if (!lane.has_space() || !refill(lane, key)) lane.used_up.push_back(std::move(key));
  }
  if (lane.loaded >= lane.committed) return;
  const bool starving = lane.has_window() && std::none_of(lane.held.begin(), lane.held.end(),
                                                          [&](const HeldRow& row) { return lane.is_due(row); });
  if (lane.held.size() >= kHalf && !starving) return;
  if (!lane.has_space()) lane.drop_waiting();
  if (lane.has_space() && scan(lane) && starving) {
    more_ = true;
    touch(lane);
  }
}

/// Reads the rows of a key that were passed over. False where the store failed.
bool Inbox::refill(InLane& lane, const std::string& name) {
  InLane::Key& key = lane.keys[name];
  std::size_t seen = 0;
  Sequence next = key.more_from;
  bool done = false;
  auto read = store_.read(lane.id, RowState::ready, key.more_from - 1, limits::kReadBatchRows, [&](const Row& row) {
    ++seen;
    done = row.sequence > lane.loaded;  // the scan has not come there yet
    if (done) return false;
    next = row.sequence;
    if (row.key == name && row.moment == kNoMoment && lane.find(row.sequence) == nullptr) {
      if (key.held >= kRefillRows || !lane.has_space()) return false;
      lane.hold(held_row(row));
    }
    next = row.sequence + 1;
    return true;
  });
  if (!read) {
    host_->log(LogLevel::error, concat({"lane ", lane.name(), ": ", read.error().text()}));
    host_->after(limits::kStoreRetry, [this, &lane] { touch(lane); });
    return false;
  }
  key.more_from = !done && seen > 0 && next <= lane.loaded ? next : 0;
  if (key.held > 0) return true;
  if (key.more_from == 0) {
    lane.keys.erase(name);
    return true;
  }
  more_ = true;
  touch(lane);
  lane.used_up.push_back(name);
  return true;
}

/// Reads on where the last scan ended. True where there is more.
bool Inbox::scan(InLane& lane) {
  std::vector<HeldRow> found;
  std::size_t seen = 0;
  std::size_t bytes = lane.held_bytes;
  auto read = store_.read(lane.id, RowState::ready, lane.loaded, limits::kReadBatchRows, [&](const Row& row) {
    const std::size_t held = lane.held.size() + found.size();
    if (held >= limits::kInboxHeldRows || bytes >= limits::kInboxHeldBytes) return false;
    ++seen;
    lane.loaded = row.sequence;
    if (row.moment != kNoMoment || lane.find(row.sequence) != nullptr) return true;
    if (lane.is_ordered(row.key)) {
      const auto key = lane.keys.find(std::string{row.key});
      if (key != lane.keys.end() && key->second.more_from != 0 && row.sequence >= key->second.more_from) return true;
      const auto has_one = [&] {
        return (key != lane.keys.end() && key->second.held > 0) ||
               std::any_of(found.begin(), found.end(), [&](const HeldRow& each) { return each.key == row.key; });
      };
      if (held >= kHalf && has_one()) {
        lane.keys[std::string{row.key}].more_from = row.sequence;
        return true;
      }
    }
    bytes += row.payload.size();
    found.push_back(held_row(row));
    return true;
  });
  if (!read) {
    host_->log(LogLevel::error, concat({"lane ", lane.name(), ": ", read.error().text()}));
    host_->after(limits::kStoreRetry, [this, &lane] { touch(lane); });
  }
  const bool to_the_end = read && seen < limits::kReadBatchRows &&
                          lane.held.size() + found.size() < limits::kInboxHeldRows && bytes < limits::kInboxHeldBytes;
  for (HeldRow& row : found) {
    if (!key_waits(lane, row.key)) {
      lane.hold(std::move(row));
    } else if (const auto key = lane.keys.find(row.key); key != lane.keys.end() && key->second.held == 0) {
      lane.keys.erase(key);  // made while it was passed over
    }
  }
  if (to_the_end) lane.committed = lane.loaded;
  return read && lane.loaded < lane.committed;
}

}  // namespace pannier
