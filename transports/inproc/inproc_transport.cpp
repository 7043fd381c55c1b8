#include <pannier/inproc.h>

#include <deque>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "platform/concat.h"

namespace pannier::inproc {
namespace {

constexpr std::string_view kScheme = "inproc://";
/// The most events that one poll reports.
constexpr std::size_t kPollBatch = 256;

Result<std::string> checked_name(std::string_view address) {
  if (!address.starts_with(kScheme) || address.size() == kScheme.size()) {
    return Error{ErrorCode::invalid_argument,
                 "Invalid address \"" + std::string{address} + "\"; expected inproc://name."};
  }
  return std::string{address};
}

}  // namespace

/// One end of a channel. Everything but `id` is guarded by the exchange's mutex.
struct Half {
  ChannelId id{};
  std::shared_ptr<Endpoint> owner;
  std::weak_ptr<Half> peer;
  std::size_t waiting_frames = 0;  ///< Sent to this end and not yet polled.
  std::size_t waiting_bytes = 0;
  bool open = true;
  bool refused = false;  ///< The far end got `full` and is notified when there is room.
};

struct Event {
  enum class Kind : std::uint8_t { open, accept, frame, closed } kind;
  std::shared_ptr<Half> half;
  std::vector<std::byte> frame;
  Error cause{ErrorCode::closed};
};

/// What other threads reach of a transport.
struct Endpoint {
  Wakeup* wakeup = nullptr;  ///< Null once the transport is gone.
  InprocOptions options;
  std::deque<Event> events;
  std::uint64_t dropped_frames = 0;
  std::size_t halves = 0;

  void post(Event event) {
    events.push_back(std::move(event));
    wakeup->notify();
  }
};

struct ExchangeState {
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<Endpoint>, std::less<>> listeners;
  std::uint64_t next_channel = 1;
  std::uint64_t next_name = 1;

