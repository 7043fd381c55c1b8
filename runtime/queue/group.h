#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include <pannier/lane.h>
#include <pannier/message.h>
#include <pannier/queue.h>
#include "platform/function_ref.h"
#include "runtime/queue/lanes.h"
#include "runtime/queue/settle_sink.h"
#include "runtime/store/store.h"

namespace pannier {

struct InLane;
struct OutStream;

/// Above every sequence: the newest row of a stream is not known, so read until the end.
inline constexpr Sequence kUnknownSequence = ~Sequence{0};

/// What follows from the changes of a group once it is committed, or is undone if it fails. Queue::apply does both.
namespace effect {

/// A row was added, ready or delayed.
struct Added {
  StreamId stream{};
  Box box{};
  LaneStatus* lane = nullptr;
  Sequence sequence = 0;
  std::string key;
  TypeId type{};
  BlockRef payload;
  StoreTime expires_at{};
  StoreTime due{};  ///< kNoMoment: ready at once.
  BlockRef trace = {};
  std::string path = {};   ///< Of the outbox: the nodes that stored it before.
  bool withdrawn = false;  ///< It was removed again within the same group.
};
/// A row that may be held in memory was erased or dead-lettered before it left.
struct Removed {
  StreamId stream{};
  Box box{};
  LaneStatus* lane = nullptr;
  Sequence sequence = 0;
  std::uint64_t LaneCounters::*counter = nullptr;
};
/// Rows of a stream became ready, or dead letters were erased.
struct Moved {
  StreamId stream{};
  LaneStatus* lane = nullptr;
  std::uint64_t LaneCounters::*counter = nullptr;
  std::uint64_t rows = 0;
  Sequence from = 0;       ///< The lowest sequence that is ready again; 0: only at the end.
  StoreTime expires_at{};  ///< The earliest expiry among them.
};
/// A reply waits for the commit. Null: it was given at once, as its receipt said `memory`.
struct Answered {
  MessagePtr reply;
  std::uint64_t messages = 0;
};
/// Rows of other nodes and their watermarks were stored: their producers are told.
struct Received {};
/// Rows that other nodes have committed were erased.
struct Acknowledged {
  std::vector<OutStream*> streams;
};
/// A row that another node keeps refusing was dead-lettered.
struct Refused {
  OutStream* stream = nullptr;
  Sequence sequence = 0;
};
/// A delivery was settled.
struct Settled {
  InLane* lane = nullptr;
  Sequence sequence = 0;
  Outcome outcome = Outcome::retry;
  bool dead_lettered = false;
  std::uint32_t attempts = 0;
  std::string cause;
  StoreTime next_try{};
};
/// A reader settled a delivery of a retained row.
struct ReaderSettled {
  InLane* lane = nullptr;
  std::string reader;
  std::uint64_t life = 0;
  std::uint64_t delivery = 0;
  Sequence sequence = 0;
  Sequence through = 0;  ///< The cursor, once this is committed.
  bool passed_over = false;
  std::string cause;
};
/// A reader was made or forgotten.
struct ReaderChanged {
  InLane* lane = nullptr;
  std::string reader;
  bool forgotten = false;
};
/// Retained rows that a reader had not read were trimmed.
struct ReaderGap {
  InLane* lane = nullptr;
  std::string reader;
  Sequence sequence = 0;
};
/// Retained rows of a lane were added or trimmed.
struct Retained {
  InLane* lane = nullptr;
};

/// The application's tables changed.
struct SqlChanged {};

}  // namespace effect

using Effect = std::variant<effect::Added, effect::Removed, effect::Moved, effect::Answered, effect::Received,
                            effect::Acknowledged, effect::Refused, effect::Settled, effect::ReaderSettled,
                            effect::ReaderChanged, effect::ReaderGap, effect::Retained, effect::SqlChanged>;

/// One transaction in the making. What arrives while the last one is committed shares the next one, so that many wait
/// for one sync (group commit; Gawlick and Kinkade, 1985). The first change opens it.
class Group {
 public:
  /// Told each effect in order, once the group's fate is known.
  using Apply = Callback<void(Effect& effect, const Result<void>& fate)>;

  /// `store` outlives the group.
  Group(Store& store, Apply apply) : store_(store), apply_(std::move(apply)) {}

  using Change = FunctionRef<Result<void>(Store& store)>;
  /// Makes one change. An error ends the group: nothing of it is stored and every effect is undone.
  [[nodiscard]] Result<void> change(Change change);
  /// As change, but an error that leaves the transaction intact (Store) leaves the group intact.
  [[nodiscard]] Result<void> attempt(Change change);
  /// Makes several changes that hold together. After an error they and their effects are undone; if the error left the
  /// transaction intact, the rest of the group goes on.
  [[nodiscard]] Result<void> part(FunctionRef<Result<void>()> changes);

  void then(Effect effect) { effects_.push_back(std::move(effect)); }
  /// The commit shall be at least so durable. The default is `committed`: for changes whose loss in a power cut costs
  /// work, not messages.
  void need(Durability durability) noexcept { needed_ = std::max(needed_, durability); }
  /// Commit at the end of this step. Otherwise the group may wait for more changes.
  void hurry() noexcept { hurried_ = true; }

  [[nodiscard]] bool is_open() const noexcept { return open_; }
  [[nodiscard]] bool hurried() const noexcept { return hurried_; }

  /// Commits, then applies the effects. Does nothing where no group is open.
  Result<void> commit();

 private:
  [[nodiscard]] Result<void> open();
  void finish(const Result<void>& fate);
  void apply_from(std::size_t first, const Result<void>& fate);

  Store& store_;
  Apply apply_;
  bool open_ = false;
  bool hurried_ = false;
  Durability needed_ = Durability::committed;
  std::uint64_t failures_ = 0;  // groups that failed so far
  std::vector<Effect> effects_;
  std::vector<Effect> applying_;  // kept for its memory
};

}  // namespace pannier
