#include "tools/client_target.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include <pannier/limits.h>
#include <pannier/run.h>

#include "run/name.h"
#include "run/owner.h"

namespace pannier::tools {

namespace {

constexpr std::string_view kIpc = "ipc://";
constexpr std::string_view kTools = ".tools";

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
  const auto config = load_options(target.config);
  if (!config) return config.error();
  if (const std::string address = tools_address(*config); !address.empty()) {
    ResolvedTarget resolved;
    resolved.plaintext = true;
    resolved.link = {config->name, address, {}};
    return resolved;
  }
  if (config->listen.empty()) {
    return usage(target.config +
                 ": tools is off and the node listens nowhere, so no command can reach it; remove tools = \"off\"");
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
  if (target.connect.empty()) {
    return usage("which node? Give --config FILE.toml, or --connect NAME.tools, or --connect ADDRESS --node NAME ...");
  }
  const bool by_path = target.connect.find("://") == std::string::npos;
  const std::string address = by_path ? std::string{kIpc} + target.connect : target.connect;
  if (address.starts_with(kIpc) && target.server_key.empty() && target.key.empty()) {
    ResolvedTarget resolved;
    resolved.plaintext = true;
    std::string name = address.substr(address.rfind('/') + 1);
    if (name.ends_with(kTools)) name.resize(name.size() - kTools.size());
    resolved.link = {target.node.empty() ? name : target.node, address, {}};
    return resolved;
  }
  if (target.node.empty()) return usage("--connect needs --node NAME, the name of the node that listens there");
  ResolvedTarget resolved;
  resolved.plaintext = target.plaintext;
  resolved.link = {target.node, address, {}};
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

Result<ResolvedTarget> resolve(const Target& target, Entropy& entropy) {
  if (!target.config.empty() && !target.connect.empty()) return usage("give --config or --connect, not both");
  auto resolved = target.config.empty() ? from_options(target) : from_config(target);
  if (!resolved) return resolved;
  std::array<char, 17> random{};
  std::snprintf(random.data(), random.size(), "%012llx", static_cast<unsigned long long>(entropy.next_u64() >> 16));
  resolved->own_name = target.as.empty() ? client_prefix(resolved->link.node) + random.data() : target.as;
  if (!is_name(resolved->own_name, limits::kNodeNameBytes)) {
    return usage("'" + resolved->own_name + "' is no node name: 1 to 64 characters of a-z 0-9 . _ -");
  }
  return resolved;
}

Result<void> look_at(const LinkOptions& link) {
  if (!link.address.starts_with(kIpc) || link.address.starts_with("ipc://@")) return {};
  const std::string path = link.address.substr(kIpc.size());
  struct stat status {};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    return usage(path + " is no path of a socket: at most 107 bytes");
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == EACCES) {
      return Error{ErrorCode::permission, path + ": not for this user; run the command as the node's user or as root"};
    }
    return Error{ErrorCode::unreachable, "'" + link.node + "' does not run here: there is no " + path +
                                             ". Start it, or say with --config or --connect where it runs"};
  }
  if (!S_ISSOCK(status.st_mode)) return usage(path + " is no socket; a node's own is NAME.tools beside its store");
  if (status.st_uid != ::geteuid() && status.st_uid != 0 && ::geteuid() != 0) {
    return Error{ErrorCode::permission,
                 path + " belongs to another user; run the command as the node's user or as root"};
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return {};
  const int rc = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int cause = errno;
  ::close(fd);
  if (rc == 0 || cause == EAGAIN) return {};
  if (cause == EACCES) {
    return Error{ErrorCode::permission, path + ": not for this user; run the command as the node's user or as root"};
  }
  return Error{ErrorCode::unreachable,
               "'" + link.node + "' does not run: nobody listens at " + path + ", which its last run left"};
}

}  // namespace pannier::tools
