#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <pannier/platform.h>
#include <pannier/result.h>

namespace pannier {

/// One connection, dialled or accepted. Never reused within a process.
enum class ChannelId : std::uint64_t {};

/// A raw CURVE25519 key. Its text form (Z85 or hex) belongs to the transport.
using PublicKey = std::array<std::byte, 32>;

/// The identity of the far end, as far as the transport proved it.
struct PeerIdentity {
  std::optional<PublicKey> key;  ///< Empty on plaintext and in-process channels: nothing is proven.
};

/// Receives what a transport reports. Implemented by the link layer. Called only within Transport::poll, on its thread.
/// May call Transport::send and Transport::close.
class TransportEvents {
 public:
  virtual ~TransportEvents() = default;

  /// A dialled channel can now carry frames.
  virtual void on_open(ChannelId channel, const PeerIdentity& peer) = 0;
  /// A peer connected to a listening address. It is authenticated if the transport can do that.
  virtual void on_accept(ChannelId channel, const PeerIdentity& peer) = 0;
  /// `frame` is borrowed for the call and may be misaligned: copy before parsing. At most limits::kFrameBytes.
  virtual void on_frame(ChannelId channel, std::span<const std::byte> frame) = 0;
  /// The channel has ended. Nothing more is reported for its id; unsent frames are lost. Not called after
  /// Transport::close.
  virtual void on_closed(ChannelId channel, const Error& cause) = 0;
};

/// Carries frames between two nodes. Frames of a channel arrive in order, each whole or not at all. A channel may die
/// at any time without notice and lose what was sent: **a send is not a delivery**. Heartbeats, hello, reconnection and
/// acknowledgement belong to the link layer and are the same on every transport.
///
/// All calls come from the one thread that drives the transport. The contract is the suite
/// tests/contract/transport_contract.h, run on every implementation.
class Transport {
 public:
  virtual ~Transport() = default;

  /// Accepts channels at `address`, in the transport's form: "tcp://0.0.0.0:7400", "ipc:///run/x", "inproc://hub".
  /// Returns the address to dial; a port of 0 or "*" is chosen by the system. Errors: in_use, permission,
  /// invalid_argument.
  virtual Result<std::string> listen(std::string_view address) = 0;

  /// Starts one attempt to dial; a later poll reports on_open or on_closed. Redialling is up to the caller. `peer_key`:
  /// the only key the far end may have; required if the transport encrypts. Errors: invalid_argument for a bad address,
  /// full beyond limits::kLinks.
  virtual Result<ChannelId> connect(std::string_view address, const std::optional<PublicKey>& peer_key) = 0;

  /// Queues a copy of one frame of at most limits::kFrameBytes. Errors: invalid_argument if it is larger; full at the
  /// channel's bound (nothing was taken; wakeup() is notified once there is room); closed if the channel has ended.
  virtual Result<void> send(ChannelId channel, std::span<const std::byte> frame) = 0;

  /// Ends the channel now. Queued frames may or may not arrive. Unknown ids are ignored.
  virtual void close(ChannelId channel) = 0;

  /// Reports a bounded number of events. Never blocks. Returns true if more can be reported at once.
  virtual bool poll(TransportEvents& events) = 0;

  /// Where the driving thread sleeps. Woken by notify() and by anything poll() would report.
  virtual Wakeup& wakeup() noexcept = 0;

  /// Traffic on the wire, as near to it as the transport can count.
  struct Counters {
    std::uint64_t frames_sent = 0;
    std::uint64_t frames_received = 0;
    std::uint64_t bytes_sent = 0;
    std::uint64_t bytes_received = 0;
    std::uint64_t refused_peers = 0;    ///< Handshakes that failed authentication.
    std::uint64_t cut_connections = 0;  ///< Accepted, then cut: silent for too long, or too many were silent.
    std::uint64_t dropped_frames = 0;   ///< Accepted by send, then lost with the channel, where that can be known.
  };
  [[nodiscard]] virtual Counters counters() const noexcept = 0;
};

}  // namespace pannier
