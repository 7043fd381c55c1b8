#include "runtime/store/sqlite/loads.h"

#include <algorithm>

namespace pannier {

std::string SqliteLoads::name_of(Box box, std::string_view node, std::string_view lane) {
  std::string name;
  name.push_back(static_cast<char>(box));
  name.push_back(static_cast<char>(node.size()));  // At most 64; keeps "a" + "bc" and "ab" + "c" apart.
  name.append(node).append(lane);
  return name;
}

const Stream* SqliteLoads::find(StreamId stream) const noexcept {
  const auto number = static_cast<std::size_t>(stream);
  return number == 0 || number > streams_.size() ? nullptr : &streams_[number - 1];
}

std::optional<StreamId> SqliteLoads::find(Box box, std::string_view node, std::string_view lane) const {
  const auto known = ids_.find(name_of(box, node, lane));
  return known == ids_.end() ? std::nullopt : std::optional(known->second);
}

void SqliteLoads::clear() { *this = {}; }

const Stream& SqliteLoads::add(Box box, std::string_view node, std::string_view lane) {
  Stream made;
  made.id = static_cast<StreamId>(streams_.size() + 1);
  made.box = box;
  made.node = node;
  made.lane = lane;
  ids_.emplace(name_of(box, node, lane), made.id);
  streams_.push_back(std::move(made));
  return streams_.back();
}

void SqliteLoads::set(StreamId id, const std::array<Load, kRowStates>& loads, bool exact) {
  Stream& stream = streams_[static_cast<std::size_t>(id) - 1];
  stream.loads = loads;
  stream.exact = exact;
  counts_.erase(id);
  if (!exact) counts_.emplace(id, Count{});
}

Sequence SqliteLoads::boundary(StreamId stream, RowState state) const noexcept {
  const auto count = counts_.find(stream);
  if (count == counts_.end()) return store_checks::kMaxSequence;
  const auto index = static_cast<std::size_t>(state);
  if (index < count->second.state) return store_checks::kMaxSequence;
  return index == count->second.state ? count->second.through : 0;
}

void SqliteLoads::change(StreamId id, RowState state, Sequence sequence, const Load& load, bool more) {
  Stream& stream = streams_[static_cast<std::size_t>(id) - 1];
  const auto count = counts_.find(id);
  note(before_, stream);
  if (in_part_) note(part_before_, stream);
  const auto apply = [&](Load& to) { more ? to += load : to -= load; };
  apply(stream[state]);
  if (count != counts_.end() && static_cast<std::size_t>(state) == count->second.state &&
      sequence <= count->second.through) {
    apply(count->second.so_far);
  }
}

void SqliteLoads::note(std::vector<Before>& before, const Stream& stream) {
  // Groups touch few streams, mostly the one of the change before: the list stays short.
  const auto noted =
      std::find_if(before.rbegin(), before.rend(), [&](const Before& old) { return old.stream == stream.id; });
  if (noted != before.rend()) return;
  const auto count = counts_.find(stream.id);
  before.push_back({stream.id, stream.loads, count == counts_.end() ? Load{} : count->second.so_far});
}

void SqliteLoads::restore(const std::vector<Before>& before, std::size_t streams) {
  for (const Before& old : before) {
    if (static_cast<std::size_t>(old.stream) > streams_.size()) continue;
    streams_[static_cast<std::size_t>(old.stream) - 1].loads = old.loads;
    if (const auto count = counts_.find(old.stream); count != counts_.end()) count->second.so_far = old.so_far;
  }
  for (; streams_.size() > streams; streams_.pop_back()) {
    const Stream& made = streams_.back();
    ids_.erase(name_of(made.box, made.node, made.lane));
  }
}

void SqliteLoads::begin_part() {
  in_part_ = true;
  streams_before_part_ = streams_.size();
}

void SqliteLoads::end_part(bool keep) {
  if (!keep) restore(part_before_, streams_before_part_);
  part_before_.clear();
  in_part_ = false;
}

void SqliteLoads::commit() {
  before_.clear();
  end_part(true);
  streams_before_ = streams_.size();
}

void SqliteLoads::rollback() {
  restore(before_, streams_before_);
  before_.clear();
  end_part(true);
}

std::optional<SqliteLoads::Piece> SqliteLoads::uncounted() const noexcept {
  if (counts_.empty()) return std::nullopt;
  const auto& [stream, count] = *counts_.begin();
  return Piece{stream, static_cast<RowState>(count.state), count.through};
}

void SqliteLoads::counted(const Piece& piece, Sequence through, const Load& load) {
  Count& count = counts_.at(piece.stream);
  Stream& stream = streams_[static_cast<std::size_t>(piece.stream) - 1];
  count.so_far += load;
  count.through = through;
  if (through < store_checks::kMaxSequence) return;
  stream[piece.state] = count.so_far;
  count = {.state = count.state + 1};
  if (count.state < kRowStates) return;
  stream.exact = true;
  counts_.erase(piece.stream);
}

}  // namespace pannier
