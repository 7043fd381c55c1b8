// What people see of the inbox.

#include "platform/concat.h"
#include "runtime/queue/inbox.h"

namespace pannier {

std::string Inbox::why_waiting(std::string_view name, const Row& row) const {
  const auto found = lanes_.find(name);
  const HeldRow* held = found == lanes_.end() ? nullptr : found->second->find(row.sequence);
  if (held != nullptr && held->state == HeldRow::State::in_hands) {
    return "in the hands of " + port_->system().describe(deliveries_.find(held->delivery)->second.holder);
  }
  if (held != nullptr && held->state == HeldRow::State::settling) return "what became of it is being stored";
  if (found == lanes_.end() || !found->second->has_takers()) return "nobody consumes the lane";
  const InboxLane& lane = *found->second;
  if (held != nullptr && held->state == HeldRow::State::paused) {
    return concat({"tried again after a pause: ", row.cause});
  }
  if (suspects_.contains({lane.id, row.sequence})) {
    return "it may have ended the process: it is tried alone, once nothing else is in anybody's hands";
  }
  if (trial_ != 0) return "a message that may have ended the process is tried alone";
  if (lane.parked.first.size() >= limits::kParkedKeys) return "too many keys of its lane are parked";
  return "its turn has not come: rows before it are in the consumer's hands";
}

std::optional<Duration> Inbox::next_try_in(std::string_view name, const Row& row) const noexcept {
  const auto found = lanes_.find(name);
  const HeldRow* held = found == lanes_.end() ? nullptr : found->second->find(row.sequence);
  if (held == nullptr || held->state != HeldRow::State::paused) return std::nullopt;
  return held->next_try - port_->now();
}

void Inbox::describe(QueueStatus& status) const {
  readers_.describe(status);
  for (const auto& [name, lane] : lanes_) {
    const Stream* stream = store_.find_stream(lane->id);
    status.streams.push_back({Box::inbox,
                              {},
                              name,
                              stream == nullptr ? decltype(Stream::loads){} : stream->loads,
                              lane->in_hands,
                              false,
                              lane->consumers.size(),
                              stream == nullptr || stream->exact});
  }
}

}  // namespace pannier
