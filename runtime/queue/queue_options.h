#pragma once

#include <cstdint>

#include "platform/clock.h"

namespace pannier {

/// What holds for all lanes of a node together.
struct QueueOptions {
  /// Of payload that waits, all lanes together; 0 for no limit. Past it messages are refused, or those of lower lanes
  /// make room (Eviction::lowest_priority).
  std::uint64_t max_bytes = 0;
  /// How long the first message of a group may wait for others to share its commit: 0 to limits::kCommitDelay. Zero: a
  /// group is what came while the one before it was being committed. A few milliseconds save a lightly loaded device
  /// most of its flash writes, and cost each receipt that time.
  Duration commit_delay{};
};

}  // namespace pannier
