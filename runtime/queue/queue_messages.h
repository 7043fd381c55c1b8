#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/actor/actor_base.h"
#include "runtime/queue/batch.h"
#include "runtime/queue/delivery.h"

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

/// Answered with a std::vector<StateRow>.
struct ReadState {
  std::string prefix;
  std::size_t limit = 0;
};

/// What waits in one stream, for people and tools. Answer to Inspect.
struct StreamStatus {
  Box box{};
  std::string node;
  std::string lane;
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
  std::uint64_t parked = 0;
  std::uint64_t in_flight = 0;
  bool link_up = false;
};

/// One row, for "where is message X and why does it wait?".
struct RowStatus {
  Box box{};
  std::string node;
  std::string lane;
  Sequence sequence = 0;
  std::string key;
  TypeId type{};
  std::uint64_t bytes = 0;
  WallTime enqueued_at{};
  RowState state{};
  std::uint32_t attempts = 0;
  std::uint64_t position = 0;  ///< Rows before it in its stream, as far as they were counted.
  std::string waits_for;       ///< One sentence.
};

struct QueueStatus {
  std::vector<StreamStatus> streams;
  std::vector<RowStatus> rows;
  std::vector<std::string> links;  ///< Nodes that a link leads to now.
  Store::Counters store;
  std::uint64_t accepted = 0;    ///< Messages whose receipt was given.
  std::uint64_t delivered = 0;   ///< Rows acknowledged by another node.
  std::uint64_t handled = 0;     ///< Deliveries that were done.
  std::uint64_t duplicates = 0;  ///< Rows that came again and were dropped.
  std::uint64_t refused = 0;     ///< Enqueues and rows that were not taken.
};

/// Answered with a QueueStatus. Rows only where a key is given or `rows` is not zero.
struct Inspect {
  std::string key;       ///< Only rows with this key; empty: any.
  std::size_t rows = 0;  ///< At most so many.
};

}  // namespace pannier
