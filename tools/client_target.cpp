#include "tools/client_target.h"

#include <array>
#include <cstdio>

#include "runtime/actor/directory.h"
#include "tools/config.h"

namespace pannier::tools {

namespace {

Error usage(std::string text) { return {ErrorCode::invalid_argument, std::move(text)}; }

/// The address to dial, from one to listen at: every interface is reached through this machine's own.
std::string to_dial(std::string address) {
  for (const std::string_view everywhere : {"tcp://*:", "tcp://0.0.0.0:"}) {
    if (address.starts_with(everywhere)) return "tcp://127.0.0.1:" + address.substr(everywhere.size());
  }
  if (address.starts_with("tcp://[::]:")) return "tcp://[::1]:" + address.substr(11);
  return address;
}

Result<ResolvedTarget> from_config(const Target& target) {
  const auto config = load_config(target.config);
  if (!config) return config.error();
  if (config->listen.empty()) {
    return usage(target.config +
                 ": the node listens nowhere, so no command can reach it; add listen = [\"ipc:///...\"]");
  }
  ResolvedTarget resolved;
  resolved.plaintext = config->insecure_plaintext;
  resolved.link = {config->name, to_dial(config->listen.front()), {}};
  if (resolved.link.address.ends_with(":0") || resolved.link.address.ends_with(":*")) {
    return usage(target.config + ": the port of " + config->listen.front() +
                 " is chosen at the start; use --connect with the address that the node printed");
  }
  if (!config->insecure_plaintext) {
    auto keys = zmq::load_key_pair(config->key_file);
    if (!keys) return keys.error();
    resolved.keys = *keys;
    resolved.link.key = keys->public_key;
  }
  return resolved;
}

Result<ResolvedTarget> from_options(const Target& target) {
  if (target.connect.empty()) return usage("which node? Give --config FILE.toml, or --connect ADDRESS --node NAME ...");
  if (target.node.empty()) return usage("--connect needs --node NAME, the name of the node that listens there");
  ResolvedTarget resolved;
  resolved.plaintext = target.plaintext;
  resolved.link = {target.node, target.connect, {}};
  if (target.plaintext) return resolved;
  if (target.server_key.empty() || target.key.empty()) {
    return usage("--connect needs --server-key KEY and --key-file FILE (or --plaintext for a node without encryption)");
  }
  const auto server = zmq::parse_z85(target.server_key);
  if (!server) return usage("--server-key: " + server.error().detail);
  auto keys = zmq::load_key_pair(target.key);
  if (!keys) return keys.error();
  resolved.keys = *keys;
  resolved.link.key = *server;
  return resolved;
}

}  // namespace

std::string client_prefix(const std::string& node) { return node + ".cli-"; }

Result<ResolvedTarget> resolve(const Target& target, Entropy& entropy) {
  if (!target.config.empty() && !target.connect.empty()) return usage("give --config or --connect, not both");
  auto resolved = target.config.empty() ? from_options(target) : from_config(target);
  if (!resolved) return resolved;
  std::array<char, 17> random{};
  std::snprintf(random.data(), random.size(), "%012llx", static_cast<unsigned long long>(entropy.next_u64() >> 16));
  resolved->own_name = target.as.empty() ? client_prefix(resolved->link.node) + random.data() : target.as;
  if (!valid_name(resolved->own_name, limits::kNodeNameBytes)) {
    return usage("'" + resolved->own_name + "' is no node name: 1 to 64 characters of a-z 0-9 . _ -");
  }
  return resolved;
}

}  // namespace pannier::tools
