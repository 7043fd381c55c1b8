#include "runtime/queue/expiry.h"
#include "runtime/queue/store_streams.h"

#include <algorithm>
#include <vector>

namespace pannier {

namespace {
/// After the store could not read or write.
constexpr Duration kSweepAgain = std::chrono::seconds{1};
}  // namespace

Result<void> Expiry::load() {
  const auto streams = streams_of(store_);
  if (!streams) return streams.error();
  for (const Stream& stream : *streams) {
    if (!stream.exact || stream[RowState::ready].messages > 0) next_[stream.id] = clock_.now();
  }
  return {};
}

void Expiry::start(ServicePort& port) {
  port_ = &port;
  arm();
}

void Expiry::note(StreamId stream, StoreTime expires_at) {
  const auto [at, fresh] = next_.try_emplace(stream, expires_at);
  if (!fresh && at->second <= expires_at) return;
  at->second = expires_at;
  if (timer_ == TimerId{} || expires_at < armed_for_) arm();
}

void Expiry::arm() {
  port_->cancel(std::exchange(timer_, TimerId{}));
  if (next_.empty()) return;
  armed_for_ = std::min_element(next_.begin(), next_.end(), [](const auto& left, const auto& right) {
                 return left.second < right.second;
               })->second;
  timer_ = port_->after(std::max(armed_for_ - clock_.now(), Duration::zero()), [this] {
    timer_ = TimerId{};
    sweep_due();
  });
}

void Expiry::sweep_due() {
  // One stream a turn: a start looks at each of them, and shall not keep others waiting for that.
  const auto due =
      std::find_if(next_.begin(), next_.end(), [&](const auto& each) { return each.second <= clock_.now(); });
  if (due != next_.end()) {
    const StreamId stream = due->first;
    next_.erase(due);
    if (auto swept = sweep(stream); !swept) {
      port_->log(LogLevel::error, "expired messages wait on: " + swept.error().text());
      note(stream, clock_.now() + kSweepAgain);
    }
  }
  arm();
}

Result<std::size_t> Expiry::sweep(StreamId id) {
  const Stream* found = store_.find_stream(id);
  if (found == nullptr) return std::size_t{0};
  const Stream stream = *found;
  const StoreTime now = clock_.now();
  std::vector<Sequence> expired;
  StoreTime next{};
  std::size_t seen = 0;
  auto read = store_.read(id, RowState::ready, 0, limits::kExpiryRows, [&](const Row& row) {
    ++seen;
    if (row.expires_at == kNoMoment) return true;
    if (row.expires_at <= now) {
      expired.push_back(row.sequence);
    } else if (next == kNoMoment || row.expires_at < next) {
      next = row.expires_at;
    }
    return true;
  });
  if (!read) return read.error();
  std::size_t erased = 0;
  for (const Sequence sequence : expired) {
    if (!boxes_.withdraw(stream, sequence)) continue;  // in hands, or on its way: it was in time
    if (auto change = group_.change([&](Store& store) { return store.erase(id, sequence); }); !change) {
      return change.error();
    }
    ++erased;
  }
  if (erased > 0) {
    group_.then([this, id, erased, lane = stream.lane](const Result<void>& fate) {
      if (fate) {
        lanes_.count(lane).expired += erased;
      } else {
        note(id, clock_.now() + kSweepAgain);
      }
    });
  }
  // A full look that found some may have more behind it.
  if (seen == limits::kExpiryRows && erased > 0) next = now;
  if (next != kNoMoment) next_[id] = next;
  return erased;
}

}  // namespace pannier
