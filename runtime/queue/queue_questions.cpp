#include <algorithm>

#include "runtime/queue/queue.h"
#include "runtime/queue/store_streams.h"

namespace pannier {

namespace {

template <class T>
MessagePtr reply_of(T value) {
  return native_message(MessageKind::reply, {}, std::move(value));
}

}  // namespace

bool Queue::ask(Message& question) {
  const auto answered = [&]<class Request>() {
    if (question.inline_bytes == 0 || question.type != type_info<Request>().id) return false;
    auto reply = answer(*static_cast<const Request*>(question.inline_value()));
    if (reply) {
      port_->worker().reply(question, std::move(*reply));
    } else {
      port_->worker().reply_error(question, reply.error());
    }
    return true;
  };
  return answered.template operator()<ReadState>() || answered.template operator()<Inspect>() ||
         answered.template operator()<Where>() || answered.template operator()<Cancel>() ||
         answered.template operator()<SetLane>() || answered.template operator()<Query>() ||
         answered.template operator()<Redrive>() || answered.template operator()<Purge>() ||
         answered.template operator()<ForgetReader>();
}

Result<MessagePtr> Queue::answer(const ReadState& request) {
  commit();  // what was put before is read
  std::vector<StateRow> rows;
  auto read = store_.state()->read_state(request.prefix, [&](std::string_view key, std::span<const std::byte> value) {
    if (rows.size() >= request.limit) return false;
    rows.push_back({std::string{key}, BlockRef::copy_of(value)});
    return true;
  });
  if (!read) return read.error();
  return reply_of(std::move(rows));
}

Result<MessagePtr> Queue::answer(const Query& request) {
  commit();
  std::vector<SqlRow> rows;
  if (store_.sql() == nullptr) return Error{ErrorCode::unsupported, "This store has no SQL."};
  auto read = store_.sql()->query(request.statement, [&](std::span<const SqlValue> row) {
    rows.emplace_back(row.begin(), row.end());
    return rows.size() < limits::kQueryRows;
  });
  if (!read) return read.error();
  return reply_of(std::move(rows));
}

Result<MessagePtr> Queue::answer(const SetLane& request) {
  if (auto sane = check(request.options); !sane) return sane.error();
  if (!lanes_.may_use(request.options.name)) return Error{ErrorCode::full, "a node uses at most 1,024 lanes"};
  lanes_.set(request.options);
  return reply_of(Done{});
}

Result<MessagePtr> Queue::answer(const Cancel& request) {
  commit();
  StreamId id{};
  Sequence sequence = 0;
  const auto found = store_.find(request.id, [&](const Row& row) {
    if (row.state != RowState::retained) {
      id = row.stream;
      sequence = row.sequence;
    }
    return true;
  });
  if (!found) return found.error();
  if (sequence == 0) return Error{ErrorCode::not_found, "it is not here: delivered, expired, or never was"};
  const Stream stream = *store_.find_stream(id);
  if (!boxes_.withdraw(stream, sequence)) {
    return Error{ErrorCode::in_use, "it has left, or is in somebody's hands: nobody can take it back"};
  }
  auto erased = group_.change([&](Store& store) { return store.erase(stream.id, sequence); });
  if (!erased) return erased.error();
  if (auto stored = commit_now(); !stored) return stored.error();
  ++lanes_.count(stream.lane).cancelled;
  const bool may_have_left = stream.box == Box::outbox && outbox_.may_have_left(stream.node, stream.lane, sequence);
  return reply_of(Cancelled{may_have_left});
}

Result<void> Queue::commit_now() {
  group_.need(Durability::fsynced);
  const std::uint64_t failures = group_.failures();
  commit();
  return group_.failures() == failures ? Result<void>{} : ErrorCode::storage_io;
}

// --- What a person decides ------------------------------------------------------------------------------------------

Result<MessagePtr> Queue::answer(const Redrive& request) {
  commit();
  auto staged = parked_.redrive(request.selection);
  if (!staged) return staged.error();
  if (auto stored = commit_now(); !stored) return stored.error();
  return reply_of(*staged);
}

Result<MessagePtr> Queue::answer(const Purge& request) {
  commit();
  auto staged = parked_.purge(request.selection);
  if (!staged) return staged.error();
  if (auto stored = commit_now(); !stored) return stored.error();
  return reply_of(*staged);
}

Result<MessagePtr> Queue::answer(const ForgetReader& request) {
  if (auto staged = inbox_.forget_reader(request); !staged) return staged.error();
  if (auto stored = commit_now(); !stored) return stored.error();
  return reply_of(Done{});
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
  switch (row.state) {
    case RowState::ready:
      status.waits_for = boxes_.why_waiting(stream, row);
      status.due_in = boxes_.next_try_in(stream, row);
      break;
    case RowState::dead_lettered: status.waits_for = "parked: " + status.cause; break;
    case RowState::delayed:
      status.due_in = row.moment - now;
      status.waits_for = "not due yet";
      break;
    case RowState::retained: status.waits_for = "delivered, and kept to be read again"; break;
  }
  return status;
}

Result<void> Queue::look_through(const Stream& stream, RowState state, FunctionRef<bool(RowStatus)> see,
                                 FunctionRef<bool(const Row&)> wanted) {
  std::uint64_t position = 0;
  return store_.read(stream.id, state, 0, limits::kLookRows, [&](const Row& row) {
    const bool more = !wanted(row) || see(status_of(stream, row, position));
    ++position;
    return more;
  });
}

Result<MessagePtr> Queue::answer(const Where& request) {
  commit();
  std::optional<RowStatus> status;
  const auto found = store_.find(request.id, [&](const Row& row) {
    status = status_of(*store_.find_stream(row.stream), row, 0);
    return true;
  });
  if (!found) return found.error();
  if (!status) return Error{ErrorCode::not_found, "it is not here: delivered, expired, cancelled, or never was"};
  // How many stand before it.
  const auto of = store_.stream(status->box, status->node, status->lane);
  if (of) {
    auto counted = store_.read(*of, status->state, 0, limits::kLookRows, [&](const Row& row) {
      if (row.sequence >= status->sequence) return false;
      ++status->position;
      return true;
    });
    if (!counted) return counted.error();
  }
  return reply_of(std::move(*status));
}

Result<MessagePtr> Queue::answer(const Inspect& request) {
  commit();
  QueueStatus status;
  outbox_.describe(status);
  inbox_.describe(status);
  const auto streams = streams_of(store_);
  if (!streams) return streams.error();
  for (const Stream& stream : *streams) {
    for (const RowState state : {RowState::ready, RowState::dead_lettered, RowState::delayed}) {
      if (status.rows.size() >= request.rows) break;
      auto looked = look_through(
          stream, state,
          [&](RowStatus row) {
            status.rows.push_back(std::move(row));
            return status.rows.size() < request.rows;
          },
          [&](const Row& row) { return request.key.empty() || row.key == request.key; });
      if (!looked) return looked.error();
    }
  }
  lanes_.each([&](const LaneOptions& options, const LaneCounters& counters) {
    status.lanes.push_back({options, counters});
  });
  std::sort(status.lanes.begin(), status.lanes.end(),
            [](const LaneStatus& left, const LaneStatus& right) { return left.options.name < right.options.name; });
  status.store = store_.counters();
  status.accepted = accepted_;
  status.delivered = outbox_.counters().delivered;
  status.handled = inbox_.counters().handled;
  status.duplicates = duplicates_;
  status.refused = refused_;
  status.forgotten = forgotten_;
  return reply_of(std::move(status));
}

}  // namespace pannier
