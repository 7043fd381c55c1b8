#pragma once

#include <cstdint>
#include <string>

#include <pannier/message.h>
#include <pannier/result.h>
#include "runtime/message/account.h"

/// Records about stored rows between queue and router. Native, within one process.
namespace pannier {

/// A stored row on its way to another node. Shares the payload.
struct OutgoingRow {
  std::string node;
  std::string lane;
  std::uint64_t sequence = 0;
  /// The receiver takes the row only if it has everything of the stream up to here; 0 for the first row in flight.
  std::uint64_t after = 0;
  std::string key;
  TypeId type{};
  BlockRef payload;
  std::uint64_t remaining_ms = 0;  ///< Time until it expires; 0: never.
  /// The incarnation of this node's store in which the row was enqueued; 0: the one in the link's hello.
  std::uint64_t incarnation = 0;
  /// While waiting for the link, higher priorities go first. Rows of one lane keep their order.
  std::uint32_t priority = 0;
  BlockRef trace = {};
  std::string path = {};  ///< The nodes that have stored it before this one, first to last, separated by ' '.
};

/// A row received over a link, not stored yet.
struct IncomingRow {
  std::string producer;
  std::uint64_t incarnation = 0;
  std::string lane;
  std::uint64_t sequence = 0;
  std::uint64_t after = 0;
  std::string key;
  TypeId type{};
  BlockRef payload;
  std::uint64_t remaining_ms = 0;  ///< Time until it expires; 0: never.
  BlockRef trace = {};
  Charge charge = {};     ///< Its bytes, to the peer that sent it.
  std::string path = {};  ///< The nodes that stored it before `producer`.
};

/// What the receiver of a stream has committed, sent back over the link to the producer's queue.
struct StreamAck {
  std::string node;  ///< To the router: the node to tell. To the queue: the node that told us.
  std::string lane;
  std::uint64_t taken = 0;  ///< Everything up to here is committed there.
  bool refused = false;     ///< The next row was refused, for `cause`. Send it again later.
  ErrorCode cause{};
  std::uint64_t incarnation = 0;  ///< Of the producer's store, within which `taken` counts. 0: that of the link's
                                  ///< hello.
  Charge charge = {};             ///< Received: to the peer that sent it.
};

}  // namespace pannier