  /// Call with the mutex held. Ends `half`, drops what waits for it, and tells the far end.
  void end(Half& half) {
    if (!half.open) return;
    half.open = false;
    --half.owner->halves;
    const std::shared_ptr<Half> peer = half.peer.lock();
    if (peer == nullptr || peer->owner->wakeup == nullptr) return;
    peer->owner->dropped_frames += half.waiting_frames;
    if (peer->open) peer->owner->post({Event::Kind::closed, peer, {}, Error{ErrorCode::closed}});
  }
};

Exchange::Exchange() : state_(std::make_unique<ExchangeState>()) {}
Exchange::~Exchange() = default;

InprocTransport::InprocTransport(Exchange& exchange, Wakeup& wakeup, InprocOptions options)
    : exchange_(*exchange.state_), wakeup_(wakeup), options_(options), endpoint_(std::make_shared<Endpoint>()) {
  endpoint_->wakeup = &wakeup_;
  endpoint_->options = options_;
}

InprocTransport::~InprocTransport() {
  std::deque<Event> rest;  // Freed outside the lock.
  const std::lock_guard lock{exchange_.mutex};
  for (auto it = exchange_.listeners.begin(); it != exchange_.listeners.end();) {
    it = it->second == endpoint_ ? exchange_.listeners.erase(it) : std::next(it);
  }
  for (const auto& [id, half] : channels_) exchange_.end(*half);
  rest.swap(endpoint_->events);
  // Channels that arrived and were never reported.
  for (const Event& event : rest) exchange_.end(*event.half);
  endpoint_->wakeup = nullptr;
}

Result<std::string> InprocTransport::listen(std::string_view address) {
  Result<std::string> name = checked_name(address);
  if (!name) return name;
  const std::lock_guard lock{exchange_.mutex};
  if (*name == "inproc://*") name = "inproc://listener-" + std::to_string(exchange_.next_name++);
  if (!exchange_.listeners.try_emplace(*name, endpoint_).second) {
    return Error{ErrorCode::in_use, concat({"Address already in use: ", *name, "."})};
  }
  return name;
}

Result<ChannelId> InprocTransport::connect(std::string_view address, const std::optional<PublicKey>& /*peer_key*/) {
  const Result<std::string> name = checked_name(address);
  if (!name) return name.error();
  const std::lock_guard lock{exchange_.mutex};
  if (endpoint_->halves >= limits::kLinks) return ErrorCode::full;

  auto ours = std::make_shared<Half>();
  ours->id = ChannelId{exchange_.next_channel++};
  ours->owner = endpoint_;
  ++endpoint_->halves;
  channels_.emplace(ours->id, ours);

  const auto listener = exchange_.listeners.find(*name);
  if (listener == exchange_.listeners.end()) {
    endpoint_->post(
        {Event::Kind::closed, ours, {}, {ErrorCode::unreachable, concat({"Nothing listens at ", *name, "."})}});
    return ours->id;
  }
  if (listener->second->halves >= limits::kLinks) {
    endpoint_->post(
        {Event::Kind::closed, ours, {}, {ErrorCode::unreachable, *name + " has reached its limit of channels."}});
    return ours->id;
  }
  auto theirs = std::make_shared<Half>();
  theirs->id = ChannelId{exchange_.next_channel++};
  theirs->owner = listener->second;
  ++theirs->owner->halves;
  ours->peer = theirs;
  theirs->peer = ours;
  endpoint_->post({Event::Kind::open, ours, {}});
  theirs->owner->post({Event::Kind::accept, theirs, {}});
  return ours->id;
}

Result<void> InprocTransport::send(ChannelId channel, std::span<const std::byte> frame) {
  if (frame.size() > limits::kFrameBytes) {
    return Error{ErrorCode::invalid_argument,
                 concat({"The frame has ", frame.size(), " bytes; a link carries at most ", limits::kFrameBytes, "."})};
  }
  const auto found = channels_.find(channel);
  if (found == channels_.end()) return ErrorCode::closed;
  std::vector<std::byte> copy{frame.begin(), frame.end()};

  const std::lock_guard lock{exchange_.mutex};
  const std::shared_ptr<Half> peer = found->second->peer.lock();
  if (peer == nullptr || !peer->open) return ErrorCode::closed;
  // An empty direction takes any frame, so that a small bound cannot block a large frame for ever.
  if (peer->waiting_frames >= options_.channel_frames ||
      (peer->waiting_frames > 0 && peer->waiting_bytes + frame.size() > options_.channel_bytes)) {
    peer->refused = true;
    return ErrorCode::full;
  }
  ++peer->waiting_frames;
  peer->waiting_bytes += frame.size();
  ++counters_.frames_sent;
  counters_.bytes_sent += frame.size();
  peer->owner->post({Event::Kind::frame, peer, std::move(copy)});
  return {};
}

void InprocTransport::close(ChannelId channel) {
  const auto found = channels_.find(channel);
  if (found == channels_.end()) return;
  const std::shared_ptr<Half> half = std::move(found->second);
  channels_.erase(found);
  const std::lock_guard lock{exchange_.mutex};
  exchange_.end(*half);
}

bool InprocTransport::poll(TransportEvents& events) {
  std::vector<Event> batch;
  bool more = false;
  {
    const std::lock_guard lock{exchange_.mutex};
    while (!endpoint_->events.empty() && batch.size() < kPollBatch) {
      batch.push_back(std::move(endpoint_->events.front()));
      endpoint_->events.pop_front();
      Half& half = *batch.back().half;
      if (batch.back().kind != Event::Kind::frame) continue;
      --half.waiting_frames;
      half.waiting_bytes -= batch.back().frame.size();
      if (!std::exchange(half.refused, false)) continue;
      const std::shared_ptr<Half> peer = half.peer.lock();
      if (peer != nullptr && peer->owner->wakeup != nullptr) peer->owner->wakeup->notify();
    }
    more = !endpoint_->events.empty();
  }
  // Outside the lock: the receiver sends and closes within its calls.
  for (Event& event : batch) {
    const ChannelId id = event.half->id;
    if (event.kind == Event::Kind::accept) {
      channels_.emplace(id, event.half);
      events.on_accept(id, PeerIdentity{});
      continue;
    }
    if (!channels_.contains(id)) continue;  // Closed since; its end was counted then.
    switch (event.kind) {
      case Event::Kind::open: events.on_open(id, PeerIdentity{}); break;
      case Event::Kind::frame:
        ++counters_.frames_received;
        counters_.bytes_received += event.frame.size();
        events.on_frame(id, event.frame);
        break;
      case Event::Kind::closed:
        close(id);
        events.on_closed(id, event.cause);
        break;
      case Event::Kind::accept: break;
    }
  }
  return more;
}

Transport::Counters InprocTransport::counters() const noexcept {
  Counters counters = counters_;
  const std::lock_guard lock{exchange_.mutex};
  counters.dropped_frames = endpoint_->dropped_frames;
  return counters;
}

}  // namespace pannier::inproc
