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
#include "runtime/message/topic_text.h"

/// Messages from actors and the queue to the router, and from the router to the queue. Native, within one process.
namespace pannier {

/// The topic is in the message's label.
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

/// See Links::announce_sleep.
struct AnnounceSleep {
  Duration span{};
};

/// A question, answered with the node's TopicCounters.
struct CountTopics {};

/// A question, answered with a std::vector<MissedPublication>.
struct FetchMissed {
  PublicationGap gap;
};

/// A question, answered with a std::vector<NodeRoute>.
struct AskRoutes {
  std::string node;  ///< Empty: all.
};

/// A question, answered with a std::vector<PeerUse>.
struct AskPeers {};

/// See Links::set_peers.
struct SetPeers {
  std::vector<PeerOptions> peers;
};

// --- Between queue and router ---------------------------------------------------------------------------------------

/// To the router: the incarnations of this store that rows for `node` may still bear. Sent when the link comes up and
/// whenever an incarnation has no rows left. At most limits::kIncarnations; lost if the link is down.
struct SendIncarnations {
  std::string node;
  std::vector<std::uint64_t> incarnations;
};

/// To the queue: the incarnations that the rows of `node` may still bear. Watermarks of its other incarnations can be
/// erased.
struct ProducerIncarnations {
  std::string node;
  std::vector<std::uint64_t> incarnations;
  Charge charge = {};
};

/// To the router: rows are stored for `node`, but no way there is known. Answered by LinkUp once there is one.
struct WantWay {
  std::string node;
};

/// To the queue: `node` has received bytes of rows, perhaps none of them whole yet (a large row on a slow line). At
/// most every limits::kRowProgress.
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
