#include "runtime/queue/inbox.h"

#include <algorithm>

#include "platform/concat.h"
#include "runtime/actor/directory.h"

namespace pannier {

namespace {
constexpr Sequence kUnknown = ~Sequence{0};
constexpr std::string_view kEndedProcess = "the process ended while it was in a handler's hands";
}  // namespace

// --- What one lane holds --------------------------------------------------------------------------------------------

void InboxLane::hold(HeldRow row) {
  loaded = row.sequence;
  held_bytes += row.payload.bytes().size();
  held.push_back(std::move(row));
}

const HeldRow* InboxLane::find(Sequence sequence) const noexcept {
  const auto at = std::lower_bound(held.begin(), held.end(), sequence,
                                   [](const HeldRow& row, Sequence wanted) { return row.sequence < wanted; });
  return at != held.end() && at->sequence == sequence ? &*at : nullptr;
}

HeldRow* InboxLane::find(Sequence sequence) noexcept {
  return const_cast<HeldRow*>(std::as_const(*this).find(sequence));
}

void InboxLane::forget(Sequence sequence) noexcept {
  // By iterator: a deque's elements do not stand in one piece, so a pointer's distance says nothing.
  const auto at = std::lower_bound(held.begin(), held.end(), sequence,
                                   [](const HeldRow& row, Sequence wanted) { return row.sequence < wanted; });
  if (at == held.end() || at->sequence != sequence) return;
  held_bytes -= at->payload.bytes().size();
  held.erase(at);
}

LaneConsumer* InboxLane::consumer(ActorId actor) noexcept {
  const auto at = std::find_if(consumers.begin(), consumers.end(),
                               [actor](const LaneConsumer& each) { return each.actor == actor; });
  return at == consumers.end() ? nullptr : &*at;
}

std::uint32_t InboxLane::max_attempts() const noexcept {
  std::uint32_t most = consumers.empty() || !claimers.empty() ? options->max_attempts : 0;
  for (const LaneConsumer& each : consumers) {
    most = std::max(most, each.options.max_attempts == 0 ? options->max_attempts : each.options.max_attempts);
  }
  return most;
}

// --- Lanes ----------------------------------------------------------------------------------------------------------

void Inbox::start(ServicePort& port) {
  port_ = &port;
  readers_.start(port);
  kept_.start(port);
  for (auto& [name, each] : lanes_) kept_.watch_age(*each);
}

InboxLane& Inbox::lane(StreamId id, std::string_view name) {
  const auto found = lanes_.find(name);
  if (found != lanes_.end()) {
    found->second->id = id;  // another one than before where the group that made the stream was given up
    return *found->second;
  }
  auto made = std::make_unique<InboxLane>();
  made->id = id;
  made->options = &options_[name];
  made->counters = &options_.count(name);
  return *lanes_.emplace(std::string{name}, std::move(made)).first->second;
}

Result<InboxLane*> Inbox::known_lane(std::string_view name) {
  const auto found = lanes_.find(name);
  if (found != lanes_.end() && found->second->id != StreamId{}) return found->second.get();
  if (!valid_name(name, limits::kLaneNameBytes)) {
    return Error{ErrorCode::invalid_argument,
                 concat({"lane '", name, "': names are of a-z 0-9 . _ - only, 1 to 64 characters."})};
  }
  if (!options_.may_use(name)) return Error{ErrorCode::full, "this node uses too many names of lanes already."};
  InboxLane* made = nullptr;
  auto staged = group_.change([&](Store& store) -> Result<void> {
    const auto id = store.stream(Box::inbox, {}, name);
    if (!id) return id.error();
    made = &lane(*id, name);
    return {};
  });
  if (!staged) return staged.error();
  return made;
}

Result<void> Inbox::load(const std::vector<Stream>& streams) {
  for (const Stream& kept : streams) {
    if (kept.box != Box::inbox) continue;
    // Before they are counted nobody knows: read until the end.
    const bool empty = kept.exact && kept[RowState::ready].messages == 0;
    lane(kept.id, kept.lane).committed = empty ? 0 : kUnknown;
  }
  auto cursors = store_.retention()->cursors();
  if (!cursors) return cursors.error();
  for (const Cursor& cursor : *cursors) {
    for (auto& [name, each] : lanes_) {
      if (each->id == cursor.stream) readers_.load(*each, cursor);
    }
  }
  const std::vector<Store::InFlight> claims = store_.take_in_flight();
  auto counted = count_claims(claims);
  if (!counted) {
    // The notes stand, for the next life to count.
    for (const Store::InFlight& claim : claims) static_cast<void>(store_.note_in_flight(claim.stream, claim.sequence));
  }
  return counted;
}

Result<void> Inbox::count_claims(const std::vector<Store::InFlight>& claims) {
  std::vector<std::pair<RowName, std::uint32_t>> in_hands;
  for (const Store::InFlight& claim : claims) {
    auto read = store_.read(claim.stream, RowState::ready, claim.sequence - 1, 1, [&](const Row& row) {
      if (row.sequence == claim.sequence) in_hands.push_back({{claim.stream, claim.sequence}, row.attempts + 1});
      return true;
    });
    if (!read) return read;
  }
  if (in_hands.empty()) return {};
  for (const auto& [row, attempts] : in_hands) {
    suspects_[row] = in_hands.size() > 1;
    auto marked = group_.change([&, &row = row, &attempts = attempts](Store& store) {
      return store.mark(row.first, row.second, {RowState::ready, attempts, kEndedProcess, kNoMoment});
    });
    if (!marked) return marked;
  }
  Result<void> fate;
  group_.then([&fate](const Result<void>& told) { fate = told; });
  group_.commit();
  return fate;
}

void Inbox::forget_streams() {
  for (auto& [name, each] : lanes_) {
    const Stream* stream = store_.find_stream(each->id);
    if (stream == nullptr || stream->box != Box::inbox || stream->lane != name) each->id = StreamId{};
  }
}

Load Inbox::load_of(std::string_view lane) const noexcept {
  const auto found = lanes_.find(lane);
  const Stream* stream = found == lanes_.end() ? nullptr : store_.find_stream(found->second->id);
  if (stream == nullptr) return {};
  Load load = (*stream)[RowState::ready];
  return load += (*stream)[RowState::delayed];
}

// --- In -------------------------------------------------------------------------------------------------------------

Result<void> Inbox::put(StreamId stream, const LaneOptions& options, const NewRow& row) {
  InboxLane* target = &lane(stream, options.name);
  auto staged = group_.change([&](Store& store) { return store.put(row.row(stream)); });
  if (!staged || row.delayed()) return staged;
  group_.then([target, held = HeldRow{.sequence = row.sequence,
                                      .id = row.sequence,
                                      .key = std::string{row.key},
                                      .type = row.type,
                                      .payload = row.payload,
                                      .expires_at = row.expires_at}](const Result<void>& fate) mutable {
    if (!fate) return;
    ++target->counters->accepted;
    const bool caught_up = target->loaded >= target->committed;
    if (target->committed != kUnknown) target->committed = held.sequence;
    target->dirty = true;
    // Caught up: held at once. Else the row is read when its turn comes.
    if (caught_up && target->has_takers() && target->has_room()) target->hold(std::move(held));
  });
  return {};
}

bool Inbox::withdraw(std::string_view name, Sequence sequence) {
  const auto found = lanes_.find(name);
  if (found == lanes_.end()) return true;
  InboxLane& lane = *found->second;
  HeldRow* row = lane.find(sequence);
  if (row != nullptr && row->state != HeldRow::State::ready && row->state != HeldRow::State::paused) return false;
  if (row != nullptr) row->state = HeldRow::State::leaving;
  // A row of this very group is held only once the group is committed, and let go of right after.
  group_.then([this, &lane, sequence](const Result<void>& fate) {
    lane.dirty = true;
    if (fate) suspects_.erase({lane.id, sequence});
    if (fate) return lane.forget(sequence);
    if (HeldRow* withdrawn = lane.find(sequence)) withdrawn->state = HeldRow::State::ready;
  });
  return true;
}

void Inbox::grew(std::string_view name) {
  const auto found = lanes_.find(name);
  if (found == lanes_.end()) return;
  found->second->committed = kUnknown;
  found->second->dirty = true;
}

void Inbox::parked_changed(std::string_view name) {
  const auto found = lanes_.find(name);
  if (found == lanes_.end()) return;
  found->second->parked = {};  // looked at anew before anything is handed out
  found->second->dirty = true;
}

// --- Who takes them -------------------------------------------------------------------------------------------------

Result<void> Inbox::consume(ActorId consumer, const Consume& request) {
  auto known = known_lane(request.lane);
  if (!known) return known.error();
  InboxLane& target = **known;
  LaneConsumer* mine = target.consumer(consumer);
  if (mine == nullptr) {
    if (target.consumers.size() >= limits::kConsumers) {
      return Error{ErrorCode::full, concat({"lane '", request.lane, "' has ", limits::kConsumers,
                                            " consumers already; let fewer actors share it."})};
    }
    target.consumers.push_back({consumer, {}});
    mine = &target.consumers.back();
  }
  mine->options = request.options;
  mine->options.window = std::max(1U, mine->options.window);
  target.dirty = true;
  return {};
}

Result<void> Inbox::claim(const Message& question, const ClaimRows& request) {
  auto known = known_lane(request.lane);
  if (!known) return known.error();
  InboxLane& target = **known;
  if (target.claimers.size() >= limits::kClaimers) return ErrorCode::full;
  LaneClaimer claimer{next_claimer_++,      question.sender, question.receiver,
                      question.correlation, question.trace,  request.options};
  claimer.options.max = std::max(1U, claimer.options.max);
  if (request.options.wait > Duration::zero()) {
    claimer.deadline = port_->after(request.options.wait, [this, &target, number = claimer.number] {
      const auto at = std::find_if(target.claimers.begin(), target.claimers.end(),
                                   [number](const LaneClaimer& each) { return each.number == number; });
      if (at == target.claimers.end()) return;
      answer(*at);
      target.claimers.erase(at);
    });
  }
  target.claimers.push_back(std::move(claimer));
  target.dirty = true;
  return {};
}

Result<void> Inbox::replay(ActorId reader, const ReplayLane& request) {
  auto known = known_lane(request.lane);
  if (!known) return known.error();
  return readers_.attach(**known, reader, request.options);
}

Result<void> Inbox::forget_reader(const ForgetReader& request) {
  const auto found = lanes_.find(request.lane);
  return found == lanes_.end() ? Result<void>{} : readers_.forget(*found->second, request.reader);
}

void Inbox::ended(ActorId consumer) {
  readers_.ended(consumer);
  std::vector<std::uint64_t> handed;
  for (const auto& [id, each] : deliveries_) {
    if (each.holder == consumer) handed.push_back(id);
  }
  for (const std::uint64_t id : handed) {
    const Handed given = deliveries_.find(id)->second;
    take_back(id);
    HeldRow* row = given.lane->find(given.sequence);
    row->state = HeldRow::State::ready;
    release(*given.lane, *row);
  }
  for (auto& [name, lane] : lanes_) {
    std::erase_if(lane->consumers, [consumer](const LaneConsumer& each) { return each.actor == consumer; });
    std::erase_if(lane->claimers, [&](const LaneClaimer& each) {
      if (each.asker != consumer) return false;
      port_->cancel(each.deadline);
      return true;
    });
  }
}

}  // namespace pannier
