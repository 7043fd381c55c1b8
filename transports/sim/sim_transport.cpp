#include <algorithm>

#include "transports/sim/network_state.h"

namespace pannier::sim {
namespace {

constexpr std::string_view kScheme = "sim://";
/// The most events that one poll reports.
constexpr std::size_t kPollBatch = 256;

Result<std::string> checked_name(std::string_view address) {
  if (!address.starts_with(kScheme) || address.size() == kScheme.size()) {
    return Error{ErrorCode::invalid_argument, "Invalid address \"" + std::string{address} + "\"; expected sim://name."};
  }
  return std::string{address};
}

}  // namespace

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
  // A half and its endpoint refer to each other; break the cycle.
  endpoint_->channels.clear();
  endpoint_->events.clear();
}

Result<std::string> SimTransport::listen(std::string_view address) {
  Result<std::string> name = checked_name(address);
  if (!name) return name;
  if (*name == "sim://*") name = "sim://listener-" + std::to_string(network_.next_name_++);
  if (!network_.listeners_.try_emplace(*name, endpoint_).second) {
    return Error{ErrorCode::in_use, "Address already in use: " + *name + "."};
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
    return Error{ErrorCode::invalid_argument, "The frame has " + std::to_string(frame.size()) +
                                                  " bytes; a link carries at most " +
                                                  std::to_string(limits::kFrameBytes) + "."};
  }
  const auto found = endpoint_->channels.find(channel);
  if (found == endpoint_->channels.end()) return ErrorCode::closed;
  Network::Half& half = *found->second;
  const std::shared_ptr<Network::Half> peer = half.peer;
  if (peer == nullptr) return ErrorCode::closed;
  // An empty direction takes any frame, so that a small bound cannot block a large frame for ever.
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
