// What people and tools ask of the queue. Every answer includes what was committed before.

#include <algorithm>
#include <map>
#include <utility>

#include "platform/concat.h"
#include "runtime/queue/queue.h"

namespace pannier {

Result<void> Queue::commit_now() {
  group_.need(Durability::fsynced);
  return commit_group();
}

// --- The application's own data and options -------------------------------------------------------------------------

Result<std::vector<StateRow>> Queue::answer(const ReadState& request) {
  static_cast<void>(commit_group());
  if (store_.state() == nullptr) return Error{ErrorCode::unsupported, "the node's store was opened without state."};
  std::vector<StateRow> rows;
  auto read = store_.state()->read_state(request.prefix, [&](std::string_view key, std::span<const std::byte> value) {
    if (rows.size() >= request.limit) return false;
    rows.push_back({std::string{key}, BlockRef::copy_of(value)});
    return true;
  });
  if (!read) return read.error();
  return rows;
}

Result<std::vector<SqlRow>> Queue::answer(const Query& request) {
  static_cast<void>(commit_group());
  if (store_.sql() == nullptr) return Error{ErrorCode::unsupported, "the node's store knows no SQL."};
  std::vector<SqlRow> rows;
  auto read = store_.sql()->query(request.statement, [&](std::span<const SqlValue> row) {
    rows.emplace_back(row.begin(), row.end());
    return rows.size() < limits::kQueryRows;
  });
  if (!read) return read.error();
  return rows;
}

Result<void> Queue::watch(const ReplyTo& reply_to, const WatchSql& request) {
  if (store_.sql() == nullptr) return Error{ErrorCode::unsupported, "the node's store knows no SQL."};
  if (request.seen != sql_version_) {
    host_->reply(reply_to.message(sql_version_));
    return {};
  }
  if (sql_watchers_.size() >= limits::kSqlWatchers) return ErrorCode::full;
  sql_watchers_.push_back(reply_to);
  return {};
}

void Queue::sql_changed() {
  sql_version_ = SqlVersion{static_cast<std::uint64_t>(sql_version_) + 1};
  for (const ReplyTo& each : std::exchange(sql_watchers_, {})) host_->reply(each.message(sql_version_));
}

Result<detail::Done> Queue::answer(const SetLane& request) {
  if (auto sane = pannier::check(request.options); !sane) return sane.error();
  if (lanes_.use(request.options.name) == nullptr) {
    return Error{ErrorCode::full, concat({"this node uses ", limits::kLanes, " lanes already."})};
  }
  lanes_.set(request.options);
  inbox_.options_changed(request.options.name);
  return detail::Done{};
}

Result<detail::Done> Queue::answer(const ForgetReader& request) {
  if (auto staged = inbox_.forget_reader(request); !staged) return staged.error();
  if (auto stored = commit_now(); !stored) return stored.error();
  return detail::Done{};
}

// --- What an operator decides ---------------------------------------------------------------------------------------

Result<Cancelled> Queue::answer(const Cancel& request) {
  static_cast<void>(commit_group());
  StreamId id{};
  Sequence sequence = 0;
  RowState state{};
  const auto found = store_.find(request.id, [&](const Row& row) {
    if (row.state != RowState::retained) {
      id = row.stream;
      sequence = row.sequence;
      state = row.state;
    }
    return false;
  });
  if (!found) return found.error();
  const Stream* stream = sequence == 0 ? nullptr : store_.find_stream(id);
  LaneStatus* lane = stream == nullptr ? nullptr : lanes_.of_stream(stream->lane);
  if (lane == nullptr) return Error{ErrorCode::not_found, "it is not here: delivered, expired, or never was"};
  const bool outgoing = stream->box == Box::outbox;
  bool erased = true;
  if (state == RowState::ready) {  // no other has left
    const auto gone = erase(*stream, *lane, sequence, &LaneCounters::cancelled);
    if (!gone) return gone.error();
    erased = *gone;
  } else {
    auto gone = group_.change([&](Store& store) { return store.erase(id, sequence); });
    if (!gone) return gone.error();
    group_.then(effect::Removed{id, stream->box, lane, sequence, &LaneCounters::cancelled});
  }
  if (!erased) return Error{ErrorCode::in_use, "it is in flight, or in a consumer's hands: nobody can take it back"};
  if (auto stored = commit_now(); !stored) return stored.error();
  return Cancelled{outgoing && state == RowState::ready && outbox_.may_have_left(id, sequence)};
}

Result<DeadLetterCount> Queue::answer(const Redrive& request) { return move(request.selection, true); }
Result<DeadLetterCount> Queue::answer(const Purge& request) { return move(request.selection, false); }

/// Redrives or purges dead letters, in the order in which they were first enqueued.
Result<DeadLetterCount> Queue::move(const DeadLetterSelection& selection, bool redrive) {
  static_cast<void>(commit_group());
  struct Chosen {
    StreamId stream;
    Sequence sequence;
    Sequence id;
    std::string key;
    StoreTime expires_at;
  };
  std::vector<Chosen> chosen;
  std::vector<StreamId> streams;
  store_.visit_streams(selection.box, std::nullopt, [&](const Stream& stream) {
    const bool wanted = (selection.node.empty() || stream.node == selection.node) &&
                        (selection.lane.empty() || stream.lane == selection.lane);
    if (wanted && (!stream.exact || stream[RowState::dead_lettered].messages > 0)) streams.push_back(stream.id);
    return true;
  });
  bool more = false;
  for (const StreamId id : streams) {
    if (more) break;
    auto read = store_.read(id, RowState::dead_lettered, 0, ~std::size_t{0}, [&](const Row& row) {
      if (!selection.key.empty() && row.key != selection.key) return true;
      if (selection.id != 0 && row.id() != selection.id) return true;
      more = chosen.size() >= limits::kMoveRows;
      if (!more) chosen.push_back({id, row.sequence, row.id(), std::string{row.key}, row.expires_at});
      return !more;
    });
    if (!read) return read.error();
  }
  if (chosen.empty() && selection.id != 0)
    return Error{ErrorCode::not_found, "no message of that number is dead-lettered."};
  std::sort(chosen.begin(), chosen.end(), [](const Chosen& left, const Chosen& right) {
    return std::pair{left.id, left.sequence} < std::pair{right.id, right.sequence};
  });
  std::map<StreamId, effect::Moved> moved;
  for (const Chosen& row : chosen) {
    const Stream& stream = *store_.find_stream(row.stream);
    LaneStatus* lane = lanes_.of_stream(stream.lane);
    if (redrive && lane != nullptr && lane->options.eviction == Eviction::latest_per_key && !row.key.empty()) {
      const auto later = latest_of(row.stream, RowState::ready, row.key);
      if (!later) return later.error();
      if (*later != 0) {  // it has been replaced meanwhile
        auto erased = group_.change([&](Store& store) { return store.erase(row.stream, row.sequence); });
        if (!erased) return erased.error();
        group_.then(effect::Removed{row.stream, stream.box, lane, row.sequence, &LaneCounters::evicted});
        continue;
      }
    }
    auto changed = group_.change([&](Store& store) -> Result<void> {
      if (!redrive) return store.erase(row.stream, row.sequence);
      const auto next = store.next_sequence();
      return next ? store.requeue(row.stream, row.sequence, *next) : next.error();
    });
    if (!changed) return changed.error();
    effect::Moved& of = moved[row.stream];
    of.stream = row.stream;
    of.lane = lane;
    of.counter = redrive ? &LaneCounters::redriven : &LaneCounters::purged;
    ++of.rows;
    const bool sooner = of.expires_at == kNoMoment || row.expires_at < of.expires_at;
    if (redrive && row.expires_at != kNoMoment && sooner) of.expires_at = row.expires_at;
  }
  for (auto& [id, effect] : moved) group_.then(effect);
  if (auto stored = commit_now(); !stored) return stored.error();
  return DeadLetterCount{chosen.size(), more};
}

// --- Where is it, and why does it wait? -----------------------------------------------------------------------------

RowStatus Queue::status_of(const Stream& stream, const Row& row, std::uint64_t position) const {
  const StoreTime now = clock_.now();
  RowStatus status{.box = stream.box,
                   .node = stream.node,
                   .lane = stream.lane,
                   .id = row.id(),
                   .sequence = row.sequence,
                   .producer = std::string{row.producer},
                   .key = std::string{row.key},
                   .type = row.type,
                   .bytes = row.payload.size(),
                   .enqueued_at = row.enqueued_at,
                   .state = row.state,
                   .attempts = row.attempts,
                   .cause = std::string{row.cause},
                   .position = position,
                   .waits_for = {}};
  if (row.expires_at != kNoMoment) status.expires_in = row.expires_at - now;
  if (row.state != RowState::retained && row.moment != kNoMoment) status.due_in = row.moment - now;
  switch (row.state) {
    case RowState::ready:
      status.waits_for = stream.box == Box::outbox ? outbox_.why_waiting(stream, row) : inbox_.why_waiting(stream, row);
      break;
    case RowState::dead_lettered: status.waits_for = "dead-lettered: " + status.cause; break;
    case RowState::delayed: status.waits_for = "not due yet"; break;
    case RowState::retained: status.waits_for = "handled, and retained for replay"; break;
  }
  return status;
}

Result<RowStatus> Queue::answer(const Where& request) {
  static_cast<void>(commit_group());
  std::optional<RowStatus> status;
  StreamId stream{};
  const auto found = store_.find(request.id, [&](const Row& row) {
    stream = row.stream;
    status = status_of(*store_.find_stream(row.stream), row, 0);
    return false;
  });
  if (!found) return found.error();
  if (!status) return Error{ErrorCode::not_found, "it is not here: delivered, expired, cancelled, or never was"};
  auto counted = store_.read(stream, status->state, 0, limits::kLookRows, [&](const Row& row) {
    if (row.sequence >= status->sequence) return false;
    ++status->position;
    return true;
  });
  if (!counted) return counted.error();
  status->position_is_least = status->position == limits::kLookRows;
  return std::move(*status);
}

Result<QueueStatus> Queue::answer(const Inspect& request) {
  static_cast<void>(commit_group());
  QueueStatus status;
  outbox_.describe(status);
  inbox_.describe(status);
  std::vector<StreamId> streams;
  if (request.rows > 0) {
    store_.visit_streams(std::nullopt, std::nullopt, [&](const Stream& stream) {
      streams.push_back(stream.id);
      return true;
    });
  }
  for (const StreamId id : streams) {
    const Stream stream = *store_.find_stream(id);
    for (const RowState state : {RowState::ready, RowState::dead_lettered, RowState::delayed}) {
      if (status.rows.size() >= request.rows) break;
      std::uint64_t position = 0;
      auto looked = store_.read(id, state, 0, limits::kLookRows, [&](const Row& row) {
        if (request.key.empty() || row.key == request.key) status.rows.push_back(status_of(stream, row, position));
        ++position;
        return status.rows.size() < request.rows;
      });
      if (!looked) return looked.error();
      if (position == limits::kLookRows)
        status.rows_not_examined += stream[state].messages - std::min(position, stream[state].messages);
    }
  }
  lanes_.each([&](const LaneStatus& lane) { status.lanes.push_back(lane); });
  status.store = store_.counters();
  status.accepted = accepted_;
  status.delivered = outbox_.delivered();
  status.handled = inbox_.handled();
  status.duplicates = duplicates_;
  status.refused = refused_;
  status.forgotten = forgotten_;
  return status;
}

}  // namespace pannier
