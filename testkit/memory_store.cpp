#include "testkit/memory_store.h"

#include <algorithm>
#include <limits>
#include <utility>

#include <pannier/limits.h>
#include "runtime/store/store_checks.h"

namespace pannier::testkit {

MemoryStore::MemoryStore(Entropy& entropy) : MemoryStore(entropy, std::numeric_limits<std::uint64_t>::max()) {}

MemoryStore::MemoryStore(Entropy& entropy, std::uint64_t max_bytes)
    : incarnation_(entropy.next_u64()), max_bytes_(max_bytes) {}

Result<Sequence> MemoryStore::next_sequence() {
  if (next_ > limits::kMaxSequence) {
    return Error{ErrorCode::full, "All sequences of this store are used; start with a new one."};
  }
  return next_++;
}

Result<void> MemoryStore::begin() {
  if (open_) return Error{ErrorCode::invalid_argument, "begin within a transaction: commit or roll back first."};
  open_ = true;
  rows_put_before_ = counters_.rows_put;
  return {};
}

Result<void> MemoryStore::commit(Durability /*durability*/) {
  if (Result<void> ready = check_change(); !ready) return ready;
  open_ = false;
  part_.reset();
  undo_.clear();
  ++counters_.commits;
  return {};
}

void MemoryStore::rollback() noexcept {
  if (!open_) return;
  undo_to(0);
  part_.reset();
  counters_.rows_put = rows_put_before_;
  failed_.reset();
  open_ = false;
}

void MemoryStore::undo_to(std::size_t changes) noexcept {
  for (; undo_.size() > changes; undo_.pop_back()) undo_.back()();
}

Result<void> MemoryStore::begin_part() {
  if (Result<void> ready = check_change(); !ready) return ready;
  if (part_) return fail({ErrorCode::invalid_argument, "begin_part within a part: end it first."});
  part_ = undo_.size();
  rows_put_before_part_ = counters_.rows_put;
  return {};
}

Result<void> MemoryStore::end_part(bool keep) {
  if (Result<void> ready = check_change(); !ready) return ready;
  if (part_ && !keep) {
    undo_to(*part_);
    counters_.rows_put = rows_put_before_part_;
  }
  part_.reset();
  return {};
}

Result<void> MemoryStore::check_change() {
  if (failed_) return *failed_;
  if (!open_) return Error{ErrorCode::invalid_argument, "A change outside a transaction: call begin first."};
  return {};
}

Result<void> MemoryStore::fail(Error error) {
  failed_ = error;
  return error;
}

MemoryStore::KeptStream* MemoryStore::kept_stream(StreamId stream) const {
  const auto number = static_cast<std::size_t>(stream);
  return number == 0 || number > streams_.size() ? nullptr : streams_[number - 1].get();
}

std::optional<RowState> MemoryStore::state_of(KeptStream& stream, Sequence sequence) {
  for (const RowState state : kAllRowStates) {
    if (stream[state].contains(sequence)) return state;
  }
  return std::nullopt;
}

template <class Map>
void MemoryStore::set(Map& map, const typename Map::key_type& key, std::optional<typename Map::mapped_type> value) {
  const auto at = map.find(key);
  std::optional<typename Map::mapped_type> old;
  if (at != map.end()) old = at->second;
  const auto apply = [&map](const typename Map::key_type& where, const std::optional<typename Map::mapped_type>& what) {
    if (what) {
      map.insert_or_assign(where, *what);
    } else {
      map.erase(where);
    }
  };
  undo_.emplace_back([apply, key, old = std::move(old)] { apply(key, old); });
  apply(key, value);
}

Result<StreamId> MemoryStore::stream(Box box, std::string_view node, std::string_view lane) {
  if (const Stream* known = find_stream(box, node, lane)) return known->id;
  if (!open_) return Error{ErrorCode::not_found, "No such stream; making one needs a transaction."};
  if (failed_) return *failed_;
  if (Result<void> checked = store_checks::stream_name(node, lane); !checked) {
    failed_ = checked.error();
    return checked.error();
  }
  if (names_.size() >= limits::kStreams) return store_checks::too_many_streams();
  const auto free = std::find(streams_.begin(), streams_.end(), nullptr);
  const auto at = static_cast<std::size_t>(free - streams_.begin());
  if (free == streams_.end()) streams_.emplace_back();
  auto kept = std::make_shared<KeptStream>();
  kept->stream.id = static_cast<StreamId>(at + 1);
  kept->stream.box = box;
  kept->stream.node = node;
  kept->stream.lane = lane;
  const StreamName name{box, kept->stream.node, kept->stream.lane};
  names_.emplace(name, kept->stream.id);
  streams_[at] = std::move(kept);
  undo_.emplace_back([this, at, name] {
    streams_[at] = nullptr;
    names_.erase(name);
  });
  return static_cast<StreamId>(at + 1);
}

Result<bool> MemoryStore::erase_stream(StreamId id) {
  if (Result<void> ready = check_change(); !ready) return ready.error();
  const KeptStream* stream = kept_stream(id);
  if (stream == nullptr) return false;
  for (const Load& load : stream->stream.loads) {
    if (load.messages > 0) return false;
  }
  const auto of_it = [id](const auto& each) { return each.first.first == id; };
  if (std::any_of(cursors_.begin(), cursors_.end(), of_it)) return false;
  if (std::any_of(tokens_.begin(), tokens_.end(), of_it)) return false;
  const auto at = static_cast<std::size_t>(id) - 1;
  const StreamName name{stream->stream.box, stream->stream.node, stream->stream.lane};
  undo_.emplace_back([this, at, name, kept = streams_[at]] {
    streams_[at] = kept;
    names_.emplace(name, kept->stream.id);
  });
  streams_[at] = nullptr;
  names_.erase(name);
  return true;
}

void MemoryStore::apply(KeptStream& stream, RowState state, Sequence sequence, RowPointer row) {
  Rows& rows = stream[state];
  Load& load = stream.stream[state];
  if (const auto old = rows.find(sequence); old != rows.end()) {
    const std::uint64_t size = old->second->payload.size();
    bytes_ -= size;
    load -= {1, size};
    rows.erase(old);
  }
  if (row != nullptr) {
    const std::uint64_t size = row->payload.size();
    bytes_ += size;
    load += {1, size};
    rows.emplace(sequence, std::move(row));
  }
}

void MemoryStore::set_row(KeptStream& stream, RowState state, Sequence sequence, RowPointer row) {
  const auto at = stream[state].find(sequence);
  RowPointer old = at == stream[state].end() ? nullptr : at->second;
  undo_.emplace_back([this, &stream, state, sequence, old = std::move(old)] { apply(stream, state, sequence, old); });
  apply(stream, state, sequence, std::move(row));
}

Result<void> MemoryStore::put(const Row& row) {
  if (Result<void> ready = check_change(); !ready) return ready;
  if (Result<void> checked = store_checks::row(row); !checked) return fail(checked.error());
  KeptStream* stream = kept_stream(row.stream);
  if (stream == nullptr) return fail({ErrorCode::invalid_argument, "put: no such stream; ask stream() for its id."});
  if (state_of(*stream, row.sequence)) {
    return fail({ErrorCode::invalid_argument, "put: this sequence is taken; ask next_sequence() for one."});
  }
  if (bytes_ + row.payload.size() > max_bytes_) {
    return fail({ErrorCode::storage_full, "The memory store is at its cap; wait until messages have been delivered."});
  }
  auto kept = std::make_shared<KeptRow>();
  kept->origin = row.origin;
  kept->key = row.key;
  kept->type = row.type;
  kept->payload.assign(row.payload.begin(), row.payload.end());
  kept->enqueued_at = row.enqueued_at;
  kept->expires_at = row.expires_at;
  kept->moment = row.moment;
  kept->producer = row.producer;
  kept->attempts = row.attempts;
  kept->cause = store_checks::cut_cause(row.cause);
  kept->trace = row.trace;
  set_row(*stream, row.state, row.sequence, std::move(kept));
  ++counters_.rows_put;
  return {};
}

Result<void> MemoryStore::erase(StreamId id, Sequence sequence) {
  if (Result<void> ready = check_change(); !ready) return ready;
  KeptStream* stream = kept_stream(id);
  if (stream == nullptr) return {};
  if (const auto state = state_of(*stream, sequence)) set_row(*stream, *state, sequence, nullptr);
  return {};
}

Result<void> MemoryStore::erase_through(StreamId id, Sequence sequence) {
  if (Result<void> ready = check_change(); !ready) return ready;
  KeptStream* stream = kept_stream(id);
  if (stream == nullptr) return {};
  const Rows& rows = (*stream)[RowState::ready];
  while (!rows.empty() && rows.begin()->first <= sequence) {
    set_row(*stream, RowState::ready, rows.begin()->first, nullptr);
  }
  return {};
}

Result<void> MemoryStore::mark(StreamId id, Sequence sequence, const Mark& mark) {
  if (Result<void> ready = check_change(); !ready) return ready;
  KeptStream* stream = kept_stream(id);
  const auto state = stream == nullptr ? std::nullopt : state_of(*stream, sequence);
  if (!state) return Error{ErrorCode::not_found, "mark: this row is gone."};
  auto changed = std::make_shared<KeptRow>(*(*stream)[*state].find(sequence)->second);
  changed->attempts = mark.attempts;
  changed->cause = store_checks::cut_cause(mark.cause);
  changed->moment = mark.moment;
  set_row(*stream, *state, sequence, nullptr);
  set_row(*stream, mark.state, sequence, std::move(changed));
  return {};
}

Result<void> MemoryStore::requeue(StreamId id, Sequence sequence, Sequence next) {
  if (Result<void> ready = check_change(); !ready) return ready;
  KeptStream* stream = kept_stream(id);
  const auto state = stream == nullptr ? std::nullopt : state_of(*stream, sequence);
  if (!state) return Error{ErrorCode::not_found, "requeue: this row is gone."};
  if (next == 0 || next > limits::kMaxSequence || state_of(*stream, next)) {
    return fail({ErrorCode::invalid_argument, "requeue: ask next_sequence() for a sequence."});
  }
  auto changed = std::make_shared<KeptRow>(*(*stream)[*state].find(sequence)->second);
  if (changed->origin == 0) changed->origin = sequence;
  changed->attempts = 0;
  changed->cause.clear();
  changed->moment = kNoMoment;
  set_row(*stream, *state, sequence, nullptr);
  set_row(*stream, RowState::ready, next, std::move(changed));
  return {};
}

Result<void> MemoryStore::trim(StreamId id, const Load& most, StoreTime before) {
  if (Result<void> ready = check_change(); !ready) return ready;
  KeptStream* stream = kept_stream(id);
  if (stream == nullptr) return {};
  const Rows& rows = (*stream)[RowState::retained];
  for (std::size_t n = 0; n < limits::kTrimRows && !rows.empty(); ++n) {
    const Load& load = stream->stream[RowState::retained];
    const bool too_much = load.messages > most.messages || load.bytes > most.bytes;
    if (!too_much && rows.begin()->second->moment >= before) break;
    set_row(*stream, RowState::retained, rows.begin()->first, nullptr);
  }
  return {};
}

Result<void> MemoryStore::put_watermark(const Watermark& watermark) {
  if (Result<void> ready = check_change(); !ready) return ready;
  if (Result<void> checked = store_checks::watermark(watermark); !checked) return fail(checked.error());
  set(watermarks_, {watermark.producer, watermark.incarnation, watermark.lane}, watermark.sequence);
  return {};
}

Result<void> MemoryStore::erase_watermark(const Watermark& watermark) {
  if (Result<void> ready = check_change(); !ready) return ready;
  set(watermarks_, {watermark.producer, watermark.incarnation, watermark.lane}, std::nullopt);
  return {};
}

Result<void> MemoryStore::put_state(std::string_view key, std::span<const std::byte> value) {
  if (Result<void> ready = check_change(); !ready) return ready;
  if (Result<void> checked = store_checks::state(key, value); !checked) return fail(checked.error());
  set(state_, std::string{key}, StateValue(value.begin(), value.end()));
  return {};
}

Result<void> MemoryStore::erase_state(std::string_view key) {
  if (Result<void> ready = check_change(); !ready) return ready;
  set(state_, std::string{key}, std::nullopt);
  return {};
}

Result<void> MemoryStore::put_cursor(const Cursor& cursor) {
  if (Result<void> ready = check_change(); !ready) return ready;
  if (Result<void> checked = store_checks::cursor(cursor); !checked) return fail(checked.error());
  if (kept_stream(cursor.stream) == nullptr) {
    return fail({ErrorCode::invalid_argument, "put_cursor: no such stream; ask stream() for its id."});
  }
  set(cursors_, {cursor.stream, cursor.reader}, cursor.sequence);
  return {};
}

Result<void> MemoryStore::erase_cursor(StreamId stream, std::string_view reader) {
  if (Result<void> ready = check_change(); !ready) return ready;
  set(cursors_, {stream, std::string{reader}}, std::nullopt);
  return {};
}

Result<void> MemoryStore::put_anchor(const ClockAnchor& anchor) {
  if (Result<void> ready = check_change(); !ready) return ready;
  undo_.emplace_back([this, old = anchor_] { anchor_ = old; });
  anchor_ = anchor;
  return {};
}

Result<void> MemoryStore::put_token(StreamId stream, std::string_view token, Sequence sequence, StoreTime expires_at) {
  if (Result<void> ready = check_change(); !ready) return ready;
  if (Result<void> checked = store_checks::token(token); !checked) return fail(checked.error());
  const std::pair key{stream, std::string{token}};
  if (tokens_.size() >= limits::kTokens && !tokens_.contains(key)) return store_checks::too_many_tokens();
  set(tokens_, key, Token{sequence, expires_at});
  return {};
}

Result<void> MemoryStore::erase_tokens(StoreTime now, std::size_t limit) {
  if (Result<void> ready = check_change(); !ready) return ready;
  std::vector<std::pair<StreamId, std::string>> expired;
  for (const auto& [key, token] : tokens_) {
    if (expired.size() < limit && token.expires_at <= now) expired.push_back(key);
  }
  for (const auto& key : expired) set(tokens_, key, std::nullopt);
  return {};
}

}  // namespace pannier::testkit
