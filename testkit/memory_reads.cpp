#include <algorithm>
#include <tuple>
#include <utility>

#include <pannier/limits.h>
#include "testkit/memory_store.h"

namespace pannier::testkit {

// --- Reads ----------------------------------------------------------------------------------------------------------

Row MemoryStore::row_of(StreamId stream, RowState state, Sequence sequence, const KeptRow& kept) noexcept {
  return {.stream = stream,
          .sequence = sequence,
          .origin = kept.origin,
          .key = kept.key,
          .type = kept.type,
          .payload = kept.payload,
          .enqueued_at = kept.enqueued_at,
          .expires_at = kept.expires_at,
          .moment = kept.moment,
          .state = state,
          .attempts = kept.attempts,
          .producer = kept.producer,
          .cause = kept.cause,
          .trace = kept.trace};
}

Result<void> MemoryStore::read(StreamId id, RowState state, Sequence after, std::size_t limit, RowVisitor visit) {
  KeptStream* stream = kept_stream(id);
  if (stream == nullptr) return {};
  const Rows& rows = (*stream)[state];
  for (auto at = rows.upper_bound(after); at != rows.end() && limit > 0; ++at, --limit) {
    if (!visit(row_of(id, state, at->first, *at->second))) break;
  }
  return {};
}

Result<bool> MemoryStore::find(Sequence id, RowVisitor visit) {
  for (const auto& stream : streams_) {
    if (stream == nullptr) continue;
    for (const RowState state : kAllRowStates) {
      for (const auto& [sequence, kept] : (*stream)[state]) {
        const Row row = row_of(stream->stream.id, state, sequence, *kept);
        if (row.id() != id) continue;
        visit(row);
        return true;
      }
    }
  }
  return false;
}

Result<void> MemoryStore::read_due(StoreTime now, std::size_t limit, RowVisitor visit) {
  std::vector<Row> due;
  for (const auto& stream : streams_) {
    if (stream == nullptr) continue;
    for (const RowState state : {RowState::delayed, RowState::ready}) {
      for (const auto& [sequence, kept] : (*stream)[state]) {
        if (state == RowState::ready && kept->moment == kNoMoment) continue;
        if (kept->moment <= now) due.push_back(row_of(stream->stream.id, state, sequence, *kept));
      }
    }
  }
  std::sort(due.begin(), due.end(), [](const Row& left, const Row& right) {
    return std::tie(left.moment, left.state, left.stream, left.sequence) <
           std::tie(right.moment, right.state, right.stream, right.sequence);
  });
  if (due.size() > limit) due.resize(limit);
  for (const Row& row : due) {
    if (!visit(row)) break;
  }
  return {};
}

Result<std::optional<StoreTime>> MemoryStore::next_due() {
  std::optional<StoreTime> earliest;
  const StoreTime end = StoreTime::max();
  const Result<void> read = read_due(end, 1, [&](const Row& row) {
    earliest = row.moment;
    return false;
  });
  if (!read) return read.error();
  return earliest;
}

Result<Sequence> MemoryStore::first_of_key(StreamId id, RowState state, std::string_view key) {
  KeptStream* stream = kept_stream(id);
  Sequence first = 0;
  if (stream == nullptr || (state != RowState::ready && state != RowState::dead_lettered)) return first;
  for (const auto& [sequence, kept] : (*stream)[state]) {
    if (kept->key != key || (state == RowState::ready && kept->moment == kNoMoment)) continue;
    const Sequence known_by = kept->origin != 0 ? kept->origin : sequence;
    if (first == 0 || known_by < first) first = known_by;
  }
  return first;
}

const Stream* MemoryStore::find_stream(StreamId id) const noexcept {
  const KeptStream* stream = kept_stream(id);
  return stream == nullptr ? nullptr : &stream->stream;
}

const Stream* MemoryStore::find_stream(Box box, std::string_view node, std::string_view lane) const noexcept {
  const auto found = names_.find({box, std::string{node}, std::string{lane}});
  return found == names_.end() ? nullptr : find_stream(found->second);
}

void MemoryStore::visit_streams(std::optional<Box> box, std::optional<std::string_view> node,
                                StreamVisitor visit) const {
  for (const auto& [name, id] : names_) {
    const Stream& stream = *find_stream(id);
    if ((box && stream.box != *box) || (node && stream.node != *node)) continue;
    if (!visit(stream)) return;
  }
}

Load MemoryStore::total(RowState state) const noexcept {
  Load total;
  for (const auto& [name, id] : names_) total += (*find_stream(id))[state];
  return total;
}

Result<std::vector<Watermark>> MemoryStore::watermarks() {
  std::vector<Watermark> all;
  all.reserve(watermarks_.size());
  for (const auto& [key, sequence] : watermarks_) {
    all.push_back({std::get<0>(key), std::get<1>(key), std::get<2>(key), sequence});
  }
  return all;
}

Result<std::vector<Cursor>> MemoryStore::cursors() {
  std::vector<Cursor> all;
  for (const auto& [key, sequence] : cursors_) all.push_back({key.first, key.second, sequence});
  return all;
}

Result<Sequence> MemoryStore::token(StreamId stream, std::string_view token, StoreTime now) {
  const auto found = tokens_.find({stream, std::string{token}});
  return found == tokens_.end() || found->second.expires_at <= now ? 0 : found->second.sequence;
}

Result<void> MemoryStore::read_state(std::string_view prefix, StateVisitor visit) {
  for (auto at = state_.lower_bound(prefix); at != state_.end() && at->first.starts_with(prefix); ++at) {
    if (!visit(at->first, at->second)) break;
  }
  return {};
}

// --- The in-flight journal ------------------------------------------------------------------------------------------

bool MemoryStore::note_in_flight(StreamId stream, Sequence sequence) noexcept {
  if (in_flight_.contains({stream, sequence})) return true;
  return in_flight_.size() < limits::kInFlight && in_flight_.emplace(stream, sequence).second;
}

std::vector<Store::InFlight> MemoryStore::take_in_flight() {
  std::vector<InFlight> all;
  for (const auto& [stream, sequence] : in_flight_) all.push_back({stream, sequence});
  in_flight_.clear();
  return all;
}

}  // namespace pannier::testkit
