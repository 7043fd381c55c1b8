#include "runtime/queue/delayed.h"

#include <algorithm>
#include <set>
#include <vector>

namespace pannier {

namespace {
/// After the store could not read or write.
constexpr Duration kReleaseAgain = std::chrono::seconds{1};
}  // namespace

void Delayed::start(ServicePort& port) {
  port_ = &port;
  arm(clock_.now());
}

void Delayed::note(StoreTime due) {
  if (timer_ == TimerId{} || due < armed_for_) arm(due);
}

void Delayed::arm(StoreTime due) {
  port_->cancel(timer_);
  armed_for_ = due;
  timer_ = port_->after(std::max(due - clock_.now(), Duration::zero()), [this] {
    timer_ = TimerId{};
    release();
  });
}

void Delayed::release() {
  struct Due {
    StreamId stream;
    Sequence sequence;
    bool expired;
  };
  std::vector<Due> due;
  const StoreTime now = clock_.now();
  auto read = store_.read_due(now, limits::kMoveRows, [&](const Row& row) {
    due.push_back({row.stream, row.sequence, row.expires_at != kNoMoment && row.expires_at <= now});
    return true;
  });
  std::set<StreamId> grown;
  for (const Due& each : due) {
    if (read) read = release_one(each.stream, each.sequence, each.expired);
    if (!each.expired) grown.insert(each.stream);
  }
  if (!read) {
    port_->log(LogLevel::error, "delayed messages wait on: " + read.error().text());
    arm(now + kReleaseAgain);
    return;
  }
  if (!due.empty()) {
    group_.hurry();
    group_.then([this, grown](const Result<void>& fate) {
      if (!fate) return arm(clock_.now() + kReleaseAgain);
      for (const StreamId stream : grown) boxes_.grew(stream);
    });
  }
  const auto next = store_.next_due();
  if (!next) return arm(now + kReleaseAgain);
  if (*next) arm(**next);
}

Result<void> Delayed::release_one(StreamId stream, Sequence sequence, bool expired) {
  if (expired) {
    auto erased = group_.change([&](Store& store) { return store.erase(stream, sequence); });
    if (erased) {
      group_.then([this, lane = store_.find_stream(stream)->lane](const Result<void>& fate) {
        if (fate) ++lanes_.count(lane).expired;
      });
    }
    return erased;
  }
  return group_.change([&](Store& store) -> Result<void> {
    const auto next = store.next_sequence();
    if (!next) return next.error();
    return store.requeue(stream, sequence, *next);
  });
}

}  // namespace pannier
