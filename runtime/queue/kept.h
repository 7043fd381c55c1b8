#pragma once

#include "runtime/actor/service.h"
#include "runtime/queue/group.h"
#include "runtime/queue/inbox_lane.h"
#include "runtime/queue/replay.h"
#include "runtime/queue/store_clock.h"

namespace pannier {

/// Lets go of what lanes have kept past their limits (LaneOptions::keep): by number and bytes in the group that keeps
/// one more, by age on a timer, which is armed only while something is kept.
class Kept {
 public:
  /// All outlive it.
  Kept(Store& store, Group& group, const StoreClock& clock, Readers& readers)
      : store_(store), group_(group), clock_(clock), readers_(readers) {}
  void start(ServicePort& port) { port_ = &port; }

  /// Stages what the limits allow no longer; a bounded number of rows.
  [[nodiscard]] Result<void> trim(InboxLane& lane);
  /// Sees to it that the oldest row goes when its time is over. Outside of a transaction.
  void watch_age(InboxLane& lane);

 private:
  void let_go(InboxLane& lane);

  Store& store_;
  Group& group_;
  const StoreClock& clock_;
  Readers& readers_;
  ServicePort* port_ = nullptr;
};

}  // namespace pannier
