// The peer's side of the rows from end to end: Mosquitto (Debian: mosquitto, libmosquitto-dev), https://mosquitto.org,
// a broker with persistence in a process of its own, a publisher and a subscriber with QoS 1, 1,000 messages in flight,
// plain TCP on this machine. `mosquitto ROW VARIANT SCALE FOLDER ROWS MATCH` prints messages a second that were both
// acknowledged to the publisher and delivered to the subscriber. The broker does not sync what it acknowledges.

#include <arpa/inet.h>
#include <mosquitto.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <condition_variable>
#include <csignal>
#include <fstream>
#include <mutex>

#include "bench/child.h"
#include "bench/measure.h"

namespace {

using pannier::bench::Call;
using pannier::bench::Child;
using pannier::bench::give_up;
using pannier::bench::Stopwatch;

constexpr int kInFlight = 1000;
constexpr int kQos = 1;
constexpr const char* kTopic = "bench/jobs";

void must(int rc) {
  if (rc != MOSQ_ERR_SUCCESS) give_up(mosquitto_strerror(rc));
}

/// A port that nobody uses, as far as the system knows.
int free_port() {
  const int probe = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(probe, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::getsockname(probe, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    give_up("no free port");
  }
  ::close(probe);
  return ntohs(address.sin_port);
}

/// Debian's defaults but for what the row says: persistence, and as many in flight to the subscriber as from the
/// publisher, with no bound on what waits behind them.
std::string write_configuration(const std::string& folder, int port) {
  const std::string path = folder + "/mosquitto-" + std::to_string(port) + ".conf";
  std::ofstream file{path};
  file << "listener " << port << " 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location " << folder
       << "/\npersistence_file mosquitto-" << port << ".db\nmax_inflight_messages " << kInFlight
       << "\nmax_queued_messages 0\nlog_dest none\n";
  if (::geteuid() == 0) file << "user root\n";  // else it could not write to a folder of root's
  return path;
}

/// What the clients' threads have counted.
struct Progress {
  std::mutex mutex;
  std::condition_variable changed;
  std::uint64_t acknowledged = 0;
  std::uint64_t delivered = 0;
  bool subscribed = false;

  void wait(const auto& until) {
    std::unique_lock lock{mutex};
    changed.wait(lock, until);
  }
  void change(const auto& how) {
    {
      const std::lock_guard lock{mutex};
      how();
    }
    changed.notify_one();
  }
};

class Client {
 public:
  Client(const char* name, int port, Progress& progress) : client_(mosquitto_new(name, true, &progress)) {
    if (client_ == nullptr) give_up("no MQTT client");
    must(mosquitto_max_inflight_messages_set(client_, kInFlight));
    mosquitto_publish_callback_set(client_, [](mosquitto*, void* of, int) {
      auto& counted = *static_cast<Progress*>(of);
      counted.change([&] { ++counted.acknowledged; });
    });
    mosquitto_message_callback_set(client_, [](mosquitto*, void* of, const mosquitto_message*) {
      auto& counted = *static_cast<Progress*>(of);
      counted.change([&] { ++counted.delivered; });
    });
    mosquitto_subscribe_callback_set(client_, [](mosquitto*, void* of, int, int, const int*) {
      auto& counted = *static_cast<Progress*>(of);
      counted.change([&] { counted.subscribed = true; });
    });
    int rc = MOSQ_ERR_ERRNO;
    for (int tries = 0; rc != MOSQ_ERR_SUCCESS && tries < 500; ++tries) {  // until the broker listens
      if (tries > 0) ::usleep(10'000);
      rc = mosquitto_connect(client_, "127.0.0.1", port, 60);
    }
    must(rc);
    must(mosquitto_loop_start(client_));
  }
  ~Client() {
    mosquitto_disconnect(client_);
    mosquitto_loop_stop(client_, false);
    mosquitto_destroy(client_);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  [[nodiscard]] mosquitto* handle() const noexcept { return client_; }

 private:
  mosquitto* client_;
};

double through(const Call& call) {
  const std::uint64_t warm_up = call.times(1e4);
  const std::uint64_t count = call.times(1e5);
  const int port = free_port();
  const std::string configuration = write_configuration(call.folder, port);
  Child broker{[&](Child&) {
    // It warns of root, whatever its log is told; that it does not run, the clients notice.
    if (std::freopen("/dev/null", "w", stderr) == nullptr) give_up("no /dev/null");
    ::execl(PANNIER_MOSQUITTO, "mosquitto", "-c", configuration.c_str(), static_cast<char*>(nullptr));
    give_up("cannot start " PANNIER_MOSQUITTO);
  }};

  must(mosquitto_lib_init());
  Progress progress;
  double figure = 0;
  {
    const Client subscriber{"subscriber", port, progress};
    must(mosquitto_subscribe(subscriber.handle(), nullptr, kTopic, kQos));
    progress.wait([&] { return progress.subscribed; });
    const Client publisher{"publisher", port, progress};
    const std::array<char, 256> payload{};
    Stopwatch watch;
    const auto publish = [&](std::uint64_t from, std::uint64_t until) {
      for (std::uint64_t sent = from; sent < until; ++sent) {
        progress.wait([&] { return sent < progress.acknowledged + kInFlight; });
        must(mosquitto_publish(publisher.handle(), nullptr, kTopic, static_cast<int>(payload.size()), payload.data(),
                               kQos, false));
      }
      progress.wait([&] { return progress.acknowledged == until && progress.delivered == until; });
    };
    publish(0, warm_up);
    watch.start();
    publish(warm_up, warm_up + count);
    figure = static_cast<double>(count) / watch.seconds();
  }
  mosquitto_lib_cleanup();
  broker.signal(SIGTERM);
  broker.wait();
  return figure;
}

}  // namespace

int main(int argc, char** argv) { return pannier::bench::answer(through(pannier::bench::read_call(argc, argv))); }
