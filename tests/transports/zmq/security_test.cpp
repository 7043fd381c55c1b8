#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <utility>

#include <doctest/doctest.h>
#include "platform/posix/connection.h"
#include "tests/support/temp_folder.h"
#include "tests/support/transport_fixtures.h"

// Who comes in, and who does not (fault 18: wrong key, no key, revoked key, NULL mechanism).
namespace pannier::zmq {
namespace {

using testing::bytes_of;
using testing::drive;
using testing::Peer;

/// A hub that allows one device, and whatever else a test brings.
struct Site {
  Context context;
  KeyPair hub_key = generate_key_pair().value();
  KeyPair device_key = generate_key_pair().value();
  KeyPair stranger_key = generate_key_pair().value();
  ZmqTransport* hub_transport = nullptr;
  Peer hub{make_hub()};
  std::string address = hub.transport->listen("tcp://127.0.0.1:*").value();

  std::unique_ptr<Transport> make_hub() {
    ZmqOptions options;
    options.own_key = hub_key;
    options.allowed_keys = {device_key.public_key};
    auto transport = make(options);
    hub_transport = transport.get();
    return transport;
  }
  std::unique_ptr<ZmqTransport> make(ZmqOptions options) {
    options.handshake_timeout = std::chrono::milliseconds{2000};
    Result<std::unique_ptr<ZmqTransport>> transport = ZmqTransport::make(context, std::move(options));
    REQUIRE(transport.ok());
    return std::move(*transport);
  }
  Peer make_device(const KeyPair& key) {
    ZmqOptions options;
    options.own_key = key;
    return Peer{make(options)};
  }
  void rest(const std::vector<Transport*>& transports) { testing::rest_in_real_time(transports); }

