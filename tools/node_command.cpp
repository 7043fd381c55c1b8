#include <algorithm>

#include <pannier/node.h>
#include <pannier/platform.h>
#include <pannier/process.h>
#include <pannier/sqlite_store.h>
#include <pannier/zmq.h>
#include "platform/concat.h"
#include "tools/client_target.h"
#include "tools/commands.h"
#include "tools/config.h"
#include "tools/tool_service.h"

namespace pannier::tools {

namespace {

Result<StorePtr> open_store(const NodeConfig& config, const Platform& platform) {
  SqliteOptions options{.path = config.store, .entropy = platform.entropy};
  options.max_bytes = config.store_max_bytes;
  if (lies_in_memory(config.store)) {
    options.strongest = pannier::Durability::committed;
    platform.log.write(LogLevel::warning,
                       concat({config.store, " lies in memory: a power cut takes what is in it; receipts say so"}));
  }
  return open_sqlite_store(options);
}

NodeOptions node_options(const NodeConfig& config, const zmq::KeyPair& keys) {
  NodeOptions options;
  options.name = config.name;
  options.links = config.links;
  options.listen = config.listen;
  options.lanes = config.lanes;
  options.queue = config.queue;
  for (const NodeConfig::Peer& peer : config.peers) options.peers.push_back(peer.who);
  if (config.insecure_plaintext) return options;
  options.peers.push_back({client_prefix(config.name), keys.public_key, true});
  // The far end of a link that we dial proves its key as well.
  for (const LinkOptions& link : config.links) options.peers.push_back({link.node, *link.key, false});
  return options;
}

ServiceOptions service_options(const NodeConfig& config) {
  ServiceOptions options;
  options.callers.push_back({client_prefix(config.name), true});
  for (const NodeConfig::Peer& peer : config.peers) {
    if (peer.tools) options.callers.push_back({peer.who.node, peer.who.prefix});
  }
  for (const LaneOptions& lane : config.lanes) {
    if (!lane.forward_to.empty()) options.forwarded[lane.name] = lane.forward_to;
  }
  return options;
}

std::string to_json(const Node& node, const std::string& public_key) {
  std::string addresses;
  for (const std::string& each : node.listening()) addresses += (addresses.empty() ? "" : ",") + json_text(each);
  JsonObject object;
  object.text("node", node.name()).text("public_key", public_key).raw("listening", "[" + addresses + "]");
  return object.str();
}

std::string to_line(const Node& node, const std::string& public_key) {
  std::string addresses;
  for (const std::string& each : node.listening()) addresses += (addresses.empty() ? ", listens at " : " ") + each;
  return node.name() + " is up" + addresses +
         (public_key.empty() ? ", without encryption" : ", public key " + public_key);
}

}  // namespace

int run_node(const RunNodeOptions& options) {
  const auto config = load_config(options.config);
  if (!config) return fail(kExitUsage, config.error());
  zmq::KeyPair keys;
  if (!config->insecure_plaintext) {
    auto loaded = zmq::load_key_pair(config->key_file);
    if (!loaded) return fail(kExitUsage, loaded.error());
    keys = *loaded;
  }

  posix::Process process{config->log, config->workers};
  zmq::Context context;
  zmq::ZmqOptions transport_options;
  transport_options.own_key = keys;
  transport_options.insecure_plaintext = config->insecure_plaintext;
  transport_options.allowed_keys.push_back(keys.public_key);
  for (const NodeConfig::Peer& peer : config->peers) transport_options.allowed_keys.push_back(peer.who.key);
  auto transport = zmq::ZmqTransport::make(context, std::move(transport_options));
  if (!transport) return fail(kExitUsage, transport.error());
  auto store = open_store(*config, process.platform());
  if (!store) return fail_with(store.error());
  auto node = Node::create(node_options(*config, keys), {process.platform(), process.wakeups(&(*transport)->wakeup()),
                                                         transport->get(), store->get()});
  if (!node) return fail_with(node.error());
  SpawnOptions spawn;
  spawn.name = kServiceName;
  if (auto tools = (*node)->spawn<ToolService>(spawn, service_options(*config)); !tools) {
    return fail(kExitUsage, tools.error());
  }
  const std::string public_key = config->insecure_plaintext ? "" : zmq::to_z85(keys.public_key);
  const std::string line = to_line(**node, public_key);
  print(options.json ? to_json(**node, public_key) : line);
  process.set_status(line);
  const int status = process.run(**node);
  if (status != 0) return fail(status, config->name + ": its top supervisor gave up; see the log above");
  return 0;
}

}  // namespace pannier::tools
