// The rows guard/...: an honest device beside a peer that means harm (docs/security.md), or, as variant 2, beside none.
// `guard ROW VARIANT SCALE FOLDER ROWS MATCH` prints the 99th percentile of what the device's messages took, in ms.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <map>
#include <thread>
#include <vector>

#include "bench/child.h"
#include "bench/queue_link.h"
#include "runtime/link/wire.h"

namespace pannier::bench {
namespace {

using namespace std::chrono_literals;

constexpr auto kBefore = 2s;   // until the device is linked and the hub is at rest
constexpr auto kAfter = 10s;   // until the hub must have let go of what the peer made it keep
constexpr auto kEvery = 10ms;  // between two messages of the device
constexpr std::size_t kHubDescriptors = 256;

struct GuardKeys {
  zmq::KeyPair hub = must(zmq::generate_key_pair());
  zmq::KeyPair device = must(zmq::generate_key_pair());
  zmq::KeyPair evil = must(zmq::generate_key_pair());
};

/// Memory of another process in MB: as its status names it.
double memory_mb(int process, const std::string& name) {
  std::ifstream status{"/proc/" + std::to_string(process) + "/status"};
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(name + ":")) return std::stod(line.substr(name.size() + 1)) / 1024;
  }
  give_up("the hub is gone");
}

// --- The one that means harm ----------------------------------------------------------------------------------------

/// A raw connection with a valid key: it reads nothing but whether it was told to go.
class RawPeer {
 public:
  RawPeer(const std::string& address, const GuardKeys& keys) : context_(zmq_ctx_new()) {
    socket_ = zmq_socket(context_, ZMQ_DEALER);
    const int none = 0;
    const int timeout_ms = 100;
    zmq_setsockopt(socket_, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(socket_, ZMQ_RCVHWM, &none, sizeof none);
    zmq_setsockopt(socket_, ZMQ_SNDTIMEO, &timeout_ms, sizeof timeout_ms);
    zmq_setsockopt(socket_, ZMQ_CURVE_SERVERKEY, keys.hub.public_key.data(), 32);
    zmq_setsockopt(socket_, ZMQ_CURVE_PUBLICKEY, keys.evil.public_key.data(), 32);
    zmq_setsockopt(socket_, ZMQ_CURVE_SECRETKEY, keys.evil.secret_key.data(), 32);
    if (zmq_connect(socket_, address.c_str()) != 0) give_up("the peer cannot connect");
  }
  ~RawPeer() {
    zmq_close(socket_);
    zmq_ctx_term(context_);
  }
  RawPeer(const RawPeer&) = delete;
  RawPeer& operator=(const RawPeer&) = delete;

  /// False: it was told to go.
  bool send(const std::vector<wire::Record>& records) {
    writer_.clear();
    for (const wire::Record& record : records) {
      if (!writer_.add(record)) break;
      ++sent;
    }
    const auto frame = writer_.frame();
    zmq_send(socket_, frame.data(), frame.size(), 0);
    return listen();
  }
  std::uint64_t sent = 0;

 private:
  bool listen() {
    for (;;) {
      zmq_msg_t message;
      zmq_msg_init(&message);
      const int got = zmq_msg_recv(&message, socket_, ZMQ_DONTWAIT);
      bool told_to_go = got >= 0 && zmq_msg_more(&message) != 0;
      if (got >= 0 && !told_to_go) {
        const auto* bytes = static_cast<const std::byte*>(zmq_msg_data(&message));
        auto reader = wire::FrameReader::open({bytes, zmq_msg_size(&message)});
        while (reader && !reader->at_end()) {
          const auto record = reader->next();
          if (!record) break;
          told_to_go = told_to_go || record->kind == wire::Kind::goodbye;
        }
      }
      zmq_msg_close(&message);
      if (got < 0) return true;
      if (told_to_go) return false;
    }
  }

  void* context_;
  void* socket_;
  wire::FrameWriter writer_;
};

/// What it sends: frame after frame, as fast as the hub takes them.
class Attack {
 public:
  explicit Attack(const std::string& row) : row_(row.substr(row.find('/') + 1)), large_(250 * 1024) {}

