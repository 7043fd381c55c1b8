#include "runtime/store/sqlite/streams.h"

#include <utility>

#include <pannier/limits.h>

namespace pannier {

using sqlite_schema::sequence_of;
using sqlite_schema::state_of;
using sqlite_schema::stream_of;

// --- Names ----------------------------------------------------------------------------------------------------------

const Stream* SqliteStreams::find(StreamId id) const noexcept {
  const auto number = static_cast<std::size_t>(id);
  return number == 0 || number > slots_.size() ? nullptr : slots_[number - 1].stream.get();
}

const Stream* SqliteStreams::find(Box box, std::string_view node, std::string_view lane) const noexcept {
  const auto found = names_.find(Name{box, node, lane});
  return found == names_.end() ? nullptr : *found;
}

void SqliteStreams::visit(std::optional<Box> box, std::optional<std::string_view> node,
                          Store::StreamVisitor visit) const {
  if (!box && node) {  // One node, in either box.
    for (const Box each : {Box::outbox, Box::inbox}) this->visit(each, node, visit);
    return;
  }
  auto at = box ? names_.lower_bound(Name{*box, node.value_or(""), ""}) : names_.begin();
  for (; at != names_.end(); ++at) {
    if (box && (*at)->box != *box) return;
    if (node && (*at)->node != *node) return;
    if (!visit(**at)) return;
  }
}

Stream& SqliteStreams::place(StreamId id, std::unique_ptr<Stream> stream) {
  const auto number = static_cast<std::uint32_t>(id);
  for (auto next = static_cast<std::uint32_t>(slots_.size()) + 1; next < number; ++next) free_.insert(next);
  if (slots_.size() < number) slots_.resize(number);
  free_.erase(number);
  Slot& slot = this->slot(id);
  for (std::size_t i = 0; i < kRowStates; ++i) totals_[i] += stream->loads[i];
  slot.stream = std::move(stream);
  slot.counted = {};
  names_.insert(slot.stream.get());
  return *slot.stream;
}

std::unique_ptr<Stream> SqliteStreams::displace(StreamId id) {
  Slot& slot = this->slot(id);
  names_.erase(slot.stream.get());
  for (std::size_t i = 0; i < kRowStates; ++i) totals_[i] -= slot.stream->loads[i];
  free_.insert(static_cast<std::uint32_t>(id));
  return std::exchange(slot.stream, nullptr);
}

void SqliteStreams::clear() { *this = {}; }

bool SqliteStreams::load(Stream stream) {
  const auto number = static_cast<std::uint32_t>(stream.id);
  if (number == 0 || number > limits::kStreams || find(stream.id) != nullptr ||
      find(stream.box, stream.node, stream.lane) != nullptr) {
    return false;
  }
  const StreamId id = stream.id;
  place(id, std::make_unique<Stream>(std::move(stream)));
  return true;
}

void SqliteStreams::estimate(const Stream& known) {
  if (find(known.id) == nullptr || name_of(find(known.id)) != name_of(&known)) return;
  Stream& stream = *slot(known.id).stream;
  if (stream.loads != known.loads) mark_changed(known.id);
  for (std::size_t i = 0; i < kRowStates; ++i) {
    totals_[i] -= stream.loads[i];
    totals_[i] += known.loads[i];
  }
  stream.loads = known.loads;
}

const Stream& SqliteStreams::make(Box box, std::string_view node, std::string_view lane) {
  auto made = std::make_unique<Stream>();
  made->id = static_cast<StreamId>(free_.empty() ? slots_.size() + 1 : *free_.begin());
  made->box = box;
  made->node = node;
  made->lane = lane;
  made->exact = exact();
  const StreamId id = made->id;
  undo_.push_back({Undo::Kind::made, id});
  return place(id, std::move(made));
}

void SqliteStreams::erase(StreamId id) {
  const Loads counted = slot(id).counted;
  undo_.push_back({Undo::Kind::erased, id, {}, counted, displace(id)});
}

bool SqliteStreams::is_fresh(StreamId id, Sequence sequence, Sequence first) {
  Slot& slot = this->slot(id);
  const bool fresh = sequence >= first && sequence > slot.highest;
  if (sequence > slot.highest) slot.highest = sequence;
  return fresh;
}

// --- Loads ----------------------------------------------------------------------------------------------------------

void SqliteStreams::mark_changed(StreamId id) {
  Slot& slot = this->slot(id);
  if (slot.changed) return;
  slot.changed = true;
  changed_.push_back(id);
}

void SqliteStreams::change(std::int64_t position, std::uint64_t payload_bytes, bool more) {
  const StreamId id = stream_of(position);
  Slot& slot = this->slot(id);
  if (slot.noted != epoch_) {
    slot.noted = epoch_;
    undo_.push_back({Undo::Kind::loads, id, slot.stream->loads, slot.counted});
  }
  const auto state = static_cast<std::size_t>(state_of(position));
  const Load load{1, payload_bytes};
  Load& in_stream = slot.stream->loads[state];
  totals_[state] -= in_stream;
  more ? in_stream += load : in_stream -= load;
  totals_[state] += in_stream;
  if (counted_through_ && position <= *counted_through_) {
    more ? slot.counted[state] += load : slot.counted[state] -= load;
  }
  mark_changed(id);
}

std::vector<StreamId> SqliteStreams::take_changed() {
  std::vector<StreamId> taken;
  for (const StreamId id : std::exchange(changed_, {})) {
    slot(id).changed = false;
    if (find(id) == nullptr) continue;
    taken.push_back(id);
    told_.push_back(id);
  }
  return taken;
}

// --- Transactions ---------------------------------------------------------------------------------------------------

void SqliteStreams::undo_to(std::size_t size) noexcept {
  for (; undo_.size() > size; undo_.pop_back()) {
    Undo& last = undo_.back();
    switch (last.kind) {
      case Undo::Kind::made: static_cast<void>(displace(last.id)); break;
      case Undo::Kind::erased:
        place(last.id, std::move(last.stream));
        slot(last.id).counted = last.counted;
        break;
      case Undo::Kind::loads: {
        Slot& slot = this->slot(last.id);
        if (slot.stream == nullptr) break;
        for (std::size_t i = 0; i < kRowStates; ++i) {
          totals_[i] -= slot.stream->loads[i];
          totals_[i] += last.loads[i];
        }
        slot.stream->loads = last.loads;
        slot.counted = last.counted;
        break;
      }
    }
  }
}

void SqliteStreams::begin_part() noexcept {
  part_ = undo_.size();
  told_before_part_ = told_.size();
  ++epoch_;
}

void SqliteStreams::end_part(bool keep) noexcept {
  ++epoch_;
  if (keep) return;
  undo_to(part_);
  for (; told_.size() > told_before_part_; told_.pop_back()) mark_changed(told_.back());
}

void SqliteStreams::commit() noexcept {
  ++epoch_;
  undo_.clear();
  told_.clear();
}

void SqliteStreams::rollback() noexcept {
  ++epoch_;
  undo_to(0);
  for (; !told_.empty(); told_.pop_back()) mark_changed(told_.back());
}

// --- Counting -------------------------------------------------------------------------------------------------------

void SqliteStreams::start_count() {
  counted_through_ = -1;
  for (Slot& slot : slots_) {
    if (slot.stream == nullptr) continue;
    slot.stream->exact = false;
    slot.counted = {};
  }
}

void SqliteStreams::count(std::int64_t position, std::uint64_t payload_bytes) {
  if (find(stream_of(position)) == nullptr) return;  // Nobody can ask for it.
  slot(stream_of(position)).counted[static_cast<std::size_t>(state_of(position))] += {1, payload_bytes};
}

void SqliteStreams::end_count() {
  counted_through_.reset();
  totals_ = {};
  for (Slot& slot : slots_) {
    if (slot.stream == nullptr) continue;
    if (slot.stream->loads != slot.counted) mark_changed(slot.stream->id);
    slot.stream->loads = slot.counted;
    slot.stream->exact = true;
    for (std::size_t i = 0; i < kRowStates; ++i) totals_[i] += slot.stream->loads[i];
  }
}

}  // namespace pannier
