#include "bench/queue_link.h"
#include "runtime/actor/system.h"

#include <chrono>

namespace pannier::bench {

End::End(const Options& options, const Keys& keys) {
  const bool far = options.dial.empty();
  store_ = open_store(process_, options.folder, options.store);
  if (options.prepare) options.prepare(*store_);
  zmq::ZmqOptions wire;
  if (options.wire == Wire::plaintext) {
    wire.insecure_plaintext = true;
  } else {
    wire.own_key = far ? keys.far : keys.near;
    wire.allowed_keys = {far ? keys.near.public_key : keys.far.public_key};
  }
  transport_ = must(zmq::ZmqTransport::make(context_, wire));
  NodeOptions node{.name = far ? "far" : "near", .lanes = options.lanes};
  if (far) {
    node.listen = {"tcp://127.0.0.1:*"};
  } else {
    node.links = {{.node = "far", .address = options.dial}};
    if (options.wire == Wire::curve) node.links.front().key = keys.far.public_key;
  }
  node_ = must(Node::create(
      std::move(node), {process_.platform(), process_.wakeups(&transport_->wakeup()), transport_.get(), store_.get()}));
}

void End::run(const std::function<void()>& at_end) {
  if (process_.run(*node_) != 0) give_up("the node failed");
  if (at_end) at_end();
  node_.reset();
}

void Watcher::on_start() {
  using std::chrono::milliseconds;
  after(milliseconds{2}, [this] {
    ask<QueueStatus>(LocalRef{system().queue}, Inspect{}, std::chrono::seconds{60})
        .then([this](Result<QueueStatus> status) {
          if (!look_(must(std::move(status)))) on_start();
        });
  });
}

}  // namespace pannier::bench
