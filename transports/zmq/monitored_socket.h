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

/// A libzmq socket with its limits set, and the monitor of its connections. One thread.
class MonitoredSocket {
 public:
  /// A ROUTER if `server`, else a DEALER. Sets everything but keys. Error: full if out of sockets or descriptors.
  static Result<MonitoredSocket> make(ContextState& context, bool server, const ZmqOptions& options);

  [[nodiscard]] ::zmq::socket_t& socket() noexcept { return socket_; }
  [[nodiscard]] ::zmq::socket_t& monitor() noexcept { return monitor_; }

  struct Event {
    int kind;   ///< ZMQ_EVENT_*
    int value;  ///< A descriptor, an errno or a status, depending on the kind.
  };
  /// The next event of a connection, if any.
  [[nodiscard]] std::optional<Event> next_event() noexcept;

  /// Takes the next part of a message. False if there is none.
  [[nodiscard]] bool receive(::zmq::message_t& part) noexcept;
  /// Queues a copy of one part. Returns 0 or libzmq's errno: EAGAIN, EHOSTUNREACH ...
  [[nodiscard]] int send(std::span<const std::byte> part, bool more) noexcept;

 private:
  MonitoredSocket(::zmq::socket_t socket, ::zmq::socket_t monitor)
      : socket_(std::move(socket)), monitor_(std::move(monitor)) {}

  ::zmq::socket_t socket_;
  ::zmq::socket_t monitor_;
};

/// Estimated bytes of one frame on the wire, since libzmq does not count: ZMTP 3.1's frame header (2 or 9 bytes), and
/// with CURVE a MESSAGE command: name 8, nonce 8, authenticator 16, flags 1.
[[nodiscard]] std::uint64_t wire_bytes(std::size_t frame_bytes, bool encrypted) noexcept;
/// Estimated bytes of greeting and handshake, sent by the dialling side and by the other.
[[nodiscard]] std::uint64_t handshake_bytes(bool of_client, bool encrypted) noexcept;

}  // namespace pannier::zmq
