#include "runtime/queue/outbox.h"

#include <algorithm>
#include <utility>

#include "platform/concat.h"
#include "runtime/mutants.h"

namespace pannier {

namespace {

/// A lane that waits behind higher ones is due its share of the link.
bool is_owed(const OutStream& stream) noexcept {
  return stream.owed_bytes >= static_cast<std::int64_t>(limits::kShareBytes);
}

/// A row in flight is acknowledged, or will be sent again.
void landed(Route& route, const OutStream::InFlight& row) noexcept {
  --route.in_flight_rows;
  const auto at = route.in_flight_bytes.find(row.priority);
  at->second -= row.bytes;
  if (at->second == 0) route.in_flight_bytes.erase(at);
}

/// In ms, for the wire; 0: never expires.
std::uint64_t remaining_ms(StoreTime expires_at, StoreTime now) noexcept {
  if (expires_at == kNoMoment) return 0;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(expires_at - now).count();
  return static_cast<std::uint64_t>(std::max<std::int64_t>(left, 1));
}

}  // namespace

OutStream* Outbox::find(StreamId id) const noexcept {
  const auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : found->second.get();
}

Route& Outbox::route(std::string_view node) {
  const auto found = routes_.find(node);
  if (found != routes_.end()) return found->second;
  Route& made = routes_[std::string{node}];
  made.node = node;
  return made;
}

void Outbox::touch(Route& route) {
  if (!std::exchange(route.dirty, true)) dirty_.push_back(&route);
}

OutStream* Outbox::open(const Stream& stream) {
  auto& slot = streams_[stream.id];
  if (slot != nullptr) return slot.get();
  LaneStatus* lane = lanes_.of_stream(stream.lane);
  if (lane == nullptr) {
    streams_.erase(stream.id);
    return nullptr;
  }
  slot = std::make_unique<OutStream>();
  slot->id = stream.id;
  slot->lane = lane;
  slot->route = &route(stream.node);
  slot->committed = kUnknownSequence;
  slot->route->streams.push_back(slot.get());
  return slot.get();
}

bool Outbox::forget(StreamId id) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return true;
  OutStream* stream = found->second.get();
  const bool erasing = std::find(erasures_.begin(), erasures_.end(), stream) != erasures_.end();
  if (!stream->in_flight.empty() || erasing || stream->pause != TimerId{}) return false;
  std::erase(stream->route->streams, stream);
  streams_.erase(found);
  return true;
}

void Outbox::start(QueueHost& host) {
  host_ = &host;
  store_.visit_streams(Box::outbox, std::nullopt, [&](const Stream& stored) {
    want_way(stored.node);
    return true;
  });
}

// --- Links ----------------------------------------------------------------------------------------------------------

void Outbox::link_up(std::string_view node) {
  Route& up = route(node);
  up.up = true;
  up.window = FlowWindow{};
  std::vector<const Stream*> known;
  store_.visit_streams(Box::outbox, node, [&](const Stream& each) {
    known.push_back(&each);
    return true;
  });
  for (const Stream* each : known) {
    if (OutStream* stream = open(*each)) {
      rewind(*stream, 0);
      stream->committed = kUnknownSequence;
    }
  }
  touch(up);
}

void Outbox::link_down(std::string_view node) {
  const auto found = routes_.find(node);
  if (found == routes_.end()) return;
  Route& down = found->second;
  down.up = false;
  for (OutStream* each : down.streams) rewind(*each, 0);
  // Short-lived clients come under ever new names.
  if (!down.streams.empty()) return;
  host_->cancel(down.watch);
  std::erase(dirty_, &down);
  routes_.erase(found);
}

void Outbox::link_progress(std::string_view node) {
  if (const auto found = routes_.find(node); found != routes_.end()) found->second.progress = host_->now();
}

/// What is in flight counts as lost: sending starts again after `to`.
void Outbox::rewind(OutStream& stream, Sequence to) {
  for (const OutStream::InFlight& row : stream.in_flight) landed(*stream.route, row);
  stream.in_flight.clear();
  stream.sent = std::max(to, stream.erase_through);
  host_->cancel(std::exchange(stream.pause, TimerId{}));
}

// --- Sending --------------------------------------------------------------------------------------------------------

void Outbox::added(effect::Added& row) {
  if (first_of_this_life_ == 0) first_of_this_life_ = row.sequence;
  const Stream& stored = *store_.find_stream(row.stream);
  const auto link = routes_.find(stored.node);
  if (link == routes_.end() || !link->second.up) {  // it is read from disk once there is a link
    want_way(stored.node);
    return;
  }
  OutStream* stream = find(row.stream);
  if (stream == nullptr) {  // made since the link came up, so it held nothing before
    stream = open(stored);
    if (stream == nullptr) return;
    stream->committed = 0;
  }
  const bool caught_up = stream->sent >= stream->committed && stream->pause == TimerId{};
  if (stream->committed != kUnknownSequence) stream->committed = row.sequence;
  if (caught_up && has_room(*stream)) {
    send_row(*stream, {stream->route->node, stream->lane->options.name, row.sequence, 0, std::move(row.key), row.type,
                       std::move(row.payload), remaining_ms(row.expires_at, clock_.now()), 0, 0, std::move(row.trace),
                       std::move(row.path)});
  } else {
    touch(*stream->route);
  }
}

