#pragma once

#include <map>

#include "runtime/actor/service.h"
#include "runtime/queue/boxes.h"
#include "runtime/queue/group.h"
#include "runtime/queue/store_clock.h"

namespace pannier {

/// Gives back the room of messages that have expired while they wait. That an expired message is never delivered or
/// sent is the boxes' own care, when its turn comes; this is for those whose turn does not come: no link, no consumer.
/// It looks at the first limits::kExpiryRows of a stream, when the next of those expires. One timer. On the store's
/// worker.
class Expiry {
 public:
  /// All outlive this.
  Expiry(Store& store, Group& group, Lanes& lanes, Boxes boxes, const StoreClock& clock)
      : store_(store), group_(group), lanes_(lanes), boxes_(boxes), clock_(clock) {}

  /// Takes up what an earlier life left.
  [[nodiscard]] Result<void> load();
  void start(ServicePort& port);
  /// A message that expires is in `stream`.
  void note(StreamId stream, StoreTime expires_at);
  /// Erases, within the group, what has expired among the first of a stream. The number of rows.
  [[nodiscard]] Result<std::size_t> sweep(StreamId stream);

 private:
  void arm();
  void sweep_due();

  Store& store_;
  Group& group_;
  Lanes& lanes_;
  Boxes boxes_;
  const StoreClock& clock_;
  ServicePort* port_ = nullptr;
  std::map<StreamId, StoreTime> next_;  ///< When each stream is to be looked at.
  TimerId timer_{};
  StoreTime armed_for_{};
};

}  // namespace pannier
