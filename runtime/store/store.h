#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "platform/function_ref.h"
#include "platform/result.h"
#include "runtime/store/row.h"

namespace pannier {

/// Keeps outbox, inbox, watermarks and the application's state of one node, and changes them in transactions.
///
/// All calls come from the one thread that drives the store. Between begin and commit every change belongs to
/// one transaction. **An error from any change ends the transaction: nothing of the group is stored**; the
/// caller calls rollback and fails every waiter of the group. Until then every change, and the commit, give
/// that error again. Only not_found (from mark, requeue and stream), full (from stream and put_token) and rejected
/// (from execute) change nothing and end nothing. Reads outside a transaction see what is committed; reads inside see
/// the transaction's own changes. The contract is a test suite: tests/contract/store_contract.h.
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
  /// On success the group, and every one before it, is as durable as asked when the call returns: `fsynced` is on
  /// stable storage, `committed` in the file and survives this process. `memory` counts as `committed`. On failure
  /// nothing of it is stored, and the store has reopened its file where it had to (after a failed fsync), or answers
  /// every later call with storage_io.
  [[nodiscard]] virtual Result<void> commit(Durability durability) = 0;
  /// Gives the changes since begin up. Harmless without a transaction.
  virtual void rollback() noexcept = 0;

  /// From here to end_part the changes are a part of the transaction, which can be given up without the rest of it (a
  /// savepoint). Parts do not nest. Where the transaction ends with an error the part ends with it; a commit keeps it.
  [[nodiscard]] virtual Result<void> begin_part() = 0;
  /// Keeps the part, or takes its changes back: streams that it made are gone, numbers that it drew stay drawn.
  /// Harmless without a part.
  [[nodiscard]] virtual Result<void> end_part(bool keep) = 0;

  /// Finds or makes a stream; making one needs a transaction, not_found outside of one. full past 65,535
  /// streams.
  [[nodiscard]] virtual Result<StreamId> stream(Box box, std::string_view node, std::string_view lane) = 0;

  // --- Changes, within a transaction
  // ------------------------------------------------------------------------------
  /// Adds a row in the state that it names. `row.sequence` comes from next_sequence. invalid_argument: no such
  /// stream, a position that is taken, or a part longer than limits.h allows (a longer cause is cut).
  /// storage_full: at the cap; a later change or the commit may be the one that says so.
  [[nodiscard]] virtual Result<void> put(const Row& row) = 0;
  /// In any state. Removing what is not there is no error: an acknowledgement may come twice.
  [[nodiscard]] virtual Result<void> erase(StreamId stream, Sequence sequence) = 0;
  /// Removes rows in state ready up to and including `sequence`: a cumulative acknowledgement.
  [[nodiscard]] virtual Result<void> erase_through(StreamId stream, Sequence sequence) = 0;
  /// As erase_through, but what was ready is kept from now on, with `moment`.
  [[nodiscard]] virtual Result<void> keep_through(StreamId stream, Sequence sequence, StoreTime moment) = 0;
  /// What mark rewrites of a row.
  struct Mark {
    RowState state = RowState::ready;
    std::uint32_t attempts = 0;
    std::string_view cause = {};
    StoreTime moment{};
  };
  /// Moves one row to a state, in its place. not_found where it is gone; corrupt for a row that was moved aside as
  /// damaged and shall be made anything but parked.
  [[nodiscard]] virtual Result<void> mark(StreamId stream, Sequence sequence, const Mark& mark) = 0;
  /// Makes a row of any state ready again behind all others of its stream: under the number `next`, which comes from
  /// next_sequence, with no attempts and no cause. Its origin stays what its receipt named. Errors as mark.
  [[nodiscard]] virtual Result<void> requeue(StreamId stream, Sequence sequence, Sequence next) = 0;
  /// Removes the oldest kept rows until at most `most` are left, and those whose moment lies before `before`
  /// (kNoMoment: none for that). Bounded work: at most limits::kTrimRows a call.
  [[nodiscard]] virtual Result<void> trim(StreamId stream, const Load& most, StoreTime before) = 0;
  [[nodiscard]] virtual Result<void> put_watermark(const Watermark& watermark) = 0;
  /// The application's own state: small values under keys, changed in the same transaction as its messages.
  [[nodiscard]] virtual Result<void> put_state(std::string_view key, std::span<const std::byte> value) = 0;
  [[nodiscard]] virtual Result<void> erase_state(std::string_view key) = 0;
  [[nodiscard]] virtual Result<void> put_cursor(const Cursor& cursor) = 0;
  [[nodiscard]] virtual Result<void> erase_cursor(StreamId stream, std::string_view reader) = 0;
  [[nodiscard]] virtual Result<void> put_anchor(const ClockAnchor& anchor) = 0;
  /// Notes that the enqueue named `token` in `stream` got the number `sequence`, until `expires_at`. full at
  /// limits::kTokens of one store.
  [[nodiscard]] virtual Result<void> put_token(StreamId stream, std::string_view token, Sequence sequence,
                                               StoreTime expires_at) = 0;
  /// Forgets tokens that have expired at `now`, at most `limit`.
  [[nodiscard]] virtual Result<void> erase_tokens(StoreTime now, std::size_t limit) = 0;
  /// Runs one of the application's own statements on its own tables. rejected with SQLite's text: a constraint, a
  /// syntax error, a table of the store, a statement that would end the transaction. unsupported: this store knows no
  /// SQL.
  [[nodiscard]] virtual Result<void> execute(const SqlStatement& statement) = 0;

