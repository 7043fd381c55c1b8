// The way of a stored message to a consumer. Read it from top to bottom: what is due, whether it may still be
// delivered, who gets it.

#include <algorithm>
#include <unordered_set>

#include "platform/concat.h"
#include "runtime/mutants.h"
#include "runtime/queue/inbox.h"

namespace pannier {

namespace {

/// After a consumer's mailbox was full.
constexpr Duration kDeliverAgain = std::chrono::milliseconds{20};

}  // namespace

bool Inbox::dispatch() {
  more_ = false;
  const std::vector<InLane*> dirty = std::exchange(dirty_, {});
  std::vector<InLane*> lanes;
  for (InLane* lane : dirty) {
    lane->dirty = false;
    resolve(*lane);
    if (!lane->has_takers()) continue;
    if (lane->id != StreamId{}) load_more(*lane);
    lanes.push_back(lane);
  }
  if (on_trial()) {
    for (InLane* lane : lanes) touch(*lane);  // when the suspect is settled, or its time is over
    more_ = false;
  } else {
    for (InLane* lane : lanes) {
      for_each_due(*lane, [&](HeldRow& row) { return lane->has_window() && give(*lane, row); });
    }
  }
  for (InLane* lane : lanes) answer_fetchers(*lane);
  readers_.dispatch();
  return more_;
}

// --- Whose turn it is -----------------------------------------------------------------------------------------------

/// Visits the rows that may be delivered now, in order, until `visit` returns false. Rows that must not be delivered
/// any more are given up on the way.
void Inbox::for_each_due(InLane& lane, FunctionRef<bool(HeldRow&)> visit) {
  std::unordered_set<std::string_view> visited;  // keys whose first row was passed by
  for (std::size_t i = 0; i < lane.held.size(); ++i) {
    HeldRow& row = lane.held[i];
    const bool out_of_order = is_mutant(Mutant::keys_not_ordered) && row.state == HeldRow::State::ready;
    const bool due = lane.is_due(row) && !visited.contains(row.key);
    if (!(due || out_of_order) || give_up(lane, row)) continue;
    if (lane.is_ordered(row.key)) visited.insert(row.key);
    if (!visit(row)) return;
  }
}

/// Erases a row that has expired, and dead-letters one whose attempts are used up or that stands behind a dead letter
/// of its key. False: it may be delivered.
bool Inbox::give_up(InLane& lane, HeldRow& row) {
  const bool expired = row.expires_at != kNoMoment && row.expires_at <= clock_.now();
  const LaneOptions& options = lane.lane->options;
  std::string cause;
  bool failed = false;
  if (!expired && options.dead_letter == DeadLetterScope::key && !row.key.empty()) {
    const auto first = store_.first_of_key(lane.id, RowState::dead_lettered, row.key);
    failed = !first;
    if (first && *first != 0 && row.id > *first)
      cause = concat({"behind message ", *first, " of its key, a dead letter"});
  }
  if (!expired && !failed && cause.empty()) {
    const auto suspect = suspects_.find({lane.id, row.sequence});
    const bool has_a_try = suspect != suspects_.end() && suspect->second;
    if (row.attempts == 0 || row.attempts < lane.max_attempts() || has_a_try) return false;
    cause = row.cause.empty() ? "its attempts are used up" : row.cause;
  }
  auto staged = failed ? Result<void>{ErrorCode::storage_io} : group_.attempt([&](Store& store) {
    return expired ? store.erase(lane.id, row.sequence)
                   : store.mark(lane.id, row.sequence, {RowState::dead_lettered, row.attempts, cause, kNoMoment});
  });
  if (!staged && staged.error().code != ErrorCode::not_found) {
    host_->log(LogLevel::error, concat({"lane ", lane.name(), ": ", staged.error().text()}));
    pause(lane, row, limits::kStoreRetry);
    return true;
  }
  if (!expired) {
    host_->log(LogLevel::warning, concat({"lane ", lane.name(), ": dead-lettered message ", row.id, " of key '",
                                          printable(row.key), "' after ", row.attempts, " attempts: ", cause}));
  }
  lane.set_state(row, HeldRow::State::removed);
  group_.hurry();
  group_.then(effect::Removed{lane.id, Box::inbox, lane.lane, row.sequence,
                              expired ? &LaneCounters::expired : &LaneCounters::dead_lettered});
  more_ = true;
  return true;
}

// --- Suspects -------------------------------------------------------------------------------------------------------

/// True while nothing but a suspect may be delivered.
bool Inbox::on_trial() {
  if (suspects_.empty()) return false;
  const MonoTime now = host_->now();
  const auto look_again_at = [&](MonoTime moment) {
    host_->cancel(trial_timer_);
    trial_timer_ = host_->after(moment - now, [] {});  // its step looks again
  };
  if (const auto tried = deliveries_.find(trial_); tried != deliveries_.end()) {
    if (tried->second.since + limits::kSuspectTrial > now) return true;
    suspects_.erase({tried->second.lane->id, tried->second.sequence});  // it would have done its harm by now
  }
  trial_ = 0;
  HeldRow* next = nullptr;
  InLane* where = nullptr;
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
    look_again_at(quiet);
  } else if (give(*where, *next)) {
    trial_ = next->delivery;
    look_again_at(now + limits::kSuspectTrial);
  }
  return true;
}

// --- Who gets it ----------------------------------------------------------------------------------------------------

