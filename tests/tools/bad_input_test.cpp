#include <doctest/doctest.h>

#include <algorithm>

#include "tests/tools/command_runner.h"

namespace pannier::testing {
namespace {

/// Exit status 2, nothing on stdout, and one line on stderr that holds each of `texts`.
void check_refused(const Ran& ran, const std::vector<std::string>& texts) {
  INFO(ran.errors);
  CHECK(ran.status == 2);
  CHECK(ran.out.empty());
  CHECK(ran.errors.starts_with("pannier: "));
  CHECK(std::count(ran.errors.begin(), ran.errors.end(), '\n') == 1);
  for (const std::string& text : texts) {
    INFO(text);
    CHECK(ran.errors.find(text) != std::string::npos);
  }
}

struct Folder : TempFolder {
  Folder() {
    REQUIRE(run(path(), {"keygen", "a.key"}).status == 0);
    write("a");
  }
  void write(const std::string& name) const {
    write_file(*this / (name + ".toml"), "[node]\nname = \"" + name + "\"\nkey = \"a.key\"\nstore = \"" + name +
                                             ".db\"\nlisten = [\"ipc://" + *this / "a.sock" + "\"]\n");
  }
  [[nodiscard]] Ran node(const std::string& name = "a") const {
    return run(path(), {"node", "--config", name + ".toml"});
  }
};

TEST_CASE("a configuration that is not there is named") {
  const Folder folder;
  check_refused(folder.node("missing"), {"missing.toml", "No such file"});
}

TEST_CASE("broken TOML, a misspelt setting and a wrong value are named with their line") {
  const Folder folder;
  write_file(folder / "a.toml", "[node]\nname = \"a\"\nkey = \"a.key\nstore = 3\n");
  check_refused(folder.node(), {"a.toml:3:"});
  write_file(folder / "a.toml", "[node]\nname = \"a\"\nkey = \"a.key\"\nstore = \"a.db\"\nlissen = []\n");
  check_refused(folder.node(), {"a.toml:5:", "lissen", "listen"});
  write_file(folder / "a.toml", "[node]\nname = \"Not A Name\"\nkey = \"a.key\"\nstore = \"a.db\"\n");
  check_refused(folder.node(), {"a.toml:2:", "Not A Name"});
}

TEST_CASE("a key file that others may read is refused with the chmod that mends it") {
  const Folder folder;
  std::filesystem::permissions(folder / "a.key", std::filesystem::perms{0644});
  check_refused(folder.node(), {"a.key", "chmod 600"});
}

TEST_CASE("a key is never overwritten") {
  const Folder folder;
  check_refused(run(folder.path(), {"keygen", "a.key"}), {"a.key", "exists already"});
}

TEST_CASE("an address that is in use, and a database that is in use, are named") {
  const Folder folder;
  RunningCommand first{folder.path(), {"node", "--config", "a.toml"}, "first.log"};
  REQUIRE(first.line().starts_with("a is up"));
  folder.write("b");
  check_refused(folder.node("b"), {"a.sock", "already"});
  check_refused(folder.node("a"), {"a.db", "locked"});
  CHECK(first.end(SIGTERM) == 0);
}

TEST_CASE("a damaged database is salvaged, which is told, and the node starts") {
  const Folder folder;
  {
    RunningCommand first{folder.path(), {"node", "--config", "a.toml"}, "first.log"};
    REQUIRE(first.line().starts_with("a is up"));
    REQUIRE(first.end(SIGTERM) == 0);
  }
  {
    std::fstream file(folder / "a.db", std::ios::in | std::ios::out | std::ios::binary);
    file << "this is no database at all";
  }
  RunningCommand again{folder.path(), {"node", "--config", "a.toml"}, "again.log"};
  CHECK(again.line().starts_with("a is up"));
  again.wait_for_error("a.db-damaged1");
  CHECK(again.end(SIGTERM) == 0);
}

TEST_CASE("unknown options and commands, and payloads that cannot be, say what to do") {
  const Folder folder;
  check_refused(run(folder.path(), {"node", "--confg", "a.toml"}), {"--help"});
  check_refused(run(folder.path(), {"nod"}), {"--help"});
  check_refused(run(folder.path(), {}), {"--help"});
  check_refused(run(folder.path(), {"queue"}), {"--config"});
  check_refused(run(folder.path(), {"selftest"}), {"--config", "--store"});
  check_refused(run(folder.path(), {"selftest", "--config", "a.toml", "--store", "."}), {"not both"});
  check_refused(run(folder.path(), {"selftest", "--config", "none.toml"}), {"none.toml", "No such file"});
  check_refused(run(folder.path(), {"enqueue", "--config", "a.toml", "lane", "key"}), {"--raw"});
  check_refused(run(folder.path(), {"enqueue", "--config", "a.toml", "lane", "key", "--schema", "none.fbs"}),
                {"none.fbs"});
  check_refused(run(folder.path(), {"enqueue", "--config", "a.toml", "lane", "key", "--schema", PANNIER_TOOLS_SCHEMA,
                                    "--type", "pannier.tools.Pong", "{\"nod\": 1}"}),
                {"nod"});
}

TEST_CASE("a node that does not run is not reachable: exit status 1, with the reason") {
  const Folder folder;
  const Ran ran = run(folder.path(), {"queue", "--config", "a.toml", "--timeout", "0.2"});
  CHECK(ran.status == 1);
  CHECK(ran.errors.find("'a' does not run here: there is no") != std::string::npos);
  CHECK(std::count(ran.errors.begin(), ran.errors.end(), '\n') == 1);
}

TEST_CASE("every command's help shows an example") {
  const Folder folder;
  for (const std::string command :
       {"node", "keygen", "selftest", "publish", "subscribe", "ask", "enqueue", "consume", "queue"}) {
    INFO(command);
    const Ran ran = run(folder.path(), {command, "--help"});
    CHECK(ran.status == 0);
    CHECK(ran.out.find("Example:\n  pannier " + command) != std::string::npos);
  }
}

}  // namespace
}  // namespace pannier::testing
