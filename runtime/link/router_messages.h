#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <pannier/actor_base.h>
#include <pannier/link.h>
#include <pannier/message.h>
#include <pannier/result.h>
#include <pannier/topic.h>
#include "runtime/message/row_records.h"

/// What actors and the queue say to the router, and it to the queue. Native, within one process.
namespace pannier {

/// Valid topic of a publication: 1 to 16 levels of text between '/', no wildcard. invalid_argument names the rule.
[[nodiscard]] Result<void> check_topic(std::string_view topic);
/// Valid filter of a subscription: as a topic, with '+' for one whole level and '#' for all the rest, at the end.
[[nodiscard]] Result<void> check_filter(std::string_view filter);

/// The topic stands in the message's label.
struct Publication {
  AnyTable payload;
  PublishOptions options;
  std::string origin = {};  ///< The node that published it; empty: this one.
  std::uint8_t hops = 0;
  Trace trace = {};
  std::uint64_t series = 0;  ///< As in PublicationNumber.
  std::uint64_t number = 0;
};

struct Subscribe {
  std::string filter;
  TypeId type{};  ///< Zero: every type.
};

struct Unsubscribe {
  std::string filter;
};

/// To be said on all links: nothing may be heard for so long.
struct AnnounceSleep {
  Duration span{};
};

/// A question; the answer is the node's TopicCounters.
struct CountTopics {};

/// A question; the answer is a std::vector<MissedPublication>.
struct FetchMissed {
  PublicationGap gap;
};

/// A question; the answer is a std::vector<NodeRoute>.
struct AskRoutes {
  std::string node;  ///< Empty: all.
};

/// From the program: who may bear which name from now on.
struct SetPeers {
  std::vector<PeerOptions> peers;
};

// --- Between queue and router ---------------------------------------------------------------------------------------

/// To the router: the incarnations of this node of which rows may still come to `node`. Send it once the link is up and
/// whenever one is done with. At most limits::kIncarnations; a link that is down loses it.
struct SendIncarnations {
  std::string node;
  std::vector<std::uint64_t> incarnations;
};

/// To the queue: what a linked producer has said of its incarnations. Watermarks of others can be forgotten.
struct ProducerIncarnations {
  std::string node;
  std::vector<std::uint64_t> incarnations;
};

/// To the router: something is stored for `node`, and no way there is known. LinkUp comes when there is one.
struct WantWay {
  std::string node;
};

/// To the queue: bytes of rows have arrived at `node`, though none may be acknowledged yet: a large row on a slow line.
/// Comes at most every limits::kRowProgress.
struct LinkProgress {
  std::string node;
};

struct LinkUp {
  std::string node;
};
struct LinkDown {
  std::string node;
};

}  // namespace pannier
