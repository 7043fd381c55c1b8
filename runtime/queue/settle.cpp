// The way of an acknowledgement: a consumer settles a delivery, the group stores it, and the row goes, waits, or comes
// again. Read it from top to bottom.

#include <algorithm>

#include "platform/concat.h"
#include "runtime/queue/inbox.h"

namespace pannier {

namespace {

/// After a group failed: how a delivery was settled is not stored, and it is delivered again, as after a crash.
constexpr Duration kAfterFailure = std::chrono::milliseconds{200};

auto in_ms(Duration span) { return std::chrono::duration_cast<std::chrono::milliseconds>(span).count(); }

/// The delay before the last attempt is not stored; the exponential one stands for it.
Duration previous_delay(const Backoff& backoff, std::uint32_t attempts) noexcept {
  if (attempts < 2) return {};
  return Backoff{Backoff::Kind::exponential, backoff.base, backoff.cap}.delay(attempts - 1, {}, 0);
}

}  // namespace

Result<void> Inbox::settle(const Settle& settle) {
  if (Readers::owns(settle.delivery)) return readers_.settle(settle);
  const auto found = deliveries_.find(settle.delivery);
  if (found == deliveries_.end()) return ErrorCode::not_found;
  Handed& handed = found->second;
  InLane& lane = *handed.lane;
  const LaneOptions& options = lane.lane->options;
  if (settle.outcome == Outcome::extend) {
    handed.visibility = settle.delay.value_or(Duration{});
    arm_visibility(settle.delivery, handed);
    return {};
  }
  HeldRow* row = lane.find(handed.sequence);
  const std::uint32_t most = handed.max_attempts == 0 ? options.max_attempts : handed.max_attempts;
  const bool ack = settle.outcome == Outcome::ack;
  effect::Settled settled{&lane, row->sequence, settle.outcome, false, row->attempts + 1, settle.cause, kNoMoment};
  settled.dead_lettered =
      settle.outcome == Outcome::dead_letter || (settle.outcome == Outcome::retry && settled.attempts >= most);
  if (!ack && !settled.dead_lettered) {
    const Duration delay =
        settle.delay ? *settle.delay
                     : options.backoff.delay(settled.attempts, previous_delay(options.backoff, settled.attempts),
                                             host_->random());
    if (delay > Duration::zero()) settled.next_try = clock_.now() + std::min(delay, limits::kLongestWait);
  }
  const bool retain = ack && options.retention.any() && store_.retention() != nullptr;
  auto staged = group_.attempt([&](Store& store) {
    if (ack && !retain) return store.erase(lane.id, row->sequence);
    const RowState state = ack ? RowState::retained : settled.dead_lettered ? RowState::dead_lettered : RowState::ready;
    return store.mark(lane.id, row->sequence,
                      {state, settled.attempts, settled.cause, ack ? clock_.now() : settled.next_try});
  });
  // A row that is gone, cancelled perhaps, has nothing to be marked. That is no reason to fail.
  if (!staged && staged.error().code != ErrorCode::not_found) return staged;
  if (retain) {
    if (auto trimmed = trim(lane); !trimmed) return trimmed;
    group_.then(effect::Retained{&lane});
  }
  group_.need(ack ? options.durability : Durability::fsynced);
  group_.hurry();  // the next message of its key waits
  take_back(settle.delivery);
  lane.set_state(*row, HeldRow::State::settling);
  group_.then(std::move(settled));
  return {};
}

void Inbox::settle(effect::Settled& settled, const Result<void>& fate) {
  InLane& lane = *settled.lane;
  HeldRow* row = lane.find(settled.sequence);
  touch(lane);
  if (row == nullptr) return;
  suspects_.erase({lane.id, settled.sequence});  // whatever it was, its handler came back
  clear_note(lane, *row);
  if (!fate) {
    pause(lane, *row, kAfterFailure);
    return;
  }
  readers_.changed(lane);
  LaneCounters& counters = lane.lane->counters;
  if (settled.outcome == Outcome::ack) {
    ++handled_;
    ++counters.handled;
    lane.forget(settled.sequence);
  } else if (settled.dead_lettered) {
    ++counters.dead_lettered;
    host_->log(LogLevel::warning,
               concat({"lane ", lane.name(), ": dead-lettered message ", row->id, " of key '", printable(row->key),
                       "' after ", settled.attempts, " attempts: ", settled.cause}));
    lane.forget(settled.sequence);
  } else if (settled.next_try == kNoMoment) {
    ++counters.retried;
    row->attempts = settled.attempts;
    row->cause = std::move(settled.cause);
    lane.set_state(*row, HeldRow::State::ready);
  } else {
    // It waits on disk, and so does its key.
    ++counters.retried;
    const std::string key = row->key;
    lane.forget(settled.sequence);
    if (lane.is_ordered(key)) lane.drop_key(key);
  }
}

// --- In someone's hands, and back -----------------------------------------------------------------------------------

void Inbox::arm_visibility(std::uint64_t delivery, Handed& handed) {
  host_->cancel(std::exchange(handed.timer, TimerId{}));
  if (handed.visibility > Duration::zero()) {
    handed.timer = host_->after(handed.visibility, [this, delivery] { timed_out(delivery); });
  }
}

void Inbox::timed_out(std::uint64_t delivery) {
  const auto found = deliveries_.find(delivery);
  if (found == deliveries_.end()) return;
  InLane& lane = *found->second.lane;
  const Duration took = host_->now() - found->second.since;
  auto staged = settle({delivery, Outcome::retry, {}, concat({"not settled within ", in_ms(took), " ms"}), {}, {}});
  if (!staged) {
    host_->log(LogLevel::error, concat({"lane ", lane.name(), ": ", staged.error().text()}));
    host_->after(kAfterFailure, [this, delivery] { timed_out(delivery); });
    return;
  }
  ++lane.lane->counters.timed_out;
}

/// It is in nobody's hands any more: settling it again finds nothing.
void Inbox::take_back(std::uint64_t delivery) {
  const auto found = deliveries_.find(delivery);
  const Handed& handed = found->second;
  host_->cancel(handed.timer);
  --handed.lane->in_hands;
  touch(*handed.lane);
  if (LaneConsumer* consumer = handed.fetched ? nullptr : handed.lane->consumer(handed.holder)) --consumer->in_hands;
  deliveries_.erase(found);
}

void Inbox::clear_note(InLane& lane, HeldRow& row) noexcept {
  if (!std::exchange(row.noted, false)) return;
  store_.clear_in_flight(lane.id, row.sequence);
  if (!std::exchange(journal_full_, false)) return;
  for (auto& [name, each] : lanes_) touch(*each);
}

/// For a store that failed. What waits for its next attempt waits on disk instead.
void Inbox::pause(InLane& lane, HeldRow& row, Duration delay) {
  lane.set_state(row, HeldRow::State::paused);
  host_->after(delay, [this, &lane, sequence = row.sequence] {
    HeldRow* again = lane.find(sequence);
    if (again == nullptr || again->state != HeldRow::State::paused) return;
    lane.set_state(*again, HeldRow::State::ready);
    touch(lane);
  });
}

// --- What is retained -----------------------------------------------------------------------------------------------

/// Stages the removal of what the lane's limits no longer allow; a bounded number of rows.
Result<void> Inbox::trim(InLane& lane) {
  const RetentionOptions& options = lane.lane->options.retention;
  const Load most = options.most();
  const StoreTime oldest = options.age > Duration::zero() ? clock_.now() - options.age : kNoMoment;
  const Stream* stream = store_.find_stream(lane.id);
  if (stream == nullptr) return {};
  const Load load = (*stream)[RowState::retained];
  if (load.messages <= most.messages && load.bytes <= most.bytes && oldest <= kNoMoment) return {};
  Readers::Unread unread;
  if (auto seen = readers_.before_trim(lane, unread); !seen) return seen;
  auto trimmed =
      group_.change([&](Store& store) { return store.retention()->trim(lane.id, most, std::max(oldest, kNoMoment)); });
  if (trimmed) readers_.after_trim(lane, unread);
  return trimmed;
}

/// Arms a timer for the oldest retained row, where rows are retained for a time.
void Inbox::watch_age(InLane& lane) {
  const Duration age = lane.lane->options.retention.age;
  if (lane.age_timer != TimerId{} || age <= Duration::zero() || lane.id == StreamId{}) return;
  const StoreTime now = clock_.now();
  Duration wait = Duration::max();
  auto read = store_.read(lane.id, RowState::retained, 0, 1, [&](const Row& row) {
    wait = std::max(row.moment + age - now, Duration::zero());
    return false;
  });
  if (!read) wait = limits::kStoreRetry;
  if (wait == Duration::max()) return;  // nothing is retained
  // trim removes rows whose moment is before the limit, not at it.
  lane.age_timer = host_->after(wait + Duration{1}, [this, &lane] {
    lane.age_timer = TimerId{};
    if (auto trimmed = trim(lane); !trimmed) {
      host_->log(LogLevel::error, concat({"lane ", lane.name(), ": ", trimmed.error().text()}));
      lane.age_timer = host_->after(limits::kStoreRetry, [this, &lane] {
        lane.age_timer = TimerId{};
        watch_age(lane);
      });
    } else if (group_.is_open()) {
      group_.then(effect::Retained{&lane});
    }
  });
}

void Inbox::settle(effect::Retained& retained, const Result<void>& /*fate*/) { watch_age(*retained.lane); }

}  // namespace pannier
