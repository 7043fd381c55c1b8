// Our side of the rows link/...: two processes with a node each, linked over TCP or a local socket, plaintext or CURVE.
// `link ROW VARIANT SCALE FOLDER ROWS MATCH` prints one figure. Bounds, credit and heartbeats are those of any program.

#include <algorithm>
#include <csignal>
#include <thread>
#include <vector>

#include "bench/queue_link.h"
#include "bench/schema/sample.fbs.h"

namespace pannier::bench {
namespace {

/// A node without a store. "far" listens, "near" dials.
class Post {
 public:
  Post(const std::string& row, const std::string& dial, const std::string& listen, const Keys& keys) {
    const bool far = dial.empty();
    zmq::ZmqOptions wire;
    const bool curve = row.find("curve") != std::string::npos;
    if (curve) {
      wire.own_key = far ? keys.far : keys.near;
      wire.allowed_keys = {far ? keys.near.public_key : keys.far.public_key};
    } else {
      wire.insecure_plaintext = true;
    }
    transport_ = must(zmq::ZmqTransport::make(context_, wire));
    NodeOptions node{.name = far ? "far" : "near"};
    if (far) {
      node.listen = {listen};
    } else {
      node.links = {{.node = "far", .address = dial}};
      if (curve) node.links.front().key = keys.far.public_key;
    }
    node_ = must(Node::create(std::move(node),
                              {process_.platform(), process_.wakeups(&transport_->wakeup()), transport_.get()}));
  }
  [[nodiscard]] Node& node() noexcept { return *node_; }
  void run() {
    if (process_.run(*node_) != 0) give_up("the node failed");
    node_.reset();
  }

 private:
  posix::Process process_{LogLevel::error};
  zmq::Context context_;
  std::unique_ptr<zmq::ZmqTransport> transport_;
  std::unique_ptr<Node> node_;
};

[[nodiscard]] std::string listen_address(const Call& call) {
  return call.row.find("ipc") != std::string::npos ? "ipc://" + call.folder + "/" + fresh("link") : "tcp://127.0.0.1:*";
}

/// Counts what comes, and answers it where it is asked.
struct Sink : Actor<Sink, Sample, Parcel> {
  Sink(std::uint64_t warm_up, std::uint64_t count, Child* parent) : left_(count), warm_up_(warm_up), parent_(parent) {}
  void on(const Sample&) { came(); }
  void on(const Parcel&) { came(); }

 private:
  void came() {
    if (warm_up_ > 0 && --warm_up_ == 0) began_ns_ = now_ns();
    if (warm_up_ == 0 && left_-- == 0) parent_->say(std::to_string(now_ns() - began_ns_));
  }
  std::uint64_t left_;
  std::uint64_t warm_up_;
  Child* parent_;
  std::uint64_t began_ns_ = 0;
};

/// Tells as fast as it may, and waits for room when it may not: nothing is lost.
struct Pump : Actor<Pump> {
  Pump(std::uint64_t count, std::size_t bytes) : left_(count), bytes_(bytes) {}
  void on_start() {
    to_ = ref("far/sink");
    run();
  }
  void run() {
    const AnyTable message = bytes_ == 0 ? AnyTable{make<Sample>(left_, 1ULL, 2.0, 3.0, 4.0F, 5.0F)} : body();
    for (; left_ > 0; --left_) {
      if (const auto told = tell(to_, message); !told) {
        if (told.error().code == ErrorCode::full) {
          on_room(to_, [this](Result<void>) { run(); });
        } else {
          after(std::chrono::milliseconds{2}, &Pump::run);  // the link is not up yet
        }
        return;
      }
    }
  }

 private:
  AnyTable body() const {
    ParcelT parcel;
    parcel.body.resize(bytes_);
    return AnyTable{pack(parcel)};
  }
  Ref to_;
  std::uint64_t left_;
  std::size_t bytes_;
};

Answer tell_row(const Call& call) {
  const std::size_t bytes = call.row.find("16k") != std::string::npos  ? 16 * 1024
                            : call.row.find("1k") != std::string::npos ? 1024
                                                                       : 0;
  const std::uint64_t count = call.times(bytes == 0 ? 2e6 : bytes == 1024 ? 5e5 : 6e4);
  const Keys keys;
  Child far{[&](Child& self) {
    Post post{call.row, {}, listen_address(call), keys};
    must(post.node().spawn<Sink>(SpawnOptions{.name = "sink"}, count / 10, count, &self));
    self.say(post.node().listening().front());
    post.run();
  }};
  Post near{call.row, far.hear(), {}, keys};
  must(near.node().spawn<Pump>(SpawnOptions{}, count + count / 10 + 1, bytes));
  std::string took;
  std::thread waiter{[&] {
    took = far.hear();
    near.node().stop();
  }};
  near.run();
  waiter.join();
  far.signal(SIGTERM);
  far.wait();
  return {static_cast<double>(count) / (std::stod(took) / 1e9), 0, ""};
}

struct Server : Actor<Server, Sample> {
  Table<Sample> on(const Sample& sample) { return make<Sample>(sample.turn(), 1ULL, 2.0, 3.0, 4.0F, 5.0F); }
};

/// Asks one question after the other.
struct Client : Actor<Client> {
  Client(std::uint64_t count, std::vector<double>* took) : left_(count), took_(took) {}
  void on_start() { run(); }
  void run() {
    const std::uint64_t began = now_ns();
    ask<Sample>(ref("far/server"), make<Sample>(left_, 1ULL, 2.0, 3.0, 4.0F, 5.0F), std::chrono::seconds{5})
        .then([this, began](Result<Table<Sample>> answer) {
          if (!answer) {
            after(std::chrono::milliseconds{2}, &Client::run);
            return;
          }
          took_->push_back(static_cast<double>(now_ns() - began) / 1e3);
          if (--left_ == 0) {
            stop_node();
          } else {
            run();
          }
        });
  }

 private:
  std::uint64_t left_;
  std::vector<double>* took_;
};

Answer ask_row(const Call& call) {
  const std::uint64_t count = call.times(20'000);
  const Keys keys;
  Child far{[&](Child& self) {
    Post post{call.row, {}, listen_address(call), keys};
    must(post.node().spawn<Server>(SpawnOptions{.name = "server"}));
    self.say(post.node().listening().front());
    post.run();
  }};
  std::vector<double> took;
  Post near{call.row, far.hear(), {}, keys};
  must(near.node().spawn<Client>(SpawnOptions{}, count, &took));
  near.run();
  far.signal(SIGTERM);
  far.wait();
  return latency(std::move(took));
}

}  // namespace
}  // namespace pannier::bench

int main(int argc, char** argv) {
  using namespace pannier::bench;
  const Call call = read_call(argc, argv);
  if (call.row.starts_with("link/tell")) return answer(tell_row(call));
  if (call.row.starts_with("link/ask")) return answer(ask_row(call));
  give_up("there is no row " + call.row);
}
