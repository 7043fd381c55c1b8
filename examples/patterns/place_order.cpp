// A saga: an order is paid and cooked, or it is paid back. Each step may take as long as it takes, over restarts.

#include <cstdio>

#include <pannier/pannier.h>
#include <pannier/run.h>
#include <pannier/saga.h>

#include "examples/patterns/patterns.fbs.h"

using namespace std::chrono_literals;
using namespace patterns;

// --- The table of steps
void pay(PlaceOrderT& order, pannier::Step& step) {
  step.enqueue("bank", order.order, pannier::make<Charge>(order.order, order.cents, step.ticket()));
}
void charged(PlaceOrderT&, const Charged& result, pannier::Step& step) {
  result.ok() ? step.done() : step.fail("the card was refused");
}
void refund(PlaceOrderT& order, pannier::Step& step) {
  step.enqueue("bank", order.order, pannier::make<Refund>(order.order, order.cents));
}
void cook(PlaceOrderT& order, pannier::Step& step) {
  step.enqueue("kitchen", order.order, pannier::make<Cook>(order.order, step.ticket()));
}
void cooked(PlaceOrderT&, const Cooked& result, pannier::Step& step) {
  result.ok() ? step.done() : step.fail("the kitchen is closed");
}

std::shared_ptr<const pannier::SagaTable> place_order() {
  return pannier::saga<PlaceOrder>("place-order", 1)
      .step("pay", &pay, &refund)
      .on<Charged>(&charged)
      .with({.deadline = 30s})
      .step("cook", &cook)
      .on<Cooked>(&cooked)
      .with({.deadline = 30s});
}

// --- The services that it uses know nothing of sagas: they answer to the key that they are given
struct Bank : pannier::Actor<Bank, Charge, Refund> {
  void on_start() { require(consume_lane("bank", {})); }
  void on(const Charge& charge, pannier::Delivery delivery) {
    std::printf("bank: %s is charged\n", charge.order()->c_str());
    delivery.ack(pannier::Batch{}.enqueue("sagas", charge.reply_to()->string_view(), pannier::make<Charged>(true)));
  }
  void on(const Refund& refund) { std::printf("bank: %s is paid back\n", refund.order()->c_str()); }
};

struct Kitchen : pannier::Actor<Kitchen, Cook> {
  void on_start() { require(consume_lane("kitchen", {})); }
  void on(const Cook& order, pannier::Delivery delivery) {
    const bool open = order.order()->string_view() != "order-2";
    std::printf("kitchen: %s %s\n", order.order()->c_str(), open ? "is cooked" : "is refused");
    delivery.ack(pannier::Batch{}.enqueue("sagas", order.reply_to()->string_view(), pannier::make<Cooked>(open)));
  }
};

struct Customer : pannier::Actor<Customer> {
  void on_start() {
    pannier::Batch batch;
    for (const char* id : {"order-1", "order-2"}) {
      pannier::start_saga(batch, "sagas", "place-order", id, pannier::make<PlaceOrder>(id, 1200, ""));
    }
    commit(std::move(batch)).forget();
    after(500ms, [this] {
      status("order-1");
      status("order-2");
    });
  }
  void status(const char* id) {
    ask<pannier::sagas::Status>(ref("sagas"), pannier::make<pannier::sagas::StatusQuestion>(id), 10s)
        .then([this, id](const auto& status) {
          const std::string_view is = status ? (*status)->status()->string_view() : "";
          if (is == "running" || is == "compensating" || is == "waiting") {
            return static_cast<void>(after(50ms, [this, id] { this->status(id); }));
          }
          if (status) {
            std::printf("%s: %s %s\n", id, (*status)->status()->c_str(),
                        (*status)->cause() == nullptr ? "" : (*status)->cause()->c_str());
          } else {
            std::printf("%s: %s\n", id, status.error().text().c_str());
          }
          if (++told_ == 2) stop_node();
        });
  }
  int told_ = 0;
};

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: pattern_place_order STORE\n"), 2;
  return pannier::run({.name = "shop", .store = argv[1]}, [](pannier::Node& node) -> pannier::Result<void> {
    std::printf("%s", place_order()->mermaid().c_str());
    auto sagas = node.spawn<pannier::SagaHost>({.name = "sagas"}, std::vector{place_order()}, pannier::SagaOptions{});
    if (!sagas) return sagas.error();
    if (auto made = node.spawn<Bank>(); !made) return made.error();
    if (auto made = node.spawn<Kitchen>(); !made) return made.error();
    auto customer = node.spawn<Customer>();
    return customer ? pannier::Result<void>{} : customer.error();
  });
}