  /// Dials until the channel is open or over. Then a word is sent, so that the hub would see it if it let it in.
  ChannelId dial(Peer& peer, const PublicKey& expected) {
    const ChannelId id = peer.transport->connect(address, expected).value();
    REQUIRE(drive(*this, {&hub, &peer}, [&] { return peer.seen.find(id) != nullptr; }));
    (void)peer.transport->send(id, bytes_of("hello"));
    return id;
  }
  void expect_refused(Peer& peer, const PublicKey& expected, ErrorCode cause) {
    const std::size_t accepted = hub.seen.accepted();
    const std::size_t frames = hub.seen.frame_count;
    const std::uint64_t refused = hub.transport->counters().refused_peers;
    const ChannelId id = dial(peer, expected);
    REQUIRE(peer.seen.is_closed(id));
    CHECK(peer.seen.find(id)->closed->code == cause);
    CHECK(drive(*this, {&hub, &peer}, [&] { return hub.transport->counters().refused_peers > refused; }));
    CHECK(hub.seen.accepted() == accepted);
    CHECK(hub.seen.frame_count == frames);
  }
};

TEST_CASE("the owner of an allowed key comes in, and both ends know who the other is") {
  Site site;
  Peer device = site.make_device(site.device_key);
  const ChannelId id = site.dial(device, site.hub_key.public_key);
  REQUIRE(drive(site, {&site.hub, &device}, [&] { return site.hub.seen.frame_count == 1; }));
  CHECK(site.hub.seen.channels.front().peer.key == site.device_key.public_key);
  CHECK(device.seen.find(id)->peer.key == site.hub_key.public_key);
  CHECK(site.hub.transport->counters().refused_peers == 0);
}

TEST_CASE("a key that is not on the list gets nothing, and is told so") {
  Site site;
  Peer stranger = site.make_device(site.stranger_key);
  site.expect_refused(stranger, site.hub_key.public_key, ErrorCode::permission);
}

TEST_CASE("a client that expects another server key fails with permission") {
  Site site;
  Peer device = site.make_device(site.device_key);
  site.expect_refused(device, site.stranger_key.public_key, ErrorCode::permission);
}

TEST_CASE("a client without a key, on the NULL mechanism, gets nothing") {
  Site site;
  ZmqOptions options;
  options.insecure_plaintext = true;
  Peer plain{site.make(options)};
  site.expect_refused(plain, site.hub_key.public_key, ErrorCode::unsupported);
}

TEST_CASE("an encrypted client does not talk to a plaintext server") {
  Site site;
  ZmqOptions options;
  options.insecure_plaintext = true;
  Peer plain{site.make(options)};
  const std::string address = plain.transport->listen("tcp://127.0.0.1:*").value();
  Peer device = site.make_device(site.device_key);
  const ChannelId id = device.transport->connect(address, site.hub_key.public_key).value();
  REQUIRE(drive(site, {&plain, &device}, [&] { return device.seen.is_closed(id); }));
  CHECK(device.seen.find(id)->closed->code == ErrorCode::permission);
  CHECK(plain.seen.accepted() == 0);
}

TEST_CASE("an empty list lets nobody in") {
  Site site;
  site.hub_transport->revoke(site.device_key.public_key);
  Peer device = site.make_device(site.device_key);
  site.expect_refused(device, site.hub_key.public_key, ErrorCode::permission);
}

TEST_CASE("a revoked key loses its channel at once, cannot come back, and can be allowed again") {
  Site site;
  Peer device = site.make_device(site.device_key);
  const ChannelId id = site.dial(device, site.hub_key.public_key);
  REQUIRE(drive(site, {&site.hub, &device}, [&] { return site.hub.seen.frame_count == 1; }));
  const ChannelId at_hub = site.hub.seen.channels.front().id;

  std::thread operator_thread{[&] { site.hub_transport->revoke(site.device_key.public_key); }};
  operator_thread.join();
  // What is sent meanwhile is not read any more.
  (void)device.transport->send(id, bytes_of("late"));
  REQUIRE(
      drive(site, {&site.hub, &device}, [&] { return site.hub.seen.is_closed(at_hub) && device.seen.is_closed(id); }));
  CHECK(site.hub.seen.find(at_hub)->closed->code == ErrorCode::permission);
  CHECK(site.hub.seen.frame_count == 1);
  site.expect_refused(device, site.hub_key.public_key, ErrorCode::permission);

  site.hub_transport->allow(site.device_key.public_key);
  const ChannelId again = site.dial(device, site.hub_key.public_key);
  CHECK(device.seen.is_open(again));
  CHECK(drive(site, {&site.hub, &device}, [&] { return site.hub.seen.frame_count == 2; }));
}

TEST_CASE("several transports of one context keep their own lists, and outlive each other") {
  Site site;
  ZmqOptions options;
  options.own_key = site.hub_key;
  options.allowed_keys = {site.stranger_key.public_key};
  Peer second{site.make(options)};
  const std::string second_address = second.transport->listen("tcp://127.0.0.1:*").value();

  Peer stranger = site.make_device(site.stranger_key);
  site.expect_refused(stranger, site.hub_key.public_key, ErrorCode::permission);

  // The first transport answered the ZAP requests of both. Without it, the second does.
  site.hub.transport.reset();
  const ChannelId id = stranger.transport->connect(second_address, site.hub_key.public_key).value();
  REQUIRE(drive(site, {&second, &stranger}, [&] { return stranger.seen.find(id) != nullptr; }));
  CHECK(stranger.seen.is_open(id));
  Peer device = site.make_device(site.device_key);
  const ChannelId refused = device.transport->connect(second_address, site.hub_key.public_key).value();
  REQUIRE(drive(site, {&second, &device}, [&] { return device.seen.find(refused) != nullptr; }));
  CHECK(device.seen.is_closed(refused));
}

TEST_CASE("dialling without the far end's key, or without one's own, is refused before anything is sent") {
  Site site;
  Peer device = site.make_device(site.device_key);
  const Result<ChannelId> dialled = device.transport->connect(site.address, std::nullopt);
  REQUIRE(!dialled.ok());
  CHECK(dialled.error().code == ErrorCode::invalid_argument);
  const Result<std::unique_ptr<ZmqTransport>> keyless = ZmqTransport::make(site.context, {});
  REQUIRE(!keyless.ok());
  CHECK(keyless.error().code == ErrorCode::invalid_argument);
}

/// Connections that a stranger opens to `address`, says a few bytes and no more; opened anew as they are cut.
class IdleCrowd {
 public:
  IdleCrowd(const std::string& address, std::size_t size, std::string first_bytes)
      : first_bytes_(std::move(first_bytes)),
        port_(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)))),
        sockets_(size, -1) {
    for (int& each : sockets_) each = open();
  }
  ~IdleCrowd() {
    for (const int each : sockets_) ::close(each);
  }
  /// How many were cut since the last look.
  std::size_t refill() {
    std::size_t cut = 0;
    for (int& each : sockets_) {
      char byte = 0;
      const ssize_t got = ::recv(each, &byte, 1, MSG_DONTWAIT);
      // The far end greets; an end is an end.
      if (got > 0 || (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOTCONN))) continue;
      ::close(each);
      each = open();
      ++cut;
    }
    return cut;
  }

 private:
  [[nodiscard]] int open() const {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    REQUIRE(fd >= 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port_);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to);
    if (!first_bytes_.empty()) (void)::send(fd, first_bytes_.data(), first_bytes_.size(), MSG_NOSIGNAL);
    return fd;
  }
  std::string first_bytes_;
  std::uint16_t port_;
  std::vector<int> sockets_;
};

