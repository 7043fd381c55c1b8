#include "examples/delivery/order/setup.h"

#include <chrono>

#include <pannier/zmq.h>

namespace pannier::delivery {
namespace {

std::string key_file(const std::string& folder, const std::string& name) { return folder + "/" + name + ".key"; }

std::vector<std::string> all_names() {
  std::vector<std::string> names = service_names();
  names.emplace_back(kCustomer);
  return names;
}

}  // namespace

Result<void> make_keys(const std::string& folder) {
  for (const std::string& name : all_names()) {
    const auto keys = zmq::generate_key_pair();
    if (!keys) return keys.error();
    if (auto saved = zmq::save_key_pair(key_file(folder, name), *keys); !saved) return saved;
  }
  return {};
}

Result<RunOptions> service_options(const std::string& name, const std::string& folder, std::uint16_t port) {
  RunOptions options;
  options.name = name;
  options.store = folder + "/" + name + ".db";
  options.key_file = key_file(folder, name);
  options.workers = 1;
  options.log = LogLevel::error;
  const std::string hub = "tcp://127.0.0.1:" + std::to_string(port);
  for (const std::string& peer : all_names()) {
    if (peer == name || (name != "hub" && peer != "hub")) continue;
    const auto keys = zmq::load_key_pair(key_file(folder, peer));
    if (!keys) return keys.error();
    if (name == "hub") {
      options.peers.push_back({.node = peer, .key = keys->public_key});
    } else {
      options.links.push_back({.node = "hub", .address = hub, .key = keys->public_key});
    }
  }
  if (name == "hub") options.listen = {hub};
  return options;
}

}  // namespace pannier::delivery
