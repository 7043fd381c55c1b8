// `pannier call`: JSON in, JSON out, against a node whose schema the command was not built with.

#include <doctest/doctest.h>

#include "tests/tools/command_runner.h"

namespace pannier::testing {
namespace {

struct Hub {
  Hub() {
    write_file(folder / "hub.toml",
               "[node]\nname = \"hub\"\ninsecure_plaintext = true\nlisten = [\"ipc://" + folder / "hub.sock" + "\"]\n");
    hub.emplace(folder.path(), std::vector<std::string>{"--config", "hub.toml"}, "hub.log", PANNIER_CALL_HUB);
    const std::string line = hub->line();
    INFO(hub->errors());
    REQUIRE(line.starts_with("hub is up"));
  }
  [[nodiscard]] Ran call(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"call", "--config", "hub.toml", "--timeout", "20"});
    return run(folder.path(), arguments);
  }
  TempFolder folder;
  std::optional<RunningCommand> hub;
};

TEST_CASE("a method is called by its name, with JSON in and out") {
  const Hub hub;
  const Ran order = hub.call({"orders", "OrderService.GetOrder", R"({"order_id":"17"})"});
  INFO(order.errors);
  CHECK(order.status == 0);
  CHECK(order.out == R"({"order_id": "17","total": 42,"address": "Lindenweg 3"})"
                     "\n");
  const Ran full = hub.call({"orders", "shop.OrderService.GetOrder", R"({order_id:"17"})"});
  CHECK(full.out == order.out);
  const Ran stream = hub.call({"orders", "OrderService.Watch", R"({"wait_ms":300})"});
  CHECK(stream.status == 0);
  CHECK(std::count(stream.out.begin(), stream.out.end(), '\n') == 300);
  CHECK(stream.out.find(R"({"data": "chunk","number": 299})") != std::string::npos);
}

TEST_CASE("a call that fails says with which status; what cannot be called is wrong input") {
  const Hub hub;
  const Ran refused = hub.call({"orders", "OrderService.GetOrder"});
  CHECK(refused.status == 1);
  CHECK(refused.errors.find("invalid_argument: which order?") != std::string::npos);
  const Ran json = hub.call({"orders", "OrderService.GetOrder", R"({"oder_id":"17"})"});
  CHECK(json.status == 2);
  CHECK(json.errors.find("oder_id") != std::string::npos);
  CHECK(std::count(json.errors.begin(), json.errors.end(), '\n') == 1);
  const Ran method = hub.call({"orders", "OrderService.Get", "{}"});
  CHECK(method.status == 2);
  CHECK(method.errors.find("GetOrder") != std::string::npos);
  const Ran service = hub.call({"orders", "Orders.Get", "{}"});
  CHECK(service.status == 1);
  CHECK(service.errors.find("there are shop.OrderService") != std::string::npos);
  CHECK(hub.call({"orders", "GetOrder", "{}"}).status == 2);
  CHECK(hub.call({"orders", "OrderService.Chat", "{}"}).status == 2);
}

}  // namespace
}  // namespace pannier::testing
