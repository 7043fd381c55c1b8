#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <pannier/message.h>
#include <pannier/platform.h>
#include <pannier/transport.h>

namespace pannier {

/// One node to dial. The link is kept up: dialled again after each loss, with full jitter.
struct LinkOptions {
  std::string node;                   ///< The name that the far end must give.
  std::string address;                ///< In the transport's form.
  std::optional<PublicKey> key = {};  ///< The only key that the far end may have.
  /// An end that has sent nothing for so long says that it lives; who hears nothing for two and a half times as long
  /// takes the link for lost. 100 ms to 10 min; the longer one of what both ends say counts, and a listening node says
  /// 2 s. Zero: 2 s.
  Duration heartbeat{};
};

/// Which name a key may bear. Where a transport proves no key (plaintext, in process), any name is believed.
struct PeerOptions {
  std::string node;
  PublicKey key{};
  bool prefix = false;  ///< `node` is only how the name must begin: one key for many short-lived clients.
};

/// What became of publications and subscriptions on one node, since it started. What is lost is counted by its cause.
struct TopicCounters {
  std::uint64_t published = 0;  ///< By actors of this node, and by others that came over links.
  std::uint64_t delivered = 0;  ///< Copies that a mailbox or a link took, retained values included.
  /// Copies of retained values that found no room. They come later; of several of one topic, the last one.
  std::uint64_t deferred = 0;
  std::uint64_t mailbox_full = 0;     ///< Copies that were dropped: the subscriber's mailbox had no room.
  std::uint64_t subscriber_gone = 0;  ///< The subscriber had just ended.
  std::uint64_t link_full = 0;        ///< The link had no room, or had just gone.
  /// Copies of what this node published that others dropped, and have said so: no room in the subscriber's mailbox,
  std::uint64_t mailbox_full_there = 0;
  std::uint64_t link_full_there = 0;  ///< or on a link further on.
  std::uint64_t not_retained = 0;     ///< Values that were passed on and not retained: no room for one more topic.
  std::uint64_t cleared = 0;          ///< Retained values that were cleared.
  std::uint64_t filters_refused = 0;  ///< Of linked nodes, by this one. They were told.
  std::uint64_t filters_refused_there = 0;  ///< Of this node, by linked ones: what they publish may not come here.
  // At this moment:
  std::uint64_t filters = 0;   ///< Different ones, of actors of this node and of linked nodes.
  std::uint64_t retained = 0;  ///< Topics with a retained value.
  std::uint64_t waiting = 0;   ///< Subscribers that have not got all retained values yet, and links not all filters.
  // What it cost:
  std::uint64_t tried = 0;           ///< Retained values that were compared with a filter.
  std::uint64_t most_in_a_step = 0;  ///< Units of sliced work in one step at most: see limits::kTopicWork.
};

struct PublishOptions {
  bool retain = false;  ///< Retain the value: a later subscriber gets it, until another one or a clear replaces it.
  Urgency urgency = Urgency::normal;
};

}  // namespace pannier
