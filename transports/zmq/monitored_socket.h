#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include <zmq.hpp>

#include <pannier/result.h>
#include <pannier/transport.h>
#include <pannier/zmq.h>
#include "transports/zmq/context_state.h"

namespace pannier::zmq {

/// A libzmq socket with its bounds set, and the socket that tells what becomes of its connections. Not part of the API.
/// One thread.
class MonitoredSocket {
 public:
  /// A ROUTER for `server`, else a DEALER. Sets everything but keys. full when no socket or descriptor is left.
  static Result<MonitoredSocket> make(ContextState& context, bool server, const ZmqOptions& options);

  [[nodiscard]] ::zmq::socket_t& socket() noexcept { return socket_; }
  [[nodiscard]] ::zmq::socket_t& monitor() noexcept { return monitor_; }

  struct Event {
    int kind;   ///< ZMQ_EVENT_*
    int value;  ///< A descriptor, an errno or a status, as the kind has it.
  };
  /// The next event of a connection, if one waits.
  [[nodiscard]] std::optional<Event> next_event() noexcept;

  /// Takes the next part of a message. False when none waits.
  [[nodiscard]] bool receive(::zmq::message_t& part) noexcept;
  /// Queues one part, copied. 0, or libzmq's errno: EAGAIN, EHOSTUNREACH ...
  [[nodiscard]] int send(std::span<const std::byte> part, bool more) noexcept;

 private:
  MonitoredSocket(::zmq::socket_t socket, ::zmq::socket_t monitor)
      : socket_(std::move(socket)), monitor_(std::move(monitor)) {}

  ::zmq::socket_t socket_;
  ::zmq::socket_t monitor_;
};

/// Bytes on the wire of one frame, estimated: libzmq does not count. ZMTP 3.1's frame header (2 or 9 bytes), and
/// with CURVE a MESSAGE command: name 8, nonce 8, authenticator 16, flags 1.
[[nodiscard]] std::uint64_t wire_bytes(std::size_t frame_bytes, bool encrypted) noexcept;
/// Bytes of the greeting and the handshake: what the dialling side sends, and what it is answered. Estimated.
[[nodiscard]] std::uint64_t handshake_bytes(bool of_client, bool encrypted) noexcept;

}  // namespace pannier::zmq
