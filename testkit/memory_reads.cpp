#include <algorithm>
#include <tuple>
#include <utility>

#include "runtime/limits.h"
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
          .cause = kept.cause};
}

Result<void> MemoryStore::read(StreamId id, RowState state, Sequence after, std::size_t limit, RowVisitor visit) {
  KeptStream* stream = find_stream(id);
  if (stream == nullptr) return {};
  const Rows& rows = (*stream)[state];
  for (auto at = rows.upper_bound(after); at != rows.end() && limit > 0; ++at, --limit) {
    if (!visit(row_of(id, state, at->first, *at->second))) break;
  }
  return {};
}

Result<bool> MemoryStore::find(Sequence id, RowVisitor visit) {
  for (const auto& stream : streams_) {
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
    for (const auto& [sequence, kept] : (*stream)[RowState::delayed]) {
      if (kept->moment <= now) due.push_back(row_of(stream->stream.id, RowState::delayed, sequence, *kept));
    }
  }
  std::sort(due.begin(), due.end(), [](const Row& left, const Row& right) {
    return std::tie(left.moment, left.sequence) < std::tie(right.moment, right.sequence);
  });
  if (due.size() > limit) due.resize(limit);
  for (const Row& row : due) {
    if (!visit(row)) break;
  }
  return {};
}

Result<std::optional<StoreTime>> MemoryStore::next_due() {
  std::optional<StoreTime> earliest;
  for (const auto& stream : streams_) {
    for (const auto& [sequence, kept] : (*stream)[RowState::delayed]) {
      if (!earliest || kept->moment < *earliest) earliest = kept->moment;
    }
  }
  return earliest;
}

Result<std::vector<Stream>> MemoryStore::streams() {
  std::vector<Stream> all;
  all.reserve(streams_.size());
  for (const auto& kept : streams_) all.push_back(kept->stream);
  return all;
}

const Stream* MemoryStore::stream(StreamId id) const noexcept {
  const auto number = static_cast<std::size_t>(id);
  return number == 0 || number > streams_.size() ? nullptr : &streams_[number - 1]->stream;
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

Result<void> MemoryStore::query(const SqlStatement& /*statement*/, SqlVisitor /*visit*/) {
  return Error{ErrorCode::unsupported, "A store in memory knows no SQL; give the node an SQLite store."};
}

// --- Claims ---------------------------------------------------------------------------------------------------------

bool MemoryStore::claim(StreamId stream, Sequence sequence) noexcept {
  return claims_.size() < limits::kClaims && claims_.emplace(stream, sequence).second;
}

std::vector<Store::Claim> MemoryStore::take_claims() {
  std::vector<Claim> all;
  for (const auto& [stream, sequence] : claims_) all.push_back({stream, sequence});
  claims_.clear();
  return all;
}

}  // namespace pannier::testkit
