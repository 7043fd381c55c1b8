#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <pannier/limits.h>
#include <pannier/platform.h>
#include <pannier/result.h>
#include <pannier/transport.h>

namespace pannier::zmq {

/// A CURVE25519 key pair. The secret half is wiped when the pair dies.
struct KeyPair {
  PublicKey public_key{};
  PublicKey secret_key{};

  KeyPair() = default;
  KeyPair(const KeyPair&) = default;
  KeyPair& operator=(const KeyPair&) = default;
  ~KeyPair();
};

/// A new pair from the system's generator. unsupported where libzmq was built without CURVE.
[[nodiscard]] Result<KeyPair> generate_key_pair();

/// The pair that belongs to a secret key: its public half is computed, never trusted.
[[nodiscard]] Result<KeyPair> key_pair_of(const PublicKey& secret_key);

/// Z85 (ZeroMQ RFC 32): 40 printable characters.
[[nodiscard]] std::string to_z85(const PublicKey& key);
/// invalid_argument for anything but 40 characters of Z85.
[[nodiscard]] Result<PublicKey> parse_z85(std::string_view text);

/// 64 lower-case hexadecimal digits, for logs and for ZAP's user id.
[[nodiscard]] std::string to_hex(const PublicKey& key);
/// invalid_argument for anything but 64 hexadecimal digits.
[[nodiscard]] Result<PublicKey> parse_hex(std::string_view text);

/// Reads a key file: two lines, `public = <z85>` and `secret = <z85>`; empty lines and lines that start with # are
/// allowed. Errors of read_private_file (a file that others may read is refused), and malformed with file and line.
[[nodiscard]] Result<KeyPair> load_key_pair(const std::string& path);

/// Writes a key file with mode 0600. in_use where the file exists already: a key is never overwritten.
[[nodiscard]] Result<void> save_key_pair(const std::string& path, const KeyPair& keys);

struct ContextState;

/// ZeroMQ's context: its I/O threads, and the one ZAP handler (ZeroMQ RFC 27) that a context can have. One a process:
/// with two, libzmq before 4.3.5 can crash in libsodium. Make it before any thread forks off, and never fork after it.
///
/// The ZAP handler serves every transport of the context, told apart by ZAP domain (each transport has its own). It
/// has no thread: the oldest transport that listens polls it, and hands it on when it goes. So a transport that is not
/// polled for long delays the handshakes of its neighbours in the same process; with one transport a process, the rule
/// outside of tests, there are none.
///
/// Must outlive its transports. Callable from any thread.
class Context {
 public:
  /// `io_threads` move the bytes and do the encryption; one carries about a gigabyte a second. `max_sockets` bounds
  /// what libzmq opens: a dialled channel takes three, a listener three.
  explicit Context(int io_threads = 1, int max_sockets = 4096);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

 private:
  friend class ZmqTransport;
  std::unique_ptr<ContextState> state_;
};

struct ZmqOptions {
  /// Our own pair. Required unless insecure_plaintext.
  KeyPair own_key{};
  /// The keys whose owners may come in at our listening addresses. Empty: nobody. See allow() and revoke().
  std::vector<PublicKey> allowed_keys{};
  /// No encryption and no proof of who is there. For a wire that is trusted as a whole, and for measurements.
  bool insecure_plaintext = false;
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
