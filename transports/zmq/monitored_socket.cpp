#include "transports/zmq/monitored_socket.h"

#include <cstring>
#include <utility>

#include "platform/concat.h"

namespace pannier::zmq {
namespace {

constexpr int kServerEvents = ZMQ_EVENT_LISTENING | ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED |
                              ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                              ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
constexpr int kClientEvents = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED |
                              ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                              ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;

int milliseconds(Duration span) {
  return static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(span).count());
}

/// Replaces libzmq's unsafe defaults.
void set_bounds(::zmq::socket_t& socket, bool server, const ZmqOptions& options) {
  namespace opt = ::zmq::sockopt;
  socket.set(opt::linger, 0);
  // Encryption adds 33 bytes to a frame.
  socket.set(opt::maxmsgsize, static_cast<std::int64_t>(limits::kFrameBytes + 64));
  socket.set(opt::sndhwm, options.queue_frames);
  socket.set(opt::rcvhwm, options.queue_frames);
  socket.set(opt::handshake_ivl, milliseconds(options.handshake_timeout));
  socket.set(opt::connect_timeout, milliseconds(options.handshake_timeout));
  // Ends a connection whose peer reads nothing; the link layer's heartbeats find out earlier.
  socket.set(opt::tcp_maxrt, milliseconds(options.dead_after));
  socket.set(opt::tcp_keepalive, 1);
  socket.set(opt::tcp_keepalive_idle, 30);
  socket.set(opt::tcp_keepalive_intvl, 10);
  socket.set(opt::tcp_keepalive_cnt, 3);
  if (server) {
    socket.set(opt::backlog, 1024);
    // Unknown and full peers are an error, not a silent drop. No handover: a stranger cannot take a peer's place.
    socket.set(opt::router_mandatory, true);
    socket.set(opt::router_handover, false);
  } else {
    // One connection per socket, never repeated: redialling belongs to the link layer. -1 turns libzmq's own off.
    socket.set(opt::reconnect_ivl, -1);
    // Nothing is queued for a missing connection.
    socket.set(opt::immediate, true);
  }
}

}  // namespace

Result<MonitoredSocket> MonitoredSocket::make(ContextState& context, bool server, const ZmqOptions& options) {
  try {
    ::zmq::socket_t socket{context.context, server ? ::zmq::socket_type::router : ::zmq::socket_type::dealer};
    set_bounds(socket, server, options);
    const std::string name = "inproc://pannier.monitor." + std::to_string(context.next_name.fetch_add(1));
    if (zmq_socket_monitor(socket.handle(), name.c_str(), server ? kServerEvents : kClientEvents) != 0) {
      throw ::zmq::error_t{};
    }
    ::zmq::socket_t monitor{context.context, ::zmq::socket_type::pair};
    monitor.set(::zmq::sockopt::linger, 0);
    // Unbounded: libzmq's I/O thread blocks on a full monitor. An event is a few bytes and a connection has three.
    monitor.set(::zmq::sockopt::rcvhwm, 0);
    monitor.connect(name);
    return MonitoredSocket{std::move(socket), std::move(monitor)};
  } catch (const ::zmq::error_t& error) {
    return Error{ErrorCode::full, concat({"Cannot open a ZeroMQ socket: ", error.what(),
                                          "; raise `ulimit -n` or the context's max_sockets."})};
  }
}

std::optional<MonitoredSocket::Event> MonitoredSocket::next_event() noexcept {
  ::zmq::message_t part;
  if (zmq_msg_recv(part.handle(), monitor_.handle(), ZMQ_DONTWAIT) < 0) return std::nullopt;
  std::uint16_t kind = 0;
  std::uint32_t value = 0;
  if (part.size() >= sizeof kind + sizeof value) {
    std::memcpy(&kind, part.data(), sizeof kind);
    std::memcpy(&value, static_cast<const std::byte*>(part.data()) + sizeof kind, sizeof value);
  }
  // The parts of a message arrive together; the second is the address, which we know.
  while (part.more() && zmq_msg_recv(part.handle(), monitor_.handle(), ZMQ_DONTWAIT) >= 0) {
  }
  return Event{kind, static_cast<int>(value)};
}

bool MonitoredSocket::receive(::zmq::message_t& part) noexcept {
  return zmq_msg_recv(part.handle(), socket_.handle(), ZMQ_DONTWAIT) >= 0;
}

int MonitoredSocket::send(std::span<const std::byte> part, bool more) noexcept {
  const int flags = ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0);
  if (zmq_send(socket_.handle(), part.data(), part.size(), flags) >= 0) return 0;
  if (zmq_errno() != EAGAIN) return zmq_errno();
  // A send that would block does not check for new credit; reading ZMQ_EVENTS does.
  int events = 0;
  std::size_t size = sizeof events;
  zmq_getsockopt(socket_.handle(), ZMQ_EVENTS, &events, &size);
  if (zmq_send(socket_.handle(), part.data(), part.size(), flags) >= 0) return 0;
  return zmq_errno();
}

std::uint64_t wire_bytes(std::size_t frame_bytes, bool encrypted) noexcept {
  const std::uint64_t body = frame_bytes + (encrypted ? 33U : 0U);
  return body + (body > 255 ? 9U : 2U);
}

std::uint64_t handshake_bytes(bool of_client, bool encrypted) noexcept {
  if (!encrypted) return 64 + 44;                     // Greeting, READY with socket type and routing id.
  return of_client ? 64 + 202 + 301 : 64 + 170 + 76;  // HELLO and INITIATE; WELCOME and READY.
}

}  // namespace pannier::zmq
