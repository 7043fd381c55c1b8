#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <pannier/zmq.h>
#include "bench/child.h"
#include "bench/queue_bench.h"
#include "runtime/queue/requests.h"
#include "runtime/store/store.h"

namespace pannier::bench {

enum class Wire : std::uint8_t { curve, plaintext };

/// Keys of both ends: made before there are two processes, so that each knows the other's.
struct Keys {
  zmq::KeyPair near = must(zmq::generate_key_pair());
  zmq::KeyPair far = must(zmq::generate_key_pair());
};

/// One of two nodes that are linked over TCP on this machine, with a store on disk: "near" dials, "far" listens.
class End {
 public:
  struct Options {
    std::string folder;
    std::string store;  ///< Name of its file.
    Wire wire = Wire::curve;
    std::vector<LaneOptions> lanes = {};
    std::string dial = {};  ///< The far end's address; empty: this is the far end.
    /// Runs on the store before the node is made.
    std::function<void(Store&)> prepare = {};
  };
  End(const Options& options, const Keys& keys);

  [[nodiscard]] Node& node() noexcept { return *node_; }
  [[nodiscard]] const std::string& address() const { return node_->listening().front(); }
  /// Until the node has stopped; `at_end` runs while it is still in memory. After that store() is this thread's.
  void run(const std::function<void()>& at_end = {});
  [[nodiscard]] Store& store() noexcept { return *store_; }

 private:
  posix::Process process_{LogLevel::error};
  StorePtr store_;
  zmq::Context context_;
  std::unique_ptr<zmq::ZmqTransport> transport_;
  std::unique_ptr<Node> node_;
};

/// Looks at the queue's status every 2 ms until `look` says that it has seen enough.
struct Watcher : Actor<Watcher> {
  using Look = std::function<bool(const QueueStatus& status)>;
  explicit Watcher(Look look) : look_(std::move(look)) {}
  void on_start();

 private:
  Look look_;
};

/// Takes every message of a lane; each is done when it returns.
struct Consumer : Actor<Consumer, Parcel> {
  using Take = std::function<void(const Parcel& parcel)>;
  explicit Consumer(std::string lane, Take take = {}) : lane_(std::move(lane)), take_(std::move(take)) {}
  void on_start() { must(consume<Parcel>(lane_, {.window = 256})); }
  void on(const Parcel& parcel) {
    if (take_) take_(parcel);
  }

 private:
  std::string lane_;
  Take take_;
};

}  // namespace pannier::bench
