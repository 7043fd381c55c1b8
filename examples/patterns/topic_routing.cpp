// Topic routing of durable messages: who sends says what it is about; each lane says what it takes. A message is stored
// in all lanes that match, in one transaction, and each of them works at its own pace.

#include <cstdio>
#include <string>

#include <pannier/pannier.h>
#include <pannier/run.h>

#include "examples/patterns/patterns.fbs.h"

using namespace std::chrono_literals;
using patterns::OrderCooked;

struct Desk : pannier::Actor<Desk, OrderCooked> {
  explicit Desk(std::string lane) : lane_(std::move(lane)) {}
  void on_start() { require(consume_lane(lane_, {})); }
  void on(const OrderCooked& order) { std::printf("%s: %s\n", lane_.c_str(), order.order()->c_str()); }
  const std::string lane_;
};

struct Kitchen : pannier::Actor<Kitchen> {
  void on_start() {
    say("order/17/placed", "17 is placed");
    say("order/17/cooked", "17 is cooked");
    say("oven/temperature", "200 degrees");
    look();
  }
  void say(const std::string& topic, const char* what) {
    enqueue_topic(topic, "17", pannier::make<OrderCooked>(what)).then([topic](const auto& receipt) {
      if (!receipt) std::printf("%s: %s\n", topic.c_str(), receipt.error().text().c_str());
    });
  }
  /// Until the desks have handled what was stored: one message at the couriers, two in the audit.
  void look() {
    queue().inspect().then([this](const pannier::Result<pannier::QueueStatus>& status) {
      if (status && status->handled == 3) return stop_node();
      after(20ms, &Kitchen::look);
    });
  }
};

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: pattern_topic_routing STORE\n"), 2;
  pannier::RunOptions options{.name = "shop", .store = argv[1]};
  options.lanes = {{.name = "couriers", .topics = {"order/+/cooked"}}, {.name = "audit", .topics = {"order/#"}}};
  return pannier::run(options, [](pannier::Node& node) -> pannier::Result<void> {
    for (const char* lane : {"couriers", "audit"}) {
      if (auto desk = node.spawn<Desk>(pannier::SpawnOptions{}, lane); !desk) return desk.error();
    }
    auto kitchen = node.spawn<Kitchen>();
    return kitchen ? pannier::Result<void>{} : kitchen.error();
  });
}
