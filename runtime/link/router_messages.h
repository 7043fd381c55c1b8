#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "platform/result.h"
#include "runtime/actor/actor_base.h"
#include "runtime/message/any_table.h"
#include "runtime/store/row.h"

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
};

struct Subscribe {
  std::string filter;
  TypeId type{};  ///< Zero: every type.
};

struct Unsubscribe {
  std::string filter;
};

/// A question; the answer is the node's TopicCounters.
struct CountTopics {};

// --- Between queue and router ---------------------------------------------------------------------------------------

/// A stored row on its way to another node; the key stands in `key`, the bytes are shared with whoever keeps them.
struct OutgoingRow {
  std::string node;
  std::string lane;
  Sequence sequence = 0;
  /// The receiver takes the row only if it has taken everything of the stream up to here: 0 for the first live row.
  Sequence after = 0;
  std::string key;
  TypeId type{};
  BlockRef payload;
  std::uint64_t remaining_ms = 0;  ///< Until it expires; 0: it does not.
  /// The life of this node's store in which the row was enqueued; 0: the one that the link said hello with.
  std::uint64_t incarnation = 0;
};

/// A row that came over a link, not yet stored here.
struct IncomingRow {
  std::string producer;
  std::uint64_t incarnation = 0;
  std::string lane;
  Sequence sequence = 0;
  Sequence after = 0;
  std::string key;
  TypeId type{};
  BlockRef payload;
  std::uint64_t remaining_ms = 0;  ///< Until it expires; 0: it does not.
};

/// What the receiver of a stream has: sent back over the link, and on to the queue of the producer.
struct StreamAck {
  std::string node;  ///< To the router: whom to tell. To the queue: who says so.
  std::string lane;
  Sequence taken = 0;    ///< Everything up to here is committed there.
  bool refused = false;  ///< The next row was not taken: `cause` says why; send it again after a while.
  ErrorCode cause{};
  std::uint64_t incarnation = 0;  ///< Of the producer's store: `taken` counts within it. 0: that of the link's hello.
};

struct LinkUp {
  std::string node;
};
struct LinkDown {
  std::string node;
};

}  // namespace pannier
