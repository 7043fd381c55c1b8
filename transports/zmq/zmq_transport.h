#pragma once

#include <memory>
#include <string>
#include <vector>

#include "platform/clock.h"
#include "runtime/limits.h"
#include "runtime/link/transport.h"
#include "transports/zmq/context.h"
#include "transports/zmq/keys.h"

namespace pannier::zmq {

struct ZmqOptions {
  /// Our own pair. Required unless insecure_plaintext.
  KeyPair own_key{};
  /// The keys whose owners may come in at our listening addresses. Empty: nobody. See allow() and revoke().
  std::vector<PublicKey> allowed_keys{};
  /// No encryption and no proof of who is there. For a wire that is trusted as a whole, and for measurements.
  bool insecure_plaintext = false;
  /// One "ipc:///PATH" of our listening addresses where this user's own processes, and root's, come in without a key:
  /// the kernel says whose they are. There each of them counts as the owner of `own_key`.
  std::string own_users_address{};
  /// A peer that connects, or that we dial, has this long to finish ZeroMQ's handshake.
  Duration handshake_timeout = limits::kHandshakeTimeout;
  /// TCP gives a connection up when what was sent stays unacknowledged for so long.
  Duration dead_after = std::chrono::seconds{20};
  /// Frames that libzmq holds for each direction of a channel, on either side, before send() says full.
  int queue_frames = 128;
};

/// Frames over ZeroMQ: one ROUTER a listening address, one DEALER a dialled channel; "tcp://host:port" and
/// "ipc:///path". CURVE with an allow-list unless plaintext is asked for by name; no data is read from a peer that has
/// not proven an allowed key. libzmq's reconnects, heartbeats and unbounded queues are off.
///
/// A ROUTER learns that a peer is gone from the connection's end, or from the first send after it; when the connection
/// dies without a sign, from the link layer's heartbeats. close() of an accepted channel tells the far end with a
/// message of its own, since libzmq cannot end one connection of a ROUTER. A channel that said full is woken for when
/// libzmq has room again; on a listener that takes up to 5 ms.
///
/// Bytes in counters() are estimated from ZMTP's framing: libzmq does not count.
class ZmqTransport final : public Transport {
 public:
  /// invalid_argument without a key, unsupported where libzmq has no CURVE. `context` must outlive the transport.
  [[nodiscard]] static Result<std::unique_ptr<ZmqTransport>> make(Context& context, ZmqOptions options);
  ~ZmqTransport() override;
  ZmqTransport(const ZmqTransport&) = delete;
  ZmqTransport& operator=(const ZmqTransport&) = delete;

  Result<std::string> listen(std::string_view address) override;
  Result<ChannelId> connect(std::string_view address, const std::optional<PublicKey>& peer_key) override;
  Result<void> send(ChannelId channel, std::span<const std::byte> frame) override;
  void close(ChannelId channel) override;
  bool poll(TransportEvents& events) override;
  Wakeup& wakeup() noexcept override;
  [[nodiscard]] Counters counters() const noexcept override;

  /// Any thread. Lets the owner of `key` in from now on.
  void allow(const PublicKey& key);
  /// Any thread. Keeps the owner of `key` out: its channels end with permission at the next poll, and it cannot come
  /// back. Channels that we dialled are the caller's to close.
  void revoke(const PublicKey& key);

 private:
  struct State;
  explicit ZmqTransport(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace pannier::zmq
