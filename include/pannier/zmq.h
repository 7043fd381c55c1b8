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

/// A CURVE25519 key pair. The destructor wipes the secret half.
struct KeyPair {
  PublicKey public_key{};
  PublicKey secret_key{};

  KeyPair() = default;
  KeyPair(const KeyPair&) = default;
  KeyPair& operator=(const KeyPair&) = default;
  ~KeyPair();
};

/// Draws a new pair from the system's generator. unsupported if libzmq was built without CURVE.
[[nodiscard]] Result<KeyPair> generate_key_pair();

/// Computes the public half of a secret key.
[[nodiscard]] Result<KeyPair> key_pair_of(const PublicKey& secret_key);

/// Z85 (ZeroMQ RFC 32): 40 printable characters.
[[nodiscard]] std::string to_z85(const PublicKey& key);
/// invalid_argument unless `text` is 40 characters of Z85.
[[nodiscard]] Result<PublicKey> parse_z85(std::string_view text);

/// 64 lower-case hexadecimal digits, for logs and for ZAP's user id.
[[nodiscard]] std::string to_hex(const PublicKey& key);
/// invalid_argument unless `text` is 64 hexadecimal digits.
[[nodiscard]] Result<PublicKey> parse_hex(std::string_view text);

/// Reads a key file: the lines `public = <z85>` and `secret = <z85>`, empty lines, and comments starting with #.
/// Errors: those of read_private_file (a file that others may read is refused); malformed, with file and line.
[[nodiscard]] Result<KeyPair> load_key_pair(const std::string& path);

/// Writes a key file with mode 0600. Never overwrites: in_use if the file exists.
[[nodiscard]] Result<void> save_key_pair(const std::string& path, const KeyPair& keys);

struct ContextState;

/// ZeroMQ's context: its I/O threads and its one ZAP handler (ZeroMQ RFC 27). Create one per process, because two can
/// crash libsodium with libzmq before 4.3.5. Create it before any thread starts and never fork afterwards. Must outlive
/// its transports. Any thread.
///
/// The ZAP handler serves all transports of the context, each under its own ZAP domain. It is polled by the oldest
/// listening transport. With several transports in a process, one that is rarely polled therefore delays the handshakes
/// of the others.
class Context {
 public:
  /// `io_threads` move and encrypt the bytes; one carries about a gigabyte a second. `max_sockets` bounds libzmq's
  /// sockets: three per dialled channel and per listener.
  explicit Context(int io_threads = 1, int max_sockets = 4096);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

 private:
  friend class ZmqTransport;
  std::unique_ptr<ContextState> state_;
};

struct ZmqOptions {
  /// The node's own pair. Required unless insecure_plaintext.
  KeyPair own_key{};
  /// The keys admitted at listening addresses. Empty: none. See allow() and revoke().
  std::vector<PublicKey> allowed_keys{};
  /// No encryption and no authentication. For trusted wires and measurements only.
  bool insecure_plaintext = false;
  /// One "ipc:///PATH" of the listening addresses that admits processes of this user and root without a key; the kernel
  /// proves the user. They count as the owner of `own_key`.
  std::string own_users_address{};
  /// The time for a peer to finish ZeroMQ's handshake, dialling or dialled.
  Duration handshake_timeout = limits::kHandshakeTimeout;
  /// TCP closes a connection whose data stays unacknowledged this long.
  Duration dead_after = std::chrono::seconds{20};
  /// Frames that libzmq queues per direction of a channel, at either end, before send() is full.
  int queue_frames = 128;
};

/// Frames over ZeroMQ: one ROUTER per listening address and one DEALER per dialled channel, over "tcp://host:port" or
/// "ipc:///path". CURVE with an allow-list, unless plaintext is requested by name: no data is read from a peer that has
/// not proven an allowed key. libzmq's reconnection, heartbeats and unbounded queues are off.
///
/// A ROUTER learns that a peer is gone when the connection ends or at the next send. If the connection dies silently,
/// the link layer's heartbeats detect it. close() of an accepted channel sends the far end a message, since libzmq
/// cannot close one connection of a ROUTER. After send() was full, the wake-up follows once libzmq has room; at a
/// listener this takes up to 5 ms.
///
/// Bytes in counters() are estimated from ZMTP's framing, because libzmq does not count them.
class ZmqTransport final : public Transport {
 public:
  /// Errors: invalid_argument without a key, unsupported if libzmq has no CURVE. `context` must outlive the transport.
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

  /// Any thread. Admits the owner of `key`.
  void allow(const PublicKey& key);
  /// Any thread. Excludes the owner of `key`: its accepted channels end with permission at the next poll and it cannot
  /// return. Close dialled channels yourself.
  void revoke(const PublicKey& key);

 private:
  struct State;
  explicit ZmqTransport(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace pannier::zmq
