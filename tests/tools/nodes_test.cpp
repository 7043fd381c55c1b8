#include <doctest/doctest.h>

#include <pannier/platform.h>
#include "tests/tools/command_runner.h"

namespace pannier::testing {
namespace {

/// A hub, and a gateway that leads its lane `orders` on to it: two processes, CURVE, SQLite files.
struct Fleet {
  Fleet() {
    const Ran gateway = run(folder.path(), {"keygen", "gateway.key"});
    const Ran hub = run(folder.path(), {"keygen", "hub.key"});
    REQUIRE(gateway.status == 0);
    REQUIRE(hub.status == 0);
    const std::string address = "ipc://" + folder / "hub.sock";
    write_file(folder / "hub.toml", "[node]\nname = \"hub\"\nkey = \"hub.key\"\nstore = \"hub.db\"\nlisten = [\"" +
                                        address + "\"]\n[[peer]]\nname = \"gateway\"\nkey = '" + trimmed(gateway.out) +
                                        "'\n");
    write_file(folder / "gateway.toml",
               "[node]\nname = \"gateway\"\nkey = \"gateway.key\"\nstore = \"gateway.db\"\nlisten = [\"ipc://" +
                   folder / "gateway.sock" +
                   "\"]\n[[lane]]\nname = \"orders\"\nforward_to = \"hub\"\n[[link]]\nnode = \"hub\"\naddress = \"" +
                   address + "\"\nkey = '" + trimmed(hub.out) + "'\n");
  }
  /// Returns once the node is up.
  [[nodiscard]] RunningCommand start(const std::string& node) const {
    RunningCommand command{folder.path(), {"node", "--config", node + ".toml"}, node + ".log"};
    const std::string line = command.line();
    INFO(command.errors());
    REQUIRE(line.starts_with(node + " is up"));
    return command;
  }
  [[nodiscard]] Ran on(const std::string& node, const std::string& command, std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {command, "--config", node + ".toml", "--timeout", "20"});
    return run(folder.path(), arguments);
  }
  [[nodiscard]] Ran enqueue(const std::string& key, const std::string& text) const {
    return on("gateway", "enqueue", {"orders", key, "--raw", text});
  }

