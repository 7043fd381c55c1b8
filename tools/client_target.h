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

/// Reads the files that `target` names. Errors are of the input, one line each.
[[nodiscard]] Result<ResolvedTarget> resolve(const Target& target, Entropy& entropy);

/// Of an address on this machine: whether somebody listens there who may be trusted. unreachable and permission, with
/// what to do about it. Of any other address nothing is known before it is dialled.
[[nodiscard]] Result<void> look_at(const LinkOptions& link);

}  // namespace pannier::tools
