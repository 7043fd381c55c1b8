// A program as an application writes it: its actors, and one line of main. What its actors do is said in [app].
#include <stdexcept>
#include <string>

#include <pannier/pannier.h>
#include <pannier/run.h>

#include "run/schema/inspect.fbs.h"

namespace {

using pannier::tools::Bytes;

/// Takes what is on its lane, and dead-letters what it cannot sell.
struct Counter : pannier::Actor<Counter, Bytes> {
  void on_start() { require(consume<Bytes>("orders")); }
  void on(const Bytes& order, pannier::Delivery delivery) {
    const std::string text{reinterpret_cast<const char*>(order.data()->data()), order.data()->size()};
    if (text == "soup") return delivery.dead_letter("no soup today");
    log("sold " + text);
    delivery.ack();
  }
};

struct Broken : pannier::Actor<Broken> {
  void on_start() { fail("it never works"); }
};

}  // namespace

int main(int argc, char** argv) {
  const auto set_up = [](pannier::Node& node, const pannier::RunOptions& options) -> pannier::Result<void> {
    const auto mode = options.app.find("mode");
    const std::string wanted = mode == options.app.end() ? "sell" : mode->second;
    if (wanted == "refuse") return pannier::Error{pannier::ErrorCode::invalid_argument, "this shop has no licence"};
    if (wanted == "throw") throw std::runtime_error("the roof fell in");
    if (wanted == "break") {
      const auto broken = node.spawn<Broken>();
      return broken ? pannier::Result<void>{} : broken.error();
    }
    const auto counter = node.spawn<Counter>({.name = "counter"});
    return counter ? pannier::Result<void>{} : counter.error();
  };
  return pannier::run(argc, argv, {.name = "shop", .version = "1.2", .store = "shop.db"}, set_up);
}
