#include <doctest/doctest.h>

#include <fstream>

#include <pannier/run.h>

#include "tests/support/temp_folder.h"

namespace pannier::tools {
namespace {

struct Written {
  explicit Written(const std::string& content) { std::ofstream(folder / "n.toml") << content; }
  [[nodiscard]] Result<RunOptions> load() const { return load_options(folder / "n.toml"); }
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
  CHECK(Written{"[node]\nname = \"n\"\nstore = \"n.db\"\n"}.load().error().detail.ends_with(
      "n.toml:1: key is missing in [node]"));
  const std::string link = "[[link]]\nnode = \"hub\"\naddress = \"tcp://hub:7400\"\n";
  CHECK_FALSE(Written{"[node]\nname = \"n\"\nkey = \"k\"\nstore = \"n.db\"\n" + link}.load());
  const auto open = Written{"[node]\nname = \"n\"\ninsecure_plaintext = true\nstore = \"n.db\"\n" + link}.load();
  REQUIRE(open);
  CHECK(open->insecure_plaintext);
}

TEST_CASE("a lane is declared with everything that it can be, and what cannot be is an error with its line") {
  const std::string node = "[node]\nname = \"n\"\ninsecure_plaintext = true\nstore = \"n.db\"\n";
  const auto good =
      Written{node +
              "queue_max_bytes = 1000000\ncommit_delay_ms = 5\n"
              "[[lane]]\nname = \"a\"\npriority = 2\nshare_percent = 10\neviction = \"oldest\"\nexpiry_s = 1.5\n"
              "max_attempts = 7\nbackoff = \"linear\"\nbackoff_base_s = 1\nbackoff_cap_s = 9\n"
              "durability = \"committed\"\nordering = \"none\"\ndead_letter = \"key\"\nretain_messages = 100\nretain_s "
              "= 60\ntopics = [\"order/+/status\", \"refund/#\"]\n"}
          .load();
  REQUIRE(good);
  CHECK(good->queue.max_bytes == 1'000'000);
  CHECK(good->queue.commit_delay == std::chrono::milliseconds{5});
  const LaneOptions& lane = good->lanes.front();
  CHECK(lane.priority == 2);
  CHECK(lane.share_percent == 10);
  CHECK(lane.eviction == Eviction::oldest);
  CHECK(lane.expiry == std::chrono::milliseconds{1500});
  CHECK(lane.max_attempts == 7);
  CHECK(lane.backoff == Backoff{Backoff::Kind::linear, std::chrono::seconds{1}, std::chrono::seconds{9}});
  CHECK(lane.durability == Durability::committed);
  CHECK(lane.ordering == Ordering::none);
  CHECK(lane.dead_letter == DeadLetterScope::key);
  CHECK(lane.retention == RetentionOptions{.messages = 100, .bytes = 0, .age = std::chrono::minutes{1}});
  CHECK(lane.topics == std::vector<std::string>{"order/+/status", "refund/#"});

  const auto wrong = [&](const std::string& text) {
    return Written{node + "[[lane]]\nname = \"a\"\n" + text}.load().error().detail;
  };
  CHECK(wrong("eviction = \"newest\"\n")
            .ends_with("n.toml:7: eviction: 'newest' is none of reject, oldest, lowest_priority, latest_per_key"));
  CHECK(wrong("expiry_s = -1\n").ends_with("n.toml:7: expiry_s: must be seconds, from 0 to 1,000,000,000"));
  CHECK(wrong("topics = [\"order/#/status\"]\n").find("'order/#/status' is no topic filter: '#' comes last.") !=
        std::string::npos);
  CHECK(wrong("topics = \"order/#\"\n").ends_with("n.toml:7: topics: must be a list of texts: [\"...\"]"));
  CHECK(wrong("eviction = \"latest_per_key\"\n").find("set max_messages to at most 65536") != std::string::npos);
}

TEST_CASE("the example configurations of the gateway and its hub are good") {
  const auto gateway = load_options(std::string{PANNIER_EXAMPLES} + "/gateway/gateway.toml");
  if (!gateway) FAIL(gateway.error().detail);
  REQUIRE(gateway->lanes.size() >= 1);
  CHECK(gateway->lanes.front().forward_to == "hub");
  const auto hub = load_options(std::string{PANNIER_EXAMPLES} + "/gateway/hub.toml");
  if (!hub) FAIL(hub.error().detail);
  CHECK(hub->peers.size() == 1);
}

TEST_CASE("a peer has the usual limits, but for those that its table sets") {
  const std::string key(40, '0');
  const auto config =
      Written{"[node]\nname = \"n\"\nkey = \"k\"\nstore = \"n.db\"\n[[peer]]\nname = \"van\"\nkey = \"" + key +
              "\"\nrate = 50\nlanes = 3\n"}
          .load();
  REQUIRE(config);
  CHECK(config->peers.at(0).limits.rate == 50);
  CHECK(config->peers.at(0).limits.lanes == 3);
  CHECK(config->peers.at(0).limits.asks == PeerLimits{}.asks);
}

TEST_CASE("names with any number of dots end in an error with their line, and texts may have as many") {
  std::string name;
  for (int i = 0; i < 20'000; ++i) name += "a.";
  const std::string node = "[node]\nname = \"n\"\nkey = \"k\"\nstore = \"n.db\"\n";
  for (const std::string& line : {name + "a = 1", "[" + name + "a]", "[app]\nx = {" + name + "a = 1}"}) {
    const auto config = Written{node + line + "\n"}.load();
    REQUIRE_FALSE(config);
    CHECK(config.error().detail.find("dots in one line") != std::string::npos);
  }
  const auto text = Written{node + "[app]\nx = \"" + name + "\"  # " + name + "\n"}.load();
  REQUIRE(text);
  CHECK(text->app.at("x") == name);
}

TEST_CASE("a file that is no TOML is refused with its line, in builds with assertions too") {
  for (const char* wrong : {"[=]", "[[=]]", "[node\n", "[.node]", "[node.]", "a.=1", "name =", "= 1", "[ [node] ]"}) {
    CAPTURE(wrong);
    const auto config = Written{std::string{"# first\n"} + wrong + "\n"}.load();
    REQUIRE_FALSE(config);
    CHECK(config.error().code == ErrorCode::malformed);
    CHECK(config.error().detail.find("n.toml:") != std::string::npos);
  }
}

}  // namespace
}  // namespace pannier::tools
