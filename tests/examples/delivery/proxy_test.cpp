#include "examples/delivery/day/proxy.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace pannier::delivery {
namespace {

// Reached only when a test fails.
constexpr int kGuardMs = 30'000;

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

/// One end of a real TCP connection, and what it saw.
class End {
 public:
  explicit End(int fd) : fd_(fd) {}
  End(End&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  End(const End&) = delete;
  End& operator=(const End&) = delete;
  End& operator=(End&&) = delete;
  ~End() { close(); }

  static End connect(std::uint16_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = loopback(port);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return End(fd);
    ::close(fd);
    return End(-1);
  }

  [[nodiscard]] bool connected() const { return fd_ >= 0; }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  void end_sending() const { ::shutdown(fd_, SHUT_WR); }

  /// What the system takes of `text` without waiting.
  [[nodiscard]] std::size_t send(std::string_view text) const {
    const ssize_t sent = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent < 0 ? 0 : static_cast<std::size_t>(sent);
  }

  /// Exactly this many bytes, or fewer when the connection ends first.
  [[nodiscard]] std::string receive(std::size_t bytes) {
    std::string out;
    std::array<char, 4096> buffer{};
    while (out.size() < bytes && !ended_) {
      pollfd wait{fd_, POLLIN, 0};
      REQUIRE(::poll(&wait, 1, kGuardMs) == 1);
      const ssize_t got = ::recv(fd_, buffer.data(), std::min(buffer.size(), bytes - out.size()), 0);
      if (got <= 0) {
        ended_ = true;
        reset_ = got < 0 && errno == ECONNRESET;
      } else {
        out.append(buffer.data(), static_cast<std::size_t>(got));
      }
    }
    return out;
  }

  /// True when nothing has arrived, not even an end.
  [[nodiscard]] bool quiet() const {
    pollfd now{fd_, POLLIN, 0};
    return ::poll(&now, 1, 0) == 0;
  }
  [[nodiscard]] bool was_reset() const { return reset_; }

 private:
  int fd_;
  bool ended_ = false;
  bool reset_ = false;
};

/// The hub's side: a listening port.
class Server {
 public:
  Server() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const sockaddr_in any = loopback(0);
    REQUIRE(::bind(fd_, reinterpret_cast<const sockaddr*>(&any), sizeof any) == 0);
    REQUIRE(::listen(fd_, 16) == 0);
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server() { stop(); }
  void stop() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  [[nodiscard]] std::uint16_t port() const {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    return ntohs(address.sin_port);
  }
  [[nodiscard]] End accept() const {
    pollfd wait{fd_, POLLIN, 0};
    REQUIRE(::poll(&wait, 1, kGuardMs) == 1);
    return End(::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC));
  }

 private:
  int fd_;
};

std::unique_ptr<Proxy> proxy_to(const Server& server, ShaperOptions up = {}) {
  ProxyLink link;
  link.name = "handheld";
  link.upstream_port = server.port();
  link.up = std::move(up);
  auto proxy = Proxy::start({link});
  REQUIRE(proxy);
  return std::move(proxy).value();
}

// Lets the proxy's thread go round a few times: each of these calls is answered at the beginning of a round.
void rounds(Proxy& proxy) {
  for (int i = 0; i < 6; ++i) (void)proxy.restore(0);
}

// The opportunities of time 0, and then none for as long as any test lasts: time stands nearly still.
ShaperOptions only_at_start(int opportunities) {
  std::string text;
  for (int i = 0; i < opportunities; ++i) text += "0\n";
  auto trace = Trace::parse("test", text + "3600000\n");
  REQUIRE(trace);
  ShaperOptions options;
  options.trace = std::make_shared<const Trace>(*trace);
  options.speed = 1e-9;
  return options;
}

}  // namespace

TEST_CASE("bytes pass unchanged in both directions and are counted") {
  const Server server;
  const auto proxy = proxy_to(server);
  End device = End::connect(proxy->port(0));
  End hub = server.accept();
  CHECK(device.send("how are you") == 11);
  CHECK(hub.receive(11) == "how are you");
  CHECK(hub.send("well") == 4);
  CHECK(device.receive(4) == "well");
  rounds(*proxy);
  const ProxyCounters counters = proxy->counters(0);
  CHECK(counters.bytes_up == 11);
  CHECK(counters.bytes_down == 4);
  CHECK(counters.connections == 1);
  CHECK(counters.open == 1);
}

