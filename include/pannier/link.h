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

/// What happened to publications and subscriptions of one node since it started. Losses are counted by cause.
struct TopicCounters {
  std::uint64_t published = 0;  ///< By actors of this node, and received over links.
  std::uint64_t delivered = 0;  ///< Copies taken by a mailbox or a link, retained values included.
  /// Retained values that found no room yet. They are sent later; per topic only the newest.
  std::uint64_t deferred = 0;
  std::uint64_t mailbox_full = 0;           ///< Copies dropped because the subscriber's mailbox was full.
  std::uint64_t subscriber_gone = 0;        ///< Copies dropped because the subscriber had ended.
  std::uint64_t link_full = 0;              ///< Copies dropped because the link was full or had ended.
  std::uint64_t mailbox_full_there = 0;     ///< Copies of this node's publications dropped at full mailboxes elsewhere.
  std::uint64_t link_full_there = 0;        ///< And before full links elsewhere.
  std::uint64_t not_retained = 0;           ///< Values passed on but not retained: no room for another topic.
  std::uint64_t cleared = 0;                ///< Retained values cleared.
  std::uint64_t filters_refused = 0;        ///< Filters of linked nodes refused here. The nodes were told.
  std::uint64_t filters_refused_there = 0;  ///< Filters of this node refused by linked nodes, whose publications may
                                            ///< not arrive here.
  // Current values:
  std::uint64_t filters = 0;   ///< Distinct filters, of actors of this node and of linked nodes.
  std::uint64_t retained = 0;  ///< Topics with a retained value.
  std::uint64_t waiting = 0;   ///< Subscribers still owed retained values, and links still owed filters.
  // Cost:
  std::uint64_t tried = 0;           ///< Retained values compared with a filter.
  std::uint64_t most_in_a_step = 0;  ///< The most units of sliced work in one step; see limits::kTopicWork.
};

struct PublishOptions {
  bool retain = false;  ///< Retain the value for later subscribers until another value or a clear replaces it.
  Urgency urgency = Urgency::normal;
};

}  // namespace pannier
