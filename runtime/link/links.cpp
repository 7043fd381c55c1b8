#include "runtime/link/links.h"

#include <algorithm>

#include "platform/concat.h"
#include "runtime/message/block.h"

namespace pannier {

Links::Links(Transport& transport, LinkEvents& events, std::string own_name, std::uint64_t incarnation,
             std::vector<LinkOptions> dials, std::vector<PeerOptions> peers)
    : transport_(transport),
      events_(events),
      own_name_(std::move(own_name)),
      incarnation_(incarnation),
      dials_(std::move(dials)),
      peers_(std::move(peers)) {}

void Links::start(ServicePort& port) {
  port_ = &port;
  for (const LinkOptions& options : dials_) {
    Link& link = add_link();
    link.node = options.node;
    link.dial = &options;
    dial(link);
  }
}

void Links::stop() {
  for (auto& [id, link] : links_) {
    if (!link->open) continue;
    if (link->up)
      static_cast<void>(link->out.add({.kind = wire::Kind::goodbye}).ok());  // courtesy; silence says it too
    flush(*link);
    transport_.close(link->channel);
  }
  channels_.clear();
  nodes_.clear();
  links_.clear();
}

Link& Links::add_link() {
  auto link = std::make_unique<Link>();
  link->id = next_id_++;
  Link& added = *link;
  links_.emplace(added.id, std::move(link));
  return added;
}

Link* Links::by_channel(ChannelId channel) noexcept {
  const auto found = channels_.find(static_cast<std::uint64_t>(channel));
  return found == channels_.end() ? nullptr : found->second;
}

Link* Links::to(std::string_view node) noexcept {
  const auto found = nodes_.find(std::string{node});
  return found == nodes_.end() ? nullptr : found->second;
}

Link* Links::by_id(std::uint64_t id) noexcept {
  const auto found = links_.find(id);
  return found == links_.end() ? nullptr : found->second.get();
}

// --- Up and down -----------------------------------------------------------------------------------------------------

void Links::dial(Link& link) {
  // The peer has dialled this node meanwhile. A second link would replace that one, and the peer would dial again in
  // its turn, for ever; so this end waits until it is needed.
  if (to(link.node) != nullptr) {
    link.timer = port_->after(limits::kHeartbeatInterval, [this, &link] { dial(link); });
    return;
  }
  ++counters_.dials;
  const auto channel = transport_.connect(link.dial->address, link.dial->key);
  if (!channel) {
    port_->log(LogLevel::warning, concat({"link to ", link.node, ": ", channel.error().text()}));
    dial_later(link);
    return;
  }
  link.channel = *channel;
  channels_[static_cast<std::uint64_t>(*channel)] = &link;
  link.timer = port_->after(limits::kHandshakeTimeout, [this, &link] {
    if (!link.up) drop(link, Error{ErrorCode::timeout, "no answer within 5 s"});
  });
}

void Links::dial_later(Link& link) {
  Duration ceiling = limits::kReconnectBase;
  for (std::uint32_t n = 0; n < link.failures && ceiling < limits::kReconnectCap; ++n) ceiling *= 2;
  ceiling = std::min(ceiling, limits::kReconnectCap);
  ++link.failures;
  const Duration delay{static_cast<Duration::rep>(port_->random() % static_cast<std::uint64_t>(ceiling.count()))};
  link.timer = port_->after(delay, [this, &link] { dial(link); });
}

void Links::on_open(ChannelId channel, const PeerIdentity& peer) {
  if (Link* link = by_channel(channel)) opened(*link, peer);
}

void Links::on_accept(ChannelId channel, const PeerIdentity& peer) {
  if (links_.size() >= limits::kLinks) {
    ++counters_.refused;
    transport_.close(channel);
    return;
  }
  Link& link = add_link();
  link.channel = channel;
  channels_[static_cast<std::uint64_t>(channel)] = &link;
  const std::uint64_t id = link.id;
  link.timer = port_->after(limits::kHandshakeTimeout, [this, id] {
    const auto found = links_.find(id);
    if (found == links_.end() || found->second->up) return;
    ++counters_.refused;
    drop(*found->second, Error{ErrorCode::timeout, "no hello within 5 s"});
  });
  opened(link, peer);
}

void Links::opened(Link& link, const PeerIdentity& peer) {
  link.open = true;
  link.peer = peer;
  link.heard = link.sent = port_->now();
  const auto interval = std::chrono::duration_cast<std::chrono::milliseconds>(limits::kHeartbeatInterval);
  wire::Record hello{.kind = wire::Kind::hello, .id = incarnation_, .first = own_name_};
  hello.number = static_cast<std::uint64_t>(interval.count());
  static_cast<void>(link.out.add(hello).ok());  // the first record of an empty frame fits
  flush(link);
}

Result<void> Links::heard_hello(Link& link, const wire::Record& hello) {
  const std::string name{hello.first};
  if (!valid_name(name, limits::kNodeNameBytes) || name == own_name_) {
    ++counters_.refused;
    return Error{ErrorCode::rejected, concat({"the peer's name '", name, "' is not one that another node may have"})};
  }
  if ((link.dial != nullptr && name != link.dial->node) || !may_bear(link.peer, name)) {
    ++counters_.refused;
    return Error{ErrorCode::permission,
                 concat({"the peer calls itself '", name, "', which its key or address may not bear"})};
  }
  if (Link* older = to(name); older != nullptr && older != &link) {
    drop(*older, Error{ErrorCode::closed, "replaced by a newer link"});
  }
  port_->cancel(link.timer);
  link.node = name;
  link.incarnation = hello.id;
  link.up = true;
  link.failures = 0;
  nodes_[name] = &link;
  ++counters_.ups;
  link.timer = port_->every(limits::kHeartbeatInterval, [this, &link] { beat(link); });
  port_->log(LogLevel::info, concat({"link to ", name, " is up"}));
  events_.on_link_up(link);
  return {};
}

bool Links::may_bear(const PeerIdentity& peer, std::string_view name) const noexcept {
  if (!peer.key || peers_.empty()) return true;
  return std::any_of(peers_.begin(), peers_.end(), [&](const PeerOptions& known) {
    return known.key == *peer.key && (known.prefix ? name.starts_with(known.node) : name == known.node);
  });
}

void Links::beat(Link& link) {
  const MonoTime now = port_->now();
  if (now - link.heard >= limits::kHeartbeatTimeout) {
    drop(link, Error{ErrorCode::timeout, "nothing heard for 7 s"});
    return;
  }
  if (now - link.sent >= limits::kHeartbeatInterval) {
    static_cast<void>(send(link, {.kind = wire::Kind::heartbeat}).ok());  // a full link is not a silent one
  }
}

void Links::drop(Link& link, const Error& why) {
  port_->cancel(link.timer);
  if (link.channel != ChannelId{}) {
    transport_.close(link.channel);
    channels_.erase(static_cast<std::uint64_t>(link.channel));
    link.channel = ChannelId{};
  }
  link.open = false;
  link.out.clear();
  if (std::exchange(link.up, false)) {
    ++counters_.downs;
    port_->log(LogLevel::info, concat({"link to ", link.node, " is down: ", why.text()}));
    if (const auto found = nodes_.find(link.node); found != nodes_.end() && found->second == &link) nodes_.erase(found);
    events_.on_link_down(link);
  } else if (link.failures == 0 || link.dial == nullptr) {  // not once an attempt
    const bool stranger = link.node.empty();
    port_->log(LogLevel::warning, concat({"link ", stranger ? "from a stranger" : "to ", link.node, ": ", why.text()}));
  }
  if (link.dial != nullptr) {
    dial_later(link);
    return;
  }
  const auto found = links_.find(link.id);
  gone_.push_back(std::move(found->second));
  links_.erase(found);
}

void Links::on_closed(ChannelId channel, const Error& cause) {
  if (Link* link = by_channel(channel)) drop(*link, cause);
}

// --- Frames ----------------------------------------------------------------------------------------------------------

bool Links::poll() {
  const bool more = transport_.poll(*this);
  gone_.clear();
  return more;
}

void Links::on_frame(ChannelId channel, std::span<const std::byte> borrowed) {
  Link* link = by_channel(channel);
  if (link == nullptr) return;
  link->heard = port_->now();
  const BlockRef frame = BlockRef::copy_of(borrowed);  // aligned, so that payloads are
  Result<void> outcome;
  auto reader = wire::FrameReader::open(frame.bytes());
  if (!reader) outcome = reader.error();
  while (outcome && !reader->at_end() && link->channel == channel) {
    const auto record = reader->next();
    if (!record) {
      outcome = record.error();
    } else if (record->kind == wire::Kind::hello) {
      if (!link->up) outcome = heard_hello(*link, *record);
    } else if (!link->up) {
      continue;  // nothing is heeded before hello
    } else if (record->kind == wire::Kind::goodbye) {
      outcome = Error{ErrorCode::closed, "the peer said goodbye"};
    } else if (record->kind != wire::Kind::heartbeat) {
      outcome = events_.on_record(*link, *record);
    }
  }
  if (outcome || link->channel != channel) return;
  if (outcome.error().code == ErrorCode::malformed) ++counters_.malformed;
  if (outcome.error().code == ErrorCode::unsupported) link->failures = 32;  // at the longest interval
  drop(*link, outcome.error());
}

Result<void> Links::send(Link& link, const wire::Record& record) {
  if (!link.up) return ErrorCode::unreachable;
  if (link.out.size() >= limits::kFrameTargetBytes) flush(link);
  if (auto added = link.out.add(record); !added) return added;
  if (!link.flushing) {
    link.flushing = true;
    to_flush_.push_back(link.id);
  }
  return {};
}

void Links::flush(Link& link) {
  if (link.out.empty() || !link.open) return;
  const auto sent = transport_.send(link.channel, link.out.frame());
  if (!sent && sent.error().code == ErrorCode::full) return;  // stays gathered; the next step tries again
  link.out.clear();                                           // a closed channel reports itself by on_closed
  link.sent = port_->now();
}

void Links::flush() {
  for (const std::uint64_t id : std::exchange(to_cut_, {})) {
    if (Link* link = by_id(id)) drop(*link, Error{ErrorCode::full, "the peer does not keep up"});
  }
  std::vector<std::uint64_t> again;
  for (const std::uint64_t id : to_flush_) {
    const auto found = links_.find(id);
    if (found == links_.end()) continue;
    Link& link = *found->second;
    link.flushing = false;
    flush(link);
    if (!link.out.empty() && link.open) {
      link.flushing = true;
      again.push_back(id);
    }
  }
  to_flush_ = std::move(again);
  // Nothing tells when a full channel has room again, so it is tried again soon.
  if (!to_flush_.empty() && retry_ == TimerId{}) {
    retry_ = port_->after(std::chrono::milliseconds{2}, [this] { retry_ = TimerId{}; });
  }
}

}  // namespace pannier