void Outbox::want_way(std::string_view node) {
  if (node == wanted_) return;
  wanted_ = node;
  host_->want_way(node);
}

void Outbox::grew(StreamId id) {
  const Stream& stored = *store_.find_stream(id);
  const auto link = routes_.find(stored.node);
  if (link == routes_.end() || !link->second.up) return want_way(stored.node);
  OutStream* stream = find(id);
  if (stream == nullptr) stream = open(stored);
  if (stream == nullptr) return;
  stream->committed = kUnknownSequence;
  touch(*stream->route);
}

bool Outbox::may_remove(StreamId id, Sequence sequence) const noexcept {
  const OutStream* stream = find(id);
  if (stream == nullptr) return true;
  if (sequence <= stream->erase_through && !is_mutant(Mutant::acknowledged_row_cancelled)) return false;
  const auto& rows = stream->in_flight;
  const auto at =
      std::lower_bound(rows.begin(), rows.end(), sequence,
                       [](const OutStream::InFlight& row, Sequence wanted) { return row.sequence < wanted; });
  return at == rows.end() || at->sequence != sequence;
}

bool Outbox::may_have_left(StreamId id, Sequence sequence) const noexcept {
  const bool of_this_life = first_of_this_life_ != 0 && sequence >= first_of_this_life_;
  const OutStream* stream = find(id);
  return !of_this_life || (stream != nullptr && sequence <= stream->ever_sent);
}

bool Outbox::pump() {
  for (Route* each : std::exchange(dirty_, {})) {
    each->dirty = false;
    if (each->up) pump(*each);
  }
  return !dirty_.empty();
}

void Outbox::pump(Route& route) {
  // Streams that are owed their share first, then urgent lanes; among equals the one that has waited longest.
  const auto rank = [](const OutStream& stream) {
    return std::pair{!is_owed(stream), std::pair{~stream.lane->options.priority, stream.turn}};
  };
  std::sort(route.streams.begin(), route.streams.end(),
            [&](const OutStream* left, const OutStream* right) { return rank(*left) < rank(*right); });
  for (OutStream* stream : route.streams) {
    if (stream->pause != TimerId{} || !has_room(*stream) || !send_some(*stream)) continue;
    stream->turn = ++turns_;
    if (stream->sent < stream->committed && has_room(*stream)) touch(route);  // more in the next step
  }
}

bool Outbox::has_room(const OutStream& stream) const noexcept {
  if (stream.in_flight.size() >= limits::kOutboxWindow) return false;
  if (is_owed(stream)) return true;
  // Rows of lower lanes in flight keep no row of a higher one.
  const Route& route = *stream.route;
  const std::uint32_t priority = stream.lane->options.priority;
  std::size_t bytes = 0;
  const auto& by_priority = route.in_flight_bytes;
  for (auto at = by_priority.lower_bound(priority); at != by_priority.end(); ++at) bytes += at->second;
  return bytes < route.window.bytes(priority, host_->now());
}

bool Outbox::send_some(OutStream& stream) {
  if (stream.sent >= stream.committed) return false;
  const std::string& node = stream.route->node;
  const std::size_t limit = std::min(limits::kReadBatchRows, limits::kOutboxWindow - stream.in_flight.size());
  const StoreTime now = clock_.now();
  std::vector<Sequence> expired;
  std::size_t read = 0;
  bool waits = false;  // for the rows in flight, which bear another incarnation
  auto done = store_.read(stream.id, RowState::ready, stream.sent, limit, [&](const Row& row) {
    waits = !stream.in_flight.empty() && store_.incarnation_of(row.sequence) != stream.incarnation;
    if (waits) return false;
    ++read;
    if (row.expires_at != kNoMoment && row.expires_at <= now) {
      expired.push_back(row.sequence);
      stream.sent = row.sequence;
      return true;
    }
    send_row(stream, {node, stream.lane->options.name, row.sequence, 0, std::string{row.key}, row.type,
                      BlockRef::copy_of(row.payload), remaining_ms(row.expires_at, now), 0, 0, hold(row.trace),
                      std::string{row.producer}});
    return has_room(stream);
  });
  if (!done) {
    host_->log(LogLevel::error, concat({"outbox to ", node, ": ", done.error().text()}));
    host_->after(limits::kStoreRetry, [this, node] {
      if (const auto again = routes_.find(node); again != routes_.end()) touch(again->second);
    });
  }
  // Read to the end: from here on new rows go straight from memory.
  if (done && !waits && read < limit && has_room(stream)) stream.committed = stream.sent;
  if (!expired.empty()) erase_expired(stream, expired);
  return read > 0;
}

