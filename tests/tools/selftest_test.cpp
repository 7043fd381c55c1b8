#include <doctest/doctest.h>

#include <algorithm>

#include "tests/tools/command_runner.h"

namespace pannier::testing {
namespace {

/// A hub, and a gateway whose configuration leads to it. The hub's address is a port that it chose.
struct HubAndGateway : TempFolder {
  HubAndGateway() {
    gateway_key = trimmed(run(path(), {"keygen", "gateway.key"}).out);
    hub_key = trimmed(run(path(), {"keygen", "hub.key"}).out);
    write_hub("[[peer]]\nname = \"gateway\"\nkey = '" + gateway_key + "'\n");
  }
  void write_hub(const std::string& peers) const {
    write_file(
        *this / "hub.toml",
        "[node]\nname = \"hub\"\nkey = \"hub.key\"\nstore = \"hub.db\"\nlisten = [\"tcp://127.0.0.1:*\"]\n" + peers);
  }
  /// Starts the hub; the gateway's configuration leads to it, under the name `hub_name`.
  [[nodiscard]] RunningCommand start(const std::string& hub_name = "hub") const {
    RunningCommand hub{path(), {"node", "--config", "hub.toml", "--json"}, "hub.log"};
    const std::string line = hub.line();
    const std::size_t at = line.find("tcp://");
    REQUIRE(at != std::string::npos);
    write_gateway(hub_name, line.substr(at, line.find('"', at) - at));
    return hub;
  }
  void write_gateway(const std::string& hub_name, const std::string& address) const {
    write_file(*this / "gateway.toml",
               "[node]\nname = \"gateway\"\nkey = \"gateway.key\"\nstore = \"gateway.db\"\n[[link]]\nnode = \"" +
                   hub_name + "\"\naddress = \"" + address + "\"\nkey = '" + hub_key + "'\n");
  }
  /// The line of one check.
  [[nodiscard]] std::string line_of(const std::string& check) const {
    const Ran ran = run(path(), {"selftest", "--config", "gateway.toml", "--timeout", "3"});
    CHECK(ran.errors.empty());
    const std::size_t at = ran.out.find("  " + check + "  ");
    REQUIRE(at != std::string::npos);
    const std::size_t start = ran.out.rfind('\n', at) + 1;
    return ran.out.substr(start, ran.out.find('\n', at) - start);
  }

  std::string gateway_key;
  std::string hub_key;
};

TEST_CASE("the self-test says a line for each check, and the last line and the status say whether all is well") {
  const HubAndGateway fleet;
  RunningCommand hub = fleet.start();
  const Ran ran = run(fleet.path(), {"selftest", "--config", "gateway.toml"});
  INFO(ran.out);
  for (const char* check : {"file system", "sync", "descriptors", "memory", "link", "clock"}) {
    INFO(check);
    CHECK(ran.out.find("  " + std::string{check} + "  ") != std::string::npos);
  }
  CHECK(std::count(ran.out.begin(), ran.out.end(), '\n') == 8);
  const std::string last = ran.out.substr(ran.out.rfind('\n', ran.out.size() - 2) + 1);
  // The disk of the machine that tests this is not known: it may be in memory.
  CHECK(last.starts_with(ran.status == 0 ? "ready" : "not ready"));
  CHECK((ran.status == 0 || ran.status == 1));
}

TEST_CASE("for programs each check is a JSON object with its figures") {
  const HubAndGateway fleet;
  const Ran ran = run(fleet.path(), {"selftest", "--store", ".", "--json"});
  CHECK(ran.out.find(R"("check":"sync")") != std::string::npos);
  CHECK(ran.out.find(R"("syncs_per_s":)") != std::string::npos);
  CHECK(ran.out.find(ran.status == 0 ? R"({"ready":true)" : R"({"ready":false)") != std::string::npos);
}

TEST_CASE("the link is dialled with the node's own key, and its round trip measured") {
  const HubAndGateway fleet;
  RunningCommand hub = fleet.start();
  const std::string line = fleet.line_of("link");
  CHECK(line.starts_with("ok "));
  CHECK(line.find("round trip ") != std::string::npos);
  CHECK(line.find("encrypted link in ") != std::string::npos);
}

TEST_CASE("the self-test leaves the link of a node that runs alone") {
  const HubAndGateway fleet;
  RunningCommand hub = fleet.start();
  RunningCommand gateway{fleet.path(), {"node", "--config", "gateway.toml"}, "gateway.log"};
  gateway.wait_for_error("link to hub is up");
  CHECK(fleet.line_of("link").starts_with("ok "));
  CHECK(gateway.end(SIGTERM) == 0);
  CHECK(gateway.errors().find("link to hub is down") == std::string::npos);
}

TEST_CASE("a link that cannot come up fails with its reason: nobody there, a key that is not known, another name") {
  const HubAndGateway fleet;
  {
    RunningCommand hub = fleet.start("depot");
    CHECK(fleet.line_of("link").find("calls itself 'hub'") != std::string::npos);
  }
  fleet.write_hub("");
  {
    RunningCommand hub = fleet.start();
    const std::string line = fleet.line_of("link");
    CHECK(line.starts_with("failed "));
    CHECK(line.find("does not allow our key") != std::string::npos);
  }
  const std::string line = fleet.line_of("link");
  CHECK(line.starts_with("failed "));
  CHECK(line.find("Cannot connect") != std::string::npos);
}

TEST_CASE("a key file that is there already is kept when the caller says so, and its public half printed") {
  const HubAndGateway fleet;
  const Ran kept = run(fleet.path(), {"keygen", "--keep", "hub.key"});
  CHECK(kept.status == 0);
  CHECK(trimmed(kept.out) == fleet.hub_key);
  const Ran made = run(fleet.path(), {"keygen", "--keep", "new.key"});
  CHECK(made.status == 0);
  CHECK(trimmed(run(fleet.path(), {"keygen", "--keep", "new.key"}).out) == trimmed(made.out));
}

}  // namespace
}  // namespace pannier::testing
