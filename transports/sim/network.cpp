#include "transports/sim/network.h"

#include <algorithm>
#include <deque>
#include <unordered_map>

namespace pannier::sim {
namespace {

constexpr std::string_view kScheme = "sim://";
/// Events that one poll reports.
constexpr std::size_t kPollBatch = 256;
/// What a dial, its answer or an end weighs on a limited path.
constexpr std::size_t kControlBytes = 64;

Result<std::string> checked_name(std::string_view address) {
  if (!address.starts_with(kScheme) || address.size() == kScheme.size()) {
    return Error{ErrorCode::invalid_argument,
                 "\"" + std::string{address} + "\" is no address of this transport; write sim://name."};
  }
  return std::string{address};
}

}  // namespace

/// One end of a channel.
struct Network::Half {
  ChannelId id{};
  std::shared_ptr<Endpoint> owner;  ///< Empty at a dial's far end that nobody has answered yet.
  std::string host;
  std::shared_ptr<Half> peer;  ///< Let go by both once both have ended.
  std::optional<PublicKey> wanted_key;
  PeerIdentity peer_identity;
  MonoTime last_arrival{};         ///< Of what this end has sent: keeps a channel in order.
  std::size_t waiting_frames = 0;  ///< Sent by this end and not yet polled at the far one.
  std::size_t waiting_bytes = 0;
  bool open = true;
  bool answered = false;  ///< This end's dial has had its answer.
  bool broken = false;    ///< A cut has swallowed something of what this end sent.
  bool refused = false;   ///< This end was told "full", and is woken when there is room.
};

struct Network::Event {
  enum class Kind : std::uint8_t { open, accept, frame, closed } kind;
  std::shared_ptr<Half> half;
  std::vector<std::byte> frame;
  Error cause{ErrorCode::closed};
};

struct Network::Endpoint {
  std::string host;
  std::optional<PublicKey> key;
  FlagWakeup* wakeup = nullptr;  ///< Null once the transport is gone.
  std::deque<Event> events;
  std::unordered_map<ChannelId, std::shared_ptr<Half>> channels;  ///< Looked up only: its order means nothing.
  Transport::Counters counters;

