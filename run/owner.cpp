#include "run/owner.h"

#include <algorithm>
#include <functional>
#include <string_view>

#include <pannier/sqlite_store.h>

#include "platform/posix/local_socket.h"
#include "run/tool_service.h"

namespace pannier::tools {

namespace {

constexpr std::string_view kIpc = "ipc://";
/// sockaddr_un has 108 bytes, with a zero at the end.
constexpr std::size_t kSocketPathBytes = 107;

bool has_links(const RunOptions& options) { return !options.listen.empty() || !options.links.empty(); }

/// Whether a link leads to a node, or may come from it, as the configuration has it. Null: anybody may come in.
std::function<bool(std::string_view)> ways_of(const RunOptions& options) {
  if (!options.listen.empty() && (options.insecure_plaintext || options.key_file.empty())) return nullptr;
  return [links = options.links, peers = options.peers](std::string_view node) {
    return std::any_of(links.begin(), links.end(), [&](const LinkOptions& link) { return link.node == node; }) ||
           std::any_of(peers.begin(), peers.end(), [&](const RunOptions::Peer& peer) {
             return peer.prefix ? node.starts_with(peer.node) : node == peer.node;
           });
  };
}

ServiceOptions service_options(const RunOptions& options) {
  ServiceOptions service;
  service.node = options.name;
  service.leads_to = ways_of(options);
  service.callers.push_back({client_prefix(options.name), true});
  for (const RunOptions::Peer& peer : options.peers) {
    if (peer.tools) service.callers.push_back({peer.node, peer.prefix});
  }
  for (const LaneOptions& lane : options.lanes) {
    if (!lane.forward_to.empty()) service.forwarded[lane.name] = lane.forward_to;
  }
  return service;
}

}  // namespace

std::string client_prefix(const std::string& node) { return node + ".cli-"; }

Result<void> check_options(const RunOptions& options) {
  const auto wrong = [](std::string text) { return Error{ErrorCode::invalid_argument, std::move(text)}; };
  if (options.name.empty()) return wrong("the node has no name: say --config FILE, or RunOptions::name");
  if (has_links(options) && options.key_file.empty() && !options.insecure_plaintext) {
    return wrong(
        "a node with links needs a key: make one with `pannier keygen FILE` and name the file (key), or say "
        "insecure_plaintext");
  }
  if (!options.tools.empty() && options.tools != "off" && !options.tools.starts_with(kIpc)) {
    return wrong("tools: '" + options.tools + "' is neither ipc:///PATH nor off");
  }
  return {};
}

Result<std::unique_ptr<Owner>> Owner::make(RunOptions options, std::string file) {
  if (auto good = check_options(options); !good) return good.error();
  std::unique_ptr<Owner> owner{new Owner{std::move(options), std::move(file)}};
  for (auto step : {&Owner::open_transport, &Owner::open_store, &Owner::listen_for_tools, &Owner::make_node}) {
    if (auto done = (*owner.*step)(); !done) return done.error();
  }
  return owner;
}

Result<void> Owner::open_transport() {
  const bool encrypted = !options_.key_file.empty() && !options_.insecure_plaintext;
  if (encrypted) {
    auto loaded = zmq::load_key_pair(options_.key_file);
    if (!loaded) return loaded.error();
    keys_ = *loaded;
  }
  if (!has_links(options_) && tools_address(options_).empty()) return {};
  context_ = std::make_unique<zmq::Context>();
  zmq::ZmqOptions transport;
  transport.own_key = keys_;
  transport.insecure_plaintext = !encrypted;
  transport.own_users_address = tools_address(options_);
  transport.allowed_keys.push_back(keys_.public_key);
  for (const RunOptions::Peer& peer : options_.peers) transport.allowed_keys.push_back(peer.key);
  auto made = zmq::ZmqTransport::make(*context_, std::move(transport));
  if (!made) return made.error();
  transport_ = std::move(*made);
  return {};
}

Result<void> Owner::open_store() {
  if (options_.store.empty()) return {};
  const Platform platform = process_.platform();
  SqliteOptions file{.path = options_.store, .entropy = platform.entropy};
  file.max_bytes = options_.store_max_bytes;
  if (lies_in_memory(options_.store)) {
    file.strongest = pannier::Durability::committed;
    platform.log.write(LogLevel::warning,
                       options_.store + " lies in memory: a power cut takes what is in it; receipts say so");
  }
  auto opened = open_sqlite_store(file);
  if (!opened) return opened.error();
  store_ = std::move(*opened);
  return {};
}

/// Before the node listens at its own addresses. A default that does not work here is no reason not to run.
Result<void> Owner::listen_for_tools() {
  const std::string address = tools_address(options_);
  if (address.empty()) return {};
  Result<void> listening;
  if (address.size() - kIpc.size() > kSocketPathBytes) {
    listening = Error{ErrorCode::invalid_argument, "the path of a socket has at most 107 bytes"};
  } else if (options_.tools.empty() && options_.store.empty()) {
    listening = posix::make_own_folder(posix::own_folder());
  }
  if (listening) {
    if (auto bound = transport_->listen(address); !bound) listening = bound.error();
  }
  if (!listening && !options_.tools.empty()) return listening;
  tools_are_on_ = listening.ok();
  if (!listening) {
    process_.log().write(LogLevel::warning, "the pannier command cannot reach this node at " + address + " (" +
                                                listening.error().text() + "): name another address (tools), or off");
  }
  return {};
}

std::vector<PeerOptions> Owner::peers() const {
  std::vector<PeerOptions> all;
  for (const RunOptions::Peer& peer : options_.peers) all.push_back({peer.node, peer.key, peer.prefix, peer.limits});
  if (options_.key_file.empty() || options_.insecure_plaintext) return all;
  all.push_back({client_prefix(options_.name), keys_.public_key, true, PeerLimits::whole_node()});
  // The far end of a link that we dial proves its key as well.
  for (const LinkOptions& link : options_.links) {
    if (link.key) all.push_back({link.node, *link.key, false, PeerLimits::whole_node()});
  }
  return all;
}

Result<void> Owner::make_node() {
  NodeOptions options;
  options.name = options_.name;
  options.links = options_.links;
  options.listen = options_.listen;
  options.peers = peers();
  options.lanes = options_.lanes;
  options.queue = options_.queue;
  options.supervision = options_.supervision;
  Wakeup* sockets = transport_ == nullptr ? nullptr : &transport_->wakeup();
  auto made = Node::create(std::move(options), {.platform = process_.platform(),
                                                .wakeups = process_.wakeups(sockets),
                                                .transport = transport_.get(),
                                                .store = store_.get()});
  if (!made) return made.error();
  node_ = std::move(*made);
  // Off, it still changes lanes when the file is read again; nobody may call it.
  ServiceOptions service = service_options(options_);
  SpawnOptions spawn;
  spawn.name = kServiceName;
  if (options_.tools == "off") {
    service.callers.clear();
    spawn.name.clear();
  }
  auto tools = node_->spawn<ToolService>(spawn, std::move(service));
  if (!tools) return tools.error();
  tools_ = *tools;
  return {};
}

int Owner::run() {
  if (!file_.empty()) process_.on_hangup([this] { reload(); });
  std::string status = options_.name + " is up";
  for (const std::string& each : node_->listening()) status += (status.ends_with("up") ? ", listens at " : " ") + each;
  process_.set_status(std::move(status));
  return process_.run(*node_);
}

void Owner::reload() {
  Log& log = process_.log();
  auto read = load_options(file_);
  if (!read) {
    log.write(LogLevel::error, "nothing has changed: " + read.error().text());
    return;
  }
  RunOptions& now = *read;
  const bool other_links =
      !std::equal(now.links.begin(), now.links.end(), options_.links.begin(), options_.links.end(),
                  [](const LinkOptions& left, const LinkOptions& right) {
                    return left.node == right.node && left.address == right.address && left.key == right.key;
                  });
  if (now.name != options_.name || now.store != options_.store || now.listen != options_.listen || other_links ||
      now.key_file != options_.key_file || now.insecure_plaintext != options_.insecure_plaintext) {
    log.write(LogLevel::warning,
              file_ + ": only peers and lanes change while the node runs; the rest is for its next start");
  }
  const auto has = [](const std::vector<RunOptions::Peer>& peers, const PublicKey& key) {
    return std::any_of(peers.begin(), peers.end(), [&](const RunOptions::Peer& peer) { return peer.key == key; });
  };
  if (transport_ != nullptr) {
    for (const RunOptions::Peer& peer : now.peers) transport_->allow(peer.key);
    for (const RunOptions::Peer& peer : options_.peers) {
      if (!has(now.peers, peer.key) && peer.key != keys_.public_key) transport_->revoke(peer.key);
    }
  }
  // A lane that is no longer there has the default options again.
  std::vector<LaneOptions> lanes = now.lanes;
  for (const LaneOptions& old : options_.lanes) {
    if (std::none_of(lanes.begin(), lanes.end(), [&](const LaneOptions& lane) { return lane.name == old.name; })) {
      lanes.push_back({.name = old.name});
    }
  }
  options_.peers = std::move(now.peers);
  options_.lanes = std::move(now.lanes);
  ServiceOptions service = service_options(options_);
  if (options_.tools == "off") service.callers.clear();
  Result<void> told = node_->set_peers(peers());
  if (told) told = node_->tell(tools_, NewSettings{std::move(service), std::move(lanes)});
  log.write(told ? LogLevel::info : LogLevel::error,
            told ? file_ + " was read again" : file_ + " cannot be taken: " + told.error().text());
}

}  // namespace pannier::tools
