// What leaves the inbox, and to whom.

#include <algorithm>
#include <unordered_set>

#include "platform/concat.h"
#include "runtime/queue/inbox.h"
#include "runtime/store/mutants.h"

namespace pannier {

namespace {
/// After a consumer's mailbox was full.
constexpr Duration kPlaceAgain = std::chrono::milliseconds{20};
/// After the store could not read, or not keep that a row was given up.
constexpr Duration kStoreAgain = std::chrono::seconds{1};

/// A row that is gone, moved aside as damaged perhaps, has nothing to be marked; that is no reason to fail a group.
Result<void> tolerant(Result<void> marked) {
  return !marked && marked.error().code == ErrorCode::not_found ? Result<void>{} : marked;
}

bool has_window(const LaneConsumer& consumer) { return !consumer.full && consumer.in_hands < consumer.options.window; }
}  // namespace

bool Inbox::feed() {
  more_ = false;
  std::vector<InboxLane*> ready;
  for (auto& [name, lane] : lanes_) {
    if (lane->dirty && lane->has_takers() && prepare(*lane)) ready.push_back(lane.get());
  }
  if (!on_trial()) {
    for (InboxLane* lane : ready) {
      lane->dirty = false;
      const bool room =
          !lane->claimers.empty() || std::any_of(lane->consumers.begin(), lane->consumers.end(), has_window);
      if (room) for_each_due(*lane, [&](HeldRow& row) { return give(*lane, row); });
    }
  }
  for (InboxLane* lane : ready) answer_claimers(*lane);
  readers_.feed();
  return more_;
}

// --- Rows into memory -----------------------------------------------------------------------------------------------

bool Inbox::prepare(InboxLane& lane) {
  if (lane.id == StreamId{}) return false;
  if (lane.options->parking == Parking::key) {
    ParkedKeys& parked = lane.parked;
    if (!parked.complete) scan_parked(lane);
    if (!parked.complete) return false;
    if (parked.first.size() >= limits::kParkedKeys) {
      if (!std::exchange(parked.told, true)) {
        port_->log(LogLevel::error,
                   concat({"lane ", lane.name(), ": messages of ", limits::kParkedKeys,
                           " keys are parked; nothing is handed out until some are redriven or purged"}));
      }
      answer_claimers(lane);
      return false;
    }
  }
  if (lane.held.size() < limits::kInboxHeldRows / 2) load_some(lane);
  return true;
}

void Inbox::scan_parked(InboxLane& lane) {
  ParkedKeys& parked = lane.parked;
  std::size_t seen = 0;
  auto read = store_.read(lane.id, RowState::dead_lettered, parked.scanned, limits::kReadBatchRows, [&](const Row& row) {
    ++seen;
    parked.scanned = row.sequence;
    if (row.key.empty() || parked.first.size() >= limits::kParkedKeys) return true;
    const auto [at, fresh] = parked.first.emplace(std::string{row.key}, row.id());
    at->second = std::min(at->second, row.id());
    return true;
  });
  if (!read) {
    port_->log(LogLevel::error, concat({"lane ", lane.name(), ": ", read.error().text()}));
    lane.dirty = false;
    port_->after(kStoreAgain, [&lane] { lane.dirty = true; });
  } else if (seen < limits::kReadBatchRows) {
    parked.complete = true;
  } else {
    more_ = true;  // the rest in the next step
  }
}

void Inbox::load_some(InboxLane& lane) {
  if (!lane.has_room() || lane.loaded >= lane.committed) return;
  const std::size_t limit = limits::kInboxHeldRows - lane.held.size();
  std::size_t read = 0;
  auto done = store_.read(lane.id, RowState::ready, lane.loaded, limit, [&](const Row& row) {
    ++read;
    lane.hold({.sequence = row.sequence,
               .id = row.id(),
               .key = std::string{row.key},
               .type = row.type,
               .payload = BlockRef::copy_of(row.payload),
               .expires_at = row.expires_at,
               .attempts = row.attempts,
               .cause = std::string{row.cause}});
    return lane.has_room();
  });
  if (!done) {
    port_->log(LogLevel::error, concat({"lane ", lane.name(), ": ", done.error().text()}));
    port_->after(kStoreAgain, [&lane] { lane.dirty = true; });
  }
  if (done && read < limit && lane.has_room()) lane.committed = lane.loaded;  // read to the end
}

// --- Whose turn it is -----------------------------------------------------------------------------------------------

/// Calls `each` for the rows that may be handed out, in order, until it answers false. What must not be is given up.
void Inbox::for_each_due(InboxLane& lane, FunctionRef<bool(HeldRow&)> each) {
  const bool per_key = lane.options->ordering == Ordering::per_key && !is_mutant(Mutant::keys_not_ordered);
  std::unordered_set<std::string_view> blocked;
  for (HeldRow& row : lane.held) {
    if (row.state == HeldRow::State::leaving) continue;
    const bool ordered = per_key && !row.key.empty();
    const bool turn = row.state == HeldRow::State::ready && !(ordered && blocked.contains(row.key));
    if (turn && give_up_unseen(lane, row)) continue;
    if (ordered) blocked.insert(row.key);
    if (turn && !each(row)) return;
  }
}

bool Inbox::give_up_unseen(InboxLane& lane, HeldRow& row) {
  const bool expired = row.expires_at != kNoMoment && row.expires_at <= clock_.now();
  bool used_up = false;
  std::string cause;
  if (!expired) {
    const auto behind = lane.options->parking == Parking::key && !row.key.empty() ? lane.parked.first.find(row.key)
                                                                                  : lane.parked.first.end();
    if (behind != lane.parked.first.end() && row.id > behind->second) {
      cause = concat({"behind message ", behind->second, " of its key, which is parked"});
    } else if (row.attempts > 0 && row.attempts >= lane.max_attempts()) {
      const auto suspect = suspects_.find({lane.id, row.sequence});
      used_up = suspect == suspects_.end() || !suspect->second;
      if (used_up) cause = row.cause.empty() ? "its attempts are used up" : row.cause;
    }
    if (cause.empty()) return false;
  }
  auto staged = group_.change([&](Store& store) {
    return expired ? store.erase(lane.id, row.sequence)
                   : tolerant(store.mark(lane.id, row.sequence, {RowState::dead_lettered, row.attempts, cause, kNoMoment}));
  });
  if (!staged) {
    port_->log(LogLevel::error, concat({"lane ", lane.name(), ": ", staged.error().text()}));
    pause(lane, row, kStoreAgain);
    return true;
  }
  more_ = true;
  group_.hurry();
  row.state = HeldRow::State::leaving;
  group_.then([this, &lane, sequence = row.sequence, expired, used_up](const Result<void>& fate) {
    lane.dirty = true;
    HeldRow* left = lane.find(sequence);
    if (!fate) {
      pause(lane, *left, kStoreAgain);
      return;
    }
    ++(expired ? lane.counters->expired : lane.counters->parked);
    if (used_up) note_parked(lane, *left);
    suspects_.erase({lane.id, sequence});
    lane.forget(sequence);
  });
  return true;
}

/// True while nothing but a suspect may be handed out.
bool Inbox::on_trial() {
  if (suspects_.empty()) return false;
  const MonoTime now = port_->now();
  const auto wait_until = [&](MonoTime moment) {
    port_->cancel(trial_timer_);
    trial_timer_ = port_->after(moment - now, [] {});  // a step, and this is asked anew
  };
  if (const auto tried = deliveries_.find(trial_); tried != deliveries_.end()) {
    if (tried->second.since + limits::kSuspectTrial > now) return true;
    suspects_.erase({tried->second.lane->id, tried->second.sequence});  // it would have done its harm by now
  }
  trial_ = 0;
  HeldRow* next = nullptr;
  InboxLane* where = nullptr;
  for (auto& [name, lane] : lanes_) {
    const auto first = suspects_.lower_bound({lane->id, 0});
    if (next != nullptr || !lane->has_takers() || first == suspects_.end() || first->first.first != lane->id) continue;
    for_each_due(*lane, [&, &lane = lane](HeldRow& row) {
      if (!suspects_.contains({lane->id, row.sequence})) return true;
      next = &row;
      where = lane.get();
      return false;
    });
  }
  if (next == nullptr) return false;
  MonoTime quiet = now;
  for (const auto& [id, handed] : deliveries_) quiet = std::max(quiet, handed.since + limits::kSuspectTrial);
  if (quiet > now) {
    wait_until(quiet);
  } else if (give(*where, *next)) {
    trial_ = next->delivery;
    wait_until(now + limits::kSuspectTrial);
  }
  return true;
}

// --- Into somebody's hands ------------------------------------------------------------------------------------------

bool Inbox::give(InboxLane& lane, HeldRow& row) {
  for (LaneClaimer& claimer : lane.claimers) {
    if (claimer.got.size() >= claimer.options.max) continue;
    const std::uint64_t id = take(lane, row, {claimer.asker, true, 0, claimer.options.visibility});
    if (id == 0) return false;
    claimer.got.push_back({row.key, row.attempts, AnyTable{row.type, nullptr, row.payload},
                           Delivery{port_->system(), claimer.asked, id}});
    return true;
  }
  LaneConsumer* best = nullptr;
  const auto room = [](const LaneConsumer& each) { return each.options.window - each.in_hands; };
  for (LaneConsumer& each : lane.consumers) {
    if (!has_window(each)) continue;
    const bool first = best == nullptr || room(each) > room(*best);
    if (first || (room(each) == room(*best) && each.turn < best->turn)) best = &each;
  }
  if (best == nullptr) return false;
  best->turn = ++lane.turns;
  return hand_out(lane, row, *best);
}

bool Inbox::hand_out(InboxLane& lane, HeldRow& row, LaneConsumer& consumer) {
  const ActorId actor = consumer.actor;
  const std::uint64_t id = take(lane, row, {actor, false, consumer.options.max_attempts, consumer.options.visibility});
  if (id == 0) return false;
  MessagePtr message = any_message(MessageKind::delivery, actor, AnyTable{row.type, nullptr, row.payload});
  message->correlation = id;
  message->label = BlockRef::copy_of(std::as_bytes(std::span{row.key}));
  auto sent = port_->tell_native(std::move(message));
  if (sent) return true;
  ++lane.counters->unplaced;
  take_back(id);
  row.state = HeldRow::State::ready;
  release(lane, row);
  if (sent.error().code == ErrorCode::full) {
    consumer.full = true;
    port_->after(kPlaceAgain, [&lane, actor] {
      if (LaneConsumer* again = lane.consumer(actor)) again->full = false;
      lane.dirty = true;
    });
  } else {
    ended(actor);  // gone; its successor asks anew
  }
  return give(lane, row);  // to another one
}

std::uint64_t Inbox::take(InboxLane& lane, HeldRow& row, const Terms& terms) {
  if (!row.claimed && !store_.note_in_flight(lane.id, row.sequence)) {
    claims_full_ = true;  // until one is released
    return 0;
  }
  row.claimed = true;
  row.state = HeldRow::State::in_hands;
  row.delivery = next_delivery_++;
  ++lane.in_hands;
  if (LaneConsumer* consumer = terms.pulled ? nullptr : lane.consumer(terms.holder)) ++consumer->in_hands;
  Handed handed{&lane, row.sequence, terms.holder, terms.pulled, terms.max_attempts, port_->now(), {}};
  if (terms.visibility > Duration::zero()) {
    handed.visibility = port_->after(terms.visibility, [this, id = row.delivery] { timed_out(id); });
  }
  deliveries_.emplace(row.delivery, handed);
  return row.delivery;
}

void Inbox::answer_claimers(InboxLane& lane) {
  std::erase_if(lane.claimers, [this](LaneClaimer& each) {
    if (each.got.empty() && each.options.wait > Duration::zero()) return false;
    answer(each);
    return true;
  });
}

void Inbox::answer(LaneClaimer& claimer) {
  port_->cancel(claimer.deadline);
  MessagePtr reply = native_message(MessageKind::reply, claimer.asker, std::move(claimer.got));
  reply->sender = claimer.asked;
  reply->correlation = claimer.correlation;
  reply->trace = claimer.trace;
  port_->worker().send_reserved(std::move(reply));
}

}  // namespace pannier
