#include "runtime/queue/outbox.h"

#include <algorithm>

#include "runtime/queue/mutants.h"

namespace pannier {

namespace {

/// After a refusal: full jitter up to this, doubled each time the same row is refused.
constexpr Duration kRefusalBase = std::chrono::milliseconds{50};
constexpr Duration kRefusalCap = std::chrono::seconds{10};
/// After the store could not read.
constexpr Duration kReadAgain = std::chrono::seconds{1};
/// A row that the far end refuses for its own sake, not for want of room, is parked after so many times.
constexpr std::uint32_t kRefusalsBeforeParking = 10;

std::uint64_t age_ms(WallTime enqueued_at, WallTime now) noexcept {
  if (now <= enqueued_at) return 0;
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now - enqueued_at).count());
}

}  // namespace

Outbox::OutStream& Outbox::stream(StreamId id, std::string_view node, std::string_view lane) {
  auto& slot = streams_[{std::string{node}, std::string{lane}}];
  if (slot == nullptr) {
    slot = std::make_unique<OutStream>();
    slot->node = node;
    slot->lane = lane;
    routes_[slot->node].streams.push_back(slot.get());
  }
  slot->id = id;  // another one than before where the group that made the stream was given up
  return *slot;
}

Result<void> Outbox::load(const std::vector<Stream>& streams) {
  for (const Stream& kept : streams) {
    if (kept.box != Box::outbox) continue;
    // The newest row's number is not kept apart: anything there is will be found by reading on from the oldest.
    stream(kept.id, kept.node, kept.lane).committed = kept.messages > 0 ? ~Sequence{0} : 0;
  }
  recount(streams);
  return {};
}

void Outbox::recount(const std::vector<Stream>& streams) {
  count_is_stale_ = has_erasures();
  for (auto& [name, each] : streams_) {  // made in a group that failed: not there
    each->id = StreamId{};
    each->messages = each->bytes = each->parked = 0;
  }
  for (const Stream& kept : streams) {
    if (kept.box != Box::outbox) continue;
    OutStream& mine = stream(kept.id, kept.node, kept.lane);
    mine.messages = kept.messages;
    mine.bytes = kept.bytes;
    mine.parked = kept.parked;
  }
}

std::uint64_t Outbox::waiting() const noexcept {
  std::uint64_t sum = 0;
  for (const auto& [name, stream] : streams_) sum += stream->messages;
  return sum;
}

Load Outbox::load_of(std::string_view node, std::string_view lane) const noexcept {
  const auto found = streams_.find({std::string{node}, std::string{lane}});
  return found == streams_.end() ? Load{} : Load{found->second->messages, found->second->bytes};
}

// --- In
// ----------------------------------------------------------------------------------------------------------------

Result<Sequence> Outbox::put(std::string_view node, const LaneOptions& lane, std::string_view key,
                             const AnyTable& payload, Sequence sequence) {
  OutStream* target = nullptr;
  const WallTime now = port_->system().platform.clock.wall_now();
  auto staged = group_.change([&](Store& store) -> Result<void> {
    const auto id = store.stream(Box::outbox, node, lane.name);
    if (!id) return id.error();
    target = &stream(*id, node, lane.name);
    return store.put(Row{.stream = *id,
                         .sequence = sequence,
                         .key = key,
                         .type = payload.type(),
                         .payload = payload.bytes(),
                         .enqueued_at = now,
                         .state = RowState::ready,
                         .attempts = 0,
                         .producer = {},
                         .cause = {}});
  });
  if (!staged) return staged.error();
  ++target->messages;
  target->bytes += payload.bytes().size();
  group_.then([this, target, sequence, key = std::string{key}, payload](const Result<void>& fate) {
    if (!fate) return;  // the queue counts anew
    Route& route = routes_.find(target->node)->second;
    // Caught up: straight from memory. Else the row is read when its turn comes.
    const bool caught_up = target->sent >= target->committed && target->pause == TimerId{};
    target->committed = target->committed == ~Sequence{0} ? target->committed : sequence;
    if (caught_up && route.up && has_room(route, *target)) {
      send_row(route, *target, {target->node, target->lane, sequence, 0, key, payload.type(), payload.block(), 0});
    } else {
      route.dirty = true;
    }
  });
  return sequence;
}

