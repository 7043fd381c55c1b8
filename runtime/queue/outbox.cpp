#include "runtime/queue/outbox.h"

#include <algorithm>

#include "platform/concat.h"
#include "runtime/store/mutants.h"

namespace pannier {

namespace {

constexpr Sequence kUnknown = ~Sequence{0};
/// After the store could not read.
constexpr Duration kReadAgain = std::chrono::seconds{1};
}  // namespace

Outbox::OutStream& Outbox::stream(StreamId id, std::string_view node, std::string_view lane) {
  auto& slot = streams_[{std::string{node}, std::string{lane}}];
  if (slot == nullptr) {
    slot = std::make_unique<OutStream>();
    slot->node = node;
    slot->lane = &options_[lane];
    slot->counters = &options_.count(lane);
    routes_[slot->node].streams.push_back(slot.get());
  }
  slot->id = id;  // another one than before where the group that made the stream was given up
  return *slot;
}

void Outbox::load(const std::vector<Stream>& streams) {
  for (const Stream& kept : streams) {
    if (kept.box != Box::outbox) continue;
    // The newest row's number is not kept apart: anything there is will be found by reading on from the oldest.
    const bool empty = kept.exact && kept[RowState::ready].messages == 0;
    stream(kept.id, kept.node, kept.lane).committed = empty ? 0 : kUnknown;
  }
}

void Outbox::forget_streams() {
  for (auto& [name, each] : streams_) {
    const Stream* kept = store_.stream(each->id);
    if (kept == nullptr || kept->box != Box::outbox || kept->node != name.first || kept->lane != name.second) {
      each->id = StreamId{};
    }
  }
}

Load Outbox::load_of(std::string_view node, std::string_view lane) const noexcept {
  const auto found = streams_.find({std::string{node}, std::string{lane}});
  const Stream* stream = found == streams_.end() ? nullptr : store_.stream(found->second->id);
  if (stream == nullptr) return {};
  Load load = (*stream)[RowState::ready];
  return load += (*stream)[RowState::delayed];
}

// --- In -------------------------------------------------------------------------------------------------------------

Result<void> Outbox::put(StreamId id, std::string_view node, const LaneOptions& lane, const NewRow& row) {
  OutStream* target = &stream(id, node, lane.name);
  auto staged = group_.change([&](Store& store) { return store.put(row.row(id)); });
  if (staged && first_of_this_life_ == 0) first_of_this_life_ = row.sequence;
  if (!staged || row.delayed()) return staged;
  group_.then([this, target, sequence = row.sequence, expires_at = row.expires_at, key = std::string{row.key},
               type = row.type, payload = row.payload](const Result<void>& fate) {
    // Given up again within the same group, to make room.
    const bool withdrawn = target->withdrawn.erase(sequence) > 0;
    if (!fate) return;
    ++target->counters->accepted;
    if (withdrawn) return;
    Route& route = routes_.find(target->node)->second;
    // Caught up: straight from memory. Else the row is read when its turn comes.
    const bool caught_up = target->sent >= target->committed && target->pause == TimerId{};
    target->committed = target->committed == kUnknown ? kUnknown : sequence;
    if (caught_up && route.up && has_room(route, *target)) {
      send_row(route, *target,
               {target->node, target->lane->name, sequence, 0, key, type, payload, remaining(expires_at)});
    } else {
      route.dirty = true;
    }
  });
  return {};
}

bool Outbox::withdraw(std::string_view node, std::string_view lane, Sequence sequence) {
  const auto found = streams_.find({std::string{node}, std::string{lane}});
  if (found == streams_.end()) return true;
  OutStream& stream = *found->second;
  const auto at = std::lower_bound(stream.in_flight.begin(), stream.in_flight.end(), sequence,
                                   [](const InFlight& row, Sequence wanted) { return row.sequence < wanted; });
  if (at != stream.in_flight.end() && at->sequence == sequence) return false;
  if (sequence <= stream.erase_through) return false;  // acknowledged; its erasure waits for a group
  // Should it be of this very group, it must not leave once that is committed.
  stream.withdrawn.insert(sequence);
  group_.then([&stream](const Result<void>&) { stream.withdrawn.clear(); });
  return true;
}

bool Outbox::may_have_left(std::string_view node, std::string_view lane, Sequence sequence) const {
  const auto found = streams_.find({std::string{node}, std::string{lane}});
  const bool of_this_life = first_of_this_life_ != 0 && sequence >= first_of_this_life_;
  return !of_this_life || (found != streams_.end() && sequence <= found->second->ever_sent);
}

void Outbox::grew(std::string_view node, std::string_view lane) {
  const auto found = streams_.find({std::string{node}, std::string{lane}});
  if (found == streams_.end()) return;
  found->second->committed = kUnknown;
  routes_.find(node)->second.dirty = true;
}

// --- Out ------------------------------------------------------------------------------------------------------------

void Outbox::link_up(std::string_view node) {
  Route& route = routes_[std::string{node}];
  route.up = true;
  route.window = FlowWindow{};
  for (OutStream* each : route.streams) rewind(route, *each, 0);
  route.dirty = true;
}

void Outbox::link_down(std::string_view node) {
  const auto found = routes_.find(node);
  if (found == routes_.end()) return;
  Route& route = found->second;
  route.up = false;
  for (OutStream* each : route.streams) rewind(route, *each, 0);
  if (route.streams.empty()) routes_.erase(found);  // short-lived clients come under ever new names
}

void Outbox::rewind(Route& route, OutStream& stream, Sequence to) {
  for (const InFlight& row : stream.in_flight) landed(route, stream, row);
  stream.in_flight.clear();
  stream.sent = std::max(to, stream.erase_through);
  port_->cancel(std::exchange(stream.pause, TimerId{}));
}

bool Outbox::has_room(const Route& route, const OutStream& stream) const noexcept {
  if (stream.in_flight.size() >= limits::kOutboxWindow) return false;
  if (is_owed(stream)) return true;
  // What is on its way for lower lanes keeps no row of a higher one.
  std::size_t bytes = 0;
  const auto& by_priority = route.in_flight_bytes;
  for (auto at = by_priority.lower_bound(stream.lane->priority); at != by_priority.end(); ++at) bytes += at->second;
  return bytes < route.window.bytes(stream.lane->priority, port_->now());
}

void Outbox::landed(Route& route, OutStream& stream, const InFlight& row) noexcept {
  stream.in_flight_bytes -= row.bytes;
  --route.in_flight_rows;
  const auto at = route.in_flight_bytes.find(row.priority);
  at->second -= row.bytes;
  if (at->second == 0) route.in_flight_bytes.erase(at);
}

std::uint64_t Outbox::remaining(StoreTime expires_at) const noexcept {
  if (expires_at == kNoMoment) return 0;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(expires_at - clock_.now()).count();
  return static_cast<std::uint64_t>(std::max<std::int64_t>(left, 1));
}

bool Outbox::pump() {
  bool more = false;
  for (auto& [node, route] : routes_) {
    if (route.up && std::exchange(route.dirty, false)) pump(route);
    more = more || (route.up && route.dirty);
  }
  return more;
}

void Outbox::pump(Route& route) {
  // What is owed its share first, then urgent lanes; among equals the one that has waited longest.
  const auto rank = [](const OutStream& stream) {
    return std::pair{!is_owed(stream), std::pair{~stream.lane->priority, stream.turn}};
  };
  std::sort(route.streams.begin(), route.streams.end(),
            [&](const OutStream* left, const OutStream* right) { return rank(*left) < rank(*right); });
  for (OutStream* stream : route.streams) {
    if (stream->pause != TimerId{} || !has_room(route, *stream)) continue;
    if (!send_some(route, *stream)) continue;
    stream->turn = ++turns_;
    if (stream->sent < stream->committed && has_room(route, *stream)) route.dirty = true;  // more in the next step
  }
}

void Outbox::share(Route& route, OutStream& sent, std::size_t bytes) noexcept {
  const auto moved = static_cast<std::int64_t>(bytes);
  sent.owed_bytes = std::max<std::int64_t>(sent.owed_bytes - moved, 0);
  for (OutStream* each : route.streams) {
    const bool waits = each != &sent && each->sent < each->committed && each->lane->priority < sent.lane->priority;
    if (!waits) continue;
    route.window.passed(sent.lane->priority, port_->now());
    each->owed_bytes = std::min<std::int64_t>(each->owed_bytes + moved * each->lane->share_percent / 100,
                                              2 * static_cast<std::int64_t>(limits::kFrameTargetBytes));
  }
}

void Outbox::watch(Route& route) {
  route.watch = TimerId{};
  if (!route.up || route.in_flight_rows == 0) return;
  const MonoTime due = route.progress + limits::kAckTimeout;
  if (port_->now() >= due) {
    for (OutStream* each : route.streams) {
      if (!each->in_flight.empty()) rewind(route, *each, 0);
    }
    ++counters_.timeouts;
    route.dirty = true;
    return;
  }
  route.watch = port_->after(due - port_->now(), [this, &route] { watch(route); });
}

bool Outbox::send_some(Route& route, OutStream& stream) {
  if (stream.sent >= stream.committed || stream.id == StreamId{}) return false;
  const std::size_t limit = std::min(limits::kReadBatchRows, limits::kOutboxWindow - stream.in_flight.size());
  const StoreTime now = clock_.now();
  std::vector<Sequence> expired;
  std::size_t read = 0;
  auto done = store_.read(stream.id, RowState::ready, stream.sent, limit, [&](const Row& row) {
    ++read;
    if (row.expires_at != kNoMoment && row.expires_at <= now) {
      expired.push_back(row.sequence);
      stream.sent = row.sequence;
      return true;
    }
    send_row(route, stream,
             {stream.node, stream.lane->name, row.sequence, 0, std::string{row.key}, row.type,
              BlockRef::copy_of(row.payload), remaining(row.expires_at)});
    return has_room(route, stream);
  });
  if (!done) {
    port_->log(LogLevel::error, concat({"outbox to ", stream.node, ": ", done.error().text()}));
    port_->after(kReadAgain, [&route] { route.dirty = true; });
  }
  // Read to the end: from here on new rows go straight from memory.
  if (done && read < limit && has_room(route, stream)) stream.committed = stream.sent;
  if (!expired.empty()) erase_expired(stream, expired);
  return read > 0;
}

void Outbox::erase_expired(OutStream& stream, const std::vector<Sequence>& expired) {
  for (const Sequence sequence : expired) {
    // Where it fails they are passed over until the link comes anew, or the lane is swept (Expiry).
    if (!group_.change([&](Store& store) { return store.erase(stream.id, sequence); })) return;
  }
  group_.then([&stream, count = expired.size()](const Result<void>& fate) {
    if (fate) stream.counters->expired += count;
  });
}

void Outbox::send_row(Route& route, OutStream& stream, OutgoingRow row) {
  row.after = stream.in_flight.empty() ? 0 : stream.in_flight.back().sequence;
  const std::size_t bytes = row.payload.bytes().size() + row.key.size() + row.lane.size() + limits::kRowHeadBytes;
  share(route, stream, bytes);
  stream.sent = row.sequence;
  stream.ever_sent = std::max(stream.ever_sent, row.sequence);
  stream.in_flight.push_back({row.sequence, bytes, port_->now(), stream.lane->priority});
  stream.in_flight_bytes += bytes;
  route.in_flight_bytes[stream.lane->priority] += bytes;
  if (route.in_flight_rows++ == 0) route.progress = port_->now();
  if (route.watch == TimerId{}) watch(route);
  ++counters_.sent;
  if constexpr (is_mutant(Mutant::erase_when_sent)) {
    port_->after({}, [this, &stream, ack = StreamAck{stream.node, stream.lane->name, row.sequence, false, {}}] {
      if (!stream.in_flight.empty()) acknowledged(ack);
    });
  }
  send_(std::move(row));
}

// --- Acknowledged ---------------------------------------------------------------------------------------------------

void Outbox::acknowledged(const StreamAck& ack) {
  const auto found = streams_.find({ack.node, ack.lane});
  if (found == streams_.end()) return;
  OutStream& stream = *found->second;
  Route& route = routes_.find(ack.node)->second;
  std::uint64_t delivered = 0;
  while (!stream.in_flight.empty() && stream.in_flight.front().sequence <= ack.taken) {
    const InFlight row = stream.in_flight.front();
    stream.in_flight.pop_front();
    landed(route, stream, row);
    route.window.acknowledged(row.bytes, port_->now() - row.sent_at, port_->now());
    route.progress = port_->now();
    stream.erase_through = row.sequence;
    ++delivered;
  }
  counters_.delivered += delivered;
  stream.counters->delivered += delivered;
  if (delivered > 0 && std::find(erasures_.begin(), erasures_.end(), &stream) == erasures_.end())
    erasures_.push_back(&stream);
  if (ack.refused) refused(route, stream, ack);
  route.dirty = true;
}

void Outbox::refused(Route& route, OutStream& stream, const StreamAck& ack) {
  if (stream.pause != TimerId{} || stream.in_flight.empty()) return;  // the echo of a refusal that was heard already
  ++counters_.refused;
  const Sequence row = stream.in_flight.front().sequence;
  stream.refusals = stream.refused_row == row ? stream.refusals + 1 : 1;
  stream.refused_row = row;
  // Any other cause is the far end's trouble, and passes.
  const bool for_its_own_sake = ack.cause == ErrorCode::invalid_argument || ack.cause == ErrorCode::malformed ||
                                ack.cause == ErrorCode::rejected || ack.cause == ErrorCode::unsupported ||
                                ack.cause == ErrorCode::permission;
  Sequence go_on_after = row - 1;
  if (for_its_own_sake && stream.refusals >= stream.lane->max_attempts) {
    auto parked = group_.change([&](Store& store) {
      return store.mark(stream.id, row,
                        {RowState::parked, stream.refusals,
                         concat({"refused by ", stream.node, ": ", to_string(ack.cause)}), kNoMoment});
    });
    if (parked) {
      ++stream.counters->parked;
      go_on_after = row;
      // Passed over in vain otherwise: the acknowledgement of a later row would erase it.
      group_.then([this, &route, &stream, row](const Result<void>& fate) {
        if (fate) return;
        rewind(route, stream, row - 1);
        route.dirty = true;
      });
    }
  }
  rewind(route, stream, go_on_after);
  stream.committed = kUnknown;  // unknown how much is there: read until the end
  stream.delay = stream.lane->backoff.delay(stream.refusals, stream.refusals > 1 ? stream.delay : Duration::zero(),
                                            port_->random());
  stream.pause = port_->after(stream.delay, [&route, &stream] {
    stream.pause = TimerId{};
    route.dirty = true;
  });
}

Result<void> Outbox::stage_erasures() {
  for (OutStream* each : erasures_) {
    auto erased = group_.change([&](Store& store) { return store.erase_through(each->id, each->erase_through); });
    if (!erased) return erased;
  }
  group_.then([this, staged = erasures_](const Result<void>& fate) {
    if (fate) return;
    for (OutStream* each : staged) {
      if (std::find(erasures_.begin(), erasures_.end(), each) == erasures_.end()) erasures_.push_back(each);
    }
  });
  erasures_.clear();
  return {};
}

// --- For people -----------------------------------------------------------------------------------------------------

std::string Outbox::why_waiting(const Stream& of, const Row& row) const {
  const auto found = streams_.find({of.node, of.lane});
  const auto route = routes_.find(of.node);
  if (found == streams_.end() || route == routes_.end() || !route->second.up) return "no link to " + of.node;
  const OutStream& stream = *found->second;
  if (row.sequence <= stream.sent) return "sent, not yet acknowledged by " + of.node;
  if (stream.pause != TimerId{}) return of.node + " refused the row before it; sent again after a pause";
  return "its turn has not come: rows before it are on their way";
}

void Outbox::describe(QueueStatus& status) const {
  for (const auto& [node, route] : routes_) {
    if (route.up) status.links.push_back(node);
  }
  for (const auto& [name, stream] : streams_) {
    const Stream* kept = store_.stream(stream->id);
    status.streams.push_back({Box::outbox, stream->node, stream->lane->name,
                              kept == nullptr ? std::array<Load, kRowStates>{} : kept->loads, stream->in_flight.size(),
                              routes_.find(stream->node)->second.up, 0, kept == nullptr || kept->exact});
  }
}

}  // namespace pannier
