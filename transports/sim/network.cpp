#include <pannier/sim.h>

#include <algorithm>

#include "transports/sim/network_state.h"

namespace pannier::sim {

/// The network's own loop, which runs at delivery times.
class Network::Pump final : public Loop {
 public:
  explicit Pump(Network& network) : network_(network), wakeup_(network.simulator_) {}
  MonoTime step(MonoTime now) override { return network_.deliver_due(now); }
  Wakeup& wakeup() noexcept override { return wakeup_; }

 private:
  Network& network_;
  FlagWakeup wakeup_;
};

Network::Network(Simulator& simulator, Options options)
    : simulator_(simulator),
      options_(options),
      entropy_(simulator.entropy().next()),
      pump_(std::make_unique<Pump>(*this)) {
  simulator_.add(*pump_);
}

Network::~Network() { simulator_.remove(*pump_); }

std::unique_ptr<SimTransport> Network::make_transport(std::string host, std::optional<PublicKey> key) {
  return std::unique_ptr<SimTransport>{new SimTransport{*this, std::move(host), key}};
}

Network::Path& Network::path(std::string_view from, std::string_view to) {
  const auto [found, is_new] = paths_.try_emplace({std::string{from}, std::string{to}});
  if (is_new) found->second.options = options_.path;
  return found->second;
}

void Network::set_path(std::string_view a, std::string_view b, const PathOptions& options) {
  set_direction(a, b, options);
  set_direction(b, a, options);
}

void Network::set_direction(std::string_view from, std::string_view to, const PathOptions& options) {
  path(from, to).options = options;
}

// A host's own cut is stored under the empty name, so that it also holds for hosts added later.
bool Network::is_cut(std::string_view from, std::string_view to) {
  return path(from, to).cut || path(from, "").cut || path("", to).cut;
}

bool Network::is_cut(std::string_view from, std::string_view to, Cut mode) {
  return path(from, to).cut == mode || path(from, "").cut == mode || path("", to).cut == mode;
}

void Network::set_cut(std::string_view from, std::string_view to, std::optional<Cut> mode) {
  path(from, to).cut = mode;
  if (mode == Cut::reported) report_cut(from, to);
}

void Network::cut(std::string_view a, std::string_view b, Cut mode) {
  set_cut(a, b, mode);
  set_cut(b, a, mode);
}

void Network::cut_direction(std::string_view from, std::string_view to, Cut mode) { set_cut(from, to, mode); }

void Network::isolate(std::string_view host, Cut mode) { cut(host, "", mode); }

void Network::heal(std::string_view a, std::string_view b) {
  path(a, b).cut.reset();
  path(b, a).cut.reset();
}

void Network::rejoin(std::string_view host) { heal(host, ""); }

void Network::heal_all() {
  for (auto& [hosts, each] : paths_) each.cut.reset();
}

void Network::clog(std::string_view from, std::string_view to, Duration span) {
  Path& way = path(from, to);
  way.clogged_until = std::max(way.clogged_until, simulator_.now() + span);
}

/// Ends every channel between the two, at both ends. An empty name matches any host.
void Network::report_cut(std::string_view a, std::string_view b) {
  const auto matches = [](std::string_view wanted, std::string_view host) { return wanted.empty() || wanted == host; };
  for (const std::weak_ptr<Half>& each : std::vector{halves_}) {
    const std::shared_ptr<Half> half = each.lock();
    const std::shared_ptr<Half> peer = half == nullptr ? nullptr : half->peer;
    if (peer == nullptr || !half->open) continue;
    const bool hit =
        (matches(a, half->host) && matches(b, peer->host)) || (matches(b, half->host) && matches(a, peer->host));
    if (!hit || half->owner == nullptr) continue;
    ++counters_.channels_cut;
    half->broken = true;
    half->owner->post({Event::Kind::closed, half, {}, {ErrorCode::unreachable, "The network cut the channel."}});
  }
}

void Network::ship(Parcel parcel, std::size_t bytes) {
  Half& from = *parcel.from;
  const MonoTime now = simulator_.now();
  Path& way = path(from.host, parcel.to->host);
  MonoTime departure = now;
  if (way.options.bytes_per_second > 0) {
    const double seconds = static_cast<double>(bytes) / static_cast<double>(way.options.bytes_per_second);
    departure = std::max(now, way.busy_until) + Duration{static_cast<Duration::rep>(seconds * 1e9)};
    way.busy_until = departure;
  }
  parcel.at = departure + way.options.delay_min + entropy_.exponential(way.options.delay_mean);
  if (!way.options.reorder || parcel.kind != Parcel::Kind::frame) {
    parcel.at = std::max(parcel.at, from.last_arrival);
    from.last_arrival = parcel.at;
  }
  if (parcel.kind == Parcel::Kind::frame) ++in_flight_;
  enqueue(std::move(parcel));
}

void Network::enqueue(Parcel parcel) {
  parcel.sequence = next_sequence_++;
  under_way_.push(std::make_shared<Parcel>(std::move(parcel)));
  pump_->wakeup().notify();
}

MonoTime Network::deliver_due(MonoTime now) {
  while (!under_way_.empty() && under_way_.top()->at <= now) {
    const std::shared_ptr<Parcel> parcel = under_way_.top();
    under_way_.pop();
    if (parcel->from != nullptr) {
      const MonoTime clogged_until = path(parcel->from->host, parcel->to->host).clogged_until;
      if (clogged_until > now) {
        parcel->at = clogged_until;  // Its sequence stays, and so does the order.
        under_way_.push(parcel);
        continue;
      }
    }
    arrive(*parcel);
  }
  std::erase_if(halves_, [](const std::weak_ptr<Half>& half) { return half.expired(); });
  return under_way_.empty() ? kNever : under_way_.top()->at;
}

void Network::arrive(Parcel& parcel) {
  if (parcel.kind == Parcel::Kind::frame) return arrive_frame(parcel);
  if (parcel.kind == Parcel::Kind::dial) return arrive_dial(parcel);
  Half& to = *parcel.to;
  if (parcel.kind == Parcel::Kind::give_up) {
    if (to.answered) return;
    ++counters_.dials_failed;
  } else if (Half* from = parcel.from.get(); from != nullptr && (from->broken || is_cut(from->host, to.host))) {
    from->broken = true;
    return;
  }
  if (parcel.kind != Parcel::Kind::end) to.answered = true;
  if (!to.open || to.owner == nullptr) return;
  if (parcel.kind == Parcel::Kind::welcome) {
    to.owner->post({Event::Kind::open, parcel.to, {}});
  } else {
    to.owner->post({Event::Kind::closed, parcel.to, {}, parcel.cause});
  }
}

void Network::arrive_frame(Parcel& parcel) {
  --in_flight_;
  const std::shared_ptr<Half>& to = parcel.to;
  const std::shared_ptr<Half>& from = parcel.from;
  if (!to->open || to->owner == nullptr) {
    ++counters_.frames_undelivered;
    ++from->owner->counters.dropped_frames;
    return;
  }
  if (from->broken || is_cut(from->host, to->host)) {
    from->broken = true;
    ++counters_.frames_cut;
    return;
  }
  ++counters_.frames_delivered;
  counters_.bytes_delivered += parcel.frame.size();
  to->owner->post({Event::Kind::frame, to, std::move(parcel.frame)});
}

void Network::arrive_dial(Parcel& parcel) {
  const std::shared_ptr<Half> answering = parcel.to;
  const std::shared_ptr<Half> dialler = parcel.from;
  if (!dialler->open || is_cut(dialler->host, answering->host)) return;  // The timeout follows.
  const auto listener = listeners_.find(parcel.address);
  Parcel answer{.kind = Parcel::Kind::welcome, .from = answering, .to = dialler};
  if (listener == listeners_.end()) {
    answer.kind = Parcel::Kind::refusal;
    answer.cause = {ErrorCode::unreachable, "Nothing listens at " + parcel.address + "."};
  } else if (dialler->wanted_key && dialler->wanted_key != listener->second->key) {
    answer.kind = Parcel::Kind::refusal;
    answer.cause = {ErrorCode::permission, parcel.address + " has a different key than expected."};
    ++listener->second->counters.refused_peers;
  } else if (listener->second->channels.size() >= limits::kLinks) {
    answer.kind = Parcel::Kind::refusal;
    answer.cause = {ErrorCode::unreachable, parcel.address + " has reached its limit of channels."};
  } else {
    answering->owner = listener->second;
    answering->id = ChannelId{next_channel_++};
    answering->peer_identity.key = dialler->owner->key;
    dialler->peer_identity.key = listener->second->key;
    listener->second->channels.emplace(answering->id, answering);
    listener->second->post({Event::Kind::accept, answering, {}});
  }
  if (answer.kind == Parcel::Kind::refusal) ++counters_.dials_failed;
  ship(std::move(answer), kControlBytes);
}

void Network::end(const std::shared_ptr<Half>& half) {
  if (!half->open) return;
  half->open = false;
  const std::shared_ptr<Half> peer = half->peer;
  if (peer == nullptr) return;
  if (!half->broken) ship({.kind = Parcel::Kind::end, .from = half, .to = peer}, kControlBytes);
  if (peer->open && peer->owner != nullptr) return;
  half->peer.reset();
  peer->peer.reset();
}

}  // namespace pannier::sim
