#include "runtime/link/topic_service.h"

#include <algorithm>

#include <pannier/limits.h>
#include "platform/concat.h"

namespace pannier {

namespace {

constexpr Duration kFirstPause = std::chrono::milliseconds{1};
constexpr Duration kLongestPause = std::chrono::seconds{1};

wire::Record publication_record(std::string_view topic, const Publication& publication) {
  wire::Record record{.kind = wire::Kind::publish, .type = publication.payload.type(), .first = topic};
  record.payload = publication.payload.bytes();
  if (publication.options.urgency == Urgency::urgent) record.flags |= wire::kUrgent;
  if (publication.options.retain) record.flags |= wire::kRetain;
  record.origin = publication.origin;
  record.hops = publication.hops;
  record.trace = publication.trace;
  record.id = publication.number;
  record.number = publication.series;
  return record;
}

std::string_view label_text(const BlockRef& label) noexcept {
  const auto bytes = label.bytes();
  const std::string_view text{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  return text.substr(0, text.find('\0'));
}

std::string_view type_name(const Publication& publication) noexcept {
  const TypeInfo* info = publication.payload.info();
  return info == nullptr ? std::string_view{} : info->name;
}

/// Changes of filters go over a line that little is on, so that on a slow one they never keep anything else waiting.
bool is_idle(const Link& link) noexcept {
  return link.waiting.empty() && link.window.in_flight() <= link.window.bytes() / 4;
}

bool is_clear(const Publication& publication) noexcept {
  return publication.options.retain && publication.payload.bytes().empty();
}

/// An empty retained publication clears its topic, as in MQTT.
wire::Record clear_record(std::string_view topic) {
  return {.kind = wire::Kind::publish, .flags = wire::kRetain, .first = topic};
}

}  // namespace

// --- Publications ---------------------------------------------------------------------------------------------------

void TopicService::publish(std::string_view topic, BlockRef label, Publication& publication, ActorId publisher,
                           std::uint64_t from_link) {
  count(counters_.published);
  ++publications_;
  if (is_clear(publication)) {
    clear(topic, from_link);
    return;
  }
  if (from_link == 0 && publication.options.history > 0) {
    publication.series = history_.series();
    publication.number = history_.add(topic, publication.payload, publication.options.history);
  }
  if (publication.number != 0) {
    const std::string& node = publication.origin.empty() ? own_node_ : publication.origin;
    label = numbered_label(topic, {node, publication.series, publication.number});
  }
  const bool retained = publication.options.retain && retain(topic, label, publication, publisher, from_link);
  const TypeId type = publication.payload.type();
  const bool can_leave = publication.payload.can_leave();
  bool deferred = false;
  tree_.match(topic, [&](const Filter& filter) {
    for (const auto& [subscriber, tag] : filter.subscriptions.entries()) {
      if (tag != 0 && TypeId{tag} != type) continue;
      if (subscriber->gone || subscriber->last_publication == publications_) continue;
      if (subscriber->is_link && (subscriber->address == from_link || !can_leave)) continue;
      subscriber->last_publication = publications_;
      Party& party = static_cast<Party&>(*subscriber);
      const bool waits = retained && party.missed != 0;  // keeps its retained values in order
      const Result<void> sent = waits ? Result<void>{ErrorCode::full} : send(party, label, publication);
      if (sent) {
        count(counters_.delivered);
      } else if (retained && sent.error().code == ErrorCode::full) {
        count(counters_.deferred);
        if (party.missed == 0) party.missed = publications_;
        queue(party);
        deferred = true;
      } else {
        drop(party, publication, publisher, sent.error().code == ErrorCode::full);
      }
    }
  });
  if (deferred) work();
}

Result<void> TopicService::send(Subscriber& subscriber, const BlockRef& label, const Publication& publication) {
  if (subscriber.is_link) {
    Link* link = links_->by_id(subscriber.address);
    return link == nullptr ? ErrorCode::unreachable
                           : links_->send(*link, publication_record(label_text(label), publication));
  }
  MessagePtr message = any_message(MessageKind::publish, ActorId::from_bits(subscriber.address), publication.payload);
  message->label = label;
  message->set_trace(publication.trace);
  message->urgency = publication.options.urgency;
  return port_->tell_native(std::move(message));
}

void TopicService::drop(const Subscriber& subscriber, const Publication& publication, ActorId publisher, bool full) {
  const DeadLetterReason reason = subscriber.is_link ? DeadLetterReason::link_full
                                  : full             ? DeadLetterReason::mailbox_full
                                                     : DeadLetterReason::no_such_actor;
  count(subscriber.is_link ? counters_.link_full : full ? counters_.mailbox_full : counters_.subscriber_gone);
  if (!publication.origin.empty() && (dropped_.size() < limits::kFlows || dropped_.contains(publication.origin))) {
    ++(subscriber.is_link ? dropped_[publication.origin].link : dropped_[publication.origin].mailbox);
  }
  const ActorId receiver = subscriber.is_link ? ActorId{} : ActorId::from_bits(subscriber.address);
  port_->system().report({reason, type_name(publication), publisher, receiver});
}

// --- Retained values ------------------------------------------------------------------------------------------------

bool TopicService::retain(std::string_view topic, const BlockRef& label, const Publication& publication,
                          ActorId publisher, std::uint64_t from_link) {
  if (clears_waiting_ > 0) {
    for (auto& [id, neighbour] : neighbours_) clears_waiting_ -= neighbour->cleared.erase(std::string{topic});
  }
  auto value = retained_.find(topic);
  const std::size_t before = value == retained_.end() ? 0 : value->second.publication.payload.bytes().size();
  const std::size_t bytes = publication.payload.bytes().size();
  if (value != retained_.end()) {  // the new value takes the place of the old one
    value->second.value.release();
    value->second.bytes.release();
  }
  const auto neighbour = neighbours_.find(from_link);
  const AccountRef account = neighbour == neighbours_.end() ? nullptr : neighbour->second->account;
  Charge one{account, Resource::retained_values};
  Charge all{account, Resource::retained_bytes, bytes + topic.size()};
  if (one.ok() && all.ok() && (value != retained_.end() || retained_.size() < limits::kRetainedValues) &&
      retained_bytes_ - before + bytes <= limits::kRetainedBytes) {
    retained_bytes_ += bytes - before;
    Retained retained{label, publication, publications_, from_link, std::move(one), std::move(all)};
    if (value == retained_.end()) {
      value = retained_.emplace(std::string{topic}, std::move(retained)).first;
      latest_.emplace_hint(latest_.end(), publications_, &value->second);
      count(counters_.retained);
    } else {
      auto place = latest_.extract(value->second.number);
      place.key() = publications_;
      latest_.insert(latest_.end(), std::move(place));
      value->second = std::move(retained);
    }
    return true;
  }
  if (value != retained_.end()) erase(value);  // a stale value is worse than none
  count(counters_.not_retained);
  port_->system().report({DeadLetterReason::not_retained, type_name(publication), publisher, ActorId{}});
  if (!one.ok() || !all.ok() || std::exchange(warned_of_retained_, true)) return false;
  port_->log(LogLevel::warning,
             concat({"the value of topic '", printable(topic), "' is not retained: ", retained_.size(), " topics with ",
                     retained_bytes_, " bytes are, and one node retains ", limits::kRetainedValues, " with ",
                     limits::kRetainedBytes, " bytes at most. Clear those that are over (clear_retained)."}));
  return false;
}

void TopicService::erase(RetainedMap::iterator value) {
  retained_bytes_ -= value->second.publication.payload.bytes().size();
  latest_.erase(value->second.number);
  retained_.erase(value);
  count(counters_.retained, -std::uint64_t{1});
}

void TopicService::clear(std::string_view topic, std::uint64_t from_link) {
  const auto found = retained_.find(topic);
  const bool had = found != retained_.end();
  if (had) {
    erase(found);
    warned_of_retained_ = false;  // there is room again
    count(counters_.cleared);
  }
  // A neighbour that subscribes to the topic may retain it. So may one that subscribed earlier, if this node retained
  // it.
  tree_.match(topic, [&](const Filter& filter) {
    for (const auto& [subscriber, tag] : filter.subscriptions.entries()) subscriber->last_publication = publications_;
  });
  for (auto& [id, neighbour] : neighbours_) {
    if (id == from_link || (!had && neighbour->last_publication != publications_)) continue;
    Link* link = links_->by_id(id);
    if (link != nullptr && neighbour->cleared.empty() && has_room(*neighbour) &&
        links_->send(*link, clear_record(topic))) {
      continue;
    }
    if (neighbour->cleared.size() >= limits::kFiltersPerLink) {
      count(counters_.link_full);
    } else if (neighbour->cleared.emplace(topic).second) {
      ++clears_waiting_;
      queue(*neighbour);
    }
  }
  work();
}

// --- Subscriptions --------------------------------------------------------------------------------------------------

void TopicService::subscribe(ActorId actor, std::string_view filter, TypeId type) {
  auto& party = actors_[actor.bits()];
  if (party == nullptr) {
    party = std::make_unique<Party>();
    party->address = actor.bits();
  }
  add(*party, filter, type);
}

void TopicService::unsubscribe(ActorId actor, std::string_view filter) {
  const auto party = actors_.find(actor.bits());
  Filter* known = party == actors_.end() ? nullptr : tree_.find(filter);
  if (known == nullptr || !party->second->filters.contains(known)) return;
  remove(*party->second, *known);
  work();
}

void TopicService::ended(ActorId actor) {
  auto party = actors_.extract(actor.bits());
  if (party.empty()) return;
  party.mapped()->gone = true;
  leaving_.push_back(std::move(party.mapped()));
  work();
}

bool TopicService::add(Party& party, std::string_view text, TypeId type) {
  Filter& filter = tree_.open(text);
  if (!filter.subscriptions.add(party, static_cast<std::uint64_t>(type))) return false;
  counters_.filters.store(tree_.size(), std::memory_order_relaxed);
  if (party.filters.insert(&filter).second) {
    if (party.is_link) {
      filter.links.push_back(party.address);
      party_added(filter, party.address);
    } else if (filter.actors++ == 0) {
      party_added(filter, 0);
    }
  }
  if (!retained_.empty()) {
    party.servings.push_back({std::string{text}, type, std::string{first_candidate(text)}, publications_});
    queue(party);
  }
  work();
  return true;
}

void TopicService::remove(Party& party, Filter& filter) {
  const std::size_t removed = filter.subscriptions.remove(party);
  party.filters.erase(&filter);
  spend(2);
  if (party.is_link) {
    static_cast<Neighbour&>(party).account->give_back(Resource::filters, removed);
    std::erase(filter.links, party.address);
    party_removed(filter, party.address);
  } else if (--filter.actors == 0) {
    party_removed(filter, 0);
  }
  if (!filter.subscriptions.empty()) return;
  tree_.close(filter);
  counters_.filters.store(tree_.size(), std::memory_order_relaxed);
}

// --- Links ----------------------------------------------------------------------------------------------------------

bool TopicService::wanted_by_others(const Filter& filter, std::uint64_t link) noexcept {
  if (filter.actors > 0 || filter.links.size() > 1) return true;
  return filter.links.size() == 1 && filter.links.front() != link;
}

/// A filter is announced to each linked node if anyone else wants it. So the first party announces it to all others,
/// and the second one announces it to the first. `link` is 0 for the actors of this node.
void TopicService::party_added(const Filter& filter, std::uint64_t link) {
  const std::size_t parties = (filter.actors > 0 ? 1 : 0) + filter.links.size();
  if (parties == 1) {
    for (auto& [id, neighbour] : neighbours_) {
      if (id != link) tell(*neighbour, filter.text, true);
    }
    spend(neighbours_.size());
  } else if (parties == 2) {
    const std::uint64_t other = filter.links.front() == link ? filter.links.back() : filter.links.front();
    const auto neighbour = other == link ? neighbours_.end() : neighbours_.find(other);
    if (neighbour != neighbours_.end()) tell(*neighbour->second, filter.text, true);
  }
}

void TopicService::party_removed(const Filter& filter, std::uint64_t link) {
  const std::size_t parties = (filter.actors > 0 ? 1 : 0) + filter.links.size();
  if (parties == 0) {
    for (auto& [id, neighbour] : neighbours_) {
      if (id != link) tell(*neighbour, filter.text, false);
    }
    spend(neighbours_.size());
  } else if (parties == 1 && filter.actors == 0) {
    const auto neighbour = neighbours_.find(filter.links.front());
    if (neighbour != neighbours_.end()) tell(*neighbour->second, filter.text, false);
  }
}

void TopicService::tell(Neighbour& neighbour, std::string_view filter, bool wants) {
  if (neighbour.announcing && filter > neighbour.announced) return;  // announced in its turn
  if (!wants) {
    if (const auto refused = neighbour.refused.find(filter); refused != neighbour.refused.end()) {
      neighbour.refused.erase(refused);
      return;
    }
  }
  // A change that is taken back before it was announced costs the neighbour nothing, however often it comes.
  if (const auto waits = neighbour.changed.find(filter); waits != neighbour.changed.end()) {
    if (waits->second == wants) neighbour.changed.erase(waits);
    return;
  }
  Link* link = links_->by_id(neighbour.address);
  const auto kind = wants ? wire::Kind::subscribe : wire::Kind::unsubscribe;
  if (link == nullptr || !neighbour.changed.empty() || !is_idle(*link) ||
      !links_->send(*link, {.kind = kind, .first = filter})) {
    neighbour.changed.emplace(filter, !wants);
    queue(neighbour);
    return;
  }
  if (!wants) retry_refused(neighbour);
}

/// Announces one refused filter again, since the neighbour has room for one more.
void TopicService::retry_refused(Neighbour& neighbour) {
  if (neighbour.refused.empty()) return;
  neighbour.changed.emplace(neighbour.refused.extract(neighbour.refused.begin()).value(), false);
  queue(neighbour);
}

void TopicService::link_up(Link& link) {
  auto neighbour = std::make_unique<Neighbour>();
  neighbour->address = link.id;
  neighbour->is_link = true;
  neighbour->name = link.node;
  neighbour->account = link.account;
  queue(*neighbours_.insert_or_assign(link.id, std::move(neighbour)).first->second);
  work();
}

void TopicService::link_down(Link& link) {
  auto neighbour = neighbours_.extract(link.id);
  if (neighbour.empty()) return;
  clears_waiting_ -= neighbour.mapped()->cleared.size();
  neighbour.mapped()->gone = true;
  leaving_.push_back(std::move(neighbour.mapped()));
  work();
}

void TopicService::link_subscribes(Link& link, std::string_view filter, TypeId type) {
  const auto found = neighbours_.find(link.id);
  if (found == neighbours_.end()) return;
  Neighbour& neighbour = *found->second;
  ErrorCode refusal{};
  if (!check_filter(filter)) {
    refusal = ErrorCode::invalid_argument;
  } else if (neighbour.account->take(Resource::filters)) {
    if (!add(neighbour, filter, type)) neighbour.account->give_back(Resource::filters);
    return;
  } else {
    refusal = ErrorCode::full;
  }
  count(counters_.filters_refused);
  const auto code = static_cast<std::uint16_t>(1 + static_cast<unsigned>(refusal));
  links_->send(link, {.kind = wire::Kind::subscribe, .code = code, .first = filter}).ignore();
  if (refusal == ErrorCode::full || std::exchange(neighbour.warned_of_theirs, true)) return;  // full: Links::audit
  port_->log(LogLevel::warning, concat({"link to ", link.node, ": its subscription to '", printable(filter),
                                        "' is refused, since that is no filter; it was told. No further refusal is "
                                        "logged."}));
}

void TopicService::link_unsubscribes(Link& link, std::string_view filter) {
  const auto found = neighbours_.find(link.id);
  Filter* known = found == neighbours_.end() ? nullptr : tree_.find(filter);
  if (known == nullptr || !found->second->filters.contains(known)) return;
  remove(*found->second, *known);
  work();
}

void TopicService::link_refuses(Link& link, std::string_view filter, ErrorCode code) {
  const auto found = neighbours_.find(link.id);
  const Filter* known = tree_.find(filter);
  if (found == neighbours_.end() || known == nullptr || !wanted_by_others(*known, link.id)) return;
  Neighbour& neighbour = *found->second;
  if (!neighbour.refused.emplace(filter).second) return;
  count(counters_.filters_refused_there);
  if (std::exchange(neighbour.warned_of_ours, true)) return;
  port_->log(LogLevel::warning,
             concat({"link to ", link.node, ": it refuses the subscription to '", printable(filter), "' (",
                     to_string(code), "). What is published there for this filter, and for those that come after it, ",
                     "does not come here: subscribe to fewer filters, with wildcards. No further refusal is logged."}));
}

// --- Sliced work ----------------------------------------------------------------------------------------------------

void TopicService::queue(Party& party) {
  if (std::exchange(party.queued, true)) return;
  busy_.push_back(&party);
}

void TopicService::work() {
  if (const std::uint64_t step = port_->worker().steps(); step != step_) {
    step_ = step;
    spent_ = 0;
  }
  while (!exhausted() && (!leaving_.empty() || !busy_.empty())) {
    if (!leaving_.empty()) {
      remove_some();
      continue;
    }
    Party& party = *busy_.front();
    busy_.pop_front();
    const Progress progress = slice(party);
    if (progress == Progress::more) busy_.push_back(&party);
    if (progress == Progress::blocked) blocked_.push_back(&party);
    if (progress == Progress::done) party.queued = false;
  }
  counters_.waiting.store(busy_.size() + blocked_.size() + leaving_.size(), std::memory_order_relaxed);
  if (spent_ > counters_.most_in_a_step.load(std::memory_order_relaxed)) {
    counters_.most_in_a_step.store(spent_, std::memory_order_relaxed);
  }
  if ((!leaving_.empty() || !busy_.empty()) && again_ == TimerId{}) {
    again_ = port_->after(Duration::zero(), [this] {
      again_ = TimerId{};
      work();
    });
  }
  // Nothing reports when a mailbox or a link has room again, so poll with growing pauses.
  if (!blocked_.empty() && retry_ == TimerId{}) {
    pause_ = std::clamp(2 * pause_, kFirstPause, kLongestPause);
    retry_ = port_->after(pause_, [this] {
      retry_ = TimerId{};
      busy_.insert(busy_.end(), blocked_.begin(), blocked_.end());
      blocked_.clear();
      work();
    });
  }
}

void TopicService::remove_some() {
  Party& party = *leaving_.front();
  if (std::exchange(party.queued, false)) {
    std::erase(busy_, &party);
    std::erase(blocked_, &party);
  }
  while (!party.filters.empty()) {
    if (exhausted()) return;
    remove(party, **party.filters.begin());
  }
  spend(1);
  leaving_.pop_front();
}

TopicService::Progress TopicService::slice(Party& party) {
  spend(1);
  if (party.is_link) {
    const Progress announced = announce(static_cast<Neighbour&>(party));
    if (announced != Progress::done) return announced;
  }
  while (!party.servings.empty()) {
    const Progress served = serve(party, party.servings.front());
    if (served != Progress::done) return served;
    party.servings.pop_front();
    if (exhausted()) break;
  }
  if (!party.servings.empty()) return Progress::more;
  return party.missed == 0 ? Progress::done : catch_up(party);
}

TopicService::Progress TopicService::serve(Party& party, Serving& serving) {
  constexpr std::uint64_t kSlice = limits::kTopicWork / 8;  // before the next party's turn
  const std::uint64_t end = std::min(spent_ + kSlice, limits::kTopicWork);
  Filter* filter = tree_.find(serving.filter);
  if (filter == nullptr || !party.filters.contains(filter)) return Progress::done;  // unsubscribed meanwhile
  for (auto value = retained_.lower_bound(serving.place); value != retained_.end();) {
    const auto& [topic, retained] = *value;
    if (spent_ >= end) {
      serving.place = topic;
      return Progress::more;
    }
    spend(1);
    count(counters_.tried);
    if (!topic_matches(serving.filter, topic)) {
      const std::string next = next_candidate(serving.filter, topic);
      if (next.empty()) break;
      value = retained_.lower_bound(next);
      continue;
    }
    const TypeId type = retained.publication.payload.type();
    if (retained.number <= serving.until && (serving.type == TypeId{} || serving.type == type)) {
      const Progress offered = offer(party, retained);
      if (offered == Progress::blocked) serving.place = topic;
      if (offered != Progress::done) return offered == Progress::blocked ? Progress::blocked : Progress::done;
    }
    ++value;
  }
  return Progress::done;
}

TopicService::Progress TopicService::catch_up(Party& party) {
  for (auto value = latest_.lower_bound(party.missed); value != latest_.end(); ++value) {
    party.missed = value->first;
    if (exhausted()) return Progress::more;
    spend(1);
    count(counters_.tried);
    const Retained& retained = *value->second;
    const auto type = static_cast<std::uint64_t>(retained.publication.payload.type());
    bool wanted = false;
    tree_.match(label_text(retained.label), [&](const Filter& filter) {
      wanted = wanted || filter.subscriptions.contains(party, 0) || filter.subscriptions.contains(party, type);
    });
    if (!wanted) continue;
    const Progress offered = offer(party, retained);
    if (offered == Progress::blocked) return offered;
    if (offered != Progress::done) break;
  }
  party.missed = 0;
  return Progress::done;
}

TopicService::Progress TopicService::offer(Party& party, const Retained& retained) {
  if (party.is_link && (party.address == retained.from_link || !retained.publication.payload.can_leave())) {
    return Progress::done;
  }
  spend(2);
  const std::size_t bytes = retained.publication.payload.bytes().size();
  const Room room = party.is_link ? (has_room(party) ? Room::now : Room::later)
                                  : port_->system().room_for(ActorId::from_bits(party.address), bytes);
  if (room == Room::later) return Progress::blocked;
  if (room == Room::never) {
    drop(party, retained.publication, ActorId{}, true);
    return Progress::done;
  }
  const auto sent = send(party, retained.label, retained.publication);
  if (!sent && sent.error().code == ErrorCode::full) return Progress::blocked;
  if (!sent) {
    drop(party, retained.publication, ActorId{}, false);
    return Progress::more;  // the rest would be refused as well
  }
  count(counters_.delivered);
  pause_ = Duration::zero();
  return Progress::done;
}

TopicService::Progress TopicService::announce(Neighbour& neighbour) {
  Link* link = links_->by_id(neighbour.address);
  if (link == nullptr) return Progress::done;
  const auto say = [&](std::string_view filter, wire::Kind kind) {
    spend(1);
    if (!is_idle(*link) || !links_->send(*link, {.kind = kind, .first = filter})) return false;
    pause_ = Duration::zero();
    return true;
  };
  while (!neighbour.cleared.empty()) {
    if (exhausted()) return Progress::more;
    spend(1);
    if (!has_room(neighbour) || !links_->send(*link, clear_record(*neighbour.cleared.begin())))
      return Progress::blocked;
    neighbour.cleared.erase(neighbour.cleared.begin());
    --clears_waiting_;
  }
  while (!neighbour.changed.empty()) {
    if (exhausted()) return Progress::more;
    const auto text = neighbour.changed.begin();
    const Filter* filter = tree_.find(text->first);
    const bool wants = filter != nullptr && wanted_by_others(*filter, neighbour.address);
    if (wants != text->second && !say(text->first, wants ? wire::Kind::subscribe : wire::Kind::unsubscribe)) {
      return Progress::blocked;
    }
    neighbour.changed.erase(text);
    if (!wants) retry_refused(neighbour);
  }
  while (neighbour.announcing) {
    if (exhausted()) return Progress::more;
    const Filter* filter = tree_.after(neighbour.announced);
    if (filter == nullptr) {
      neighbour.announcing = false;
    } else if (wanted_by_others(*filter, neighbour.address) && !say(filter->text, wire::Kind::subscribe)) {
      return Progress::blocked;
    } else {
      neighbour.announced = filter->text;
      spend(1);
    }
  }
  return Progress::done;
}

bool TopicService::has_room(const Subscriber& neighbour) const noexcept {
  const Link* link = links_->by_id(neighbour.address);
  return link != nullptr && link->waiting.bytes() < limits::kFrameTargetBytes;
}

void TopicService::each_dropped(FunctionRef<void(std::string_view origin, std::uint64_t count, bool on_link)> say) {
  for (const auto& [origin, dropped] : std::exchange(dropped_, {})) {
    if (dropped.mailbox > 0) say(origin, dropped.mailbox, false);
    if (dropped.link > 0) say(origin, dropped.link, true);
  }
}

// --- Counters -------------------------------------------------------------------------------------------------------

TopicCounters TopicService::counters() const noexcept {
  const auto read = [](const Counter& counter) { return counter.load(std::memory_order_relaxed); };
  const Counters& from = counters_;
  return {.published = read(from.published),
          .delivered = read(from.delivered),
          .deferred = read(from.deferred),
          .mailbox_full = read(from.mailbox_full),
          .subscriber_gone = read(from.subscriber_gone),
          .link_full = read(from.link_full),
          .mailbox_full_there = read(from.mailbox_full_there),
          .link_full_there = read(from.link_full_there),
          .not_retained = read(from.not_retained),
          .cleared = read(from.cleared),
          .filters_refused = read(from.filters_refused),
          .filters_refused_there = read(from.filters_refused_there),
          .filters = read(from.filters),
          .retained = read(from.retained),
          .waiting = read(from.waiting),
          .tried = read(from.tried),
          .most_in_a_step = read(from.most_in_a_step)};
}

}  // namespace pannier
