#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <pannier/message.h>
#include <pannier/platform.h>
#include <pannier/transport.h>

namespace pannier {

/// A node to dial. The link is redialled after each loss, with full jitter.
struct LinkOptions {
  std::string node;                   ///< The name that the peer must give.
  std::string address;                ///< In the transport's form.
  std::optional<PublicKey> key = {};  ///< The only key that the peer may have.
  /// An end that has sent nothing for this long sends a heartbeat; a peer that hears nothing for two and a half times
  /// as long closes the link. 100 ms to 10 min; the longer of the two ends' values counts, and a listening node offers
  /// 2 s. Zero: 2 s.
  Duration heartbeat{};
};

/// Binds a node name to a key. A transport that proves no key (plaintext, in-process) accepts any name.
struct PeerOptions {
  std::string node;
  PublicKey key{};
  bool prefix = false;  ///< `node` is a prefix of the name: one key for many short-lived clients.
};

/// The way from this node to another one.
struct NodeRoute {
  std::string node;
  std::string via;       ///< The linked node that takes records for it; `node` itself where it is linked.
  std::size_t hops = 0;  ///< Links on the way. 0: unknown; a node with one link and no address of its own knows only
                         ///< that everybody else lies behind that link.
};

}  // namespace pannier