  void post(Event event) {
    if (wakeup == nullptr) return;
    events.push_back(std::move(event));
    wakeup->notify();
  }
};

/// The network's own loop: wakes at delivery times.
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

// A host's own cut stands under the empty name, so that it holds for hosts that are not there yet.
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

/// Ends at both sides every channel between the two; an empty name stands for any host.
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
        parcel->at = clogged_until;  // Its sequence stays, and with it the order.
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
    answer.cause = {ErrorCode::unreachable, "Nobody listens at " + parcel.address + "."};
  } else if (dialler->wanted_key && dialler->wanted_key != listener->second->key) {
    answer.kind = Parcel::Kind::refusal;
    answer.cause = {ErrorCode::permission, parcel.address + " has another key than the one expected."};
    ++listener->second->counters.refused_peers;
  } else if (listener->second->channels.size() >= limits::kLinks) {
    answer.kind = Parcel::Kind::refusal;
    answer.cause = {ErrorCode::unreachable, parcel.address + " has no room for a channel."};
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

SimTransport::SimTransport(Network& network, std::string host, std::optional<PublicKey> key)
    : network_(network), wakeup_(network.simulator_), endpoint_(std::make_shared<Network::Endpoint>()) {
  endpoint_->host = std::move(host);
  endpoint_->key = key;
  endpoint_->wakeup = &wakeup_;
}

SimTransport::~SimTransport() {
  std::erase_if(network_.listeners_, [this](const auto& listener) { return listener.second == endpoint_; });
  std::vector<std::shared_ptr<Network::Half>> halves;
  for (const auto& [id, half] : endpoint_->channels) halves.push_back(half);
  // By id: the order of a hash table must not decide the order of events.
  std::sort(halves.begin(), halves.end(), [](const auto& a, const auto& b) { return a->id < b->id; });
  for (const auto& half : halves) network_.end(half);
  for (const Network::Event& event : endpoint_->events) {
    if (event.kind == Network::Event::Kind::frame) ++network_.counters_.frames_undelivered;
  }
  endpoint_->wakeup = nullptr;
  // A half keeps its endpoint and the other way round: part them.
  endpoint_->channels.clear();
  endpoint_->events.clear();
}

Result<std::string> SimTransport::listen(std::string_view address) {
  Result<std::string> name = checked_name(address);
  if (!name) return name;
  if (*name == "sim://*") name = "sim://listener-" + std::to_string(network_.next_name_++);
  if (!network_.listeners_.try_emplace(*name, endpoint_).second) {
    return Error{ErrorCode::in_use, "Somebody listens at " + *name + " already; choose another name."};
  }
  return name;
}

Result<ChannelId> SimTransport::connect(std::string_view address, const std::optional<PublicKey>& peer_key) {
  const Result<std::string> name = checked_name(address);
  if (!name) return name.error();
  if (endpoint_->channels.size() >= limits::kLinks) return ErrorCode::full;
  ++network_.counters_.dials;

  auto ours = std::make_shared<Network::Half>();
  ours->id = ChannelId{network_.next_channel_++};
  ours->owner = endpoint_;
  ours->host = endpoint_->host;
  ours->wanted_key = peer_key;
  auto theirs = std::make_shared<Network::Half>();
  const auto listener = network_.listeners_.find(*name);
  theirs->host = listener == network_.listeners_.end() ? std::string{} : listener->second->host;
  ours->peer = theirs;
  theirs->peer = ours;
  endpoint_->channels.emplace(ours->id, ours);
  network_.halves_.push_back(ours);
  network_.halves_.push_back(theirs);

  Network::Path& way = network_.path(ours->host, theirs->host);
  const bool unlucky = network_.entropy_.chance(way.options.connect_failure);
  using Parcel = Network::Parcel;
  if (network_.is_cut(ours->host, theirs->host, Cut::reported)) {
    ++network_.counters_.dials_failed;
    network_.enqueue({.kind = Parcel::Kind::refusal,
                      .from = nullptr,
                      .to = ours,
                      .at = network_.simulator_.now() + way.options.delay_min,
                      .cause = {ErrorCode::unreachable, "The network is cut."}});
  } else if (unlucky) {
    ++network_.counters_.dials_failed;
    network_.ship({.kind = Parcel::Kind::refusal,
                   .from = theirs,
                   .to = ours,
                   .cause = {ErrorCode::unreachable, *name + " refused."}},
                  kControlBytes);
  } else {
    network_.ship({.kind = Parcel::Kind::dial, .from = ours, .to = theirs, .address = *name}, kControlBytes);
  }
  network_.enqueue({.kind = Parcel::Kind::give_up,
                    .from = nullptr,
                    .to = ours,
                    .at = network_.simulator_.now() + network_.options_.connect_timeout,
                    .cause = {ErrorCode::timeout, *name + " did not answer."}});
  return ours->id;
}

Result<void> SimTransport::send(ChannelId channel, std::span<const std::byte> frame) {
  if (frame.size() > limits::kFrameBytes) {
    return Error{ErrorCode::invalid_argument, "A frame of " + std::to_string(frame.size()) + " bytes is over the " +
                                                  std::to_string(limits::kFrameBytes) + " that a link carries."};
  }
  const auto found = endpoint_->channels.find(channel);
  if (found == endpoint_->channels.end()) return ErrorCode::closed;
  Network::Half& half = *found->second;
  const std::shared_ptr<Network::Half> peer = half.peer;
  if (peer == nullptr) return ErrorCode::closed;
  // An empty direction takes any frame, so that a small bound cannot stop a large frame for ever.
  if (half.waiting_frames >= network_.options_.channel_frames ||
      (half.waiting_frames > 0 && half.waiting_bytes + frame.size() > network_.options_.channel_bytes)) {
    half.refused = true;
    return ErrorCode::full;
  }
  Network::Counters& totals = network_.counters_;
  ++totals.frames_sent;
  ++endpoint_->counters.frames_sent;
  endpoint_->counters.bytes_sent += frame.size();
  ++half.waiting_frames;
  half.waiting_bytes += frame.size();
  if (half.broken || network_.is_cut(half.host, peer->host)) {
    half.broken = true;
    ++totals.frames_cut;
    return {};
  }
  const Network::Path& way = network_.path(half.host, peer->host);
  if (network_.entropy_.chance(way.options.loss)) {
    ++totals.frames_lost;
    --half.waiting_frames;
    half.waiting_bytes -= frame.size();
    return {};
  }
  const bool twice = network_.entropy_.chance(way.options.duplication);
  for (int copy = 0; copy < (twice ? 2 : 1); ++copy) {
    if (copy == 1) {
      ++totals.frames_duplicated;
      ++half.waiting_frames;
      half.waiting_bytes += frame.size();
    }
    network_.ship({.kind = Network::Parcel::Kind::frame,
                   .from = found->second,
                   .to = peer,
                   .frame = {frame.begin(), frame.end()}},
                  frame.size());
  }
  return {};
}

void SimTransport::close(ChannelId channel) {
  const auto found = endpoint_->channels.find(channel);
  if (found == endpoint_->channels.end()) return;
  const std::shared_ptr<Network::Half> half = std::move(found->second);
  endpoint_->channels.erase(found);
  network_.end(half);
}

bool SimTransport::poll(TransportEvents& events) {
  using Kind = Network::Event::Kind;
  for (std::size_t count = 0; count < kPollBatch && !endpoint_->events.empty(); ++count) {
    const Network::Event event = std::move(endpoint_->events.front());
    endpoint_->events.pop_front();
    const ChannelId id = event.half->id;
    const std::shared_ptr<Network::Half> peer = event.half->peer;
    if (event.kind == Kind::frame && peer != nullptr) {
      --peer->waiting_frames;
      peer->waiting_bytes -= event.frame.size();
      if (std::exchange(peer->refused, false) && peer->owner != nullptr && peer->owner->wakeup != nullptr) {
        peer->owner->wakeup->notify();
      }
    }
    if (!endpoint_->channels.contains(id)) {
      if (event.kind == Kind::frame) ++network_.counters_.frames_undelivered;
      continue;
    }
    switch (event.kind) {
      case Kind::open: events.on_open(id, event.half->peer_identity); break;
      case Kind::accept: events.on_accept(id, event.half->peer_identity); break;
      case Kind::frame:
        ++endpoint_->counters.frames_received;
        endpoint_->counters.bytes_received += event.frame.size();
        events.on_frame(id, event.frame);
        break;
      case Kind::closed:
        close(id);
        events.on_closed(id, event.cause);
        break;
    }
  }
  return !endpoint_->events.empty();
}

Transport::Counters SimTransport::counters() const noexcept { return endpoint_->counters; }

}  // namespace pannier::sim
