#include "runtime/queue/kept.h"

#include <algorithm>

#include "platform/concat.h"

namespace pannier {

namespace {
/// After the store could not read or change.
constexpr Duration kStoreAgain = std::chrono::seconds{1};
}  // namespace

Result<void> Kept::trim(InboxLane& lane) {
  const Keeping& keep = lane.options->keep;
  const Load most = keep.most();
  const StoreTime before = keep.age > Duration::zero() ? clock_.now() - keep.age : kNoMoment;
  const Stream* stream = store_.find_stream(lane.id);
  if (stream == nullptr) return {};
  const Load load = (*stream)[RowState::retained];
  if (load.messages <= most.messages && load.bytes <= most.bytes && before <= kNoMoment) return {};
  Readers::Unread unread;
  if (auto seen = readers_.before_trim(lane, unread); !seen) return seen;
  auto trimmed = group_.change([&](Store& store) { return store.retention()->trim(lane.id, most, std::max(before, kNoMoment)); });
  if (trimmed) readers_.after_trim(lane, std::move(unread));
  return trimmed;
}

void Kept::watch_age(InboxLane& lane) {
  const Duration age = lane.options->keep.age;
  if (lane.age_timer != TimerId{} || age <= Duration::zero()) return;
  const StoreTime now = clock_.now();
  Duration wait = Duration::max();
  auto read = store_.read(lane.id, RowState::retained, 0, 1, [&](const Row& row) {
    wait = std::max(row.moment + age - now, Duration::zero());
    return false;
  });
  if (!read) wait = kStoreAgain;
  if (wait == Duration::max()) return;  // nothing is kept
  // Rows are let go whose moment lies before the limit, so not at it.
  lane.age_timer = port_->after(wait + Duration{1}, [this, &lane] { let_go(lane); });
}

void Kept::let_go(InboxLane& lane) {
  lane.age_timer = TimerId{};
  if (lane.options->keep.age <= Duration::zero()) return;
  if (auto trimmed = trim(lane); !trimmed) {
    port_->log(LogLevel::error, concat({"lane ", lane.name(), ": ", trimmed.error().text()}));
    lane.age_timer = port_->after(kStoreAgain, [this, &lane] { let_go(lane); });
    return;
  }
  if (!group_.is_open()) return;
  group_.then([this, &lane](const Result<void>& /*fate*/) { watch_age(lane); });
}

}  // namespace pannier