void Outbox::erase_expired(OutStream& stream, const std::vector<Sequence>& expired) {
  for (const Sequence sequence : expired) {
    // If this fails they are passed over until the link comes up anew, or the lane is swept.
    if (!group_.change([&](Store& store) { return store.erase(stream.id, sequence); })) return;
    group_.then(effect::Removed{stream.id, Box::outbox, stream.lane, sequence, &LaneCounters::expired});
  }
}

void Outbox::send_row(OutStream& stream, OutgoingRow row) {
  Route& route = *stream.route;
  const std::uint32_t priority = stream.lane->options.priority;
  row.priority = priority;
  if (is_owed(stream)) {  // in turns with the highest
    for (const OutStream* each : route.streams) row.priority = std::max(row.priority, each->lane->options.priority);
  }
  row.after = stream.in_flight.empty() ? 0 : stream.in_flight.back().sequence;
  row.incarnation = stream.incarnation = store_.incarnation_of(row.sequence);
  const std::size_t bytes = row.payload.bytes().size() + row.key.size() + row.lane.size() + limits::kRowHeadBytes;
  share(stream, bytes);
  stream.sent = row.sequence;
  stream.ever_sent = std::max(stream.ever_sent, row.sequence);
  stream.in_flight.push_back({row.sequence, bytes, host_->now(), priority});
  route.in_flight_bytes[priority] += bytes;
  if (route.in_flight_rows++ == 0) route.progress = host_->now();
  if (route.watch == TimerId{}) watch(route);
  if constexpr (is_mutant(Mutant::erase_when_sent)) {
    host_->after({}, [this, id = stream.id, ack = StreamAck{row.node, row.lane, row.sequence, false, {}}] {
      if (const OutStream* sent = find(id); sent != nullptr && !sent->in_flight.empty()) acknowledged(ack);
    });
  }
  host_->send_row(std::move(row));
}

/// Lanes that wait behind higher ones are owed a share of what is sent.
void Outbox::share(OutStream& sent, std::size_t bytes) noexcept {
  const auto moved = static_cast<std::int64_t>(bytes);
  const std::uint32_t priority = sent.lane->options.priority;
  sent.owed_bytes = std::max<std::int64_t>(sent.owed_bytes - moved, 0);
  for (OutStream* each : sent.route->streams) {
    if (each == &sent || each->sent >= each->committed || each->lane->options.priority >= priority) continue;
    sent.route->window.passed(priority, host_->now());
    each->owed_bytes = std::min<std::int64_t>(each->owed_bytes + moved * each->lane->options.share_percent / 100,
                                              2 * static_cast<std::int64_t>(limits::kFrameTargetBytes));
  }
}

/// Rows in flight that are not acknowledged in time are sent again, though the link lives.
void Outbox::watch(Route& route) {
  route.watch = TimerId{};
  if (!route.up || route.in_flight_rows == 0) return;
  const MonoTime due = route.progress + limits::kAckTimeout;
  if (host_->now() >= due) {
    for (OutStream* each : route.streams) {
      if (!each->in_flight.empty()) rewind(*each, 0);
    }
    touch(route);
    return;
  }
  route.watch = host_->after(due - host_->now(), [this, &route] { watch(route); });
}

// --- Acknowledgements -----------------------------------------------------------------------------------------------

void Outbox::acknowledged(const StreamAck& ack) {
  const Stream* stored = store_.find_stream(Box::outbox, ack.node, ack.lane);
  OutStream* stream = stored == nullptr ? nullptr : find(stored->id);
  if (stream == nullptr) return;
  if (stream->in_flight.empty()) {
    if (ack.refused || stream->pause == TimerId{}) return;
    host_->cancel(std::exchange(stream->pause, TimerId{}));  // the receiver has room again for what it refused
    touch(*stream->route);
    return;
  }
  // An acknowledgement of another incarnation says nothing of the rows in flight, whatever its number.
  const std::uint64_t incarnation = ack.incarnation == 0 ? store_.incarnation() : ack.incarnation;
  if (incarnation != stream->incarnation && !is_mutant(Mutant::acks_of_any_incarnation)) return;
  Route& route = *stream->route;
  std::uint64_t delivered = 0;
  while (!stream->in_flight.empty() && stream->in_flight.front().sequence <= ack.taken) {
    const OutStream::InFlight row = stream->in_flight.front();
    stream->in_flight.pop_front();
    landed(route, row);
    route.window.acknowledged(row.bytes, host_->now() - row.sent_at, host_->now());
    route.progress = host_->now();
    stream->erase_through = row.sequence;
    ++delivered;
  }
  delivered_ += delivered;
  stream->lane->counters.delivered += delivered;
  if (delivered > 0 && std::find(erasures_.begin(), erasures_.end(), stream) == erasures_.end()) {
    erasures_.push_back(stream);
  }
  if (ack.refused) refused(*stream, ack);
  touch(route);
}

