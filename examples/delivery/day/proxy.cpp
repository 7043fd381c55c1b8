#include "examples/delivery/day/proxy.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <iterator>
#include <list>
#include <mutex>
#include <string_view>
#include <thread>
#include <utility>

#include "examples/delivery/day/socket.h"

namespace pannier::delivery {
namespace {

/// One direction of a connection.
struct Way {
  Flow flow;
  bool ended = false;   // the reading side has ended
  bool closed = false;  // and the writing side has been told
};

struct Connection {
  Socket device;
  Socket upstream;
  bool connecting = true;
  bool dead = false;
  Way up;
  Way down;
};

struct Link {
  explicit Link(ProxyLink link) : options(std::move(link)), up(options.up), down(options.down) {}

  ProxyLink options;
  // Bound and never listening: reserves the port while a cut makes the system refuse connections.
  Socket placeholder;
  Socket listener;
  std::uint16_t port = 0;
  bool dropped = false;
  bool frozen = false;
  Shaper up;
  Shaper down;
  std::list<Connection> connections;

  std::atomic<std::uint64_t> bytes_up{0};
  std::atomic<std::uint64_t> bytes_down{0};
  std::atomic<std::uint64_t> taken{0};
  std::atomic<std::uint64_t> refused{0};
  std::atomic<std::uint64_t> open{0};

  Result<void> listen() {
    Result<Socket> socket = bound_socket(options.name, port);
    if (!socket) return socket.error();
    if (::listen(socket->fd(), 64) != 0) return socket_error(options.name, "cannot listen");
    listener = std::move(socket).value();
    return {};
  }

