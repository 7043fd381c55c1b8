// Raw libzmq, for the rows link/...: PUSH to PULL, and REQ to REP, between two processes.
// `zmq ROW VARIANT SCALE FOLDER ROWS MATCH` prints one figure.

#include <zmq.h>

#include <algorithm>
#include <string>
#include <vector>

#include "bench/child.h"
#include "bench/measure.h"

namespace pannier::bench {
namespace {

std::uint64_t nanoseconds() { return Stopwatch::ticks(); }

struct Keys {
  char server_public[41];
  char server_secret[41];
  char client_public[41];
  char client_secret[41];
};

struct Socket {
  Socket(int type, const Call& call, bool server, const Keys& keys)
      : context(zmq_ctx_new()), socket(zmq_socket(context, type)) {
    if (call.row.find("curve") == std::string::npos) return;
    const int on = 1;
    if (server) {
      zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &on, sizeof on);
      zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, keys.server_secret, 40);
    } else {
      zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, keys.server_public, 40);
      zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, keys.client_public, 40);
      zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, keys.client_secret, 40);
    }
  }
  ~Socket() {
    const int linger = 0;
    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    zmq_close(socket);
    zmq_ctx_term(context);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  std::string bind(const Call& call) const {
    const std::string address = call.row.find("ipc") != std::string::npos
                                    ? "ipc://" + call.folder + "/zmq-" + std::to_string(nanoseconds())
                                    : "tcp://127.0.0.1:*";
    if (zmq_bind(socket, address.c_str()) != 0) give_up("cannot bind");
    char endpoint[256];
    std::size_t size = sizeof endpoint;
    zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &size);
    return endpoint;
  }
  void* context;
  void* socket;
};

Answer one_way(const Call& call, const Keys& keys) {
  const std::size_t bytes = call.row.find("16k") != std::string::npos  ? 16 * 1024
                            : call.row.find("1k") != std::string::npos ? 1024
                                                                       : 64;
  const std::uint64_t count = call.times(bytes == 64 ? 2e6 : bytes == 1024 ? 5e5 : 6e4);
  Child far{[&](Child& self) {
    const Socket pull{ZMQ_PULL, call, true, keys};
    self.say(pull.bind(call));
    zmq_msg_t message;
    zmq_msg_init(&message);
    std::uint64_t began = 0;
    for (std::uint64_t i = 0; i < count + count / 10; ++i) {
      if (i == count / 10) began = nanoseconds();
      if (zmq_msg_recv(&message, pull.socket, 0) < 0) give_up("cannot receive");
    }
    self.say(std::to_string(nanoseconds() - began));
    zmq_msg_close(&message);
  }};
  const Socket push{ZMQ_PUSH, call, false, keys};
  if (zmq_connect(push.socket, far.hear().c_str()) != 0) give_up("cannot connect");
  const std::vector<char> body(bytes, 'x');
  for (std::uint64_t i = 0; i < count + count / 10; ++i) {
    if (zmq_send(push.socket, body.data(), body.size(), 0) < 0) give_up("cannot send");
  }
  const double took = std::stod(far.hear());
  far.wait();
  return {static_cast<double>(count) / (took / 1e9), 0, ""};
}

Answer round_trip(const Call& call, const Keys& keys) {
  const std::uint64_t count = call.times(20'000);
  Child far{[&](Child& self) {
    const Socket server{ZMQ_REP, call, true, keys};
    self.say(server.bind(call));
    std::vector<char> body(64);
    for (std::uint64_t i = 0; i < count; ++i) {
      zmq_recv(server.socket, body.data(), body.size(), 0);
      zmq_send(server.socket, body.data(), body.size(), 0);
    }
    self.say("done");
  }};
  const Socket client{ZMQ_REQ, call, false, keys};
  if (zmq_connect(client.socket, far.hear().c_str()) != 0) give_up("cannot connect");
  std::vector<char> body(64, 'x');
  std::vector<double> took;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t began = nanoseconds();
    zmq_send(client.socket, body.data(), body.size(), 0);
    zmq_recv(client.socket, body.data(), body.size(), 0);
    took.push_back(static_cast<double>(nanoseconds() - began) / 1e3);
  }
  return latency(std::move(took));
}

}  // namespace
}  // namespace pannier::bench

int main(int argc, char** argv) {
  using namespace pannier::bench;
  const Call call = read_call(argc, argv);
  Keys keys{};
  zmq_curve_keypair(keys.server_public, keys.server_secret);
  zmq_curve_keypair(keys.client_public, keys.client_secret);
  return answer(call.row.starts_with("link/ask") ? round_trip(call, keys) : one_way(call, keys));
}
