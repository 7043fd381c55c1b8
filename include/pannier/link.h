#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <pannier/limits.h>
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

/// How much of this node one peer may use up, over all its links. Beyond a limit it is refused as `full`, or waits; no
/// other peer is affected. A peer is a key, or a node's name where the transport proves no key.
struct PeerLimits {
  std::uint64_t rate = 0;  ///< Tells, questions, publications and rows in a second; 0: any number.
  std::uint64_t links = limits::kPeerLinks;
  std::uint64_t row_bytes = limits::kPeerRowBytes;      ///< Of rows that are received and not stored yet.
  std::uint64_t tell_bytes = limits::kPeerTellBytes;    ///< Of tells that wait for full mailboxes.
  std::uint64_t relay_bytes = limits::kPeerRelayBytes;  ///< Of records for other nodes that wait for their links.
  std::uint64_t lanes = limits::kPeerLanes;             ///< Lanes that exist only because the peer named them.
  std::uint64_t streams = limits::kPeerStreams;         ///< New watermarks: one per lane and incarnation of its store.
  std::uint64_t retained_values = limits::kPeerRetainedValues;
  std::uint64_t retained_bytes = limits::kPeerRetainedBytes;
  std::uint64_t filters = limits::kFiltersPerLink;
  std::uint64_t asks = limits::kAsksPerLink;  ///< Questions that are not answered yet.

  /// Links, lanes, watermarks and retained values up to the node's own bounds. For nodes that this one dials, unless
  /// PeerOptions says otherwise.
  [[nodiscard]] static constexpr PeerLimits whole_node() noexcept {
    PeerLimits all;
    all.links = limits::kLinks;
    all.relay_bytes = std::uint64_t{limits::kLinks} * limits::kLinkQueueBytes;
    all.lanes = limits::kForeignLanes;
    all.streams = limits::kWatermarks;
    all.retained_values = limits::kRetainedValues;
    all.retained_bytes = limits::kRetainedBytes;
    return all;
  }
};

/// Binds a node name to a key. A transport that proves no key (plaintext, in-process) accepts any name. A name belongs
/// to the keys of the most exact rule that fits it: another key cannot use it by way of a shorter prefix.
struct PeerOptions {
  std::string node;
  PublicKey key{};
  bool prefix = false;  ///< `node` is a prefix of the name: one key for many short-lived clients.
  PeerLimits limits = {};
};

/// What a peer uses of a node, and what it was refused.
struct PeerUse {
  std::string peer;  ///< As its rule names it, with '*' behind a prefix; or the node's name.
  struct Of {
    std::string resource;  ///< As the field of PeerLimits.
    std::uint64_t used = 0;
    std::uint64_t limit = 0;
    std::uint64_t refused = 0;  ///< How often, since the node started.
  };
  std::vector<Of> resources;
};

/// The way from this node to another one.
struct NodeRoute {
  std::string node;
  std::string via;       ///< The linked node that takes records for it; `node` itself where it is linked.
  std::size_t hops = 0;  ///< Links on the way. 0: unknown; a node with one link and no address of its own knows only
                         ///< that everybody else lies behind that link.
};

}  // namespace pannier
