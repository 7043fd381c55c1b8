#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "runtime/actor/actor_base.h"
#include "runtime/queue/batch.h"
#include "runtime/queue/delivery.h"
#include "runtime/queue/lane.h"
#include "runtime/store/store.h"

/// What actors say to the queue. Native, within one process.
namespace pannier {

/// Answered with a Receipt once the group is committed.
struct Commit {
  Batch batch;
  std::optional<Delivery> settles = {};  ///< Is done in the same transaction; retried where that fails.
};

struct Consume {
  std::string lane;
  ConsumeOptions options;
};

/// Answered with a std::vector<ClaimedRow>, perhaps an empty one.
struct ClaimRows {
  std::string lane;
  ClaimOptions options;
};

struct ReplayLane {
  std::string lane;
  ReplayOptions options;
};

/// Answered with Done: the lane knows no reader of that name any more.
struct ForgetReader {
  std::string lane;
  std::string reader;
};

/// Answered with a ParkedAnswer: parked messages went behind all others of their lane, in their order, as if they were
/// new.
struct Redrive {
  ParkedSelection selection;
};

/// Answered with a ParkedAnswer: parked messages are gone for good.
struct Purge {
  ParkedSelection selection;
};

/// Answered with a std::vector<StateRow>.
struct ReadState {
  std::string prefix;
  std::size_t limit = 0;
};

/// Answered with a std::vector<SqlRow>: what one SELECT on the application's tables gives.
struct Query {
  SqlStatement statement;
};
using SqlRow = std::vector<SqlValue>;

/// Answered with Done: a lane has these options from now on, and nothing in it is lost.
struct SetLane {
  LaneOptions options;
};
struct Done {};

/// Answered with Cancelled: the message that a receipt named is erased before it leaves. not_found: it is not here, any
/// more or at all. in_use: it is on its way, or in somebody's hands.
struct Cancel {
  Sequence id = 0;
};
struct Cancelled {
  /// It had been sent before, in this life of the node or perhaps an earlier one, and no acknowledgement had come: the
  /// other node may have it all the same.
  bool may_have_left = false;
};

/// Answered with a RowStatus: the message that a receipt named. not_found: delivered, expired, cancelled, or never
/// here.
struct Where {
  Sequence id = 0;
};

/// What waits in one stream, for people and tools. Answer to Inspect.
struct StreamStatus {
  Box box{};
  std::string node;
  std::string lane;
  std::array<Load, kRowStates> loads{};  ///< By state.
  std::uint64_t in_flight = 0;
  bool link_up = false;
  std::size_t consumers = 0;  ///< Inbox: actors that consume it.
  bool exact = true;          ///< False while `loads` are still being counted after an unclean end.

  [[nodiscard]] const Load& operator[](RowState state) const noexcept { return loads[static_cast<std::size_t>(state)]; }
};

/// One row, for "where is message X and why does it wait?".
struct RowStatus {
  Box box{};
  std::string node;
  std::string lane;
  Sequence id = 0;  ///< As its receipt named it.
  Sequence sequence = 0;
  std::string producer;  ///< The node it came from; empty where it was enqueued here.
  std::string key;
  TypeId type{};
  std::uint64_t bytes = 0;
  WallTime enqueued_at{};
  RowState state{};
  std::uint32_t attempts = 0;
  std::string cause;                    ///< The last error.
  std::optional<Duration> due_in = {};  ///< Of a delayed message, or one that waits for its next attempt.
  std::optional<Duration> expires_in = {};
  std::uint64_t position = 0;  ///< Rows before it in its stream, as far as they were counted.
  std::string waits_for;       ///< One sentence.
};

/// How far a named reader of a lane's kept messages has come.
struct ReaderStatus {
  std::string lane;
  std::string reader;
  Sequence sequence = 0;  ///< Everything up to here has been read.
  std::uint64_t in_hands = 0;
  std::uint64_t passed_over = 0;  ///< Messages that it parked: reading goes on, they stay kept.
  std::uint64_t gaps = 0;         ///< Times that what it had not read yet was no longer kept.
  bool attached = false;          ///< An actor reads under this name now.
};

struct LaneStatus {
  LaneOptions options;
  LaneCounters counters;
};

struct QueueStatus {
  std::vector<StreamStatus> streams;
  std::vector<LaneStatus> lanes;  ///< By name.
  std::vector<RowStatus> rows;
  std::vector<ReaderStatus> readers;
  std::vector<std::string> links;  ///< Nodes that a link leads to now.
  Store::Counters store;
  std::uint64_t accepted = 0;    ///< Messages whose receipt was given.
  std::uint64_t delivered = 0;   ///< Rows acknowledged by another node.
  std::uint64_t handled = 0;     ///< Deliveries that were done.
  std::uint64_t duplicates = 0;  ///< Rows that came again and were dropped.
  std::uint64_t refused = 0;     ///< Enqueues and rows that were not taken.
  std::uint64_t forgotten = 0;   ///< Messages whose receipt said `memory`, and which then could not be stored.
};

/// Answered with a QueueStatus. Rows only where a key is given or `rows` is not zero.
struct Inspect {
  std::string key;       ///< Only rows with this key; empty: any.
  std::size_t rows = 0;  ///< At most so many.
};

}  // namespace pannier
