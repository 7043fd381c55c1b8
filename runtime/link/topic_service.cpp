#include "runtime/link/topic_service.h"

#include <algorithm>

#include "platform/concat.h"
#include "runtime/limits.h"

namespace pannier {

namespace {

wire::Record publication_record(std::string_view topic, const Publication& publication) {
  wire::Record record{.kind = wire::Kind::publish, .type = publication.payload.type(), .first = topic};
  record.payload = publication.payload.bytes();
  if (publication.options.urgency == Urgency::urgent) record.flags |= wire::kUrgent;
  if (publication.options.keep_last) record.flags |= wire::kKeepLast;
  return record;
}

}  // namespace

bool TopicService::Interest::for_others_than(std::uint64_t link) const noexcept {
  return actors > 0 || std::any_of(links.begin(), links.end(), [&](std::uint64_t id) { return id != link; });
}

void TopicService::publish(std::string_view topic, const BlockRef& label, const Publication& publication,
                           std::uint64_t from_link) {
  ++counters_.published;
  if (publication.options.keep_last) keep(topic, publication);
  // Several filters of one subscriber may match: it still gets one copy.
  std::vector<SubscriberId> receivers;
  tree_.match(topic, [&](SubscriberId subscriber, std::uint64_t type) {
    if (type == 0 || TypeId{type} == publication.payload.type()) receivers.push_back(subscriber);
  });
  std::sort(receivers.begin(), receivers.end());
  receivers.erase(std::unique(receivers.begin(), receivers.end()), receivers.end());
  for (const SubscriberId subscriber : receivers) {
    if ((subscriber & kLinkBit) == 0) {
      deliver(ActorId::from_bits(subscriber), label, publication);
    } else if (const std::uint64_t id = subscriber & ~kLinkBit; id != from_link && publication.payload.can_leave()) {
      Link* link = links_->by_id(id);
      if (link != nullptr && links_->send(*link, publication_record(topic, publication))) {
        ++counters_.delivered;
      } else {
        ++counters_.dropped;
      }
    }
  }
}

void TopicService::deliver(ActorId actor, const BlockRef& label, const Publication& publication) {
  MessagePtr message = any_message(MessageKind::publish, actor, publication.payload);
  message->label = label;
  message->urgency = publication.options.urgency;
  if (port_->tell_native(std::move(message))) {
    ++counters_.delivered;
  } else {
    ++counters_.dropped;
  }
}

void TopicService::keep(std::string_view topic, const Publication& publication) {
  const auto found = last_values_.find(topic);
  if (found != last_values_.end()) {
    found->second = publication;
  } else if (last_values_.size() < limits::kLastValues) {
    last_values_.emplace(std::string{topic}, publication);
  } else if (counters_.last_values_refused++ == 0) {
    warn_(concat({"more than ", limits::kLastValues, " topics keep a last value: no more are kept"}));
  }
}

void TopicService::serve_last_values(std::string_view filter,
                                     FunctionRef<void(std::string_view, const Publication&)> to) {
  for (const auto& [topic, publication] : last_values_) {
    if (topic_matches(filter, topic)) to(topic, publication);
  }
}

void TopicService::subscribe(ActorId actor, std::string_view filter, TypeId type) {
  if (!tree_.add(filter, actor.bits(), static_cast<std::uint64_t>(type))) return;
  filters_of_[actor.bits()].emplace_back(filter);
  change_interest(std::string{filter}, [](Interest& interest) { ++interest.actors; });
  serve_last_values(filter, [&](std::string_view topic, const Publication& publication) {
    if (type != TypeId{} && type != publication.payload.type()) return;
    deliver(actor, BlockRef::copy_of(std::as_bytes(std::span{topic})), publication);
  });
}

void TopicService::unsubscribe(ActorId actor, std::string_view filter) {
  auto& filters = filters_of_[actor.bits()];
  const auto held = static_cast<std::uint32_t>(std::erase(filters, filter));
  if (filters.empty()) filters_of_.erase(actor.bits());
  if (held == 0) return;
  tree_.remove(filter, actor.bits());
  change_interest(std::string{filter}, [&](Interest& interest) { interest.actors -= held; });
}

void TopicService::ended(ActorId actor) {
  const auto found = filters_of_.find(actor.bits());
  if (found == filters_of_.end()) return;
  const std::vector<std::string> filters = found->second;
  for (const std::string& filter : filters) unsubscribe(actor, filter);
}

// --- Links -----------------------------------------------------------------------------------------------------------

void TopicService::change_interest(const std::string& filter, FunctionRef<void(Interest&)> change) {
  Interest& interest = interests_[filter];
  const Interest before = interest;
  change(interest);
  if (links_ != nullptr) {
    links_->each_up([&](Link& link) {
      const bool wanted = before.for_others_than(link.id);
      const bool wants = interest.for_others_than(link.id);
      if (wanted == wants) return;
      // A link too full for this is cut: its peer must not miss a change, and gets all filters anew when it is back.
      const auto kind = wants ? wire::Kind::subscribe : wire::Kind::unsubscribe;
      if (!links_->send(link, {.kind = kind, .first = filter})) links_->cut(link);
    });
  }
  if (interest.empty()) interests_.erase(filter);
}

void TopicService::link_up(Link& link) {
  for (const auto& [filter, interest] : interests_) {
    if (!interest.for_others_than(link.id)) continue;
    if (!links_->send(link, {.kind = wire::Kind::subscribe, .first = filter})) links_->cut(link);
  }
}

void TopicService::link_down(Link& link) {
  const SubscriberId id = link.id | kLinkBit;
  const auto found = filters_of_.find(id);
  if (found == filters_of_.end()) return;
  const std::vector<std::string> filters = std::move(found->second);
  filters_of_.erase(found);
  tree_.remove_all(id);
  for (const std::string& filter : filters) {
    change_interest(filter, [&](Interest& interest) { std::erase(interest.links, link.id); });
  }
}

void TopicService::link_subscribes(Link& link, std::string_view filter, TypeId type) {
  if (!check_filter(filter)) return;
  auto& filters = filters_of_[link.id | kLinkBit];
  if (filters.size() >= limits::kFiltersPerLink ||
      !tree_.add(filter, link.id | kLinkBit, static_cast<std::uint64_t>(type))) {
    return;
  }
  filters.emplace_back(filter);
  change_interest(std::string{filter}, [&](Interest& interest) { interest.links.push_back(link.id); });
  serve_last_values(filter, [&](std::string_view topic, const Publication& publication) {
    if (!publication.payload.can_leave()) return;
    if (links_->send(link, publication_record(topic, publication))) {
      ++counters_.delivered;
    } else {
      ++counters_.dropped;
    }
  });
}

void TopicService::link_unsubscribes(Link& link, std::string_view filter) {
  const auto found = filters_of_.find(link.id | kLinkBit);
  if (found == filters_of_.end() || std::erase(found->second, filter) == 0) return;
  tree_.remove(filter, link.id | kLinkBit);
  change_interest(std::string{filter}, [&](Interest& interest) { std::erase(interest.links, link.id); });
}

}  // namespace pannier
