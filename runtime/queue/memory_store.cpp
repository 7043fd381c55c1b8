#include "runtime/queue/memory_store.h"

#include <limits>
#include <utility>

#include "runtime/queue/store_checks.h"

namespace pannier {

MemoryStore::MemoryStore(Entropy& entropy) : MemoryStore(entropy, std::numeric_limits<std::uint64_t>::max()) {}

MemoryStore::MemoryStore(Entropy& entropy, std::uint64_t max_bytes)
    : incarnation_(entropy.next_u64()), max_bytes_(max_bytes) {}

Result<Sequence> MemoryStore::next_sequence() {
  if (next_ > store_checks::kMaxSequence) {
    return Error{ErrorCode::full, "All sequence numbers of this store are used; start with a new one."};
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
  undo_.clear();
  ++counters_.commits;
  return {};
}

void MemoryStore::rollback() noexcept {
  if (!open_) return;
  for (; !undo_.empty(); undo_.pop_back()) undo_.back()();
  counters_.rows_put = rows_put_before_;
  failed_.reset();
  open_ = false;
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

MemoryStore::KeptStream* MemoryStore::find(StreamId stream) {
  const auto number = static_cast<std::size_t>(stream);
  return number == 0 || number > streams_.size() ? nullptr : streams_[number - 1].get();
}

Result<StreamId> MemoryStore::stream(Box box, std::string_view node, std::string_view lane) {
  for (const auto& kept : streams_) {
    if (kept->stream.box == box && kept->stream.node == node && kept->stream.lane == lane) return kept->stream.id;
  }
  if (!open_) return Error{ErrorCode::not_found, "No such stream; making one needs a transaction."};
  if (failed_) return *failed_;
  if (Result<void> checked = store_checks::stream_name(node, lane); !checked) {
    failed_ = checked.error();
    return checked.error();
  }
  if (streams_.size() >= store_checks::kMaxStreams) {
    return Error{ErrorCode::full, "A store holds at most 65,535 streams; use fewer destinations or lanes."};
  }
  auto kept = std::make_unique<KeptStream>();
  kept->stream.id = static_cast<StreamId>(streams_.size() + 1);
  kept->stream.box = box;
  kept->stream.node = node;
  kept->stream.lane = lane;
  streams_.push_back(std::move(kept));
  undo_.emplace_back([this] { streams_.pop_back(); });
  return streams_.back()->stream.id;
}

void MemoryStore::apply(KeptStream& stream, RowState state, Sequence sequence, std::shared_ptr<const KeptRow> row) {
  const bool ready = state == RowState::ready;
  Rows& rows = ready ? stream.ready : stream.parked;
  std::uint64_t& messages = ready ? stream.stream.messages : stream.stream.parked;
  if (const auto old = rows.find(sequence); old != rows.end()) {
    const std::uint64_t size = old->second->payload.size();
    bytes_ -= size;
    if (ready) stream.stream.bytes -= size;
    --messages;
    rows.erase(old);
  }
  if (row != nullptr) {
    const std::uint64_t size = row->payload.size();
    bytes_ += size;
    if (ready) stream.stream.bytes += size;
    ++messages;
    rows.emplace(sequence, std::move(row));
  }
}

void MemoryStore::set_row(KeptStream& stream, RowState state, Sequence sequence, std::shared_ptr<const KeptRow> row) {
  const Rows& rows = state == RowState::ready ? stream.ready : stream.parked;
  const auto at = rows.find(sequence);
  std::shared_ptr<const KeptRow> old = at == rows.end() ? nullptr : at->second;
  undo_.emplace_back([this, &stream, state, sequence, old = std::move(old)] { apply(stream, state, sequence, old); });
  apply(stream, state, sequence, std::move(row));
}

Result<void> MemoryStore::put(const Row& row) {
  if (Result<void> ready = check_change(); !ready) return ready;
  if (Result<void> checked = store_checks::row(row); !checked) return fail(checked.error());
  KeptStream* stream = find(row.stream);
  if (stream == nullptr) return fail({ErrorCode::invalid_argument, "put: no such stream; ask stream() for its id."});
  if (stream->ready.contains(row.sequence) || stream->parked.contains(row.sequence)) {
    return fail({ErrorCode::invalid_argument, "put: this sequence number is taken; ask next_sequence() for one."});
  }
  if (bytes_ + row.payload.size() > max_bytes_) {
    return fail({ErrorCode::storage_full, "The memory store is at its cap; wait until messages have been delivered."});
  }
  auto kept = std::make_shared<KeptRow>();
  kept->key = row.key;
  kept->type = row.type;
  kept->payload.assign(row.payload.begin(), row.payload.end());
  kept->enqueued_at = row.enqueued_at;
  kept->producer = row.producer;
  kept->attempts = row.attempts;
  kept->cause = store_checks::cut_cause(row.cause);
  set_row(*stream, row.state, row.sequence, std::move(kept));
  ++counters_.rows_put;
  return {};
}

Result<void> MemoryStore::erase(StreamId id, Sequence sequence) {
  if (Result<void> ready = check_change(); !ready) return ready;
  KeptStream* stream = find(id);
  if (stream == nullptr) return {};
  if (stream->ready.contains(sequence)) set_row(*stream, RowState::ready, sequence, nullptr);
  if (stream->parked.contains(sequence)) set_row(*stream, RowState::parked, sequence, nullptr);
  return {};
}

Result<void> MemoryStore::erase_through(StreamId id, Sequence sequence) {
  if (Result<void> ready = check_change(); !ready) return ready;
  KeptStream* stream = find(id);
  if (stream == nullptr) return {};
  while (!stream->ready.empty() && stream->ready.begin()->first <= sequence) {
    set_row(*stream, RowState::ready, stream->ready.begin()->first, nullptr);
  }
  return {};
}

Result<void> MemoryStore::mark(StreamId id, Sequence sequence, RowState state, std::uint32_t attempts,
                               std::string_view cause) {
  if (Result<void> ready = check_change(); !ready) return ready;
  KeptStream* stream = find(id);
  if (stream == nullptr) return Error{ErrorCode::not_found, "mark: no such stream."};
  RowState old_state = RowState::ready;
  auto at = stream->ready.find(sequence);
  if (at == stream->ready.end()) {
    old_state = RowState::parked;
    at = stream->parked.find(sequence);
    if (at == stream->parked.end()) return Error{ErrorCode::not_found, "mark: this row is gone."};
  }
  auto changed = std::make_shared<KeptRow>(*at->second);
  changed->attempts = attempts;
  changed->cause = store_checks::cut_cause(cause);
  set_row(*stream, old_state, sequence, nullptr);
  set_row(*stream, state, sequence, std::move(changed));
  return {};
}

Result<void> MemoryStore::put_watermark(const Watermark& watermark) {
  if (Result<void> ready = check_change(); !ready) return ready;
  if (Result<void> checked = store_checks::watermark(watermark); !checked) return fail(checked.error());
  WatermarkKey key{watermark.producer, watermark.incarnation, watermark.lane};
  if (const auto old = watermarks_.find(key); old != watermarks_.end()) {
    undo_.emplace_back([this, key, sequence = old->second] { watermarks_[key] = sequence; });
    old->second = watermark.sequence;
    return {};
  }
  undo_.emplace_back([this, key] { watermarks_.erase(key); });
  watermarks_.emplace(std::move(key), watermark.sequence);
  return {};
}

Result<void> MemoryStore::put_state(std::string_view key, std::span<const std::byte> value) {
  if (Result<void> ready = check_change(); !ready) return ready;
  if (Result<void> checked = store_checks::state(key, value); !checked) return fail(checked.error());
  StateValue fresh(value.begin(), value.end());
  if (const auto old = state_.find(key); old != state_.end()) {
    undo_.emplace_back([this, name = std::string(key), before = old->second] { state_[name] = before; });
    old->second = std::move(fresh);
    return {};
  }
  undo_.emplace_back([this, name = std::string(key)] { state_.erase(name); });
  state_.emplace(std::string(key), std::move(fresh));
  return {};
}

Result<void> MemoryStore::erase_state(std::string_view key) {
  if (Result<void> ready = check_change(); !ready) return ready;
  const auto old = state_.find(key);
  if (old == state_.end()) return {};
  undo_.emplace_back([this, name = old->first, before = old->second] { state_[name] = before; });
  state_.erase(old);
  return {};
}

Result<void> MemoryStore::read(StreamId id, RowState state, Sequence after, std::size_t limit,
                               const RowVisitor& visit) {
  const KeptStream* stream = find(id);
  if (stream == nullptr) return {};
  const Rows& rows = state == RowState::ready ? stream->ready : stream->parked;
  for (auto at = rows.upper_bound(after); at != rows.end() && limit > 0; ++at, --limit) {
    const KeptRow& kept = *at->second;
    const Row row{.stream = id,
                  .sequence = at->first,
                  .key = kept.key,
                  .type = kept.type,
                  .payload = kept.payload,
                  .enqueued_at = kept.enqueued_at,
                  .state = state,
                  .attempts = kept.attempts,
                  .producer = kept.producer,
                  .cause = kept.cause};
    if (!visit(row)) break;
  }
  return {};
}

Result<std::vector<Stream>> MemoryStore::streams() {
  std::vector<Stream> all;
  all.reserve(streams_.size());
  for (const auto& kept : streams_) all.push_back(kept->stream);
  return all;
}

Result<std::vector<Watermark>> MemoryStore::watermarks() {
  std::vector<Watermark> all;
  all.reserve(watermarks_.size());
  for (const auto& [key, sequence] : watermarks_) {
    all.push_back({std::get<0>(key), std::get<1>(key), std::get<2>(key), sequence});
  }
  return all;
}

Result<void> MemoryStore::read_state(std::string_view prefix, const StateVisitor& visit) {
  for (auto at = state_.lower_bound(prefix); at != state_.end() && at->first.starts_with(prefix); ++at) {
    if (!visit(at->first, at->second)) break;
  }
  return {};
}

}  // namespace pannier
