#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include <pannier/actor_base.h>
#include <pannier/message.h>
#include <pannier/platform.h>
#include "runtime/actor/keyed_line.h"
#include "runtime/actor/timers.h"

namespace pannier {

struct Child {
  Child(ActorId child, Restart when, Duration limit) noexcept
      : id(child),
        stop_limit(std::chrono::ceil<StopLimit>(std::clamp(limit, Duration::zero(), Duration{kLongest}))),
        restart(when) {}

  using StopLimit = std::chrono::duration<std::uint32_t, std::milli>;
  static constexpr std::chrono::hours kLongest{1000};  // fits StopLimit

  ActorId id;
  StopLimit stop_limit;
  Restart restart;
  bool apart = false;  // a runtime service: restarts alone, whatever the strategy
};

/// What a failed child tells its supervisor.
struct ChildFailure {
  Error error;
  bool counts = true;  // towards the supervisor's restarts
};

/// Children that restart together, as indices into their list: halted from last to first, then begun from first to
/// last.
struct Regroup {
  enum class Step : std::uint8_t { none, pausing, halting, beginning };
  Step step = Step::none;
  std::size_t first = 0;  // the oldest that restarts
  std::size_t awaited = 0;
  TimerId timer{};  // the delay before, or the limit of the awaited child
};

/// How a full mailbox reaches the disk; see Extensions::start_spiller.
struct Spill {
  ActorId spiller;
  bool active = true;         // an older message is, or may be, in the lane, so new ones go there too
  std::uint32_t waiting = 0;  // in the spiller's mailbox
};

/// State that few actors have, kept outside the cell and created on demand.
struct Annex {
  std::deque<Child> children;  // in start order
  std::vector<ActorId> watchers;
  struct RoomWaiter {
    ActorId asker;
    std::uint64_t correlation;
  };
  std::vector<RoomWaiter> room_waiters;  // bounded by the questions of their workers
  std::vector<MonoTime> restarts;        // those within the period
  Regroup regroup;
  TimerId stop_timer{};
  MonoTime announced{};  // until when its end may take, as told to its supervisor

  MessageQueue stash;
  MessagePtr just_stashed;  // within its own turn
  std::unique_ptr<KeyedLine> latest;
  std::unique_ptr<Spill> spill;
};

}  // namespace pannier
