#include <pannier/run.h>
#include <pannier/zmq.h>

#include "tools/commands.h"

namespace pannier::tools {

namespace {

/// Of a node with a key, in Z85.
std::string public_key_of(const RunOptions& options) {
  if (options.insecure_plaintext || options.key_file.empty()) return {};
  const auto keys = zmq::load_key_pair(options.key_file);
  return keys ? zmq::to_z85(keys->public_key) : std::string{};
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

int run_node(const RunNodeOptions& command) {
  const char* const words[] = {"pannier", "--config", command.config.c_str()};
  return pannier::run(3, words, [&](Node& node, const RunOptions& options) {
    const std::string key = public_key_of(options);
    print(command.json ? to_json(node, key) : to_line(node, key));
  });
}

}  // namespace pannier::tools