TEST_CASE("a crowd of connections that say nothing is cut down, and an honest device comes in beside it") {
  Site site;
  IdleCrowd silent(site.address, 300, "");
  IdleCrowd crowd(site.address, 300, "\xff");
  std::size_t cut = 0;
  REQUIRE(drive(site, {&site.hub}, [&] { return (cut += crowd.refill()) > 300; }));  // cut, and here again
  Peer device = site.make_device(site.device_key);
  const auto dial = [&] { return device.transport->connect(site.address, site.hub_key.public_key).value(); };
  ChannelId id = dial();
  REQUIRE(drive(site, {&site.hub, &device}, [&] {
    crowd.refill();
    if (device.seen.is_closed(id)) id = dial();  // cut with the crowd, on a slow machine: like any node it dials again
    return device.seen.is_open(id);
  }));
  CHECK(site.hub.transport->counters().cut_connections > 300);
}

/// An emulated system may not say how much a connection has received.
bool system_counts_bytes() {
  const auto listening = posix::listen_tcp("127.0.0.1:0");
  REQUIRE(listening);
  const int to = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  socklen_t size = sizeof address;
  REQUIRE(::getsockname(listening->fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  REQUIRE(::connect(to, reinterpret_cast<const sockaddr*>(&address), size) == 0);
  REQUIRE(::send(to, "x", 1, 0) == 1);
  pollfd ready{listening->fd, POLLIN, 0};
  REQUIRE(::poll(&ready, 1, -1) == 1);
  const int from = ::accept(listening->fd, nullptr, nullptr);
  char byte = 0;
  REQUIRE(::recv(from, &byte, 1, 0) == 1);
  const bool counts = posix::bytes_received(from) == 1;
  for (const int fd : {to, from, listening->fd}) ::close(fd);
  return counts;
}

TEST_CASE("what a stranger sends instead of a handshake is not kept: its connection is cut") {
  Site site;
  std::string half_frame("\xff\0\0\0\0\0\0\0\0\x7f\3\0CURVE", 17);  // ZMTP's greeting
  half_frame.resize(64);
  half_frame += std::string("\6\0\0\0\0\0\x10\0\0", 9) + std::string(20'000, 'x');  // of a command of 1 MiB
  IdleCrowd talker(site.address, 1, half_frame);
  REQUIRE(drive(site, {&site.hub}, [&] { return talker.refill() > 0; }));
  // Not by libzmq, whose time is over first.
  if (system_counts_bytes()) CHECK(site.hub.transport->counters().cut_connections == 1);
}

TEST_CASE("an authenticated peer that says nothing, or does not go when it is told to, is cut") {
  Site site;
  Peer silent = site.make_device(site.device_key);
  const ChannelId id = silent.transport->connect(site.address, site.hub_key.public_key).value();
  REQUIRE(drive(site, {&site.hub, &silent}, [&] { return silent.seen.is_closed(id); }));
  CHECK(site.hub.transport->counters().cut_connections == 1);

  // One that listens to nobody: only its socket tells that it is still there.
  Peer deaf = site.make_device(site.device_key);
  site.dial(deaf, site.hub_key.public_key);
  REQUIRE(drive(site, {&site.hub, &deaf}, [&] { return site.hub.seen.frame_count == 1; }));
  site.hub.transport->close(site.hub.seen.channels.front().id);
  CHECK(drive(site, {&site.hub}, [&] { return site.hub.transport->counters().cut_connections == 2; }));
}

TEST_CASE("listening at the path of a file is refused, and the file stays") {
  Site site;
  testing::TempFolder folder;
  const std::string path = folder.path() + "/orders.txt";
  std::ofstream(path) << "order 7";
  const auto listening = site.hub.transport->listen("ipc://" + path);
  REQUIRE_FALSE(listening.ok());
  CHECK(listening.error().code == ErrorCode::in_use);
  CHECK(listening.error().detail.find("not a socket") != std::string::npos);
  CHECK(std::filesystem::file_size(path) == 7);
}

}  // namespace
}  // namespace pannier::zmq
