#pragma once

#include <cstdint>
#include <string>

#include "runtime/limits.h"

namespace pannier {

/// A lane that differs from the default. Others come into being when they are first used.
struct LaneOptions {
  std::string name;
  /// Not empty: what is enqueued here, or arrives here, goes on to the lane of the same name at this node.
  /// That is a gateway: stored first, then sent on.
  std::string forward_to = {};
  /// Higher goes first on a link that has several lanes waiting. Lanes of one priority take turns.
  std::uint32_t priority = 0;
  std::uint64_t max_messages = limits::kLaneMessages;
  std::uint64_t max_bytes = limits::kLaneBytes;
};

/// What waits in one stream.
struct Load {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
};

}  // namespace pannier