  /// The records of the next frame, borrowed until the next call.
  const std::vector<wire::Record>& next() {
    records_.clear();
    texts_.clear();
    texts_.reserve(kRecords);
    if (row_ == "rows") {
      for (std::size_t i = 0; i < kRecords; ++i) row("jobs", ++count_, small());
    } else if (row_ == "large-rows") {
      for (std::size_t i = 0; i < 3; ++i) row("jobs", ++count_, large_);
    } else if (row_ == "gaps") {
      for (std::size_t i = 0; i < kRecords; ++i) {
        row(text("lane-" + std::to_string(++count_)), 5, small());
        records_.back().number = 4;
      }
    } else if (row_ == "lanes") {
      for (std::size_t i = 0; i < kRecords; ++i, ++count_) {
        row(text("lane-" + std::to_string(count_ % 1100)), count_ + 1, small());
      }
    } else if (row_ == "incarnations") {
      texts_.push_back(wire::text_of_u64(++count_));
      for (const std::string_view lane : {"a", "b", "c", "d", "e", "f", "g", "h"}) {
        row(lane, 1, small());
        records_.back().flags = wire::kIncarnation;
        records_.back().second = texts_.back();
      }
    } else if (row_ == "retained") {
      for (std::size_t i = 0; i < 3; ++i) {
        records_.push_back({.kind = wire::Kind::publish,
                            .flags = wire::kRetain,
                            .type = TypeId{1},
                            .first = text("junk/" + std::to_string(++count_)),
                            .payload = large_});
      }
    } else if (row_ == "filters") {
      for (std::size_t i = 0; i < kRecords; ++i, ++count_) {
        const bool adds = count_ / 4096 % 2 == 0;
        records_.push_back({.kind = adds ? wire::Kind::subscribe : wire::Kind::unsubscribe,
                            .first = text("x/" + std::to_string(count_ % 4096) + "/+/#")});
      }
    } else if (row_ == "tells") {
      for (std::size_t i = 0; i < kRecords; ++i) {
        records_.push_back(
            {.kind = wire::Kind::tell, .type = TypeId{1}, .first = text(name(++count_)), .payload = small()});
      }
    } else if (row_ == "asks") {
      for (std::size_t i = 0; i < kRecords; ++i) {
        records_.push_back({.kind = wire::Kind::ask,
                            .type = TypeId{1},
                            .id = ++count_,
                            .number = 60'000,
                            .first = "silent",
                            .payload = small()});
      }
    } else {
      give_up("there is no row guard/" + row_);
    }
    return records_;
  }

 private:
  static constexpr std::size_t kRecords = 400;
  static std::string name(std::uint64_t number) { return number % 2 == 0 ? "sink" : "s" + std::to_string(number); }
  [[nodiscard]] std::span<const std::byte> small() const { return std::span{large_}.first(64); }
  std::string_view text(std::string made) { return texts_.emplace_back(std::move(made)); }
  void row(std::string_view lane, std::uint64_t sequence, std::span<const std::byte> payload) {
    records_.push_back({.kind = wire::Kind::row, .type = TypeId{1}, .id = sequence, .first = lane, .payload = payload});
  }

