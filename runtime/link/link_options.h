#pragma once

#include <optional>
#include <string>

#include "runtime/link/transport.h"

namespace pannier {

/// One node to dial. The link is kept up: dialled again after each loss, with full jitter.
struct LinkOptions {
  std::string node;                   ///< The name that the far end must give.
  std::string address;                ///< In the transport's form.
  std::optional<PublicKey> key = {};  ///< The only key that the far end may have.
};

/// Which name a key may bear. Where a transport proves no key (plaintext, in process), any name is believed.
struct PeerOptions {
  std::string node;
  PublicKey key{};
  bool prefix = false;  ///< `node` is only how the name must begin: one key for many short-lived clients.
};

}  // namespace pannier
