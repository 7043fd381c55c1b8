#include <algorithm>
#include <array>
#include <initializer_list>

#include <pannier/limits.h>
#include <pannier/run.h>
#include <pannier/zmq.h>

#include "platform/posix/local_socket.h"
#include "run/config_reader.h"
#include "runtime/message/names.h"

namespace pannier {

namespace tools {

namespace {

constexpr std::uint64_t kConfigBytes = 1024 * 1024;

/// A dotted name makes a table in a table for each dot, and the parser calls itself for each. Texts may have any
/// number.
constexpr std::size_t kDots = 256;

/// The first line with more dots than that outside of texts and comments; 0: none.
std::size_t line_too_deep(std::string_view text) {
  std::size_t line = 1;
  std::size_t dots = 0;
  char quote = 0;
  bool comment = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n') {
      ++line;
      dots = 0;
      comment = false;
      quote = 0;  // a text of several lines counts as settings, which is on the safe side
    } else if (comment) {
      continue;
    } else if (quote != 0) {
      if (c == '\\' && quote == '"') ++i;
      if (c == quote) quote = 0;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '#') {
      comment = true;
    } else if (c == '.' && ++dots > kDots) {
      return line;
    }
  }
  return 0;
}

std::string beside(const std::string& config, const std::string& path) {
  if (path.starts_with('/')) return path;
  return config.substr(0, config.rfind('/') + 1) + path;  // Nothing where there is no slash.
}

void read_name(ConfigReader& reader, std::string_view what, std::string& place, std::size_t max_bytes) {
  place = reader.text(what, true);
  if (!place.empty() && !valid_name(place, max_bytes)) {
    reader.wrong(what, "'" + place + "' is no name: 1 to 64 characters of a-z 0-9 . _ -");
  }
}

bool read_key(ConfigReader& reader, bool required, PublicKey& place) {
  const std::string text = reader.text("key", required);
  if (text.empty()) return false;
  const auto key = zmq::parse_z85(text);
  if (!key) {
    reader.wrong("key", key.error().detail);
    return false;
  }
  place = *key;
  return true;
}

void read_node(ConfigReader& reader, RunOptions& config, const std::string& path) {
  read_name(reader, "name", config.name, limits::kNodeNameBytes);
  config.insecure_plaintext = reader.flag("insecure_plaintext");
  config.key_file = reader.text("key", !config.insecure_plaintext);
  if (!config.key_file.empty()) config.key_file = beside(path, config.key_file);
  config.store = reader.text("store", true);
  if (!config.store.empty()) config.store = beside(path, config.store);
  config.store_max_bytes = reader.number("store_max_bytes", 0);
  config.queue.max_bytes = reader.number("queue_max_bytes", 0);
  config.queue.commit_delay = std::chrono::milliseconds{reader.number("commit_delay_ms", 0, 100)};
  config.listen = reader.texts("listen");
  config.tools = reader.text("tools", false);
  if (!config.tools.empty() && config.tools != "off" && !config.tools.starts_with("ipc://")) {
    reader.wrong("tools", "'" + config.tools + "' is neither ipc:///PATH nor off");
  }
  config.workers = static_cast<std::uint32_t>(reader.number("workers", 0, limits::kWorkers));
  const std::string level = reader.text("log", false);
  const std::map<std::string_view, LogLevel> levels = {{"", LogLevel::info},
                                                       {"debug", LogLevel::debug},
                                                       {"info", LogLevel::info},
                                                       {"warning", LogLevel::warning},
                                                       {"error", LogLevel::error}};
  if (const auto found = levels.find(level); found != levels.end()) {
    config.log = found->second;
  } else {
    reader.wrong("log", "'" + level + "' is no level; there are debug, info, warning and error");
  }
}

void read_backoff(ConfigReader& reader, Backoff& backoff) {
  backoff.kind = std::array{Backoff::Kind::full_jitter, Backoff::Kind::constant, Backoff::Kind::linear,
                            Backoff::Kind::exponential, Backoff::Kind::decorrelated_jitter}[reader.choice(
      "backoff", {"full_jitter", "constant", "linear", "exponential", "decorrelated_jitter"})];
  backoff.base = reader.seconds("backoff_base_s", backoff.base);
  backoff.cap = std::max(reader.seconds("backoff_cap_s", backoff.cap), backoff.base);
}

void read_lane(ConfigReader& reader, RunOptions& config) {
  LaneOptions lane;
  read_name(reader, "name", lane.name, limits::kLaneNameBytes);
  lane.forward_to = reader.text("forward_to", false);
  if (!lane.forward_to.empty() && !valid_name(lane.forward_to, limits::kNodeNameBytes)) {
    reader.wrong("forward_to", "'" + lane.forward_to + "' is no node name: a-z 0-9 . _ - only");
  }
  if (lane.forward_to == config.name) reader.wrong("forward_to", "a lane cannot lead to its own node");
  lane.priority = static_cast<std::uint32_t>(reader.number("priority", 0, 1'000'000));
  lane.max_messages = reader.number("max_messages", lane.max_messages);
  lane.max_bytes = reader.number("max_bytes", lane.max_bytes);
  lane.share_percent = static_cast<std::uint32_t>(reader.number("share_percent", lane.share_percent, 50));
  lane.eviction = Eviction{
      static_cast<std::uint8_t>(reader.choice("eviction", {"reject", "oldest", "lowest_priority", "latest_per_key"}))};
  lane.expiry = reader.seconds("expiry_s", lane.expiry);
  lane.max_attempts = static_cast<std::uint32_t>(reader.number("max_attempts", lane.max_attempts, 1'000'000));
  read_backoff(reader, lane.backoff);
  lane.durability = std::array{Durability::fsynced, Durability::committed,
                               Durability::memory}[reader.choice("durability", {"fsynced", "committed", "memory"})];
  lane.ordering = Ordering{static_cast<std::uint8_t>(reader.choice("ordering", {"per_key", "none"}))};
  lane.dead_letter = DeadLetterScope{static_cast<std::uint8_t>(reader.choice("dead_letter", {"message", "key"}))};
  lane.retention = {.messages = reader.number("retain_messages", 0),
                    .bytes = reader.number("retain_bytes", 0),
                    .age = reader.seconds("retain_s", {})};
  lane.topics = reader.texts("topics");
  if (auto sane = check(lane); !sane) reader.wrong("name", sane.error().detail);
  if (std::any_of(config.lanes.begin(), config.lanes.end(), [&](const auto& l) { return l.name == lane.name; })) {
    reader.wrong("name", "lane '" + lane.name + "' stands here twice");
  }
  config.lanes.push_back(std::move(lane));
}

void read_peer(ConfigReader& reader, RunOptions& config) {
  RunOptions::Peer peer;
  read_name(reader, "name", peer.node, limits::kNodeNameBytes);
  static_cast<void>(read_key(reader, true, peer.key));
  peer.prefix = reader.flag("prefix");
  peer.tools = reader.flag("tools");
  PeerLimits& limits = peer.limits;
  for (auto [setting, place] : {std::pair{"rate", &limits.rate},
                                {"links", &limits.links},
                                {"row_bytes", &limits.row_bytes},
                                {"tell_bytes", &limits.tell_bytes},
                                {"relay_bytes", &limits.relay_bytes},
                                {"lanes", &limits.lanes},
                                {"streams", &limits.streams},
                                {"retained_values", &limits.retained_values},
                                {"retained_bytes", &limits.retained_bytes},
                                {"filters", &limits.filters},
                                {"asks", &limits.asks}}) {
    *place = reader.number(setting, *place);
  }
  config.peers.push_back(std::move(peer));
}

void read_link(ConfigReader& reader, RunOptions& config) {
  LinkOptions link;
  read_name(reader, "node", link.node, limits::kNodeNameBytes);
  link.address = reader.text("address", true);
  if (PublicKey key{}; read_key(reader, !config.insecure_plaintext, key)) link.key = key;
  config.links.push_back(std::move(link));
}

void read_all(ConfigReader& root, RunOptions& config, const std::string& path) {
  root.table("node", [&](ConfigReader& reader) {
    read_node(reader, config, path);
    reader.nothing_else();
  });
  config.app = root.values("app");
  const auto each = [&](std::string_view name, void (*read)(ConfigReader&, RunOptions&)) {
    root.tables(name, [&](ConfigReader& reader) {
      read(reader, config);
      reader.nothing_else();
    });
  };
  each("lane", &read_lane);
  each("peer", &read_peer);
  each("link", &read_link);
  root.nothing_else();
}

}  // namespace

}  // namespace tools

Result<RunOptions> load_options(const std::string& path) {
  using namespace tools;
  const auto text = read_file(path, kConfigBytes);
  if (!text) return text.error();
  if (const std::size_t line = line_too_deep(*text); line != 0) {
    return Error{ErrorCode::malformed, path + ":" + std::to_string(line) + ": more than " + std::to_string(kDots) +
                                           " dots in one line: no setting lies so deep"};
  }
  RunOptions config;
  try {
    const toml::table root = toml::parse(*text, path);
    Problem problem{path, {}};
    ConfigReader reader{root, "the file", problem};
    read_all(reader, config, path);
    if (problem.first) return *problem.first;
  } catch (const toml::parse_error& error) {
    return Error{ErrorCode::malformed, path + ":" + std::to_string(error.source().begin.line) +
                                           ": this is no TOML: " + std::string{error.description()}};
  }
  return config;
}

std::string tools_address(const RunOptions& options) {
  if (options.tools == "off") return {};
  if (!options.tools.empty()) return options.tools;
  std::string folder = posix::own_folder() + "/";
  if (!options.store.empty()) folder = options.store.substr(0, options.store.rfind('/') + 1);
  return "ipc://" + folder + options.name + ".tools";
}

}  // namespace pannier
