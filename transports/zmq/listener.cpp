#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>

#include <pannier/limits.h>

#include "platform/posix/connection.h"
#include "platform/posix/system_clock.h"
#include "transports/zmq/channels.h"

namespace pannier::zmq {
namespace {

constexpr long kUnbindMilliseconds = 1000;
/// Of ZMTP 3.1. A peer that has sent it intends to complete the handshake.
constexpr std::uint64_t kGreetingBytes = 64;
/// More than the handshake of an honest peer takes: 64 bytes of greeting, then HELLO and INITIATE of CURVE (RFC 26).
constexpr std::uint64_t kHandshakeBytes = 4096;
/// How often connections within the handshake are looked at, and how often many of them.
constexpr Duration kLookEvery = std::chrono::milliseconds{20};
constexpr Duration kLookAtManyEvery = std::chrono::milliseconds{2};
constexpr std::size_t kMany = 16;
/// The time for a peer to read its goodbye and close.
constexpr Duration kGoodbyeTime = std::chrono::seconds{1};

std::string_view property(const ::zmq::message_t& message, const char* name) {
  const char* value = zmq_msg_gets(message.handle(), name);
  return value == nullptr ? std::string_view{} : std::string_view{value};
}

/// The connection that a message arrived on. libzmq stores it under this name for its own ZMQ_SRCFD.
int connection_of(const ::zmq::message_t& message) {
  const std::string_view text = property(message, "__fd");
  int fd = -1;
  std::from_chars(text.data(), text.data() + text.size(), fd);
  return fd;
}

}  // namespace

Listener::~Listener() {
  shared_.open_channels -= by_channel_.size();
  if (zmq_unbind(socket_.socket().handle(), endpoint_.c_str()) != 0) return;
  zmq_pollitem_t item{socket_.monitor().handle(), 0, ZMQ_POLLIN, 0};
  while (zmq_poll(&item, 1, kUnbindMilliseconds) > 0) {
    while (const std::optional<MonitoredSocket::Event> event = socket_.next_event()) {
      if (event->kind == ZMQ_EVENT_CLOSED) return;
    }
  }
}

/// Events are written before what they announce can be read, so a connection that has sent something is known here.
void Listener::read_monitor() {
  while (const std::optional<MonitoredSocket::Event> event = socket_.next_event()) {
    switch (event->kind) {
      case ZMQ_EVENT_LISTENING: posix::accept_with_data(event->value); break;
      case ZMQ_EVENT_ACCEPTED: accepted(event->value); break;
      case ZMQ_EVENT_DISCONNECTED:
        connections_.erase(event->value);
        unproven_.erase(event->value);
        if (const auto found = by_fd_.find(event->value); found != by_fd_.end()) {
          ending_.emplace_back(found->second, event->value);
          by_fd_.erase(found);
        }
        break;
      case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        if (const auto found = unproven_.find(event->value); found != unproven_.end()) found->second.handshaken = true;
        break;
      case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
      case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL: ++shared_.counters.refused_peers; break;
      default: break;
    }
  }
}

/// Idle connections use up descriptors, and libzmq bounds only the handshake. So a connection must send its first frame
/// in time, and few may be unproven at once. To make room, cut one of the source with the most of them, so that one
/// crowd does not keep others out: one that has sent nothing, or else the oldest, so that a handshake in progress
/// survives.
void Listener::accepted(int fd) {
  connections_[fd] = true;
  unproven_[fd] = {posix::source_of(fd), posix::mono_now() + 2 * shared_.options.handshake_timeout};
  if (unproven_.size() > limits::kUnprovenConnections) cut_one();
}

void Listener::let_go(int fd) {
  if (connections_.contains(fd)) unproven_[fd] = {posix::source_of(fd), posix::mono_now() + kGoodbyeTime, true};
}

void Listener::cut_one() {
  std::map<std::string_view, std::size_t> crowds;
  for (const auto& [fd, each] : unproven_) ++crowds[each.source];
  const auto crowd =
      std::max_element(crowds.begin(), crowds.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  auto victim = unproven_.end();
  std::pair<std::uint64_t, MonoTime> least{};
  for (auto each = unproven_.begin(); each != unproven_.end(); ++each) {
    if (each->second.source != crowd->first) continue;
    const std::pair<std::uint64_t, MonoTime> worth{std::min(posix::bytes_received(each->first), kGreetingBytes),
                                                   each->second.until};
    if (victim == unproven_.end() || worth < least) {
      victim = each;
      least = worth;
    }
  }
  posix::cut(victim->first);
  ++shared_.counters.cut_connections;
  unproven_.erase(victim);
}

/// Cuts what is overdue, and what sends more than a handshake takes: libzmq keeps a message of up to a megabyte for a
/// peer that has proven nothing.
void Listener::cut_unproven() {
  if (unproven_.empty()) return;
  const MonoTime now = posix::mono_now();
  if (now >= next_look_) {
    next_look_ = now + (unproven_.size() < kMany ? kLookEvery : kLookAtManyEvery);
    for (auto& [fd, each] : unproven_) {
      if (!each.handshaken) each.too_much = posix::bytes_received(fd) > kHandshakeBytes;
    }
    read_monitor();  // a handshake that succeeded before those bytes were sent was announced before
  }
  for (auto each = unproven_.begin(); each != unproven_.end();) {
    if (each->second.until > now && (each->second.handshaken || !each->second.too_much)) {
      ++each;
      continue;
    }
    posix::cut(each->first);
    ++shared_.counters.cut_connections;
    each = unproven_.erase(each);
  }
}

MonoTime Listener::due() const noexcept {
  MonoTime first = kNever;
  bool within_handshake = false;
  for (const auto& [fd, each] : unproven_) {
    first = std::min(first, each.until);
    within_handshake = within_handshake || !each.handshaken;
  }
  return within_handshake ? std::min(first, next_look_) : first;
}

bool Listener::poll(TransportEvents& events, std::size_t budget) {
  read_monitor();
  cut_unproven();
  drop_revoked(events);
  // Only connections gone by now are complete after the reads below; later ones wait for the next call.
  const std::size_t gone = ending_.size();
  ::zmq::message_t id_part;
  ::zmq::message_t payload;
  for (std::size_t count = 0; count < budget; ++count) {
    if (!socket_.receive(id_part)) {
      for (std::size_t i = 0; i < gone; ++i) {
        const auto [routing_id, fd] = ending_[i];
        finish(events, routing_id, fd);
      }
      ending_.erase(ending_.begin(), ending_.begin() + static_cast<std::ptrdiff_t>(gone));
      return false;
    }
    if (!id_part.more() || !socket_.receive(payload)) continue;
    if (payload.more()) {  // No Pannier node sends that to a ROUTER.
      while (payload.more() && socket_.receive(payload)) {
      }
      ++shared_.counters.dropped_frames;
      continue;
    }
    on_message(events, std::string{static_cast<const char*>(id_part.data()), id_part.size()}, payload);
  }
  return true;
}

Listener::Peer& Listener::admit(TransportEvents& events, const std::string& routing_id,
                                const ::zmq::message_t& payload) {
  const int fd = connection_of(payload);
  std::optional<PublicKey> key;
  if (shared_.encrypted() && own_user_) {
    key = shared_.options.own_key.public_key;
  } else if (shared_.encrypted()) {
    if (const Result<PublicKey> parsed = parse_hex(property(payload, "User-Id")); parsed.ok()) {
      key = parsed.value();
    }
  }
  if (const auto found = peers_.find(routing_id); found != peers_.end()) {
    if (found->second.fd == fd && found->second.key == key) return found->second;
    // Peers choose their routing id: never accept one connection's messages as another's.
    finish(events, routing_id, found->second.fd);
  }
  read_monitor();
  Peer& peer = peers_[routing_id];
  peer = Peer{shared_.next_channel(), fd, key, false};
  unproven_.erase(fd);
  if (connections_.contains(fd)) {
    by_fd_[fd] = routing_id;
  } else {
    ending_.emplace_back(routing_id, fd);  // It sent this and disconnected.
  }
  // Checked again after ZAP: a key may have been revoked since, and libzmq admits every key when its handler is away.
  const bool proven = !shared_.encrypted() || own_user_ || (key && shared_.access.allows(*key));
  if (!proven || shared_.open_channels >= limits::kLinks) {
    ++shared_.counters.refused_peers;
    say_goodbye(routing_id);
    let_go(fd);
    return peer;
  }
  peer.open = true;
  by_channel_.emplace(peer.id, routing_id);
  ++shared_.open_channels;
  shared_.counters.bytes_sent += handshake_bytes(false, shared_.encrypted());
  shared_.counters.bytes_received += handshake_bytes(true, shared_.encrypted());
  events.on_accept(peer.id, PeerIdentity{key});
  return peer;
}

void Listener::on_message(TransportEvents& events, const std::string& routing_id, const ::zmq::message_t& payload) {
  const Peer& peer = admit(events, routing_id, payload);
  if (!peer.open) {
    ++shared_.counters.dropped_frames;
    return;
  }
  shared_.count_received(payload.size());
  events.on_frame(peer.id, {static_cast<const std::byte*>(payload.data()), payload.size()});
}

/// Ends our use of a channel. Its connection ends once the far end has read the goodbye.
void Listener::shut(Peer& peer) {
  if (!peer.open) return;
  peer.open = false;
  by_channel_.erase(peer.id);
  --shared_.open_channels;
}

/// Two parts, unlike any frame: an empty one and a letter. Lost if the peer's queue is full; missing heartbeats then
/// end the link.
void Listener::say_goodbye(const std::string& routing_id) {
  constexpr std::byte kGoodbye{'B'};
  if (socket_.send(std::as_bytes(std::span{routing_id}), true) != 0) return;
  if (socket_.send({}, true) == 0) (void)socket_.send({&kGoodbye, 1}, false);
}

void Listener::finish(TransportEvents& events, const std::string& routing_id, int fd) {
  const auto found = peers_.find(routing_id);
  if (found == peers_.end() || found->second.fd != fd) return;
  const Peer peer = found->second;
  shut(found->second);
  peers_.erase(found);
  if (const auto connection = by_fd_.find(fd); connection != by_fd_.end() && connection->second == routing_id) {
    by_fd_.erase(connection);
  }
  if (peer.open) events.on_closed(peer.id, Error{ErrorCode::closed, "The peer's connection ended."});
}

void Listener::drop_revoked(TransportEvents& events) {
  const std::uint64_t revocations = shared_.access.revocations();
  if (revocations == seen_revocations_ || own_user_) return;
  seen_revocations_ = revocations;
  std::vector<ChannelId> revoked;
  for (auto& [routing_id, peer] : peers_) {
    if (!peer.open || !peer.key || shared_.access.allows(*peer.key)) continue;
    revoked.push_back(peer.id);
    say_goodbye(routing_id);
    let_go(peer.fd);
    shut(peer);
  }
  for (const ChannelId id : revoked) events.on_closed(id, Error{ErrorCode::permission, "The peer's key was revoked."});
}

std::optional<Result<void>> Listener::send(ChannelId channel, std::span<const std::byte> frame) {
  const auto found = by_channel_.find(channel);
  if (found == by_channel_.end()) return std::nullopt;
  const int failure = socket_.send(std::as_bytes(std::span{found->second}), true);
  if (failure == EAGAIN) {
    shared_.listener_blocked = true;
    return Result<void>{ErrorCode::full};
  }
  if (failure == 0 && socket_.send(frame, false) == 0) {
    shared_.count_sent(frame.size());
    return Result<void>{};
  }
  // The connection is gone; the next poll reports it.
  ending_.emplace_back(found->second, peers_[found->second].fd);
  return Result<void>{ErrorCode::closed};
}

bool Listener::close(ChannelId channel) {
  const auto found = by_channel_.find(channel);
  if (found == by_channel_.end()) return false;
  const std::string routing_id = found->second;
  say_goodbye(routing_id);
  let_go(peers_[routing_id].fd);
  shut(peers_[routing_id]);
  return true;
}

}  // namespace pannier::zmq
