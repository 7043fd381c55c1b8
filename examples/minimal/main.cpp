// The smallest device program that uses all four verbs, with a ZeroMQ link and an SQLite store. `./dev size` counts how
// much of Pannier's code it takes.
//
//   minimal ADDRESS   links to the node "hub" at ADDRESS, such as tcp://10.0.0.1:7000, without encryption
#include <chrono>

#include <pannier/pannier.h>
#include <pannier/process.h>
#include <pannier/sqlite_store.h>
#include <pannier/zmq.h>
#include "examples/minimal/schema/sample.fbs.h"

namespace {

using pannier::minimal::Sample;

struct Device : pannier::Actor<Device, Sample> {
  explicit Device(pannier::Ref hub) : hub_(std::move(hub)) {}

  void on_start() {
    require(subscribe<Sample>("samples"));
    require(consume<Sample>("jobs", {.window = 4}));
    every(std::chrono::seconds{1}, &Device::report);
  }
  void on(const Sample& sample, pannier::Delivery delivery) {
    latest_ = sample.value();
    delivery.ack();
  }

 private:
  void report() {
    const auto sample = pannier::make<Sample>(++latest_);
    static_cast<void>(tell(hub_, sample));
    static_cast<void>(publish("samples", sample));
    ask<Sample>(hub_, sample, std::chrono::seconds{1})
        .then([this](const pannier::Result<pannier::Table<Sample>>& answer) {
          if (answer) latest_ = (*answer)->value();
        });
    enqueue("hub/samples", "device", sample).then([this](const pannier::Result<pannier::Receipt>& receipt) {
      if (!receipt) log(receipt.error().text());
    });
  }

  pannier::Ref hub_;
  std::int64_t latest_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  pannier::posix::Process process;
  auto store = pannier::open_sqlite_store({.path = "minimal.db", .entropy = process.platform().entropy});
  if (!store) return 3;
  pannier::zmq::Context context;
  auto transport = pannier::zmq::ZmqTransport::make(context, {.insecure_plaintext = true});
  if (!transport) return 4;
  auto node = pannier::Node::create({.name = "minimal", .links = {{.node = "hub", .address = argv[1]}}},
                                    {.platform = process.platform(),
                                     .wakeups = process.wakeups(&(*transport)->wakeup()),
                                     .transport = transport->get(),
                                     .store = store->get()});
  if (!node) return 5;
  return (*node)->spawn<Device>((*node)->ref("hub/desk")) ? process.run(**node) : 6;
}
