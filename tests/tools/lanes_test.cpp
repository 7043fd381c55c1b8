#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <vector>

#include "tests/tools/command_runner.h"

namespace pannier::testing {
namespace {

/// One node with lanes of its own making, and the commands that a person on call has.
struct Hub {
  Hub() {
    REQUIRE(run(folder.path(), {"keygen", "hub.key"}).status == 0);
    write_file(folder / "hub.toml",
               "[node]\nname = \"hub\"\nkey = \"hub.key\"\nstore = \"hub.db\"\nlisten = [\"ipc://" +
                   folder / "hub.sock" +
                   "\"]\n"
                   "[[lane]]\nname = \"orders\"\nmax_attempts = 1\ndead_letter = \"key\"\n"
                   "[[lane]]\nname = \"positions\"\neviction = \"latest_per_key\"\n"
                   "max_messages = 10\ndurability = \"memory\"\n");
    node.emplace(folder.path(), std::vector<std::string>{"node", "--config", "hub.toml"}, "hub.log");
    REQUIRE(node->line().starts_with("hub is up"));
  }
  [[nodiscard]] Ran operator()(const std::string& command, std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {command, "--config", "hub.toml", "--timeout", "20"});
    return run(folder.path(), arguments);
  }
  /// Lets a command fail on what is in `orders` until message `id` is dead-lettered; where it is then.
  [[nodiscard]] Ran given_up(const std::string& id) const {
    while (true) {
      const Ran tried = (*this)("consume", {"orders", "--exec", "false", "--wait", "0.2"});
      REQUIRE(tried.status != 70);
      Ran where = (*this)("queue", {"--id", id});
      if (where.status != 0 || where.out.find("dead-lettered") != std::string::npos) return where;
    }
  }

  TempFolder folder;
  std::optional<RunningCommand> node;
};

TEST_CASE("a token makes an enqueue repeatable, and the second answer names the first one's number") {
  const Hub hub;
  CHECK(hub("enqueue", {"orders", "k", "--raw", "soup", "--token", "t"}).out.starts_with("#1 "));
  const Ran again = hub("enqueue", {"orders", "k", "--raw", "soup", "--token", "t"});
  CHECK(again.out == "#1 was stored before with this token; nothing was stored now\n");
  CHECK(hub("consume", {"orders", "--count", "1"}).out == "k\tsoup\n");
  CHECK(hub("consume", {"orders", "--wait", "0.1"}).out.empty());
}

TEST_CASE("a message that a lane has given up can be found by its number, tried again with its key, and removed") {
  const Hub hub;
  for (const char* text : {"bad", "next"}) REQUIRE(hub("enqueue", {"orders", "k", "--raw", text}).status == 0);
  const Ran where = hub.given_up("1");
  CHECK(where.status == 0);
  CHECK(where.out.find("#1 key 'k'") != std::string::npos);
  CHECK(where.out.find("dead-lettered: the command ended with status 1") != std::string::npos);
  CHECK(hub("redrive", {"orders", "--key", "k"}).out == "2 messages of lane orders at hub tried again\n");
  CHECK(hub("consume", {"orders", "--count", "2"}).out == "k\tbad\nk\tnext\n");

  const Ran worse = hub("enqueue", {"orders", "k", "--raw", "worse"});
  REQUIRE(worse.out.starts_with("#"));
  const std::string id = worse.out.substr(1, worse.out.find(' ') - 1);
  CHECK(hub.given_up(id).status == 0);
  CHECK(hub("purge", {"orders"}).out == "1 message of lane orders at hub removed\n");
  const Ran gone = hub("queue", {"--id", id});
  CHECK(gone.status == 1);
  CHECK(gone.errors.find("#" + id + " is not at hub") != std::string::npos);
}

TEST_CASE("what no script was given counts no attempt, however often the node is killed") {
  Hub hub;
  for (int i = 0; i < 6; ++i) REQUIRE(hub("enqueue", {"work", "k" + std::to_string(i), "--raw", "x"}).status == 0);
  for (int life = 0; life < 3; ++life) {
    REQUIRE(hub("consume", {"work", "--count", "1"}).out == "k" + std::to_string(life) + "\tx\n");
    hub.node->kill(SIGKILL);
    hub.node.emplace(hub.folder.path(), std::vector<std::string>{"node", "--config", "hub.toml"}, "hub.log");
    REQUIRE(hub.node->line().starts_with("hub is up"));
  }
  for (int i = 3; i < 6; ++i) {
    const Ran where = hub("queue", {"--key", "k" + std::to_string(i)});
    CHECK(where.status == 0);
    CHECK(where.out.find("attempts") == std::string::npos);
  }
}

TEST_CASE("a person on call sees what each peer uses and was refused") {
  const Hub hub;
  const Ran peers = hub("queue", {"--peers"});
  CHECK(peers.status == 0);
  CHECK(peers.out.find("hub.cli-*  links") != std::string::npos);  // the command itself
  CHECK(hub("queue", {"--peers", "--json"}).out.find("\"resource\":\"row_bytes\",\"used\":0,\"limit\":4194304") !=
        std::string::npos);
}

TEST_CASE("a delayed message waits, says until when, and can be cancelled") {
  const Hub hub;
  REQUIRE(hub("enqueue", {"orders", "k", "--raw", "later", "--delay", "1000", "--expires", "2000"}).status == 0);
  CHECK(hub("queue", {"--id", "1"}).out.find("due in 16 min, expires in 33 min: not due yet") != std::string::npos);
  CHECK(hub("cancel", {"1"}).out == "#1 is cancelled at hub\n");
  const Ran again = hub("cancel", {"1"});
  CHECK(again.status == 1);
  CHECK(again.errors.find("it is not here") != std::string::npos);
}

TEST_CASE("a lane that keeps the latest of each key counts what it gave up for it") {
  const Hub hub;
  for (const char* text : {"here", "there"}) {
    CHECK(hub("enqueue", {"positions", "van-1", "--raw", text}).out.find("in the memory of hub only") !=
          std::string::npos);
  }
  const Ran counted = hub("queue", {"--counters", "--json"});
  CHECK(counted.out.find(R"("lane":"positions","accepted":2,"refused":0,"duplicates":0,"evicted":1)") !=
        std::string::npos);
  CHECK(hub("consume", {"positions", "--count", "1"}).out == "van-1\tthere\n");
  CHECK(hub("consume", {"positions", "--wait", "0.1"}).out.empty());
}

}  // namespace
}  // namespace pannier::testing
