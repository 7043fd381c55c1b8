#include "tools/config.h"

#include <doctest/doctest.h>

#include <fstream>

#include "tests/support/temp_folder.h"

namespace pannier::tools {
namespace {

struct Written {
  explicit Written(const std::string& content) { std::ofstream(folder / "n.toml") << content; }
  [[nodiscard]] Result<NodeConfig> load() const { return load_config(folder / "n.toml"); }
  testing::TempFolder folder;
};

TEST_CASE("paths in a configuration are taken from its own folder") {
  const Written file{"[node]\nname = \"n\"\nkey = \"n.key\"\nstore = \"/var/n.db\"\n"};
  const auto config = file.load();
  REQUIRE(config);
  CHECK(config->key_file == file.folder / "n.key");
  CHECK(config->store == "/var/n.db");
}

TEST_CASE("plaintext is an explicit choice: without it a key and the keys of links are required") {
  CHECK(Written{"[node]\nname = \"n\"\nstore = \"memory\"\n"}.load().error().detail.ends_with(
      "n.toml:1: key is missing in [node]"));
  const std::string link = "[[link]]\nnode = \"hub\"\naddress = \"tcp://hub:7400\"\n";
  CHECK_FALSE(Written{"[node]\nname = \"n\"\nkey = \"k\"\nstore = \"memory\"\n" + link}.load());
  const auto open = Written{"[node]\nname = \"n\"\ninsecure_plaintext = true\nstore = \"memory\"\n" + link}.load();
  REQUIRE(open);
  CHECK(open->insecure_plaintext);
  CHECK(open->store.empty());
}

TEST_CASE("the example configurations of the gateway and its hub are good") {
  const auto gateway = load_config(std::string{PANNIER_EXAMPLES} + "/gateway/gateway.toml");
  if (!gateway) FAIL(gateway.error().detail);
  REQUIRE(gateway->lanes.size() >= 1);
  CHECK(gateway->lanes.front().forward_to == "hub");
  const auto hub = load_config(std::string{PANNIER_EXAMPLES} + "/gateway/hub.toml");
  if (!hub) FAIL(hub.error().detail);
  CHECK(hub->peers.size() == 1);
}

}  // namespace
}  // namespace pannier::tools
