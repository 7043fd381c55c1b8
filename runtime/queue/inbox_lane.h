#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "runtime/actor/timers.h"
#include "runtime/message/block.h"
#include "runtime/queue/consuming.h"
#include "runtime/queue/lane.h"
#include "runtime/queue/queue_messages.h"

/// What the inbox holds of one lane in memory. Internal.
namespace pannier {

/// One row that is ready on disk.
struct HeldRow {
  enum class State : std::uint8_t {
    ready,     ///< May be handed out once its turn comes.
    in_hands,  ///< Of a consumer, or of whoever pulled it.
    settling,  ///< What became of it is in the open group. Its key waits for that.
    leaving,   ///< It was given up before it was handed out, in the open group. Its key does not wait.
    paused,    ///< Until its next attempt. Its key waits.
  };
  Sequence sequence = 0;
  Sequence id = 0;  ///< Row::id
  std::string key;
  TypeId type{};
  BlockRef payload;
  StoreTime expires_at{};
  std::uint32_t attempts = 0;
  std::string cause = {};  ///< Of the last attempt.
  State state = State::ready;
  std::uint64_t delivery = 0;
  Duration delay{};     ///< The last one between two attempts.
  MonoTime next_try{};  ///< Paused: until then.
  bool claimed = false;
};

struct LaneConsumer {
  ActorId actor;
  ConsumeOptions options;
  std::uint32_t in_hands = 0;
  std::uint64_t turn = 0;  ///< When it last got one: among equals the one that has waited longest is next.
  bool full = false;       ///< Its mailbox was; a timer ends that.
};

/// A pull that waits for its first message.
struct LaneClaimer {
  std::uint64_t number = 0;
  ActorId asker;
  ActorId asked;
  std::uint64_t correlation = 0;
  std::uint64_t trace = 0;
  ClaimOptions options;
  TimerId deadline{};
  std::vector<ClaimedRow> got = {};
};

/// The keys that a message was given up of, in a lane that parks the whole key, each with the oldest such message.
struct ParkedKeys {
  std::map<std::string, Sequence, std::less<>> first;
  Sequence scanned = 0;   ///< Parked rows up to here have been looked at.
  bool complete = false;  ///< All have.
  bool told = false;      ///< That there are too many.
};

struct InboxLane {
  StreamId id{};
  const LaneOptions* options = nullptr;
  std::deque<HeldRow> held = {};  ///< In order.
  std::size_t held_bytes = 0;
  std::vector<LaneConsumer> consumers = {};
  std::vector<LaneClaimer> claimers = {};
  std::uint64_t turns = 0;
  Sequence loaded = 0;     ///< Everything up to here was held once.
  Sequence committed = 0;  ///< The newest row on disk; ~0: unknown.
  std::uint32_t in_hands = 0;
  bool dirty = false;
  ParkedKeys parked = {};
  TimerId age_timer{};  ///< Armed while something is kept for a time.
  LaneCounters* counters = nullptr;

  [[nodiscard]] const std::string& name() const noexcept { return options->name; }
  [[nodiscard]] bool has_takers() const noexcept { return !consumers.empty() || !claimers.empty(); }
  [[nodiscard]] bool has_room() const noexcept {
    return held.size() < limits::kInboxHeldRows && held_bytes < limits::kInboxHeldBytes;
  }
  void hold(HeldRow row);
  [[nodiscard]] const HeldRow* find(Sequence sequence) const noexcept;
  [[nodiscard]] HeldRow* find(Sequence sequence) noexcept;
  void forget(Sequence sequence) noexcept;
  [[nodiscard]] LaneConsumer* consumer(ActorId actor) noexcept;
  /// The largest number of attempts that anybody who takes its messages allows.
  [[nodiscard]] std::uint32_t max_attempts() const noexcept;
};

}  // namespace pannier
