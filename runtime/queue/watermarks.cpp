#include "runtime/mutants.h"
#include "runtime/queue/inbox.h"

namespace pannier {

Result<void> Watermarks::load() {
  auto kept = store_.watermarks();
  if (!kept) return kept.error();
  for (Watermark& watermark : *kept) {
    Mark& mark = marks_[{watermark.producer, watermark.incarnation, watermark.lane}];
    mark.staged = watermark.sequence;
    mark.watermark = std::move(watermark);
  }
  return {};
}

Watermarks::Mark& Watermarks::mark(const IncomingRow& row) {
  Mark& mark = marks_[{row.producer, row.incarnation, row.lane}];
  if (mark.watermark.producer.empty()) mark.watermark = {row.producer, row.incarnation, row.lane, 0};
  return mark;
}

Watermarks::Verdict Watermarks::judge(const IncomingRow& row) {
  const Mark& known = mark(row);
  if (row.sequence <= known.staged && !is_mutant(Mutant::no_duplicate_marks)) return Verdict::duplicate;
  return row.after > known.staged && !is_mutant(Mutant::gap_not_seen) ? Verdict::gap : Verdict::fresh;
}

bool Watermarks::staged(const IncomingRow& row) {
  Mark& changed = mark(row);
  const bool first = changed_.empty();
  if (changed.staged == changed.watermark.sequence) changed_.push_back(&changed);
  changed.staged = row.sequence;
  return first;
}

Result<void> Watermarks::write(Group& group) {
  if constexpr (is_mutant(Mutant::watermark_not_persisted)) return {};
  // By value: a failing change settles, and so empties, the list.
  for (const Mark* each : std::vector<Mark*>{changed_}) {
    Watermark next = each->watermark;
    next.sequence = each->staged;
    auto written = group.change([&](Store& store) { return store.put_watermark(next); });
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
      // What ended the group is this node's trouble, never the row's own: the producer must not park it.
      each->staged = each->watermark.sequence;
      cause = fate.error().code == ErrorCode::storage_full ? ErrorCode::storage_full : ErrorCode::storage_io;
    }
    acks.push_back({each->watermark.producer, each->watermark.lane, each->staged, !fate.ok(), cause});
  }
  changed_.clear();
  return acks;
}

Sequence Watermarks::committed(const IncomingRow& row) { return mark(row).watermark.sequence; }

}  // namespace pannier
