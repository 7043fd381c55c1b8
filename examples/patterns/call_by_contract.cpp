// A call by contract: the schema names service, methods and deadlines; server and client are generated from it, and
// neither can send what the other does not know.

#include <cstdio>
#include <string>

#include <pannier/pannier.h>
#include <pannier/run.h>

#include "examples/patterns/menu.fbs.rpc.h"

using pannier::rpc::Response;
using pannier::rpc::Status;
using patterns::menu::Price;
using patterns::menu::PriceRequest;

struct Menu : patterns::menu::MenuServiceServer<Menu> {
  Response<Price> get_price(const PriceRequest& request) {
    if (request.dish() == nullptr) return {Status::invalid_argument, "which dish?"};
    if (request.dish()->string_view() != "soup") return {Status::not_found, "it is not on the menu"};
    return pannier::make<Price>(925);
  }
};

struct Waiter : pannier::Actor<Waiter> {
  void on_start() {
    for (const char* dish : {"soup", "steak"}) {
      menu_.get_price(pannier::make<PriceRequest>(dish)).then([this, dish](const Response<Price>& price) {
        if (price) {
          std::printf("%s: %d cents\n", dish, price->cents());
        } else {
          std::printf("%s: %s\n", dish, price.failure().message.c_str());
        }
        if (++answered_ == 2) stop_node();
      });
    }
  }
  patterns::menu::MenuServiceClient menu_{*this, "menu"};
  int answered_ = 0;
};

int main(int argc, char** argv) {
  return pannier::run(argc, argv, {.name = "restaurant"}, [](pannier::Node& node) -> pannier::Result<void> {
    if (auto menu = node.spawn<Menu>({.name = "menu"}); !menu) return menu.error();
    auto waiter = node.spawn<Waiter>();
    return waiter ? pannier::Result<void>{} : waiter.error();
  });
}
