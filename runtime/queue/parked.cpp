#include "runtime/queue/parked.h"

#include <algorithm>
#include <map>
#include <utility>

#include "runtime/limits.h"
#include "runtime/queue/store_streams.h"

namespace pannier {

Result<Parked::Choice> Parked::choose(const ParkedSelection& selection, bool readable) {
  auto streams = streams_of(store_);
  if (!streams) return streams.error();
  Choice choice;
  for (const Stream& stream : *streams) {
    if (stream.box != selection.box || (!selection.node.empty() && stream.node != selection.node) ||
        (!selection.lane.empty() && stream.lane != selection.lane)) {
      continue;
    }
    auto read = store_.read(stream.id, RowState::dead_lettered, 0, ~std::size_t{0}, [&](const Row& row) {
      // What stands in for a damaged row has nothing that could be handled.
      if (readable && row.payload.empty()) return true;
      if (!selection.key.empty() && row.key != selection.key) return true;
      if (selection.id != 0 && row.id() != selection.id) return true;
      choice.more = choice.rows.size() >= limits::kMoveRows;
      if (!choice.more) choice.rows.push_back({stream.id, row.sequence, row.id()});
      return !choice.more;
    });
    if (!read) return read.error();
    if (choice.more) break;
  }
  std::sort(choice.rows.begin(), choice.rows.end(), [](const Chosen& left, const Chosen& right) {
    return std::pair{left.id, left.sequence} < std::pair{right.id, right.sequence};
  });
  return choice;
}

Result<ParkedAnswer> Parked::apply(const ParkedSelection& selection, bool readable,
                                   std::uint64_t LaneCounters::*counter,
                                   FunctionRef<Result<void>(Store&, const Chosen&)> change) {
  const auto choice = choose(selection, readable);
  if (!choice) return choice.error();
  if (choice->rows.empty()) {
    if (selection.id != 0) return Error{ErrorCode::not_found, "no message of that number is parked."};
    return ParkedAnswer{};
  }
  std::map<StreamId, std::uint64_t> touched;
  for (const Chosen& row : choice->rows) {
    ++touched[row.stream];
    auto changed = group_.change([&](Store& store) { return change(store, row); });
    if (!changed) return changed.error();
  }
  group_.then([this, counter, touched = std::move(touched)](const Result<void>& fate) {
    if (!fate) return;
    for (const auto& [id, rows] : touched) {
      const Stream stream = *store_.find_stream(id);
      lanes_.count(stream.lane).*counter += rows;
      boxes_.parked_changed(stream);
    }
  });
  return ParkedAnswer{choice->rows.size(), choice->more};
}

Result<ParkedAnswer> Parked::redrive(const ParkedSelection& selection) {
  return apply(selection, true, &LaneCounters::redriven, [](Store& store, const Chosen& row) -> Result<void> {
    const auto next = store.next_sequence();
    if (!next) return next.error();
    return store.requeue(row.stream, row.sequence, *next);
  });
}

Result<ParkedAnswer> Parked::purge(const ParkedSelection& selection) {
  return apply(selection, false, &LaneCounters::purged,
               [](Store& store, const Chosen& row) { return store.erase(row.stream, row.sequence); });
}

}  // namespace pannier