  TempFolder folder;
};

TEST_CASE("a node whose store lies in memory does not say that a message is synced") {
  if (!lies_in_memory("/dev/shm/x")) {  // as every Linux has it, but not every sandbox
    MESSAGE("not tried: no file system in memory at /dev/shm");
    return;
  }
  const Fleet fleet;
  const TempFolder memory("/dev/shm");
  write_file(fleet.folder / "hub.toml", "[node]\nname = \"hub\"\ninsecure_plaintext = true\nstore = \"" +
                                            memory / "hub.db" + "\"\nlisten = [\"ipc://" + fleet.folder / "hub.sock" +
                                            "\"]\n");
  RunningCommand hub = fleet.start("hub");
  const Ran receipt = fleet.on("hub", "enqueue", {"tickets", "t-1", "--raw", "x", "--durability", "fsynced"});
  CHECK(receipt.out.find("not synced: a power cut may take it") != std::string::npos);
  CHECK(hub.errors().find("hub.db lies in memory") != std::string::npos);
}

TEST_CASE("what a script enqueues at the gateway is on the hub's disk, and a script there takes it once") {
  const Fleet fleet;
  RunningCommand hub = fleet.start("hub");
  RunningCommand gateway = fleet.start("gateway");
  const Ran receipt = fleet.enqueue("order-1", "two pizzas");
  CHECK(receipt.status == 0);
  const bool in_memory = lies_in_memory(fleet.folder / "gateway.db");  // where the machine keeps its temporary files
  CHECK(receipt.out.find(in_memory ? "in the file of gateway" : "on disk at gateway (synced)") != std::string::npos);

  const Ran taken = fleet.on("hub", "consume", {"orders", "--count", "1", "--json"});
  CHECK(taken.status == 0);
  CHECK(taken.out.find(R"("key":"order-1")") != std::string::npos);
  CHECK(taken.out.find(R"("text":"two pizzas")") != std::string::npos);
  const Ran after = fleet.on("hub", "queue", {"--key", "order-1"});
  CHECK(after.status == 1);
  CHECK(after.errors.find("nothing with key 'order-1' waits at hub") != std::string::npos);
  CHECK(fleet.on("hub", "consume", {"orders", "--wait", "0.05"}).out.empty());
  CHECK(gateway.end(SIGTERM) == 0);
  CHECK(hub.end(SIGTERM) == 0);
}

TEST_CASE("a message is done when the script's command ends well, and tried again when it does not") {
  const Fleet fleet;
  RunningCommand hub = fleet.start("hub");
  const Ran receipt = fleet.on("hub", "enqueue", {"tickets", "t-1", "--raw", "print me"});
  REQUIRE(receipt.status == 0);
  const Ran taken = fleet.on("hub", "consume",
                             {"tickets", "--count", "1", "--exec",
                              "echo \"$PANNIER_LANE $PANNIER_KEY $(cat)\" >> tries; [ $(wc -l < tries) -ge 3 ]"});
  CHECK(taken.status == 0);
  CHECK(taken.errors.find("status 1; the node tries it again") != std::string::npos);
  std::ifstream tries(fleet.folder / "tries");
  const std::string all{std::istreambuf_iterator<char>(tries), {}};
  CHECK(all == "tickets t-1 print me\ntickets t-1 print me\ntickets t-1 print me\n");
}

TEST_CASE("with the hub away the gateway takes messages, says why they wait, survives kill -9, and drains") {
  const Fleet fleet;
  RunningCommand gateway = fleet.start("gateway");
  REQUIRE(fleet.enqueue("order-1", "first").status == 0);
  REQUIRE(fleet.enqueue("order-2", "second").status == 0);
  Ran waits = fleet.on("gateway", "queue", {"--key", "order-1"});
  CHECK(waits.status == 0);
  CHECK(waits.out.find("orders -> hub") != std::string::npos);
  CHECK(waits.out.find("no link to hub") != std::string::npos);

  gateway.end(SIGKILL);
  RunningCommand again = fleet.start("gateway");
  waits = fleet.on("gateway", "queue", {"--key", "order-2", "--json"});
  CHECK(waits.out.find(R"("position":1)") != std::string::npos);
  CHECK(waits.out.find("no link to hub") != std::string::npos);

  RunningCommand hub = fleet.start("hub");
  const Ran drained = fleet.on("hub", "consume", {"orders", "--count", "2"});
  CHECK(drained.status == 0);
  CHECK(drained.out == "order-1\tfirst\norder-2\tsecond\n");
}

TEST_CASE("publications cross the link to whoever subscribed, and questions get their answers") {
  const Fleet fleet;
  RunningCommand hub = fleet.start("hub");
  RunningCommand gateway = fleet.start("gateway");
  // The gateway has the hub's filters when it answers for a link that is up.
  gateway.wait_for_error("link to hub is up");
  RunningCommand listener{
      fleet.folder.path(),
      {"subscribe", "--config", "hub.toml", "fleet/#", "--count", "1", "--schema", PANNIER_TOOLS_SCHEMA},
      "listener.err"};
  listener.wait_for_error("subscribed to fleet/# at hub");
  const Ran pong =
      fleet.on("gateway", "ask", {"hub/tools", "--schema", PANNIER_TOOLS_SCHEMA, "--type", "pannier.tools.Ping", "{}"});
  INFO(pong.errors);
  CHECK(pong.status == 0);
  CHECK(pong.out == "{\"node\": \"hub\"}\n");
  const Ran published =
      fleet.on("gateway", "publish",
               {"fleet/7", "--schema", PANNIER_TOOLS_SCHEMA, "--type", "pannier.tools.Pong", "{ node: \"van 7\" }"});
  CHECK(published.status == 0);
  CHECK(listener.line() == "fleet/7\t{\"node\": \"van 7\"}");
  CHECK(listener.wait() == 0);
}

TEST_CASE("another node's key does not open the tools, and a stranger's not even the link") {
  const Fleet fleet;
  RunningCommand hub = fleet.start("hub");
  const std::string address = "ipc://" + fleet.folder / "hub.sock";
  const Ran printed = run(fleet.folder.path(), {"keygen", "stranger.key"});
  std::ifstream key_file(fleet.folder / "hub.key");
  std::string public_key;
  key_file >> public_key >> public_key >> public_key;  // public = KEY
  const auto with = [&](const std::string& key, const std::string& name, const std::string& timeout) {
    return run(fleet.folder.path(), {"queue", "--connect", address, "--node", "hub", "--server-key", public_key,
                                     "--key-file", key, "--as", name, "--timeout", timeout});
  };
  const Ran peer = with("gateway.key", "gateway", "20");
  CHECK(peer.status == 1);
  CHECK(peer.errors.find("hub does not let 'gateway' use its tools") != std::string::npos);
  const Ran disguised = with("gateway.key", "hub.cli-x", "0.5");
  CHECK(disguised.status == 1);
  CHECK(disguised.errors.find("no link to 'hub'") != std::string::npos);
  const Ran stranger = with("stranger.key", "gateway", "0.5");
  CHECK(stranger.status == 1);
  CHECK(stranger.errors.find("no link to 'hub'") != std::string::npos);
  hub.wait_for_error("a stranger was refused in the handshake");
}

TEST_CASE("the way of messages to another node is said, or that there is none") {
  const Fleet fleet;
  RunningCommand gateway = fleet.start("gateway");
  const Ran none = fleet.on("gateway", "route", {"hub"});
  CHECK(none.status == 1);
  CHECK(none.errors.find("no way leads from gateway to hub now") != std::string::npos);
  RunningCommand hub = fleet.start("hub");
  gateway.wait_for_error("link to hub is up");
  CHECK(fleet.on("gateway", "route", {}).out.find("hub  linked\n") != std::string::npos);
  const Ran known = fleet.on("gateway", "route", {"hub", "--json"});
  CHECK(known.out.find(R"("node":"hub","via":"hub","hops":1)") != std::string::npos);
}

}  // namespace
}  // namespace pannier::testing
