#include "runtime/queue/room.h"
#include "runtime/queue/store_streams.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace pannier {

namespace {

/// What counts against a lane's quota.
Load waiting(const Stream& stream) noexcept {
  Load load = stream[RowState::ready];
  return load += stream[RowState::delayed];
}

/// Rows that are looked at for one that may be given up.
constexpr std::size_t kEvictRows = 64;

}  // namespace

bool Room::fits(StreamId id, const LaneOptions& lane, std::size_t bytes) const {
  const Stream* stream = store_.find_stream(id);
  const Load held = stream == nullptr ? Load{} : waiting(*stream);
  return held.messages + 1 <= lane.max_messages && held.bytes + bytes <= lane.max_bytes;
}

Result<void> Room::make(StreamId stream, const LaneOptions& lane, std::string_view key, std::size_t bytes) {
  if (lane.eviction == Eviction::latest_per_key && !key.empty()) {
    if (auto replaced = replace(stream, key); !replaced) return replaced;
  }
  // What was acknowledged, or has expired, and still waits to be erased counts no more.
  if (!fits(stream, lane, bytes) && outbox_.has_erasures()) {
    if (auto erased = outbox_.stage_erasures(); !erased) return erased;
  }
  if (!fits(stream, lane, bytes)) {
    if (auto swept = expiry_.sweep(stream); !swept) return swept.error();
  }
  if (!fits(stream, lane, bytes)) {
    if (lane.eviction != Eviction::oldest || bytes > lane.max_bytes) return ErrorCode::full;
    const auto made = evict(stream, [&] { return fits(stream, lane, bytes); });
    if (!made) return made.error();
    if (!*made) return ErrorCode::full;
  }
  if (!node_fits(bytes)) {
    const auto made = make_in_node(lane, bytes);
    if (!made) return made.error();
    if (!*made) return ErrorCode::full;
  }
  return {};
}

// --- The latest of each key -----------------------------------------------------------------------------------------

void Room::note_latest(StreamId stream, std::string_view key, Sequence sequence) {
  const auto known = latest_.find(stream);
  if (known != latest_.end()) known->second.insert_or_assign(std::string{key}, sequence);
}

Result<Room::Latest*> Room::latest_of(StreamId stream) {
  const auto known = latest_.find(stream);
  // Keys whose messages have left stay in the table until it is read anew.
  if (known != latest_.end() && known->second.size() <= limits::kLatestKeys) return &known->second;
  Latest& latest = latest_[stream];
  latest.clear();
  auto read = store_.read(stream, RowState::ready, 0, limits::kLatestKeys, [&](const Row& row) {
    latest.insert_or_assign(std::string{row.key}, row.sequence);
    return true;
  });
  if (!read) {
    latest_.erase(stream);
    return read.error();
  }
  return &latest;
}

Result<void> Room::replace(StreamId id, std::string_view key) {
  const auto latest = latest_of(id);
  if (!latest) return latest.error();
  const auto known = (*latest)->find(std::string{key});
  if (known == (*latest)->end()) return {};
  const Sequence sequence = known->second;
  (*latest)->erase(known);
  const Stream stream = *store_.find_stream(id);
  auto erased = erase(stream, sequence);
  if (!erased) return erased.error();
  return {};
}

// --- Eviction -------------------------------------------------------------------------------------------------------

Result<bool> Room::erase(const Stream& stream, Sequence sequence) {
  if (!boxes_.withdraw(stream, sequence)) return false;
  const Load before = (*store_.find_stream(stream.id))[RowState::ready];
  auto erased = group_.change([&](Store& store) { return store.erase(stream.id, sequence); });
  if (!erased) return erased.error();
  if ((*store_.find_stream(stream.id))[RowState::ready] == before) return false;  // it had left already
  group_.then([this, lane = stream.lane](const Result<void>& fate) {
    if (fate) ++lanes_.count(lane).evicted;
  });
  return true;
}

Result<bool> Room::evict(StreamId id, FunctionRef<bool()> enough) {
  const Stream* found = store_.find_stream(id);
  if (found == nullptr) return false;
  const Stream stream = *found;
  Sequence after = 0;
  while (!enough()) {
    std::vector<Sequence> oldest;
    auto read = store_.read(id, RowState::ready, after, kEvictRows, [&](const Row& row) {
      oldest.push_back(row.sequence);
      return true;
    });
    if (!read) return read.error();
    if (oldest.empty()) return false;
    for (const Sequence sequence : oldest) {
      if (enough()) break;
      after = sequence;
      if (auto erased = erase(stream, sequence); !erased) return erased;
    }
  }
  return true;
}

// --- The node's own quota -------------------------------------------------------------------------------------------

std::uint64_t Room::all_bytes() const {
  std::uint64_t sum = 0;
  for (std::uint32_t id = 1; const Stream* stream = store_.find_stream(StreamId{id}); ++id) sum += waiting(*stream).bytes;
  return sum;
}

bool Room::node_fits(std::size_t bytes) const { return max_bytes_ == 0 || all_bytes() + bytes <= max_bytes_; }

Result<bool> Room::make_in_node(const LaneOptions& lane, std::size_t bytes) {
  if (lane.eviction != Eviction::lowest_priority) return false;
  struct Lower {
    std::uint32_t priority;
    StreamId stream;
  };
  std::vector<Lower> lower;
  const auto streams = streams_of(store_);
  if (!streams) return streams.error();
  for (const Stream& each : *streams) {
    const std::uint32_t priority = lanes_[each.lane].priority;
    if (priority < lane.priority && each[RowState::ready].messages > 0) lower.push_back({priority, each.id});
  }
  std::sort(lower.begin(), lower.end(), [](const Lower& left, const Lower& right) {
    return std::pair{left.priority, left.stream} < std::pair{right.priority, right.stream};
  });
  for (const Lower& each : lower) {
    const auto made = evict(each.stream, [&] { return node_fits(bytes); });
    if (!made || *made) return made;
  }
  return node_fits(bytes);
}

}  // namespace pannier