/// To the first fetch that wants more, or to the consumer with the widest window. False where nobody takes it now.
bool Inbox::give(InLane& lane, HeldRow& row) {
  for (LaneFetcher& fetcher : lane.fetchers) {
    if (fetcher.got.size() >= fetcher.options.max) continue;
    const std::uint64_t id = hand_to(
        lane, row, {.holder = fetcher.reply_to.asker, .fetched = true, .visibility = fetcher.options.visibility});
    if (id == 0) return false;
    fetcher.got.push_back({row.key, row.attempts, AnyTable{row.type, nullptr, row.payload}, Delivery{*sink_, id}});
    return true;
  }
  LaneConsumer* best = nullptr;
  const auto window = [](const LaneConsumer& each) { return each.options.window - each.in_hands; };
  for (LaneConsumer& each : lane.consumers) {
    if (!each.has_window()) continue;
    const bool wider = best == nullptr || window(each) > window(*best);
    if (wider || (window(each) == window(*best) && each.turn < best->turn)) best = &each;
  }
  if (best == nullptr) return false;
  best->turn = ++lane.turns;
  return deliver(lane, row, *best);
}

bool Inbox::deliver(InLane& lane, HeldRow& row, LaneConsumer& consumer) {
  const ActorId actor = consumer.actor;
  const std::uint64_t id = hand_to(
      lane, row,
      {.holder = actor, .max_attempts = consumer.options.max_attempts, .visibility = consumer.options.visibility});
  if (id == 0) return false;
  MessagePtr message = any_message(MessageKind::delivery, actor, AnyTable{row.type, nullptr, row.payload});
  message->correlation = id;
  message->label = BlockRef::copy_of(std::as_bytes(std::span{row.key}));
  message->trace = row.trace;
  auto sent = host_->deliver(std::move(message));
  if (sent) return true;
  ++lane.lane->counters.undelivered;
  take_back(id);
  lane.set_state(row, HeldRow::State::ready);
  clear_note(lane, row);
  if (sent.error().code == ErrorCode::full) {
    consumer.full = true;
    host_->after(kDeliverAgain, [this, &lane, actor] {
      if (LaneConsumer* again = lane.consumer(actor)) again->full = false;
      touch(lane);
    });
  } else {
    ended(actor);  // it is gone; its successor asks anew
  }
  return give(lane, row);  // to another one
}

/// Gives the row a delivery number and notes it in the in-flight journal. 0: the journal is full; the row waits.
std::uint64_t Inbox::hand_to(InLane& lane, HeldRow& row, Handed handed) {
  if (!row.noted && !store_.note_in_flight(lane.id, row.sequence)) {
    journal_full_ = true;
    return 0;
  }
  row.noted = true;
  row.delivery = next_delivery_++;
  lane.set_state(row, HeldRow::State::in_hands);
  ++lane.in_hands;
  if (LaneConsumer* consumer = handed.fetched ? nullptr : lane.consumer(handed.holder)) ++consumer->in_hands;
  handed.lane = &lane;
  handed.sequence = row.sequence;
  handed.since = host_->now();
  arm_visibility(row.delivery, deliveries_.emplace(row.delivery, handed).first->second);
  return row.delivery;
}

void Inbox::answer_fetchers(InLane& lane) {
  std::erase_if(lane.fetchers, [this](LaneFetcher& each) {
    if (each.got.empty() && each.options.wait > Duration::zero()) return false;
    answer(each);
    return true;
  });
}

void Inbox::answer(LaneFetcher& fetcher) {
  host_->cancel(fetcher.deadline);
  host_->reply(fetcher.reply_to.message(std::move(fetcher.got)));
}

// --- For people -----------------------------------------------------------------------------------------------------

std::string Inbox::why_waiting(const Stream& stream, const Row& row) const {
  const InLane* lane = find(stream.id);
  if (lane == nullptr || !lane->has_takers()) {
    const bool in_hands = lane != nullptr && lane->find(row.sequence) != nullptr;
    if (!in_hands) return "nobody consumes the lane";
  }
  const HeldRow* held = lane->find(row.sequence);
  if (held != nullptr && held->state == HeldRow::State::in_hands) {
    return "in the hands of " + host_->describe(deliveries_.find(held->delivery)->second.holder);
  }
  if (held != nullptr && held->state == HeldRow::State::settling) return "how it was settled is being stored";
  if (held != nullptr && held->state == HeldRow::State::paused) return "the store failed; tried again soon";
  if (row.moment != kNoMoment) return concat({"waits for its next attempt: ", row.cause});
  if (suspects_.contains({stream.id, row.sequence})) {
    return "it may have ended the process: it is tried alone, once nothing else is in anyone's hands";
  }
  if (trial_ != 0) return "a message that may have ended the process is tried alone";
  return "messages before it are in consumers' hands, or its key waits";
}

void Inbox::describe(QueueStatus& status) const {
  readers_.describe(status);
  store_.visit_streams(Box::inbox, std::nullopt, [&](const Stream& stream) {
    const InLane* lane = find(stream.id);
    status.streams.push_back({Box::inbox,
                              {},
                              stream.lane,
                              stream.loads,
                              lane == nullptr ? 0 : lane->in_hands,
                              false,
                              lane == nullptr ? 0 : lane->consumers.size(),
                              stream.exact});
    return true;
  });
}

}  // namespace pannier