  std::string row_;
  std::vector<std::byte> large_;
  std::vector<wire::Record> records_;
  std::vector<std::string> texts_;
  std::uint64_t count_ = 0;
};

/// For `time`: whenever it is told to go it comes again under the same key. Returns what it has sent, for the note.
std::string send_frames(const std::string& row, const std::string& address, const GuardKeys& keys, Duration time) {
  Attack attack{row};
  std::uint64_t sent = 0;
  std::uint64_t sessions = 0;
  for (const Stopwatch watch; std::chrono::duration<double>(watch.seconds()) < time;) {
    RawPeer peer{address, keys};
    bool welcome = peer.send({{.kind = wire::Kind::hello, .id = ++sessions, .number = 2000, .first = "evil"}});
    while (welcome && std::chrono::duration<double>(watch.seconds()) < time) welcome = peer.send(attack.next());
    sent += peer.sent;
    std::this_thread::sleep_for(20ms);
  }
  return std::to_string(sent) + " records in " + std::to_string(sessions) + " sessions";
}

/// Connections without a key, `count` at a time: opened again as the hub ends them. Each sends `bytes` and then
/// nothing.
std::string crowd(const std::string& address, std::size_t count, const std::vector<char>& bytes, Duration time) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  struct Open {
    pollfd socket{};
    std::size_t sent = 0;
  };
  std::vector<Open> all(count);
  std::uint64_t opened = 0;
  for (const Stopwatch watch; std::chrono::duration<double>(watch.seconds()) < time;) {
    for (Open& each : all) {
      if (each.socket.fd > 0) continue;
      each = {{::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), POLLIN | POLLOUT, 0}, 0};
      ::connect(each.socket.fd, reinterpret_cast<const sockaddr*>(&to), sizeof to);
      ++opened;
    }
    std::vector<pollfd> waiting;
    for (Open& each : all) {
      each.socket.events = static_cast<short>(POLLIN | (each.sent < bytes.size() ? POLLOUT : 0));
      waiting.push_back(each.socket);
    }
    ::poll(waiting.data(), waiting.size(), 20);
    for (std::size_t i = 0; i < all.size(); ++i) {
      Open& each = all[i];
      if ((waiting[i].revents & POLLOUT) != 0 && each.sent < bytes.size()) {
        const std::size_t piece = std::min<std::size_t>(bytes.size() - each.sent, 64 * 1024);
        const ssize_t sent = ::send(each.socket.fd, bytes.data() + each.sent, piece, MSG_NOSIGNAL);
        if (sent > 0) each.sent += static_cast<std::size_t>(sent);
      }
      char in[256];
      const bool over =
          (waiting[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && ::recv(each.socket.fd, in, sizeof in, 0) <= 0;
      if (!over) continue;
      ::close(each.socket.fd);
      each.socket.fd = 0;
    }
  }
  return std::to_string(opened) + " connections";
}

/// ZMTP's greeting for CURVE, and half of a frame of 1 MiB.
std::vector<char> half_frame() {
  std::vector<char> bytes(64 + 512 * 1024);
  bytes[0] = '\xff';
  bytes[9] = '\x7f';
  bytes[10] = 3;
  std::copy_n("CURVE", 5, bytes.begin() + 12);
  bytes[64] = 6;
  bytes[70] = 0x10;  // eight bytes of length, the highest first
  return bytes;
}

std::string harm(const std::string& row, const std::string& address, const GuardKeys& keys, Duration time) {
  if (row == "guard/crowd") return crowd(address, 600, {}, time);
  if (row == "guard/half-frames") return crowd(address, 900, half_frame(), time);
  return send_frames(row, address, keys, time);
}

// --- The hub and the honest device ----------------------------------------------------------------------------------

/// Notes how long the device's messages took.
struct Kitchen : Actor<Kitchen, Parcel> {
  explicit Kitchen(std::vector<double>* took) : took_(took) {}
  void on_start() { must(consume<Parcel>("orders")); }
  void on(const Parcel& parcel) { took_->push_back(static_cast<double>(now_ns() - parcel.sent_ns()) / 1e6); }

 private:
  std::vector<double>* took_;
};

/// Takes anything.
struct Sink : Actor<Sink, AnyTable> {
  void on(const AnyTable&) {}
};

/// Answers nothing.
struct Silent : Actor<Silent, AnyTable> {
  void on(const AnyTable&, Responder responder) { kept_.push_back(std::move(responder)); }

 private:
  std::vector<Responder> kept_;
};

struct Sender : Actor<Sender> {
  void on_start() { every(kEvery, &Sender::send); }
  void send() {
    enqueue("hub/orders", "k", parcel(now_ns())).then([](const Result<Receipt>&) {});
  }
};

/// Where the device's file is: on no disk that the hub writes to, which is what is measured.
class MemoryFolder {
 public:
  MemoryFolder() {
    if (::mkdtemp(path_) == nullptr) give_up("no folder in /dev/shm");
  }
  ~MemoryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  MemoryFolder(const MemoryFolder&) = delete;
  MemoryFolder& operator=(const MemoryFolder&) = delete;
  [[nodiscard]] const char* path() const noexcept { return path_; }