  std::vector<Flow*> flows(Way Connection::*way) {
    std::vector<Flow*> out;
    for (Connection& connection : connections) out.push_back(&(connection.*way).flow);
    return out;
  }
};

}  // namespace

class Proxy::Worker {
 public:
  static Result<std::unique_ptr<Worker>> create(std::vector<ProxyLink> options) {
    auto worker = std::make_unique<Worker>();
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC) != 0) return socket_error("(all)", "no pipe");
    worker->wake_read_ = Socket(ends[0]);
    worker->wake_write_ = Socket(ends[1]);
    for (ProxyLink& one : options) {
      Link& link = worker->links_.emplace_back(std::move(one));
      Result<Socket> placeholder = bound_socket(link.options.name, link.options.listen_port);
      if (!placeholder) return placeholder.error();
      link.placeholder = std::move(placeholder).value();
      link.port = port_of(link.placeholder);
      if (const auto listening = link.listen(); !listening) return listening.error();
    }
    worker->thread_ = std::thread([raw = worker.get()] { raw->run(); });
    return worker;
  }

  Worker() = default;
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker() {
    if (!thread_.joinable()) return;
    on_thread([this] { stop_ = true; });
    thread_.join();
  }

  Link& link(std::size_t index) {
    auto at = links_.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(index));
    return *at;
  }

  /// Runs `work` on the proxy's thread, the only one that touches sockets, and waits for it.
  void on_thread(std::function<void()> work) {
    std::packaged_task<void()> task(std::move(work));
    std::future<void> done = task.get_future();
    {
      const std::lock_guard lock(mutex_);
      commands_.push_back(std::move(task));
    }
    const char byte = 0;
    // A full pipe has already woken the thread.
    [[maybe_unused]] const ssize_t written = ::write(wake_write_.fd(), &byte, 1);
    done.wait();
  }

  static void cut(Link& link, Cut how) {
    if (how == Cut::freeze) {
      link.frozen = true;
      return;
    }
    link.dropped = true;
    link.listener.reset();
    for (Connection& connection : link.connections) kill(connection);
    sweep(link);
  }

  Result<void> restore(Link& link) {
    if (link.frozen) {  // nothing moves in the time that has passed
      link.frozen = false;
      link.up.skip_to(now_ms());
      link.down.skip_to(now_ms());
    }
    if (!link.dropped) return {};
    if (const auto listening = link.listen(); !listening) return listening.error();
    link.dropped = false;
    return {};
  }

 private:
  struct Watch {
    Link* link;
    Connection* connection;  // null: the listener
    bool device;
  };

  [[nodiscard]] std::int64_t now_ms() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start_).count();
  }

  void run() {
    while (true) {
      run_commands();
      if (stop_) break;
      const std::int64_t now = now_ms();
      std::int64_t next = kNeverMs;
      for (Link& link : links_) next = std::min(next, advance(link, now));
      collect();
      const int timeout =
          next == kNeverMs ? -1 : static_cast<int>(std::clamp<std::int64_t>(next - now_ms(), 0, 60'000));
      if (::poll(polled_.data(), polled_.size(), timeout) <= 0) continue;
      handle(now_ms());
    }
    for (Link& link : links_) {
      for (Connection& connection : link.connections) kill(connection);
    }
  }

  void run_commands() {
    std::array<char, 64> bytes{};
    while (::read(wake_read_.fd(), bytes.data(), bytes.size()) > 0) {
    }
    std::vector<std::packaged_task<void()>> commands;
    {
      const std::lock_guard lock(mutex_);
      commands.swap(commands_);
    }
    for (auto& command : commands) command();
  }

  // Grants what the trace allows, writes it, and closes ends that are done. Returns when to run again.
  std::int64_t advance(Link& link, std::int64_t now) {
    if (link.frozen) return kNeverMs;
    const auto up = link.flows(&Connection::up);
    const auto down = link.flows(&Connection::down);
    link.up.grant(up, now);
    link.down.grant(down, now);
    for (Connection& connection : link.connections) {
      if (!connection.connecting) write(connection, connection.up, connection.upstream, link.bytes_up);
      write(connection, connection.down, connection.device, link.bytes_down);
      if (connection.up.closed && connection.down.closed) connection.dead = true;
    }
    const std::int64_t next = std::min(link.up.next_ms(up), link.down.next_ms(down));
    sweep(link);
    return next;
  }

  static void write(Connection& connection, Way& way, const Socket& to, std::atomic<std::uint64_t>& count) {
    while (!connection.dead && !way.flow.granted().empty()) {
      const std::string_view bytes = way.flow.granted();
      const ssize_t sent = ::send(to.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0) {
        if (!would_block()) kill(connection);
        return;
      }
      way.flow.sent(static_cast<std::size_t>(sent));
      count += static_cast<std::uint64_t>(sent);
    }
    if (!connection.dead && way.ended && !way.closed && way.flow.empty()) {
      ::shutdown(to.fd(), SHUT_WR);
      way.closed = true;
    }
  }

  // Polls each socket only for what can be used, and a frozen link for nothing, since even an unrequested hang-up would
  // wake the thread repeatedly.
  void collect() {
    polled_.clear();
    watches_.clear();
    polled_.push_back({wake_read_.fd(), POLLIN, 0});
    watches_.push_back({nullptr, nullptr, false});
    const auto watch = [this](Watch what, int fd, int events) {
      if (fd < 0 || events == 0) return;
      polled_.push_back({fd, static_cast<short>(events), 0});
      watches_.push_back(what);
    };
    for (Link& link : links_) {
      if (link.frozen) continue;
      watch({&link, nullptr, false}, link.listener.fd(), POLLIN);
      for (Connection& c : link.connections) {
        const auto in = [&link](const Way& way) {
          return !way.ended && way.flow.size() < link.options.buffer_bytes ? POLLIN : 0;
        };
        const auto out = [](const Way& way) { return way.flow.granted().empty() ? 0 : POLLOUT; };
        watch({&link, &c, true}, c.device.fd(), in(c.up) | out(c.down));
        watch({&link, &c, false}, c.upstream.fd(), c.connecting ? POLLOUT : in(c.down) | out(c.up));
      }
    }
  }

  void handle(std::int64_t now) {
    for (std::size_t i = 1; i < polled_.size(); ++i) {
      if (polled_[i].revents == 0) continue;
      const Watch& what = watches_[i];
      Link& link = *what.link;
      if (what.connection == nullptr) {
        accept(link);
      } else if (what.connection->dead) {
        continue;
      } else if (what.device) {
        read(link, *what.connection, what.connection->up, link.up.due_ms(now), what.connection->device);
      } else if (what.connection->connecting) {
        finish_connect(link, *what.connection);
      } else {
        read(link, *what.connection, what.connection->down, link.down.due_ms(now), what.connection->upstream);
      }
    }
    // The dead are removed in advance(): watches_ points at them until here.
  }

  void accept(Link& link) {
    while (true) {
      Socket device(::accept4(link.listener.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!device) return;
      ++link.taken;
      Socket upstream(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      const sockaddr_in address = loopback(link.options.upstream_port);
      const bool room = link.connections.size() < link.options.max_connections;
      const bool begun =
          room && upstream && (::connect(upstream.fd(), generic(address), sizeof address) == 0 || errno == EINPROGRESS);
      if (!begun) {
        ++link.refused;
        device.reset();
        continue;
      }
      no_delay(device);
      no_delay(upstream);
      Connection& connection = link.connections.emplace_back();
      connection.device = std::move(device);
      connection.upstream = std::move(upstream);
      ++link.open;
    }
  }

  static void finish_connect(Link& link, Connection& connection) {
    int failure = 0;
    socklen_t size = sizeof failure;
    ::getsockopt(connection.upstream.fd(), SOL_SOCKET, SO_ERROR, &failure, &size);
    if (failure != 0) {
      ++link.refused;
      kill(connection);
      return;
    }
    connection.connecting = false;
  }

  void read(const Link& link, Connection& connection, Way& way, std::int64_t due_ms, const Socket& from) {
    while (!way.ended && way.flow.size() < link.options.buffer_bytes) {
      const std::size_t room = std::min(buffer_.size(), link.options.buffer_bytes - way.flow.size());
      const ssize_t got = ::recv(from.fd(), buffer_.data(), room, 0);
      if (got < 0) {
        if (!would_block()) kill(connection);
        return;
      }
      if (got == 0) way.ended = true;
      way.flow.push(due_ms, std::string_view(buffer_.data(), static_cast<std::size_t>(got)));
    }
  }

  static void kill(Connection& connection) {
    connection.dead = true;
    connection.device.reset();
    connection.upstream.reset();
  }

  static void sweep(Link& link) {
    link.open -= std::erase_if(link.connections, [](const Connection& c) { return c.dead; });
  }

  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::list<Link> links_;  // does not move: Link holds atomics
  Socket wake_read_;
  Socket wake_write_;
  std::mutex mutex_;
  std::vector<std::packaged_task<void()>> commands_;
  std::thread thread_;
  bool stop_ = false;
  std::vector<pollfd> polled_;
  std::vector<Watch> watches_;
  std::array<char, 16 * 1024> buffer_{};
};

Result<std::unique_ptr<Proxy>> Proxy::start(std::vector<ProxyLink> links) {
  Result<std::unique_ptr<Worker>> worker = Worker::create(std::move(links));
  if (!worker) return worker.error();
  return std::unique_ptr<Proxy>(new Proxy(std::move(worker).value()));
}

Proxy::Proxy(std::unique_ptr<Worker> worker) : worker_(std::move(worker)) {}
Proxy::~Proxy() = default;

std::uint16_t Proxy::port(std::size_t link) const { return worker_->link(link).port; }

void Proxy::cut(std::size_t link, Cut how) {
  worker_->on_thread([this, link, how] { Worker::cut(worker_->link(link), how); });
}

Result<void> Proxy::restore(std::size_t link) {
  Result<void> done;
  worker_->on_thread([this, link, &done] { done = worker_->restore(worker_->link(link)); });
  return done;
}

ProxyCounters Proxy::counters(std::size_t link) const {
  const Link& one = worker_->link(link);
  return {one.bytes_up, one.bytes_down, one.taken, one.refused, one.open};
}

}  // namespace pannier::delivery
