// What became of a delivery, and when its row comes again.

#include <algorithm>

#include "platform/concat.h"
#include "runtime/queue/inbox.h"

namespace pannier {

namespace {
/// After a group failed: what was said of a delivery is not stored, and it is delivered again, as after a crash.
constexpr Duration kAfterFailure = std::chrono::milliseconds{200};

auto in_ms(Duration span) { return std::chrono::duration_cast<std::chrono::milliseconds>(span).count(); }
}  // namespace

Result<void> Inbox::settle(const Settle& settle) {
  if (Readers::owns(settle.delivery)) return readers_.settle(settle);
  const auto found = deliveries_.find(settle.delivery);
  if (found == deliveries_.end()) return ErrorCode::not_found;
  InboxLane& lane = *found->second.lane;
  const Sequence sequence = found->second.sequence;
  HeldRow* row = lane.find(sequence);
  const std::uint32_t most = found->second.max_attempts == 0 ? lane.options->max_attempts : found->second.max_attempts;
  Word word{settle.outcome, settle.delay, settle.cause, row->attempts + 1, false};
  word.give_up = settle.outcome == Outcome::park || (settle.outcome == Outcome::retry && word.attempts >= most);
  const bool done = settle.outcome == Outcome::done;
  auto staged = group_.change([&](Store& store) {
    if (done && !lane.options->keep.any()) return store.erase(lane.id, sequence);
    const RowState state = done ? RowState::retained : word.give_up ? RowState::dead_lettered : RowState::ready;
    auto marked = store.mark(lane.id, sequence, {state, word.attempts, word.cause, done ? clock_.now() : kNoMoment});
    // A row that is gone, moved aside as damaged perhaps, has nothing to be marked; that is no reason to fail a group.
    return !marked && marked.error().code == ErrorCode::not_found ? Result<void>{} : marked;
  });
  if (staged && done && lane.options->keep.any()) staged = kept_.trim(lane);
  if (!staged) return staged;
  if (done) group_.need(lane.options->durability);
  group_.hurry();  // the next one of its key waits
  take_back(settle.delivery);
  row->state = HeldRow::State::settling;
  group_.then([this, &lane, sequence, word = std::move(word)](const Result<void>& fate) mutable {
    lane.dirty = true;
    if (HeldRow* settled_row = lane.find(sequence)) settled(lane, *settled_row, word, fate);
  });
  return {};
}

void Inbox::settled(InboxLane& lane, HeldRow& row, Word& word, const Result<void>& fate) {
  suspects_.erase({lane.id, row.sequence});  // whatever it was, its handler came back
  release(lane, row);
  if (!fate) {
    pause(lane, row, kAfterFailure);
    return;
  }
  readers_.changed(lane);
  if (word.outcome == Outcome::done) {
    ++counters_.handled;
    ++lane.counters->handled;
    if (lane.options->keep.any()) kept_.watch_age(lane);
    lane.forget(row.sequence);
  } else if (word.give_up) {
    ++lane.counters->parked;
    port_->log(LogLevel::warning, concat({"lane ", lane.name(), ": parked message ", row.id, " of key '", row.key,
                                          "' after ", word.attempts, " attempts: ", word.cause}));
    note_parked(lane, row);
    lane.forget(row.sequence);
  } else {
    ++lane.counters->retried;
    row.attempts = word.attempts;
    row.cause = std::move(word.cause);
    row.delay = word.delay ? *word.delay : lane.options->backoff.delay(row.attempts, row.delay, port_->random());
    pause(lane, row, row.delay);
  }
}

void Inbox::note_parked(InboxLane& lane, const HeldRow& row) {
  if (lane.options->parking != Parking::key || row.key.empty() || !lane.parked.complete) return;
  const auto [at, fresh] = lane.parked.first.emplace(row.key, row.id);
  at->second = std::min(at->second, row.id);
}

void Inbox::timed_out(std::uint64_t delivery) {
  const auto found = deliveries_.find(delivery);
  if (found == deliveries_.end()) return;
  InboxLane& lane = *found->second.lane;
  const Duration took = port_->now() - found->second.since;
  if (auto staged = settle({delivery, Outcome::retry, {}, concat({"not settled within ", in_ms(took), " ms"}), {}});
      !staged) {
    port_->log(LogLevel::error, concat({"lane ", lane.name(), ": ", staged.error().text()}));
    port_->after(kAfterFailure, [this, delivery] { timed_out(delivery); });
    return;
  }
  ++lane.counters->timed_out;
}

/// It is in nobody's hands any more; a word on it that comes later finds nothing.
void Inbox::take_back(std::uint64_t delivery) {
  const auto found = deliveries_.find(delivery);
  const Handed& handed = found->second;
  port_->cancel(handed.visibility);
  --handed.lane->in_hands;
  handed.lane->dirty = true;
  if (LaneConsumer* consumer = handed.pulled ? nullptr : handed.lane->consumer(handed.holder)) --consumer->in_hands;
  deliveries_.erase(found);
}

void Inbox::release(InboxLane& lane, HeldRow& row) noexcept {
  if (!std::exchange(row.claimed, false)) return;
  store_.clear_in_flight(lane.id, row.sequence);
  if (!std::exchange(claims_full_, false)) return;
  for (auto& [name, each] : lanes_) each->dirty = true;
}

void Inbox::pause(InboxLane& lane, HeldRow& row, Duration delay) {
  row.state = HeldRow::State::paused;
  row.next_try = port_->now() + delay;
  port_->after(delay, [&lane, sequence = row.sequence] {
    HeldRow* again = lane.find(sequence);
    if (again == nullptr || again->state != HeldRow::State::paused) return;
    again->state = HeldRow::State::ready;
    lane.dirty = true;
  });
}

}  // namespace pannier