 private:
  char path_[32] = "/dev/shm/pannier-guard-XXXXXX";
};

class Site {
 public:
  Site(const std::string& folder, const zmq::KeyPair& own, std::vector<PublicKey> allowed, NodeOptions options)
      : store_(open_store(process_, folder, fresh(options.name))) {
    zmq::ZmqOptions wire;
    wire.own_key = own;
    wire.allowed_keys = std::move(allowed);
    transport_ = must(zmq::ZmqTransport::make(context_, wire));
    node_ = must(Node::create(std::move(options), {process_.platform(), process_.wakeups(&transport_->wakeup()),
                                                   transport_.get(), store_.get()}));
  }
  [[nodiscard]] Node& node() noexcept { return *node_; }
  void run() {
    if (process_.run(*node_) != 0) give_up("the node failed");
    node_.reset();
  }

 private:
  posix::Process process_{LogLevel::error};
  StorePtr store_;
  zmq::Context context_;
  std::unique_ptr<zmq::ZmqTransport> transport_;
  std::unique_ptr<Node> node_;
};

Answer measure_guard(const Call& call) {
  const GuardKeys keys;
  const Duration time = std::chrono::milliseconds{call.times(20'000)};
  Child hub{[&](Child& self) {
    const rlimit descriptors{kHubDescriptors, kHubDescriptors};
    ::setrlimit(RLIMIT_NOFILE, &descriptors);
    std::vector<double> took;
    Site site{
        call.folder,
        keys.hub,
        {keys.device.public_key, keys.evil.public_key},
        {.name = "hub",
         .listen = {"tcp://127.0.0.1:*"},
         .peers = {{.node = "device", .key = keys.device.public_key}, {.node = "evil", .key = keys.evil.public_key}},
         .lanes = {{.name = "orders"}}}};
    must(site.node().spawn<Kitchen>(SpawnOptions{}, &took));
    must(site.node().spawn<Sink>(SpawnOptions{.name = "sink"}));
    must(site.node().spawn<Silent>(SpawnOptions{.name = "silent"}));
    self.say(site.node().listening().front());
    site.run();
    std::sort(took.begin(), took.end());
    if (took.empty()) give_up("the device came to nothing");
    self.say(std::to_string(took[took.size() / 2]));
    self.say(std::to_string(took[took.size() * 99 / 100]));
    self.say(std::to_string(took.size()));
  }};
  const std::string address = hub.hear();
  Child evil{[&](Child& self) {
    std::this_thread::sleep_for(kBefore);
    if (call.variant == 1) {
      self.say(harm(call.row, address, keys, time));
    } else {
      std::this_thread::sleep_for(time);
      self.say("no attack");
    }
  }};
  const MemoryFolder memory;
  Site device{memory.path(),
              keys.device,
              {},
              {.name = "device", .links = {{.node = "hub", .address = address, .key = keys.hub.public_key}}}};
  must(device.node().spawn<Sender>());
  double rest = 0;
  double after = 0;
  std::string sent;
  std::thread clock{[&] {
    std::this_thread::sleep_for(kBefore / 2);
    rest = memory_mb(hub.pid(), "VmRSS");
    sent = evil.hear();
    device.node().stop();
    std::this_thread::sleep_for(kAfter);
    after = memory_mb(hub.pid(), "VmRSS");
  }};
  device.run();
  clock.join();
  const double most = memory_mb(hub.pid(), "VmHWM");
  evil.wait();
  hub.signal(SIGTERM);
  const double median = std::stod(hub.hear());
  const double p99 = std::stod(hub.hear());
  const std::string taken = hub.hear();
  hub.wait();
  char note[256];
  std::snprintf(note, sizeof note, "p50 %.1f ms, %s taken, hub %.0f MB, at most %+.0f, %+.0f 10 s later; %s", median,
                taken.c_str(), rest, most - rest, after - rest, sent.c_str());
  return {p99, 0, note};
}

}  // namespace
}  // namespace pannier::bench

int main(int argc, char** argv) {
  return pannier::bench::answer(pannier::bench::measure_guard(pannier::bench::read_call(argc, argv)));
}
