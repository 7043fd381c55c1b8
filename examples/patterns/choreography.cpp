// Choreography: the order of place_order.cpp by events alone. Each service takes the events that concern it from a lane
// of its own, does its part, and says what it did, in one transaction. Nobody knows the whole: that an order which the
// kitchen refuses is paid back is the bank's rule about CookingRefused. docs/choreography.md compares the two.

#include <cstdio>
#include <string>

#include <pannier/pannier.h>
#include <pannier/run.h>

#include "examples/patterns/patterns.fbs.h"

using namespace std::chrono_literals;
using namespace patterns;

struct Bank : pannier::Actor<Bank, OrderPlaced, CookingRefused> {
  void on_start() { require(consume_lane("bank", {})); }
  void on(const OrderPlaced& order, pannier::Delivery delivery) {
    const auto id = order.order()->string_view();
    std::printf("bank: %s is charged\n", order.order()->c_str());
    delivery.ack(pannier::Batch{}.enqueue("kitchen", id, pannier::make<OrderPaid>(id, order.cents())));
  }
  void on(const CookingRefused& order, pannier::Delivery delivery) {
    const auto id = order.order()->string_view();
    std::printf("bank: %s is paid back\n", order.order()->c_str());
    delivery.ack(pannier::Batch{}.enqueue("customer", id, pannier::make<OrderPaidBack>(id)));
  }
};

struct Kitchen : pannier::Actor<Kitchen, OrderPaid> {
  void on_start() { require(consume_lane("kitchen", {})); }
  void on(const OrderPaid& order, pannier::Delivery delivery) {
    const auto id = order.order()->string_view();
    const bool open = id != "order-2";
    std::printf("kitchen: %s %s\n", order.order()->c_str(), open ? "is cooked" : "is refused");
    pannier::Batch batch;
    if (open) {
      batch.enqueue("customer", id, pannier::make<OrderCooked>(id));
    } else {
      batch.enqueue("bank", id, pannier::make<CookingRefused>(id, "the kitchen is closed"));
    }
    delivery.ack(std::move(batch));
  }
};

struct Customer : pannier::Actor<Customer, OrderCooked, OrderPaidBack> {
  void on_start() {
    require(consume_lane("customer", {}));
    pannier::Batch batch;
    for (const char* id : {"order-1", "order-2"}) batch.enqueue("bank", id, pannier::make<OrderPlaced>(id, 1200));
    commit(std::move(batch)).forget();
  }
  void on(const OrderCooked& order, pannier::Delivery delivery) {
    settled(order.order()->c_str(), "completed", delivery);
  }
  void on(const OrderPaidBack& order, pannier::Delivery delivery) {
    settled(order.order()->c_str(), "compensated", delivery);
  }
  void settled(const char* order, const char* how, const pannier::Delivery& delivery) {
    std::printf("%s: %s\n", order, how);
    delivery.ack();
    if (++settled_ == 2) after(100ms, [this] { stop_node(); });
  }
  int settled_ = 0;
};

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: pattern_choreography STORE\n"), 2;
  return pannier::run({.name = "shop", .store = argv[1]}, [](pannier::Node& node) -> pannier::Result<void> {
    if (auto made = node.spawn<Bank>(); !made) return made.error();
    if (auto made = node.spawn<Kitchen>(); !made) return made.error();
    auto customer = node.spawn<Customer>();
    return customer ? pannier::Result<void>{} : customer.error();
  });
}
