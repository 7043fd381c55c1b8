#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <pannier/platform.h>
#include "transports/zmq/monitored_socket.h"

// The two kinds of sockets that carry channels. Transport's thread only.
namespace pannier::zmq {

/// Shared by the sockets of one transport.
struct Shared {
  ContextState& context;
  const ZmqOptions& options;
  const AccessList& access;
  Transport::Counters counters{};
  std::size_t open_channels = 0;
  bool listener_blocked = false;  ///< A listener's channel was full since the last sleep.

  [[nodiscard]] bool encrypted() const noexcept { return !options.insecure_plaintext; }
  [[nodiscard]] ChannelId next_channel() noexcept { return ChannelId{context.next_channel.fetch_add(1)}; }
  void count_sent(std::size_t bytes) noexcept {
    ++counters.frames_sent;
    counters.bytes_sent += wire_bytes(bytes, encrypted());
  }
  void count_received(std::size_t bytes) noexcept {
    ++counters.frames_received;
    counters.bytes_received += wire_bytes(bytes, encrypted());
  }
};

/// A channel dialled by us: a DEALER with one connection.
class DialledChannel {
 public:
  DialledChannel(Shared& shared, MonitoredSocket socket, ChannelId id, std::string address,
                 const std::optional<PublicKey>& peer_key);
  ~DialledChannel();
  DialledChannel(const DialledChannel&) = delete;
  DialledChannel& operator=(const DialledChannel&) = delete;

  /// Reports events, at most `budget` frames. True if it stopped at the budget. Once is_over(), on_closed is due with
  /// cause().
  bool poll(TransportEvents& events, std::size_t budget);
  Result<void> send(std::span<const std::byte> frame);

  /// The owner has closed the channel, perhaps within a call of poll: nothing more is reported.
  void abandon() noexcept { abandoned_ = true; }
  [[nodiscard]] bool abandoned() const noexcept { return abandoned_; }
  [[nodiscard]] bool is_over() const noexcept { return over_; }
  [[nodiscard]] Error cause() const;

  [[nodiscard]] MonitoredSocket& socket() noexcept { return socket_; }
  /// Was full since the last sleep: a POLLOUT is news.
  [[nodiscard]] bool blocked() const noexcept { return blocked_; }
  void clear_blocked() noexcept { blocked_ = false; }

 private:
  void read_monitor(TransportEvents& events);
  void open(TransportEvents& events);
  [[nodiscard]] Error refusal() const;

  Shared& shared_;
  MonitoredSocket socket_;
  ChannelId id_;
  std::string address_;
  std::optional<PublicKey> peer_key_;
  MonoTime dialled_at_;
  std::optional<Error> cause_;
  bool open_ = false;
  bool lost_ = false;  ///< The connection is gone; what it brought is still to be read.
  bool over_ = false;
  bool blocked_ = false;
  bool abandoned_ = false;
};

/// A listening address: a ROUTER and its peers.
class Listener {
 public:
  /// `endpoint` is the bound address. `own_user`: the kernel admits no other user.
  Listener(Shared& shared, MonitoredSocket socket, std::string endpoint, bool own_user)
      : shared_(shared), socket_(std::move(socket)), endpoint_(std::move(endpoint)), own_user_(own_user) {}
  /// Waits, at most a second, until libzmq has released the address.
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  bool poll(TransportEvents& events, std::size_t budget);
  /// Empty if the channel is not one of this listener's.
  [[nodiscard]] std::optional<Result<void>> send(ChannelId channel, std::span<const std::byte> frame);
  /// False if the channel is not one of this listener's.
  bool close(ChannelId channel);
  [[nodiscard]] bool has_ending() const noexcept { return !ending_.empty(); }
  /// When poll() must cut an overdue connection even if nothing arrives.
  [[nodiscard]] MonoTime due() const noexcept;

  [[nodiscard]] MonitoredSocket& socket() noexcept { return socket_; }

 private:
  struct Peer {
    ChannelId id{};
    int fd = -1;
    std::optional<PublicKey> key;
    bool open = false;  ///< False: refused or closed by us; what it still sends is dropped.
  };
  using Peers = std::unordered_map<std::string, Peer>;

  /// A connection that has sent no frame yet, or was told to close.
  struct Unproven {
    std::string source;
    MonoTime until{};  ///< When it is cut.
    bool handshaken = false;
    bool too_much = false;  ///< It has sent more than a handshake takes.
  };

  void read_monitor();
  void accepted(int fd);
  /// Gives a finished connection time to close by itself.
  void let_go(int fd);
  /// Makes room among the unproven connections.
  void cut_one();
  void cut_unproven();
  void on_message(TransportEvents& events, const std::string& routing_id, const ::zmq::message_t& payload);
  /// The peer that sent this message, registered first if it is new.
  Peer& admit(TransportEvents& events, const std::string& routing_id, const ::zmq::message_t& payload);
  void say_goodbye(const std::string& routing_id);
  void shut(Peer& peer);
  void finish(TransportEvents& events, const std::string& routing_id, int fd);
  void drop_revoked(TransportEvents& events);

  Shared& shared_;
  MonitoredSocket socket_;
  std::string endpoint_;
  const bool own_user_;
  Peers peers_;
  std::unordered_map<ChannelId, std::string> by_channel_;
  std::unordered_map<int, std::string> by_fd_;       ///< The peer on a connection that has sent something.
  std::unordered_map<int, bool> connections_;        ///< Accepted and not yet disconnected.
  std::vector<std::pair<std::string, int>> ending_;  ///< Connections that are gone, to be read to the end.
  std::map<int, Unproven> unproven_;                 ///< By descriptor.
  MonoTime next_look_{};                             ///< At what connections within the handshake have sent.
  std::uint64_t seen_revocations_ = 0;
};

}  // namespace pannier::zmq
