#include "runtime/queue/watermarks.h"

#include <algorithm>

#include "runtime/mutants.h"

namespace pannier {

Result<void> Watermarks::load() {
  auto stored = store_.watermarks();
  if (!stored) return stored.error();
  for (Watermark& watermark : *stored) {
    Mark& mark = marks_[{watermark.producer, watermark.incarnation, watermark.lane}];
    mark.staged = watermark.sequence;
    ++producers_[watermark.producer];
    mark.watermark = std::move(watermark);
  }
  return {};
}

Watermarks::Mark* Watermarks::find(const IncomingRow& row) {
  const auto found = marks_.find({row.producer, row.incarnation, row.lane});
  return found == marks_.end() ? nullptr : &found->second;
}

Watermarks::Verdict Watermarks::judge(const IncomingRow& row, const Mark* mark) noexcept {
  const Sequence staged = mark == nullptr ? 0 : mark->staged;
  if (row.sequence <= staged && !is_mutant(Mutant::no_duplicate_marks)) return Verdict::duplicate;
  return row.after > staged && !is_mutant(Mutant::gap_not_seen) ? Verdict::gap : Verdict::fresh;
}

Sequence Watermarks::committed(const std::string& producer, std::uint64_t incarnation, const std::string& lane) const {
  const auto found = marks_.find({producer, incarnation, lane});
  return found == marks_.end() ? 0 : found->second.watermark.sequence;
}

Watermarks::Mark* Watermarks::open(const IncomingRow& row) {
  const auto of_producer = producers_.find(row.producer);
  if (marks_.size() >= limits::kWatermarks) return nullptr;
  if (of_producer != producers_.end() && of_producer->second >= limits::kProducerStreams) return nullptr;
  Charge charge{row.charge.account(), Resource::streams};
  if (!charge.ok()) return nullptr;
  ++producers_[row.producer];
  Mark mark{{row.producer, row.incarnation, row.lane, 0}, 0, std::move(charge)};
  return &marks_.emplace(Name{row.producer, row.incarnation, row.lane}, std::move(mark)).first->second;
}

bool Watermarks::stage(const IncomingRow& row, Mark& mark) {
  const bool first = changed_.empty();
  if (mark.staged == mark.watermark.sequence) changed_.push_back(&mark);
  mark.staged = row.sequence;
  return first;
}

Result<void> Watermarks::write() {
  if constexpr (is_mutant(Mutant::watermark_not_persisted)) return {};
  // By value: a change that fails settles, and so empties, the list.
  for (const Mark* each : std::vector<Mark*>{changed_}) {
    Watermark next = each->watermark;
    next.sequence = each->staged;
    auto written = group_.change([&](Store& store) { return store.put_watermark(next); });
    if (!written) return written;
  }
  return {};
}

std::vector<StreamAck> Watermarks::settle(const Result<void>& fate) {
  std::vector<StreamAck> acks;
  for (Mark* each : changed_) {
    ErrorCode cause{};
    if (fate) {
      each->watermark.sequence = each->staged;
    } else {
      // The group failed through no fault of the row: the producer must not dead-letter it.
      each->staged = each->watermark.sequence;
      cause = fate.error().code == ErrorCode::storage_full ? ErrorCode::storage_full : ErrorCode::storage_io;
    }
    acks.push_back(
        {each->watermark.producer, each->watermark.lane, each->staged, !fate.ok(), cause, each->watermark.incarnation});
  }
  changed_.clear();
  return acks;
}

Result<void> Watermarks::forget_others(std::string_view producer, const std::vector<std::uint64_t>& incarnations) {
  for (auto at = marks_.lower_bound({std::string{producer}, 0, {}});
       at != marks_.end() && std::get<0>(at->first) == producer;) {
    const bool in_use =
        std::find(incarnations.begin(), incarnations.end(), std::get<1>(at->first)) != incarnations.end();
    const bool staged = at->second.staged != at->second.watermark.sequence;
    if (in_use || staged) {
      ++at;
      continue;
    }
    // Should the group fail, the mark stays on disk and is read again at the next start: harmless.
    auto erased = group_.change([&](Store& store) { return store.erase_watermark(at->second.watermark); });
    if (!erased) return erased;
    at = marks_.erase(at);
    if (const auto count = producers_.find(producer); count != producers_.end() && --count->second == 0) {
      producers_.erase(count);
    }
  }
  return {};
}

}  // namespace pannier