// --- Out
// ---------------------------------------------------------------------------------------------------------------

void Outbox::link_up(std::string_view node) {
  Route& route = routes_[std::string{node}];
  route.up = true;
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
  for (const InFlight& row : stream.in_flight) route.in_flight_bytes -= row.bytes;
  route.in_flight_rows -= stream.in_flight.size();
  stream.in_flight.clear();
  stream.sent = std::max(to, stream.erase_through);
  port_->cancel(std::exchange(stream.pause, TimerId{}));
}

bool Outbox::has_room(const Route& route, const OutStream& stream) const noexcept {
  return stream.in_flight.size() < limits::kOutboxWindow && route.in_flight_bytes < limits::kOutboxWindowBytes;
}

bool Outbox::pump() {
  bool more = false;
  for (auto& [node, route] : routes_) {
    if (route.up && std::exchange(route.dirty, false)) pump(route);
    more = more || (route.up && route.dirty);
  }
  return more;
}

std::uint32_t Outbox::priority(const OutStream& stream) const noexcept {
  const auto found = priorities_.find(stream.lane);
  return found == priorities_.end() ? 0 : found->second;
}

void Outbox::pump(Route& route) {
  // Urgent lanes first; among equals the one that has waited longest.
  std::sort(route.streams.begin(), route.streams.end(), [&](const OutStream* left, const OutStream* right) {
    const std::uint32_t left_priority = priority(*left);
    const std::uint32_t right_priority = priority(*right);
    return left_priority != right_priority ? left_priority > right_priority : left->turn < right->turn;
  });
  for (OutStream* stream : route.streams) {
    if (stream->pause != TimerId{} || !has_room(route, *stream) || !send_some(route, *stream)) continue;
    stream->turn = ++turns_;
    if (stream->sent < stream->committed && has_room(route, *stream)) route.dirty = true;  // more in the next step
    if (route.in_flight_bytes >= limits::kOutboxWindowBytes) break;
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
  std::size_t read = 0;
  const WallTime now = port_->system().platform.clock.wall_now();
  auto done = store_.read(stream.id, RowState::ready, stream.sent, limit, [&](const Row& row) {
    ++read;
    send_row(route, stream,
             {stream.node, stream.lane, row.sequence, 0, std::string{row.key}, row.type, BlockRef::copy_of(row.payload),
              age_ms(row.enqueued_at, now)});
    return has_room(route, stream);
  });
  if (!done) {
    port_->log(LogLevel::error, "outbox to " + stream.node + ": " + done.error().text());
    port_->after(kReadAgain, [&route] { route.dirty = true; });
  }
  // Read to the end: from here on new rows go straight from memory.
  if (done && read < limit && has_room(route, stream)) stream.committed = stream.sent;
  return read > 0;
}

void Outbox::send_row(Route& route, OutStream& stream, const OutgoingRow& row) {
  OutgoingRow sent = row;
  sent.after = stream.in_flight.empty() ? 0 : stream.in_flight.back().sequence;
  stream.sent = sent.sequence;
  stream.in_flight.push_back({sent.sequence, sent.payload.bytes().size()});
  route.in_flight_bytes += sent.payload.bytes().size();
  if (route.in_flight_rows++ == 0) route.progress = port_->now();
  if (route.watch == TimerId{}) watch(route);
  ++counters_.sent;
  if constexpr (is_mutant(Mutant::erase_when_sent)) {
    port_->after({}, [this, &stream, ack = StreamAck{stream.node, stream.lane, sent.sequence, false, {}}] {
      if (!stream.in_flight.empty()) acknowledged(ack);
    });
  }
  send_(std::move(sent));
}

// --- Acknowledged
// ------------------------------------------------------------------------------------------------------

void Outbox::acknowledged(const StreamAck& ack) {
  const auto found = streams_.find({ack.node, ack.lane});
  if (found == streams_.end()) return;
  OutStream& stream = *found->second;
  Route& route = routes_.find(ack.node)->second;
  bool any = false;
  while (!stream.in_flight.empty() && stream.in_flight.front().sequence <= ack.taken) {
    const InFlight row = stream.in_flight.front();
    stream.in_flight.pop_front();
    route.in_flight_bytes -= row.bytes;
    --route.in_flight_rows;
    route.progress = port_->now();
    stream.messages -= std::min<std::uint64_t>(stream.messages, 1);
    stream.bytes -= std::min<std::uint64_t>(stream.bytes, row.bytes);
    stream.erase_through = row.sequence;
    ++counters_.delivered;
    any = true;
  }
  if (any && std::find(erasures_.begin(), erasures_.end(), &stream) == erasures_.end()) erasures_.push_back(&stream);
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
  if (for_its_own_sake && stream.refusals >= kRefusalsBeforeParking) {
    auto parked = group_.change([&](Store& store) {
      return store.mark(stream.id, row, RowState::parked, stream.refusals,
                        "refused by " + stream.node + ": " + std::string{to_string(ack.cause)});
    });
    if (parked) {
      ++counters_.parked;
      ++stream.parked;
      stream.messages -= std::min<std::uint64_t>(stream.messages, 1);
      go_on_after = row;
      // Passed over in vain otherwise: the acknowledgement of a later row would erase it.
      group_.then([this, &route, &stream, row](const Result<void>& fate) {
        if (fate) return;
        rewind(route, stream, row - 1);
        route.dirty = true;
      });
    }
  }
  Duration ceiling = kRefusalBase;
  for (std::uint32_t n = 1; n < stream.refusals && ceiling < kRefusalCap; ++n) ceiling *= 2;
  ceiling = std::min(ceiling, kRefusalCap);
  rewind(route, stream, go_on_after);
  stream.committed = ~Sequence{0};  // unknown how much is there: read until the end
  const Duration delay{static_cast<Duration::rep>(port_->random() % static_cast<std::uint64_t>(ceiling.count()))};
  stream.pause = port_->after(delay, [this, &route, &stream] {
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

// --- For people
// --------------------------------------------------------------------------------------------------------

std::string Outbox::why_waiting(const Route& route, const OutStream& stream, const Row& row) const {
  if (row.state == RowState::parked) return "parked: " + std::string{row.cause};
  if (!route.up) return "no link to " + stream.node;
  if (row.sequence <= stream.sent) return "sent, not yet acknowledged by " + stream.node;
  if (stream.pause != TimerId{}) return stream.node + " refused the row before it; sent again after a pause";
  return "its turn has not come: rows before it are on their way";
}

void Outbox::describe(QueueStatus& status, const Inspect& inspect) {
  for (const auto& [node, route] : routes_) {
    if (route.up) status.links.push_back(node);
  }
  for (const auto& [name, stream] : streams_) {
    const Route& route = routes_.find(stream->node)->second;
    status.streams.push_back({Box::outbox, stream->node, stream->lane, stream->messages, stream->bytes, stream->parked,
                              stream->in_flight.size(), route.up});
    if (inspect.rows == 0) continue;
    for (const RowState state : {RowState::ready, RowState::parked}) {
      std::uint64_t position = 0;
      auto read = store_.read(stream->id, state, 0, ~std::size_t{0}, [&](const Row& row) {
        if (inspect.key.empty() || row.key == inspect.key) {
          status.rows.push_back({Box::outbox, stream->node, stream->lane, row.sequence, std::string{row.key}, row.type,
                                 row.payload.size(), row.enqueued_at, row.state, row.attempts, position,
                                 why_waiting(route, *stream, row)});
        }
        ++position;
        return status.rows.size() < inspect.rows && position < 100'000;
      });
      if (!read) port_->log(LogLevel::error, "looking into the outbox: " + read.error().text());
    }
  }
}

}  // namespace pannier
