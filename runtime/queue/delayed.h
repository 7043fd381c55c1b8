#pragma once

#include "runtime/actor/service.h"
#include "runtime/queue/boxes.h"
#include "runtime/queue/group.h"
#include "runtime/queue/store_clock.h"

namespace pannier {

/// Messages that are not due yet. They wait on disk, apart from what is ready, and become the newest of their stream
/// when their moment comes: under a new number, since a stream's numbers only grow, with the old one as their origin.
/// One timer, for the earliest of them. On the store's worker.
class Delayed {
 public:
  /// All outlive this.
  Delayed(Store& store, Group& group, Lanes& lanes, Boxes boxes, const StoreClock& clock)
      : store_(store), group_(group), lanes_(lanes), boxes_(boxes), clock_(clock) {}

  /// Takes up what an earlier life left.
  void start(ServicePort& port);
  /// A message that is due at `due` is committed.
  void note(StoreTime due);

 private:
  void arm(StoreTime due);
  void release();
  [[nodiscard]] Result<void> release_one(StreamId stream, Sequence sequence, bool expired);

  Store& store_;
  Group& group_;
  Lanes& lanes_;
  Boxes boxes_;
  const StoreClock& clock_;
  ServicePort* port_ = nullptr;
  TimerId timer_{};
  StoreTime armed_for_{};
};

}  // namespace pannier
