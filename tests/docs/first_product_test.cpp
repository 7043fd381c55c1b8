#include <doctest/doctest.h>

#include <algorithm>

#include "tests/tools/command_runner.h"

namespace pannier::testing {
namespace {

const std::string kProduct = PANNIER_FIRST_PRODUCT;

std::string content_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The page's files in a folder of its own, with keys and an address that is free.
struct ProductFolder : TempFolder {
  ProductFolder() {
    const std::string kitchen = trimmed(run(path(), {"keygen", "kitchen.key"}).out);
    const std::string till = trimmed(run(path(), {"keygen", "till.key"}).out);
    write_file(*this / "order.fbs", content_of(kProduct + "/order.fbs"));
    for (const std::string name : {"kitchen.toml", "till.toml"}) {
      std::string text = content_of(kProduct + "/" + name);
      put(text, "TILL_KEY", till);
      put(text, "KITCHEN_KEY", kitchen);
      put(text, "tcp://127.0.0.1:7411", "ipc://" + *this / "kitchen.sock");
      write_file(*this / name, text);
    }
  }
  static void put(std::string& text, const std::string& mark, const std::string& value) {
    if (const auto at = text.find(mark); at != std::string::npos) text.replace(at, mark.size(), value);
  }
};

TEST_CASE("two nodes with keys, a lane and a handler are 35 lines, and do what the page says") {
  std::size_t lines = 0;
  for (const char* name : {"order.fbs", "kitchen.cpp", "kitchen.toml", "till.toml"}) {
    const std::string text = content_of(kProduct + "/" + name);
    REQUIRE_FALSE(text.empty());
    for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) lines += text[at] != '\n' ? 1U : 0U;
  }
  CHECK(lines <= 35);

  const ProductFolder folder;
  RunningCommand till{folder.path(), {"node", "--config", "till.toml"}, "till.log"};
  REQUIRE(till.line().starts_with("till is up"));
  const Ran placed = run(folder.path(), {"enqueue", "--config", "till.toml", "--schema", "order.fbs", "--type",
                                         "shop.Order", "kitchen/orders", "order-1", "{ dish: \"soup\" }"});
  INFO(placed.errors);
  CHECK(placed.status == 0);
  RunningCommand kitchen{folder.path(), {"--config", "kitchen.toml"}, "kitchen.log", kProduct + "/kitchen"};
  kitchen.wait_for_error("cooking soup");
  CHECK(kitchen.end(SIGTERM) == 0);
}

TEST_CASE("the till of the page shows a receipt for each sale, and the hub has them all") {
  const TempFolder folder;
  const std::string till_key = trimmed(run(folder.path(), {"keygen", "till.key"}).out);
  const std::string hub_key = trimmed(run(folder.path(), {"keygen", "hub.key"}).out);
  const std::string address = "ipc://" + folder / "hub.sock";
  write_file(folder / "hub.toml", "[node]\nname = \"hub\"\nkey = \"hub.key\"\nstore = \"hub.db\"\nlisten = [\"" +
                                      address + "\"]\n[[peer]]\nname = \"till\"\nkey = '" + till_key + "'\n");
  write_file(folder / "till.toml",
             "[node]\nname = \"till\"\nkey = \"till.key\"\nstore = \"till.db\"\n[[link]]\nnode = "
             "\"hub\"\naddress = \"" +
                 address + "\"\nkey = '" + hub_key + "'\n");
  for (int day = 1; day <= 2; ++day) {  // the second start finds its tables
    const Ran sold = run(folder.path(), {"--config", "till.toml"}, kProduct + "/till");
    INFO(sold.errors);
    CHECK(sold.status == 0);
    CHECK(sold.out == "soup: sold\nbread: sold\nsoup: sold\n");
  }
  RunningCommand hub{folder.path(), {"--config", "hub.toml"}, "hub.log", kProduct + "/hub"};
  RunningCommand again{folder.path(), {"node", "--config", "till.toml"}, "till.log"};
  REQUIRE(again.line().starts_with("till is up"));
  Ran counted;
  do {
    counted = run(folder.path(), {"queue", "--config", "hub.toml", "--json"});
  } while (counted.out.find(R"("handled":6)") == std::string::npos);
  CHECK(hub.end(SIGTERM) == 0);
}

}  // namespace
}  // namespace pannier::testing