TEST_CASE("a large stream arrives whole through a small buffer") {
  const Server server;
  const auto proxy = proxy_to(server);
  End device = End::connect(proxy->port(0));
  End hub = server.accept();
  std::string sent;
  std::string received;
  while (received.size() < 2'000'000) {
    const std::string part(20'000, static_cast<char>('a' + sent.size() % 23));
    sent += part.substr(0, device.send(part));
    received += hub.receive(sent.size() - received.size());
  }
  CHECK(received == sent);
}

TEST_CASE("an end of sending is passed on after the last byte, and the other way still works") {
  const Server server;
  const auto proxy = proxy_to(server);
  End device = End::connect(proxy->port(0));
  End hub = server.accept();
  CHECK(device.send("last words") == 10);
  device.end_sending();
  CHECK(hub.receive(100) == "last words");
  CHECK(hub.send("heard") == 5);
  CHECK(device.receive(5) == "heard");
  hub.close();
  CHECK(device.receive(1).empty());
  CHECK(!device.was_reset());
  rounds(*proxy);
  CHECK(proxy->counters(0).open == 0);
}

TEST_CASE("no more passes than the trace allows, and the sender is held back") {
  const Server server;
  const auto proxy = proxy_to(server, only_at_start(10));
  const End device = End::connect(proxy->port(0));
  End hub = server.accept();
  const std::string part(20'000, 'x');
  std::size_t sent = 0;
  for (std::size_t more = 1; more > 0 && sent < 256'000'000;) {
    more = device.send(part);
    if (more == 0) {
      rounds(*proxy);
      more = device.send(part);
    }
    sent += more;
  }
  CHECK(sent > 15'000);
  CHECK(sent < 256'000'000);
  CHECK(hub.receive(15'000).size() == 15'000);
  rounds(*proxy);
  CHECK(hub.quiet());
  CHECK(proxy->counters(0).bytes_up == 15'000);
}

TEST_CASE("a cut link resets its connections, refuses new ones, and takes them again when it is restored") {
  const Server server;
  const auto proxy = proxy_to(server);
  const std::uint16_t port = proxy->port(0);
  End device = End::connect(port);
  End hub = server.accept();
  CHECK(device.send("a") == 1);
  CHECK(hub.receive(1) == "a");

  proxy->cut(0, Cut::drop);
  CHECK(device.receive(1).empty());
  CHECK(device.was_reset());
  CHECK(hub.receive(1).empty());
  CHECK(proxy->counters(0).open == 0);
  CHECK(!End::connect(port).connected());

  REQUIRE(proxy->restore(0));
  CHECK(proxy->port(0) == port);
  const End again = End::connect(port);
  REQUIRE(again.connected());
  End hub_again = server.accept();
  CHECK(again.send("b") == 1);
  CHECK(hub_again.receive(1) == "b");
  CHECK(proxy->counters(0).connections == 2);
}

TEST_CASE("a frozen link moves nothing and tells nobody, and goes on where it stood") {
  const Server server;
  const auto proxy = proxy_to(server);
  End device = End::connect(proxy->port(0));
  End hub = server.accept();

  proxy->cut(0, Cut::freeze);
  CHECK(device.send("into the tunnel") == 15);
  CHECK(hub.send("anybody there?") == 14);
  const End latecomer = End::connect(proxy->port(0));
  CHECK(latecomer.connected());                            // as far as the system's backlog
  for (int i = 0; i < 6; ++i) proxy->cut(0, Cut::freeze);  // rounds, without restoring
  CHECK(hub.quiet());
  CHECK(device.quiet());
  CHECK(proxy->counters(0).connections == 1);
  CHECK(proxy->counters(0).bytes_up == 0);

  REQUIRE(proxy->restore(0));
  CHECK(hub.receive(15) == "into the tunnel");
  CHECK(device.receive(14) == "anybody there?");
  CHECK(latecomer.send("me too") == 6);
  End served = server.accept();
  CHECK(served.receive(6) == "me too");
}

TEST_CASE("what was under way within a link when it froze stays there until it is restored") {
  const Server server;
  const auto proxy = proxy_to(server);
  const End device = End::connect(proxy->port(0));
  End hub = server.accept();
  const std::string part(20'000, 'x');
  std::size_t sent = 0;
  for (std::size_t more = 1; more > 0 && sent < 256'000'000; sent += more) {  // until the hub's side is full
    more = device.send(part);
    if (more == 0) {
      rounds(*proxy);
      more = device.send(part);
    }
  }
  proxy->cut(0, Cut::freeze);
  const std::uint64_t through = proxy->counters(0).bytes_up;
  REQUIRE(through < sent);
  CHECK(hub.receive(through).size() == through);
  for (int i = 0; i < 6; ++i) proxy->cut(0, Cut::freeze);
  CHECK(hub.quiet());
  CHECK(proxy->counters(0).bytes_up == through);
  REQUIRE(proxy->restore(0));
  CHECK(hub.receive(sent - through).size() == sent - through);
}

TEST_CASE("a device is told when the far side is not there") {
  Server server;
  const auto proxy = proxy_to(server);
  server.stop();
  End device = End::connect(proxy->port(0));
  CHECK(device.receive(1).empty());
  CHECK(device.was_reset());
  CHECK(proxy->counters(0).refused == 1);
}

TEST_CASE("more connections than the link has room for are refused") {
  const Server server;
  ProxyLink link;
  link.name = "small";
  link.upstream_port = server.port();
  link.max_connections = 1;
  auto started = Proxy::start({link});
  REQUIRE(started);
  const auto proxy = std::move(started).value();
  const End first = End::connect(proxy->port(0));
  const End hub = server.accept();
  End second = End::connect(proxy->port(0));
  CHECK(second.receive(1).empty());
  CHECK(second.was_reset());
  CHECK(proxy->counters(0).refused == 1);
}

TEST_CASE("a port that is taken is an error that names the link") {
  const Server server;
  ProxyLink link;
  link.name = "handheld-3";
  link.upstream_port = server.port();
  link.listen_port = server.port();
  const auto proxy = Proxy::start({link});
  REQUIRE(!proxy);
  CHECK(proxy.error().code == ErrorCode::in_use);
  CHECK(proxy.error().detail.find("handheld-3") != std::string::npos);
}

}  // namespace pannier::delivery
