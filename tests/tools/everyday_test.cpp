#include <doctest/doctest.h>

#include <filesystem>

#include "tests/tools/command_runner.h"

namespace pannier::testing {
namespace {

/// One node without links, found by its file.
struct Shop : TempFolder {
  explicit Shop(const std::string& more = "") {
    write_file(*this / "shop.toml", "[node]\nname = \"shop\"\ninsecure_plaintext = true\nstore = \"shop.db\"\n" + more);
  }
  [[nodiscard]] RunningCommand start() const {
    RunningCommand node{path(), {"node", "--config", "shop.toml"}, "shop.log"};
    REQUIRE(node.line().starts_with("shop is up"));
    return node;
  }
  [[nodiscard]] Ran on(const std::string& command, std::vector<std::string> arguments,
                       const std::string& input = "/dev/null") const {
    arguments.insert(arguments.begin(), {command, "--config", "shop.toml"});
    return run(path(), arguments, PANNIER_COMMAND, input);
  }
  [[nodiscard]] Ran lines(const std::string& text, std::vector<std::string> arguments) const {
    write_file(*this / "lines", text);
    arguments.insert(arguments.begin(), "--lines");
    return on("enqueue", arguments, *this / "lines");
  }
};

TEST_CASE("the command says its version") {
  const TempFolder folder;
  const Ran ran = run(folder.path(), {"--version"});
  CHECK(ran.status == 0);
  CHECK(ran.out.starts_with("pannier "));
}

TEST_CASE("each line of stdin is a message, and they are stored in their order") {
  const Shop shop;
  RunningCommand node = shop.start();
  std::string text;
  for (int i = 1; i <= 500; ++i) text += "k\torder " + std::to_string(i) + "\n";
  const Ran stored = shop.lines(text, {"orders"});
  INFO(stored.errors);
  CHECK(stored.out.starts_with("500 messages "));
  const Ran taken = shop.on("consume", {"orders", "--count", "500"});
  CHECK(taken.out == text);
}

TEST_CASE("a line that is wrong ends it and says how many are stored; with a token all of them may be sent again") {
  const Shop shop;
  RunningCommand node = shop.start();
  const Ran wrong = shop.lines("a\tone\nb\ttwo\nno tab\nc\tthree\n", {"orders", "--token", "today"});
  CHECK(wrong.status == 2);
  CHECK(wrong.errors.find("line 3 of stdin: it is no KEY<tab>PAYLOAD; 2 lines before that are stored") !=
        std::string::npos);
  const Ran mended = shop.lines("a\tone\nb\ttwo\nd\tand a half\nc\tthree\n", {"orders", "--token", "today", "--json"});
  CHECK(mended.out.find(R"("stored":4,"duplicates":2)") != std::string::npos);
  CHECK(shop.on("consume", {"orders", "--count", "4"}).out == "a\tone\nb\ttwo\nd\tand a half\nc\tthree\n");
}

TEST_CASE("lines beyond a lane's quota are refused by their number") {
  const Shop shop{"[[lane]]\nname = \"orders\"\nmax_messages = 3\n"};
  RunningCommand node = shop.start();
  const Ran refused = shop.lines("a\t1\na\t2\na\t3\na\t4\na\t5\n", {"orders"});
  CHECK(refused.status == 1);
  CHECK(refused.errors.find("line 4: full; 3 lines before that are stored, and 0 after it") != std::string::npos);
}

TEST_CASE("a consumer outlives its node: it waits until that is there again, and goes on") {
  const Shop shop;
  RunningCommand consumer = [&] {
    RunningCommand node = shop.start();
    RunningCommand taking{shop.path(), {"consume", "--config", "shop.toml", "orders"}, "consumer.err"};
    REQUIRE(shop.on("enqueue", {"orders", "k", "--raw", "first"}).status == 0);
    CHECK(taking.line() == "k\tfirst");
    node.end(SIGKILL);
    return taking;
  }();
  consumer.wait_for_error("waiting for the node to come back");
  RunningCommand node = shop.start();
  REQUIRE(shop.on("enqueue", {"orders", "k", "--raw", "second"}).status == 0);
  std::string next = consumer.line();
  if (next == "k\tfirst") next = consumer.line();  // killed before it had committed the acknowledgement
  CHECK(next == "k\tsecond");
}

TEST_CASE("a lane that retains its messages replays them, whole or on from where a reader has come to") {
  const Shop shop{"[[lane]]\nname = \"orders\"\nretain_messages = 10\n"};
  RunningCommand node = shop.start();
  REQUIRE(shop.lines("a\t1\nb\t2\nc\t3\n", {"orders"}).status == 0);
  REQUIRE(shop.on("consume", {"orders", "--count", "3"}).status == 0);
  const Ran all = shop.on("replay", {"orders"});
  INFO(all.errors);
  CHECK(all.out == "a\t1\nb\t2\nc\t3\n");
  CHECK(shop.on("replay", {"orders"}).out == all.out);
  CHECK(shop.on("replay", {"orders", "--reader", "audit", "--count", "2"}).out == "a\t1\nb\t2\n");
  CHECK(shop.on("replay", {"orders", "--reader", "audit"}).out == "c\t3\n");
}

TEST_CASE("a lane that retains nothing has nothing to replay, and says so") {
  const Shop shop;
  RunningCommand node = shop.start();
  REQUIRE(shop.lines("a\t1\n", {"orders"}).status == 0);
  REQUIRE(shop.on("consume", {"orders", "--count", "1"}).status == 0);
  const Ran none = shop.on("replay", {"orders"});
  CHECK(none.status == 1);
  CHECK(none.out.empty());
  CHECK(none.errors.find("lane 'orders' retains nothing") != std::string::npos);
}

TEST_CASE("a topic that was cleared has nothing for later subscribers") {
  const Shop shop;
  RunningCommand node = shop.start();
  REQUIRE(shop.on("publish", {"van/7", "--retain", "--raw", "open"}).status == 0);
  CHECK(shop.on("subscribe", {"van/#", "--count", "1", "--wait", "20"}).out == "van/7\topen\n");
  const Ran cleared = shop.on("publish", {"van/7", "--clear"});
  CHECK(cleared.status == 0);
  CHECK(shop.on("subscribe", {"van/#", "--wait", "0.2"}).out.empty());
}

TEST_CASE("a message for a node that no way leads to is stored, and the sender and the log are told") {
  const Shop shop{
      "[[link]]\nnode = \"hub\"\naddress = \"ipc://hub.sock\"\n"
      "[[lane]]\nname = \"copies\"\nforward_to = \"archive\"\n"};
  RunningCommand node = shop.start();
  node.wait_for_error("no way leads to 'archive'");
  CHECK(shop.on("enqueue", {"hub/orders", "k", "--raw", "x"}).errors.empty());
  const Ran lost = shop.on("enqueue", {"hbu/orders", "k", "--raw", "x"});
  CHECK(lost.status == 0);
  CHECK(lost.errors.find("it waits: no way leads from shop to 'hbu'") != std::string::npos);
  node.wait_for_error("no way leads to 'hbu'");
  CHECK(node.errors().find("no way leads to 'hub'") == std::string::npos);
}

TEST_CASE("a program that dials one hub reaches what is behind it, whatever commands are linked to it meanwhile") {
  const Shop shop{"[[link]]\nnode = \"hub\"\naddress = \"ipc://hub.sock\"\n"};
  write_file(shop / "hub.toml",
             "[node]\nname = \"hub\"\ninsecure_plaintext = true\nstore = \"hub.db\"\nlisten = [\"ipc://hub.sock\"]\n");
  RunningCommand node = shop.start();
  RunningCommand watcher{shop.path(), {"subscribe", "--config", "shop.toml", "#"}, "watcher.log"};
  watcher.wait_for_error("subscribed to");
  RunningCommand hub{shop.path(), {"node", "--config", "hub.toml"}, "hub.log"};
  REQUIRE(hub.line().starts_with("hub is up"));
  node.wait_for_error("link to hub is up");
  const Ran answer =
      shop.on("ask", {"hub/tools", "--schema", PANNIER_TOOLS_SCHEMA, "--type", "pannier.tools.Ping", "{}"});
  INFO(answer.errors);
  CHECK(answer.out == "{\"node\": \"hub\"}\n");
  CHECK(shop.on("route", {"depot"}).out == "depot  behind hub, if it is there at all\n");
}

TEST_CASE("a question to whom nobody answers says why") {
  const Shop shop;
  RunningCommand node = shop.start();
  const auto ask = [&](const std::string& whom) {
    return shop.on("ask", {whom, "--schema", PANNIER_TOOLS_SCHEMA, "--type", "pannier.tools.Ping", "{}"});
  };
  CHECK(ask("tools").out == "{\"node\": \"shop\"}\n");
  CHECK(ask("shop/tools").out == "{\"node\": \"shop\"}\n");
  const Ran nobody = ask("planner");
  CHECK(nobody.status == 1);
  CHECK(nobody.errors.find("no actor 'planner' runs at shop") != std::string::npos);
  const Ran nowhere = ask("hub/planner");
  CHECK(nowhere.status == 1);
  CHECK(nowhere.errors.find("no way leads from shop to hub") != std::string::npos);
}

TEST_CASE("a key behind more messages than are looked at is not denied, and its number finds it") {
  const Shop shop{"[[lane]]\nname = \"orders\"\nmax_messages = 200000\n"};
  RunningCommand node = shop.start();
  std::string text;
  for (int i = 0; i < 100'100; ++i) text += "k\tx\n";
  REQUIRE(shop.lines(text, {"orders"}).status == 0);
  const Ran stored = shop.on("enqueue", {"orders", "order-17", "--raw", "x", "--json"});
  REQUIRE(stored.status == 0);
  const Ran by_key = shop.on("queue", {"--key", "order-17"});
  CHECK(by_key.status == 1);
  CHECK(by_key.errors.find("is not among the messages that were looked at") != std::string::npos);
  CHECK(by_key.errors.find("look with --id") != std::string::npos);
  const Ran by_id = shop.on("queue", {"--id", "100101"});
  INFO(by_id.errors);
  CHECK(by_id.status == 0);
  CHECK(by_id.out.find("order-17") != std::string::npos);
  CHECK(by_id.out.find("at least 100000") != std::string::npos);
}

TEST_CASE("keys with control characters reach no terminal as they are") {
  const Shop shop;
  RunningCommand node = shop.start();
  REQUIRE(shop.on("enqueue", {"orders", "k\033[31m\n2", "--raw", "x"}).status == 0);
  const Ran listed = shop.on("queue", {"--rows", "9"});
  CHECK(listed.out.find("key 'k\\u001b[31m\\u000a2'") != std::string::npos);
  const Ran taken = shop.on("consume", {"orders", "--count", "1"});
  CHECK(taken.out == "k\\u001b[31m\\u000a2\tx\n");
}

TEST_CASE("a key behind many other messages is found, and one that is nowhere is status 1") {
  const Shop shop;
  RunningCommand node = shop.start();
  std::string text;
  for (int i = 0; i < 3000; ++i) text += "k" + std::to_string(i) + "\tx\n";
  REQUIRE(shop.lines(text + "order-17\tx\n", {"orders", "--durability", "committed"}).status == 0);
  const Ran first = shop.on("queue", {"--key", "k0"});
  CHECK(first.status == 0);
  const Ran behind = shop.on("queue", {"--key", "order-17"});
  CHECK(behind.out.find("key 'order-17' inbox orders, ") != std::string::npos);
  CHECK(behind.out.find("3000 before it") != std::string::npos);
  const Ran absent = shop.on("queue", {"--key", "order-18"});
  CHECK(absent.status == 1);
}

TEST_CASE("compact gives the room of a drained flood back, and the node starts on the file without a complaint") {
  const Shop shop;
  {
    RunningCommand node = shop.start();
    std::string text;
    for (int i = 0; i < 2000; ++i) text += "k\t" + std::string(1000, 'x') + "\n";
    REQUIRE(shop.lines(text, {"orders"}).status == 0);
    REQUIRE(shop.on("consume", {"orders", "--count", "2000"}).status == 0);
    REQUIRE(shop.on("enqueue", {"orders", "last", "--raw", "kept"}).status == 0);
    const Ran busy = shop.on("compact", {});
    CHECK(busy.status == 1);
    CHECK(busy.errors.find("is in use: stop the node first") != std::string::npos);
    REQUIRE(node.end(SIGTERM) == 0);
  }
  const auto before = std::filesystem::file_size(shop / "shop.db");
  const Ran compacted = shop.on("compact", {});
  INFO(compacted.errors);
  CHECK(compacted.status == 0);
  CHECK(compacted.errors.empty());
  const auto after = std::filesystem::file_size(shop / "shop.db");
  CHECK(before > 1'500'000);
  CHECK(after < before / 10);
  RunningCommand node = shop.start();
  CHECK(shop.on("consume", {"orders", "--count", "1"}).out == "last\tkept\n");
  CHECK(node.errors().find("warning") == std::string::npos);
  CHECK(run(shop.path(), {"compact", "--store", "none.db"}).status == 2);
}

}  // namespace
}  // namespace pannier::testing
