#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "platform/clock.h"
#include "platform/result.h"
#include "runtime/message/type_id.h"

namespace pannier {

/// How durable a message is once its receipt is given.
enum class Durability : std::uint8_t {
  memory,     ///< In this process only.
  committed,  ///< In the file, survives this process; a power cut may take it.
  fsynced,    ///< On stable storage. The default.
};

/// A stream is one ordered run of rows in a box: in the outbox one (destination node, lane), in the inbox one
/// lane. Small numbers, given by the store, never reused in one file.
enum class StreamId : std::uint16_t {};

/// Grows along a store's whole life and never repeats in it, across restarts. Not dense: gaps mean nothing.
using Sequence = std::uint64_t;

enum class Box : std::uint8_t { outbox, inbox };

enum class RowState : std::uint8_t {
  ready,   ///< Waits for its link or its consumer.
  parked,  ///< Given up on, with the cause; kept until a person decides.
};

struct Stream {
  StreamId id;
  Box box;
  std::string node;  ///< Destination of an outbox stream; empty for the inbox.
  std::string lane;
  std::uint64_t messages = 0;  ///< Rows in state ready.
  std::uint64_t bytes = 0;     ///< Of payload, in state ready.
  std::uint64_t parked = 0;    ///< Rows in state parked.
};

/// One row of either box. As an argument everything is borrowed for the call; handed to a visitor it is
/// borrowed for the visit, and the payload may be misaligned: copy it into a Block before it is read.
struct Row {
  StreamId stream{};
  Sequence sequence = 0;
  std::string_view key;
  TypeId type{};
  std::span<const std::byte> payload;
  WallTime enqueued_at{};  ///< For people; no decision rests on it.
  RowState state = RowState::ready;
  std::uint32_t attempts = 0;
  std::string_view producer;  ///< Inbox only: the node it came from; empty for a local enqueue.
  std::string_view cause;     ///< The last error; of a parked row the reason.
};

/// The highest sequence of one producer's stream that has been taken in. What is at or below it is a
/// duplicate.
struct Watermark {
  std::string producer;           ///< Node name.
  std::uint64_t incarnation = 0;  ///< Of the producer's store; a reinstalled producer has a new one.
  std::string lane;
  Sequence sequence = 0;
};

/// Keeps outbox, inbox, watermarks and the application's state of one node, and changes them in transactions.
///
/// All calls come from the one thread that drives the store. Between begin and commit every change belongs to
/// one transaction. **An error from any change ends the transaction: nothing of the group is stored**; the
/// caller calls rollback and fails every waiter of the group. Until then every change, and the commit, give
/// that error again. Only not_found (from mark and stream) and full (from stream) change nothing and end
/// nothing. Reads outside a transaction see what is committed; reads inside see the transaction's own
/// changes. The contract is a test suite: tests/contract/store_contract.h.
class Store {
 public:
  virtual ~Store() = default;

  /// Random, made with the file, kept with it. Tells a reinstalled node from a restarted one.
  [[nodiscard]] virtual std::uint64_t incarnation() const noexcept = 0;

  /// The best that a commit can promise: `memory` for a store that is gone with its process.
  [[nodiscard]] virtual Durability strongest() const noexcept = 0;

  /// The next unused sequence number, from 1 to 2^47 - 1. Numbers that were never committed are lost, not
  /// reused. Anywhere, in a transaction or not. full: the numbers leased ahead ran out within one transaction
  /// (2^19 or more).
  [[nodiscard]] virtual Result<Sequence> next_sequence() = 0;

  /// invalid_argument within a transaction. Where the file had to be closed and could not be opened again,
  /// tries that.
  [[nodiscard]] virtual Result<void> begin() = 0;
  /// On success the group is as durable as asked when the call returns. On failure nothing of it is stored,
  /// and the store has reopened its file where it had to (after a failed fsync), or answers every later call
  /// with storage_io.
  [[nodiscard]] virtual Result<void> commit(Durability durability) = 0;
  /// Gives the changes since begin up. Harmless without a transaction.
  virtual void rollback() noexcept = 0;

  /// Finds or makes a stream; making one needs a transaction, not_found outside of one. full past 65,535
  /// streams.
  [[nodiscard]] virtual Result<StreamId> stream(Box box, std::string_view node, std::string_view lane) = 0;

  // --- Changes, within a transaction
  // ------------------------------------------------------------------------------
  /// Adds a row in state ready or parked. `row.sequence` comes from next_sequence. invalid_argument: no such
  /// stream, a position that is taken, or a part longer than limits.h allows (a longer cause is cut).
  /// storage_full: at the cap.
  [[nodiscard]] virtual Result<void> put(const Row& row) = 0;
  /// In either state. Removing what is not there is no error: an acknowledgement may come twice.
  [[nodiscard]] virtual Result<void> erase(StreamId stream, Sequence sequence) = 0;
  /// Removes rows in state ready up to and including `sequence`: a cumulative acknowledgement.
  [[nodiscard]] virtual Result<void> erase_through(StreamId stream, Sequence sequence) = 0;
  /// Rewrites state, attempts and cause of one row. not_found where it is gone; corrupt for a row that was
  /// moved aside as damaged and shall be made ready.
  [[nodiscard]] virtual Result<void> mark(StreamId stream, Sequence sequence, RowState state, std::uint32_t attempts,
                                          std::string_view cause) = 0;
  [[nodiscard]] virtual Result<void> put_watermark(const Watermark& watermark) = 0;
  /// The application's own state: small values under keys, changed in the same transaction as its messages.
  [[nodiscard]] virtual Result<void> put_state(std::string_view key, std::span<const std::byte> value) = 0;
  [[nodiscard]] virtual Result<void> erase_state(std::string_view key) = 0;

  // --- Reads
  // ------------------------------------------------------------------------------------------------------
  /// Return false to stop the visit early. A visitor must not call the store. A row whose checksum does not
  /// hold is not shown: it is counted in counters().corrupt_rows and moved aside where that can be done; an
  /// empty stand-in in state parked tells of it.
  using RowVisitor = std::function<bool(const Row&)>;
  /// Rows of `stream` in state `state` with a sequence above `after`, in order, at most `limit`. Constant
  /// memory.
  [[nodiscard]] virtual Result<void> read(StreamId stream, RowState state, Sequence after, std::size_t limit,
                                          const RowVisitor& visit) = 0;
  [[nodiscard]] virtual Result<std::vector<Stream>> streams() = 0;
  [[nodiscard]] virtual Result<std::vector<Watermark>> watermarks() = 0;
  using StateVisitor = std::function<bool(std::string_view key, std::span<const std::byte> value)>;
  /// Keys that start with `prefix`, in byte order.
  [[nodiscard]] virtual Result<void> read_state(std::string_view prefix, const StateVisitor& visit) = 0;

  struct Counters {
    std::uint64_t commits = 0;
    std::uint64_t rows_put = 0;
    std::uint64_t bytes_written = 0;  ///< To files, counted where the store writes them; 0 in memory.
    std::uint64_t fsyncs = 0;
    std::uint64_t corrupt_rows = 0;
    std::uint64_t broken_syncs = 0;  ///< Times that less was found at open than the disk had reported as synced.
  };
  [[nodiscard]] virtual Counters counters() const noexcept = 0;
  /// What opening found wrong, and what it did about it: a line each for the log.
  [[nodiscard]] virtual std::vector<std::string> findings() const { return {}; }
};

}  // namespace pannier