  // --- Reads
  // ------------------------------------------------------------------------------------------------------
  /// Return false to stop the visit early. A visitor must not call the store. A row whose checksum does not
  /// hold is not shown: it is counted in counters().corrupt_rows and moved aside where that can be done; an
  /// empty stand-in in state parked tells of it.
  using RowVisitor = FunctionRef<bool(const Row&)>;
  /// Rows of `stream` in state `state` with a sequence above `after`, in order, at most `limit`. Constant
  /// memory.
  [[nodiscard]] virtual Result<void> read(StreamId stream, RowState state, Sequence after, std::size_t limit,
                                          RowVisitor visit) = 0;
  /// The row known by `id` (Row::id), in whatever stream and state. False: there is none.
  [[nodiscard]] virtual Result<bool> find(Sequence id, RowVisitor visit) = 0;
  /// Delayed rows whose moment is at or before `now`, the earliest first, at most `limit`.
  [[nodiscard]] virtual Result<void> read_due(StoreTime now, std::size_t limit, RowVisitor visit) = 0;
  /// The earliest moment of a delayed row; nothing where none is delayed.
  [[nodiscard]] virtual Result<std::optional<StoreTime>> next_due() = 0;
  [[nodiscard]] virtual Result<std::vector<Stream>> streams() = 0;
  /// One stream with its loads as they are now, the changes of an open transaction included; null for none. Borrowed
  /// until the next call to the store.
  [[nodiscard]] virtual const Stream* stream(StreamId id) const noexcept = 0;
  /// Counts a bounded piece of what an unclean end left uncounted. False once all is exact. Outside a transaction.
  [[nodiscard]] virtual Result<bool> count_some() = 0;
  [[nodiscard]] virtual Result<std::vector<Watermark>> watermarks() = 0;
  [[nodiscard]] virtual Result<std::vector<Cursor>> cursors() = 0;
  [[nodiscard]] virtual Result<std::optional<ClockAnchor>> anchor() = 0;
  /// The number that a token was noted with; 0: not known, or expired at `now`.
  [[nodiscard]] virtual Result<Sequence> token(StreamId stream, std::string_view token, StoreTime now) = 0;
  using StateVisitor = FunctionRef<bool(std::string_view key, std::span<const std::byte> value)>;
  /// Keys that start with `prefix`, in byte order.
  [[nodiscard]] virtual Result<void> read_state(std::string_view prefix, StateVisitor visit) = 0;
  /// Values of one row, borrowed for the visit.
  using SqlVisitor = FunctionRef<bool(std::span<const SqlValue> row)>;
  /// Reads with one SELECT, the application's tables and these alone. rejected with SQLite's text; unsupported.
  [[nodiscard]] virtual Result<void> query(const SqlStatement& statement, SqlVisitor visit) = 0;

  // --- Claims: which rows are in somebody's hands
  // ---------------------------------------------------------------------------------
  /// A note that survives the death of the process, though not of the machine, and costs no transaction: what was
  /// claimed at the end of an earlier life had been given to a handler that may have ended it. False: at
  /// limits::kClaims; the row must wait.
  [[nodiscard]] virtual bool claim(StreamId stream, Sequence sequence) noexcept = 0;
  virtual void release(StreamId stream, Sequence sequence) noexcept = 0;
  struct Claim {
    StreamId stream{};
    Sequence sequence = 0;
  };
  /// What an earlier life left claimed. Gives it once: they are released by it.
  [[nodiscard]] virtual std::vector<Claim> take_claims() = 0;

  /// What opening found wrong, and what it did about it: a line each for the log.
  [[nodiscard]] virtual std::vector<std::string> findings() const { return {}; }

  struct Counters {
    std::uint64_t commits = 0;
    std::uint64_t rows_put = 0;
    std::uint64_t bytes_written = 0;  ///< To files, counted where the store writes them; 0 in memory.
    std::uint64_t fsyncs = 0;
    std::uint64_t corrupt_rows = 0;
    std::uint64_t broken_syncs = 0;  ///< Times that an open found less, or other, than was reported as synced.
  };
  [[nodiscard]] virtual Counters counters() const noexcept = 0;
};

}  // namespace pannier
