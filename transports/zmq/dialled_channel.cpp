#include <cerrno>

#include "platform/concat.h"
#include "platform/posix/system_clock.h"
#include "transports/zmq/channels.h"

namespace pannier::zmq {

DialledChannel::DialledChannel(Shared& shared, MonitoredSocket socket, ChannelId id, std::string address,
                               const std::optional<PublicKey>& peer_key)
    : shared_(shared),
      socket_(std::move(socket)),
      id_(id),
      address_(std::move(address)),
      peer_key_(shared.encrypted() ? peer_key : std::nullopt),
      dialled_at_(posix::mono_now()) {
  ++shared_.open_channels;
}

DialledChannel::~DialledChannel() { --shared_.open_channels; }

Error DialledChannel::cause() const { return cause_ ? *cause_ : Error{ErrorCode::closed}; }

/// Explains a handshake that the far end ended silently. A server that does not admit our key, or was dialled under a
/// key other than its own, just closes. One that cannot answer runs into our timeout.
Error DialledChannel::refusal() const {
  if (posix::mono_now() - dialled_at_ >= shared_.options.handshake_timeout * 9 / 10) {
    return {ErrorCode::timeout, address_ + " did not finish the handshake in time."};
  }
  if (!shared_.encrypted()) return {ErrorCode::unsupported, address_ + " ended the handshake: it may want encryption."};
  return {ErrorCode::permission,
          address_ + " refused the handshake; check its public key, and that its allow-list has ours."};
}

void DialledChannel::open(TransportEvents& events) {
  if (open_) return;
  open_ = true;
  shared_.counters.bytes_sent += handshake_bytes(true, shared_.encrypted());
  shared_.counters.bytes_received += handshake_bytes(false, shared_.encrypted());
  events.on_open(id_, PeerIdentity{peer_key_});
}

void DialledChannel::read_monitor(TransportEvents& events) {
  while (!abandoned_) {
    const std::optional<MonitoredSocket::Event> event = socket_.next_event();
    if (!event) return;
    switch (event->kind) {
      case ZMQ_EVENT_HANDSHAKE_SUCCEEDED: open(events); break;
      case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        cause_ = Error{ErrorCode::permission, address_ + " does not allow our key; add it to its allow-list."};
        lost_ = true;
        break;
      case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
        cause_ = shared_.encrypted() ? refusal() : Error{ErrorCode::unsupported, address_ + " requires encryption."};
        lost_ = true;
        break;
      case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
        if (!cause_) cause_ = refusal();
        lost_ = true;
        break;
      default:  // Disconnected, dial failed, or the monitor is gone.
        if (!cause_) {
          cause_ = open_ ? Error{ErrorCode::closed, concat({"The connection to ", address_, " ended."})}
                         : Error{ErrorCode::unreachable, concat({"Cannot connect to ", address_, "."})};
        }
        lost_ = true;
        break;
    }
  }
}

bool DialledChannel::poll(TransportEvents& events, std::size_t budget) {
  read_monitor(events);
  ::zmq::message_t part;
  for (std::size_t count = 0; count < budget; ++count) {
    if (abandoned_) return false;
    if (!socket_.receive(part)) {
      // All that the connection brought has been read: it was lost before the last look.
      over_ = lost_;
      return false;
    }
    if (part.more()) {  // Only a goodbye has two parts.
      while (part.more() && socket_.receive(part)) {
      }
      cause_ = Error{ErrorCode::closed, address_ + " closed the channel."};
      over_ = true;
      return false;
    }
    if (!open_) open(events);  // The frame arrived before the monitor's event.
    if (abandoned_) return false;
    shared_.count_received(part.size());
    events.on_frame(id_, {static_cast<const std::byte*>(part.data()), part.size()});
  }
  return true;
}

Result<void> DialledChannel::send(std::span<const std::byte> frame) {
  if (lost_) return ErrorCode::closed;
  const int failure = socket_.send(frame, false);
  if (failure == 0) {
    shared_.count_sent(frame.size());
    return {};
  }
  if (failure != EAGAIN) return Error{ErrorCode::closed, zmq_strerror(failure)};
  blocked_ = true;
  return ErrorCode::full;
}

}  // namespace pannier::zmq
