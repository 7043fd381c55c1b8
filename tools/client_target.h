#pragma once

#include <pannier/link.h>
#include <pannier/platform.h>
#include <pannier/zmq.h>
#include "tools/client.h"

namespace pannier::tools {

/// A Target with its files read: what a client's node is made of.
struct ResolvedTarget {
  std::string own_name;
  zmq::KeyPair keys;
  LinkOptions link;
  bool plaintext = false;
};

/// How a node's own clients are called: "<node>.cli-" and something random. A node lets its own key in under them.
/// names.
[[nodiscard]] std::string client_prefix(const std::string& node);

/// Reads the files that `target` names. Errors are of the input, one line each.
[[nodiscard]] Result<ResolvedTarget> resolve(const Target& target, Entropy& entropy);

}  // namespace pannier::tools
