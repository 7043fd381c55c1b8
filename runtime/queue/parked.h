#pragma once

#include <vector>

#include "platform/function_ref.h"
#include "runtime/queue/boxes.h"
#include "runtime/queue/consuming.h"
#include "runtime/queue/group.h"

namespace pannier {

/// What a person decides about parked messages, of either box: another go, or gone for good. A bounded number a call,
/// in the order in which they were first enqueued.
class Parked {
 public:
  /// All outlive it.
  Parked(Store& store, Group& group, Lanes& lanes, Boxes boxes)
      : store_(store), group_(group), lanes_(lanes), boxes_(boxes) {}

  /// Stages it. The answer counts once the group is committed. not_found: there is no such message, or it is not
  /// parked. A row that was damaged beyond reading stays parked; it can be purged.
  [[nodiscard]] Result<ParkedAnswer> redrive(const ParkedSelection& selection);
  [[nodiscard]] Result<ParkedAnswer> purge(const ParkedSelection& selection);

 private:
  struct Chosen {
    StreamId stream{};
    Sequence sequence = 0;
    Sequence id = 0;
  };
  struct Choice {
    std::vector<Chosen> rows;
    bool more = false;
  };
  [[nodiscard]] Result<Choice> choose(const ParkedSelection& selection, bool readable);
  [[nodiscard]] Result<ParkedAnswer> apply(const ParkedSelection& selection, bool readable,
                                           std::uint64_t LaneCounters::*counter,
                                           FunctionRef<Result<void>(Store&, const Chosen&)> change);

  Store& store_;
  Group& group_;
  Lanes& lanes_;
  Boxes boxes_;
};

}  // namespace pannier
