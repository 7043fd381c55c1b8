#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/queue/lane.h"
#include "runtime/store/store.h"

/// What people and tools see of a queue. Values.
namespace pannier {

/// What waits in one stream.
struct StreamStatus {
  Box box{};
  std::string node;
  std::string lane;
  std::array<Load, kRowStates> loads{};  ///< By state.
  std::uint64_t in_flight = 0;           ///< Sent and not acknowledged, or in consumers' hands.
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
  std::string producer;  ///< The node that it came from; empty if it was enqueued here.
  std::string key;
  TypeId type{};
  std::uint64_t bytes = 0;
  WallTime enqueued_at{};
  RowState state{};
  std::uint32_t attempts = 0;
  std::string cause;                    ///< The last error.
  std::optional<Duration> due_in = {};  ///< Of a delayed message, or one that waits for its next attempt.
  std::optional<Duration> expires_in = {};
  std::uint64_t position = 0;      ///< Rows before it in its stream and state.
  bool position_is_least = false;  ///< There may be more: counting stopped at limits::kLookRows.
  std::string waits_for;           ///< One sentence.
};

/// How far a named reader of a lane's retained messages has come.
struct ReaderStatus {
  std::string lane;
  std::string reader;
  Sequence sequence = 0;  ///< Everything up to here has been read.
  std::uint64_t in_hands = 0;
  std::uint64_t passed_over = 0;  ///< Messages that the reader dead-lettered: they stay retained, reading goes on.
  std::uint64_t gaps = 0;         ///< Times that unread messages were trimmed.
  bool attached = false;          ///< An actor reads under this name now.
};

using LaneStatus = Lane;

struct QueueStatus {
  std::vector<StreamStatus> streams;
  std::vector<LaneStatus> lanes;  ///< By name.
  std::vector<RowStatus> rows;
  std::uint64_t rows_not_examined = 0;  ///< Rows that the search for `rows` did not reach, at least.
  std::vector<ReaderStatus> readers;
  std::vector<std::string> links;  ///< Nodes that a link leads to now.
  Store::Counters store;
  std::uint64_t accepted = 0;    ///< Messages whose receipt was given.
  std::uint64_t delivered = 0;   ///< Rows acknowledged by other nodes.
  std::uint64_t handled = 0;     ///< Deliveries that were acknowledged.
  std::uint64_t duplicates = 0;  ///< Rows received again, and dropped.
  std::uint64_t refused = 0;     ///< Enqueues and rows that were not stored.
  std::uint64_t forgotten = 0;   ///< Messages whose receipt said `memory`, and which could not be stored afterwards.
};

}  // namespace pannier
