#include <doctest/doctest.h>

#include "tests/tools/command_runner.h"

namespace pannier::testing {
namespace {

/// A hub that reads its file again, and two vans that it may let in.
struct ReloadFolder : TempFolder {
  ReloadFolder() {
    hub_key = trimmed(run(path(), {"keygen", "hub.key"}).out);
    for (const std::string van : {"van-1", "van-2"}) {
      const std::string key = trimmed(run(path(), {"keygen", van + ".key"}).out);
      peers[van == "van-1" ? 0 : 1] = "[[peer]]\nname = \"" + van + "\"\nkey = '" + key + "'\n";
      write_file(*this / (van + ".toml"), "[node]\nname = \"" + van + "\"\nkey = \"" + van + ".key\"\nstore = \"" +
                                              van + ".db\"\n[[link]]\nnode = \"hub\"\naddress = \"ipc://" +
                                              *this / "hub.sock" + "\"\nkey = '" + hub_key + "'\n");
    }
  }
  void write_hub(const std::string& rest) const {
    write_file(*this / "hub.toml", "[node]\nname = \"hub\"\nkey = \"hub.key\"\nstore = \"hub.db\"\nlisten = [\"ipc://" +
                                       *this / "hub.sock" + "\"]\n" + rest);
  }
  [[nodiscard]] RunningCommand start(const std::string& node) const {
    RunningCommand command{path(), {"node", "--config", node + ".toml"}, node + ".log"};
    REQUIRE(command.line().starts_with(node + " is up"));
    return command;
  }
  [[nodiscard]] Ran enqueue(const std::string& key) const {
    return run(path(), {"enqueue", "--config", "hub.toml", "orders", key, "--raw", "x"});
  }

  std::string hub_key;
  std::string peers[2];
};

TEST_CASE("SIGHUP lets a new peer in and ends the link of one that is no longer named, without a restart") {
  const ReloadFolder fleet;
  fleet.write_hub(fleet.peers[0]);
  RunningCommand hub = fleet.start("hub");
  RunningCommand first = fleet.start("van-1");
  first.wait_for_error("link to hub is up");

  fleet.write_hub(fleet.peers[1]);
  hub.kill(SIGHUP);
  hub.wait_for_error("hub.toml was read again");
  first.wait_for_error("link to hub is down");
  RunningCommand second = fleet.start("van-2");
  second.wait_for_error("link to hub is up");
  CHECK(hub.end(SIGTERM) == 0);
}

TEST_CASE("SIGHUP changes a lane while messages are in it, and a file that is wrong changes nothing") {
  const ReloadFolder fleet;
  fleet.write_hub("[[lane]]\nname = \"orders\"\nmax_messages = 1\n");
  RunningCommand hub = fleet.start("hub");
  REQUIRE(fleet.enqueue("o-1").status == 0);
  CHECK(fleet.enqueue("o-2").status == 1);

  fleet.write_hub("[[lane]]\nname = \"orders\"\nmax_mesages = 2\n");
  hub.kill(SIGHUP);
  hub.wait_for_error("nothing has changed:");
  CHECK(hub.errors().find("unknown setting 'max_mesages'") != std::string::npos);
  CHECK(run(fleet.path(), {"queue", "--connect", "hub.tools"}).status == 0);

  fleet.write_hub("[[lane]]\nname = \"orders\"\nmax_messages = 2\n");
  hub.kill(SIGHUP);
  hub.wait_for_error("hub.toml was read again");
  while (fleet.enqueue("o-2").status != 0) {  // the lane changes after the line in the log
  }
  CHECK(fleet.enqueue("o-3").status == 1);
}

}  // namespace
}  // namespace pannier::testing
