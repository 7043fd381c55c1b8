#pragma once

#include <cstdint>
#include <string>

#include <pannier/message.h>
#include <pannier/result.h>

/// What the queue and the router say to each other about stored rows. Native, within one process.
namespace pannier {

/// A stored row on its way to another node. The payload is shared with whoever else holds it.
struct OutgoingRow {
  std::string node;
  std::string lane;
  std::uint64_t sequence = 0;
  /// The receiver takes the row only if it has taken everything of the stream up to here; 0 for the first row in
  /// flight.
  std::uint64_t after = 0;
  std::string key;
  TypeId type{};
  BlockRef payload;
  std::uint64_t remaining_ms = 0;  ///< Until it expires; 0: never.
  /// The life of this node's store in which the row was enqueued; 0: the one that the link said hello with.
  std::uint64_t incarnation = 0;
  /// Where rows wait for the link, those of a higher priority go first. Rows of one lane keep their order.
  std::uint32_t priority = 0;
};

/// A row that came over a link, not yet stored here.
struct IncomingRow {
  std::string producer;
  std::uint64_t incarnation = 0;
  std::string lane;
  std::uint64_t sequence = 0;
  std::uint64_t after = 0;
  std::string key;
  TypeId type{};
  BlockRef payload;
  std::uint64_t remaining_ms = 0;  ///< Until it expires; 0: never.
};

/// What the receiver of a stream has committed: sent back over the link, and on to the producer's queue.
struct StreamAck {
  std::string node;  ///< To the router: whom to tell. To the queue: who says so.
  std::string lane;
  std::uint64_t taken = 0;  ///< Everything up to here is committed there.
  bool refused = false;     ///< The next row was not taken; `cause` says why. Send it again after a while.
  ErrorCode cause{};
  std::uint64_t incarnation = 0;  ///< Of the producer's store: `taken` counts within it. 0: that of the link's hello.
};

}  // namespace pannier