void Outbox::refused(OutStream& stream, const StreamAck& ack) {
  if (stream.pause != TimerId{} || stream.in_flight.empty()) return;  // the echo of a refusal that was handled already
  const Sequence row = stream.in_flight.front().sequence;
  stream.refusals = stream.refused_row == row ? stream.refusals + 1 : 1;
  stream.refused_row = row;
  const LaneOptions& lane = stream.lane->options;
  // Only these are the row's own fault. Any other cause is the far end's trouble, and passes: the row waits, and so
  // does what follows it.
  const bool own_fault = ack.cause == ErrorCode::invalid_argument || ack.cause == ErrorCode::malformed ||
                         ack.cause == ErrorCode::rejected || ack.cause == ErrorCode::permission;
  Sequence go_on_after = row - 1;
  if (own_fault && stream.refusals >= lane.max_attempts) {
    const std::string cause = concat({"refused by ", ack.node, ": ", to_string(ack.cause)});
    auto marked = group_.attempt([&](Store& store) {
      return store.mark(stream.id, row, {RowState::dead_lettered, stream.refusals, cause, kNoMoment});
    });
    if (marked) {
      group_.then(effect::Refused{&stream, row});
      host_->log(LogLevel::warning, concat({"outbox to ", ack.node, ": dead-lettered message ", row, " of lane ",
                                            lane.name, ": ", cause}));
      go_on_after = row;
    }
  }
  rewind(stream, go_on_after);
  stream.committed = kUnknownSequence;
  stream.delay = lane.backoff.delay(stream.refusals, stream.refusals > 1 ? stream.delay : Duration{}, host_->random());
  stream.pause = host_->after(stream.delay, [this, id = stream.id] {
    OutStream* paused = find(id);
    if (paused == nullptr) return;
    paused->pause = TimerId{};
    touch(*paused->route);
  });
}

void Outbox::settle(effect::Refused& refused, const Result<void>& fate) {
  OutStream& stream = *refused.stream;
  if (fate) {
    ++stream.lane->counters.dead_lettered;
  } else if (!is_mutant(Mutant::failed_dead_letter_passed)) {
    // It is still ready: the acknowledgement of a later row would erase it.
    rewind(stream, refused.sequence - 1);
    touch(*stream.route);
  }
}

Result<void> Outbox::stage_erasures() {
  const std::vector<OutStream*> staged = std::exchange(erasures_, {});
  for (std::size_t i = 0; i < staged.size(); ++i) {
    const OutStream& each = *staged[i];
    auto erased = group_.change([&](Store& store) { return store.erase_through(each.id, each.erase_through); });
    if (!erased) {
      erasures_.insert(erasures_.end(), staged.begin(), staged.end());
      return erased;
    }
  }
  group_.then(effect::Acknowledged{staged});
  return {};
}

void Outbox::settle(effect::Acknowledged& erased, const Result<void>& fate) {
  if (fate) return;
  for (OutStream* each : erased.streams) {
    if (std::find(erasures_.begin(), erasures_.end(), each) == erasures_.end()) erasures_.push_back(each);
  }
}

// --- For people -----------------------------------------------------------------------------------------------------

std::string Outbox::why_waiting(const Stream& stored, const Row& row) const {
  const OutStream* stream = find(stored.id);
  const auto route = routes_.find(stored.node);
  if (stream == nullptr || route == routes_.end() || !route->second.up) return "no link to " + stored.node;
  if (row.sequence <= stream->sent) return "sent, not yet acknowledged by " + stored.node;
  if (stream->pause != TimerId{}) return stored.node + " refused the row before it; sent again after a pause";
  return "rows before it are on their way";
}

void Outbox::describe(QueueStatus& status) const {
  for (const auto& [node, route] : routes_) {
    if (route.up) status.links.push_back(node);
  }
  store_.visit_streams(Box::outbox, std::nullopt, [&](const Stream& stored) {
    const OutStream* stream = find(stored.id);
    const auto route = routes_.find(stored.node);
    status.streams.push_back({Box::outbox, stored.node, stored.lane, stored.loads,
                              stream == nullptr ? 0 : stream->in_flight.size(),
                              route != routes_.end() && route->second.up, 0, stored.exact});
    return true;
  });
}

}  // namespace pannier
