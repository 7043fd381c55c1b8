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

/// One connection as a transport sees it, dialled or accepted. Never used twice within a process.
enum class ChannelId : std::uint64_t {};

/// A CURVE25519 key as 32 bytes. Text form (Z85 or hex) belongs to the transport that uses it.
using PublicKey = std::array<std::byte, 32>;

/// Who is at the far end, as far as the transport could prove it.
struct PeerIdentity {
  std::optional<PublicKey> key;  ///< Empty on a plaintext or in-process channel: nothing is proven.
};

/// What a transport reports; implemented by the link layer. Called from within Transport::poll only, on its thread.
/// An implementation may call Transport::send and Transport::close from within a call.
class TransportEvents {
 public:
  virtual ~TransportEvents() = default;

  /// A dialled channel can carry frames now.
  virtual void on_open(ChannelId channel, const PeerIdentity& peer) = 0;
  /// A stranger's channel arrived at a listening address. It was authenticated where the transport can do that.
  virtual void on_accept(ChannelId channel, const PeerIdentity& peer) = 0;
  /// `frame` is borrowed for the call and may be misaligned: copy before parsing. At most limits::kFrameBytes.
  virtual void on_frame(ChannelId channel, std::span<const std::byte> frame) = 0;
  /// The channel has ended; nothing more comes for this id, and what was not yet sent is gone.
  /// Not called for a channel that Transport::close ended.
  virtual void on_closed(ChannelId channel, const Error& cause) = 0;
};

/// Carries frames between two nodes: in order while a channel lives, each whole or not at all. A channel may die at
/// any moment without a sign, taking with it what was sent: **a send is not a delivery**. Heartbeats, hello,
/// reconnect and acknowledgement are the link layer's (`runtime/link.h`), the same on every transport.
///
/// Every call comes from the one thread that drives the transport. The contract is a test suite:
/// tests/contract/transport_contract.h, run on every implementation.
class Transport {
 public:
  virtual ~Transport() = default;

  /// Accepts channels at `address` (its form is the transport's: "tcp://0.0.0.0:7400", "ipc:///run/x", "inproc://hub").
  /// A port of 0 or "*" is chosen by the system; the address to be dialled comes back.
  /// in_use, permission, invalid_argument.
  virtual Result<std::string> listen(std::string_view address) = 0;

  /// Starts to dial; on_open or on_closed follows from a later poll. One attempt: dialling again is the caller's
  /// decision. `peer_key`: the only key the far end may have; required where the transport is encrypted.
  /// invalid_argument for an address that cannot be, full past limits::kLinks.
  virtual Result<ChannelId> connect(std::string_view address, const std::optional<PublicKey>& peer_key) = 0;

  /// Queues one frame, copied before return. full: the channel's bound is reached, nothing was taken; wakeup() is
  /// notified once there is room again. closed: no such channel any more. At most limits::kFrameBytes, else
  /// invalid_argument.
  virtual Result<void> send(ChannelId channel, std::span<const std::byte> frame) = 0;

  /// Ends the channel now; frames that were queued may or may not arrive. Unknown ids are ignored.
  virtual void close(ChannelId channel) = 0;

  /// Reports what has happened, in bounded work. Never blocks. True when there is more to report at once.
  virtual bool poll(TransportEvents& events) = 0;

  /// Where the driving thread sleeps: woken by notify() and by anything that poll would report.
  virtual Wakeup& wakeup() noexcept = 0;

  /// Bytes that crossed the wire so far, as near to it as the transport can count.
  struct Counters {
    std::uint64_t frames_sent = 0;
    std::uint64_t frames_received = 0;
    std::uint64_t bytes_sent = 0;
    std::uint64_t bytes_received = 0;
    std::uint64_t refused_peers = 0;   ///< Handshakes that failed authentication.
    std::uint64_t dropped_frames = 0;  ///< Accepted by send, then lost with its channel, where that can be known.
  };
  [[nodiscard]] virtual Counters counters() const noexcept = 0;
};

}  // namespace pannier
