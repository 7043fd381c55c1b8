#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <pannier/result.h>
#include "platform/function_ref.h"
#include "runtime/store/row.h"

namespace pannier {

class Retention;
class TokenTable;
class StateTable;
class SqlTables;

/// Keeps the messages, watermarks and application state of one node, and changes them in transactions.
///
/// Use a store from one thread. Changes are made between begin and commit. **A change that fails ends the transaction
/// and nothing of it is stored**: call rollback; until then every further change, and the commit, return the same
/// error. Three errors are exceptions that change nothing and end nothing: not_found (mark, requeue, stream), full
/// (stream, put_token) and rejected (execute). Reads outside a transaction see what is committed; reads inside one see
/// its changes.
///
/// Every implementation passes tests/contract/store_contract.h.
class Store {
 public:
  virtual ~Store() = default;

  // --- Identity -----------------------------------------------------------------------------------------------------

  /// A random number, new each time the store is opened. (incarnation, sequence) identifies a message forever, even
  /// after a backup is restored: the backup assigns the same sequences again, but under another incarnation.
  [[nodiscard]] virtual std::uint64_t incarnation() const noexcept = 0;
  /// The incarnation in which `sequence` was assigned.
  [[nodiscard]] virtual std::uint64_t incarnation_of(Sequence sequence) const noexcept = 0;
  /// Every incarnation that a stored message may still bear, the current one included; at most limits::kIncarnations.
  [[nodiscard]] virtual std::vector<std::uint64_t> incarnations() const = 0;
  /// The best durability that a commit can promise.
  [[nodiscard]] virtual Durability strongest() const noexcept = 0;
  /// The next unused sequence, from 1 to kMaxSequence, inside a transaction or not. A sequence that is not committed is
  /// skipped, not reused. full: the transaction used up the block of sequences leased ahead.
  [[nodiscard]] virtual Result<Sequence> next_sequence() = 0;

  // --- Transactions -------------------------------------------------------------------------------------------------

  /// invalid_argument inside a transaction. Tries to reopen a file that an earlier failure closed.
  [[nodiscard]] virtual Result<void> begin() = 0;
  /// On success this group and all before it are as durable as asked: `fsynced` is on stable storage, `committed`
  /// survives the process. `memory` counts as `committed`. On failure nothing of the group is stored. After a failed
  /// sync no commit succeeds until the whole log was written and synced anew.
  [[nodiscard]] virtual Result<void> commit(Durability durability) = 0;
  /// Undoes the changes since begin. Harmless without a transaction.
  virtual void rollback() noexcept = 0;
  /// Starts a part of the transaction that can be undone alone (a savepoint). Parts do not nest.
  [[nodiscard]] virtual Result<void> begin_part() = 0;
  /// Keeps the part or undoes it. Undoing removes the streams that it created, but does not return its sequences.
  /// Harmless without a part.
  [[nodiscard]] virtual Result<void> end_part(bool keep) = 0;

  // --- Streams ------------------------------------------------------------------------------------------------------

  /// Finds a stream, or creates it inside a transaction. not_found: it does not exist, outside of a transaction. full:
  /// there are limits::kStreams already.
  [[nodiscard]] virtual Result<StreamId> stream(Box box, std::string_view node, std::string_view lane) = 0;
  /// Null if there is none. The loads include the changes of the open transaction. Borrowed until the next call.
  [[nodiscard]] virtual const Stream* find_stream(StreamId id) const noexcept = 0;
  [[nodiscard]] virtual const Stream* find_stream(Box box, std::string_view node,
                                                  std::string_view lane) const noexcept = 0;
  /// Visits streams ordered by (box, node, lane): all of them, those of `box`, or those of `node`. Return false to
  /// stop. The visitor must not call the store.
  using StreamVisitor = FunctionRef<bool(const Stream&)>;
  virtual void visit_streams(std::optional<Box> box, std::optional<std::string_view> node,
                             StreamVisitor visit) const = 0;
  /// The rows of all streams in a state.
  [[nodiscard]] virtual Load total(RowState state) const noexcept = 0;
  /// Removes an empty stream. False if it has rows, tokens or cursors, or if loads are not exact yet. Its id may be
  /// given to another stream later.
  [[nodiscard]] virtual Result<bool> erase_stream(StreamId id) = 0;
  /// After storage_full: false while put() would fail again. Call outside of a transaction.
  [[nodiscard]] virtual bool has_room() { return true; }
  /// Counts a bounded number of rows after an unclean end. False once all loads are exact. Call outside of a
  /// transaction.
  [[nodiscard]] virtual Result<bool> count_some() = 0;

  // --- Messages -----------------------------------------------------------------------------------------------------

  /// Adds a row. `row.sequence` comes from next_sequence. invalid_argument: no such stream, a sequence that is taken,
  /// or a part longer than limits.h allows (a longer cause is cut). storage_full: at the cap; a later change or the
  /// commit may be the one that reports it.
  [[nodiscard]] virtual Result<void> put(const Row& row) = 0;
  /// Removes a row in any state. No error if there is none: an acknowledgement may come twice.
  [[nodiscard]] virtual Result<void> erase(StreamId stream, Sequence sequence) = 0;
  /// Removes ready rows up to and including `sequence`: a cumulative acknowledgement.
  [[nodiscard]] virtual Result<void> erase_through(StreamId stream, Sequence sequence) = 0;
  /// The fields that mark() replaces.
  struct Mark {
    RowState state = RowState::ready;
    std::uint32_t attempts = 0;
    std::string_view cause = {};
    StoreTime moment{};
  };
  /// Changes the state of a row, which keeps its sequence. A ready row with a moment keeps its place and waits until
  /// then. not_found: there is no such row.
  [[nodiscard]] virtual Result<void> mark(StreamId stream, Sequence sequence, const Mark& mark) = 0;
  /// Makes a row of any state ready, after all others of its stream, under sequence `next` from next_sequence. Clears
  /// its attempts and cause; Row::id stays the same. not_found: there is no such row.
  [[nodiscard]] virtual Result<void> requeue(StreamId stream, Sequence sequence, Sequence next) = 0;

  /// Return false to stop. The visitor must not call the store. Views are valid for the visit.
  using RowVisitor = FunctionRef<bool(const Row&)>;
  /// Rows of `stream` in `state` with a sequence above `after`, in order, at most `limit`. Constant memory.
  [[nodiscard]] virtual Result<void> read(StreamId stream, RowState state, Sequence after, std::size_t limit,
                                          RowVisitor visit) = 0;
  /// Visits the row with this Row::id, in any stream and state. False if there is none.
  [[nodiscard]] virtual Result<bool> find(Sequence id, RowVisitor visit) = 0;
  /// Delayed rows, and ready rows with a moment, whose moment is at or before `now`; the earliest first, at most
  /// `limit`.
  [[nodiscard]] virtual Result<void> read_due(StoreTime now, std::size_t limit, RowVisitor visit) = 0;
  /// The earliest moment of a row that read_due would visit, if any.
  [[nodiscard]] virtual Result<std::optional<StoreTime>> next_due() = 0;
  /// The lowest id among the rows of `key` that are dead-lettered, or that are ready and have a moment; 0 if there is
  /// none. `state`: dead_lettered or ready. Cheap if the stream has no such row.
  [[nodiscard]] virtual Result<Sequence> first_of_key(StreamId stream, RowState state, std::string_view key) = 0;

  // --- Watermarks and the clock -------------------------------------------------------------------------------------

  [[nodiscard]] virtual Result<void> put_watermark(const Watermark& watermark) = 0;
  [[nodiscard]] virtual Result<void> erase_watermark(const Watermark& watermark) = 0;
  [[nodiscard]] virtual Result<std::vector<Watermark>> watermarks() = 0;
  [[nodiscard]] virtual Result<void> put_anchor(const ClockAnchor& anchor) = 0;
  [[nodiscard]] virtual Result<std::optional<ClockAnchor>> anchor() = 0;

  // --- In-flight journal --------------------------------------------------------------------------------------------

  /// Notes that a row was delivered to a consumer and is not settled. Takes no transaction; survives a crash of the
  /// process, not of the machine. False: limits::kInFlight are noted already, so the row must wait.
  [[nodiscard]] virtual bool note_in_flight(StreamId stream, Sequence sequence) noexcept = 0;
  virtual void clear_in_flight(StreamId stream, Sequence sequence) noexcept = 0;
  struct InFlight {
    StreamId stream{};
    Sequence sequence = 0;
  };
  /// The notes left by an earlier process. The first call clears them.
  [[nodiscard]] virtual std::vector<InFlight> take_in_flight() = 0;

  // --- Parts that a program may leave out ---------------------------------------------------------------------------

  /// Null if the store was opened without the part. A part shares the store's transactions and thread.
  [[nodiscard]] virtual Retention* retention() noexcept = 0;
  [[nodiscard]] virtual TokenTable* tokens() noexcept = 0;
  [[nodiscard]] virtual StateTable* state() noexcept = 0;
  [[nodiscard]] virtual SqlTables* sql() noexcept = 0;

  // --- For people ---------------------------------------------------------------------------------------------------

  /// Problems found when the store was opened and what was done about them, one line each, for the log.
  [[nodiscard]] virtual std::vector<std::string> findings() const { return {}; }

  using Counters = StoreCounters;
  [[nodiscard]] virtual Counters counters() const noexcept = 0;
};

/// Retained rows and the cursors of their readers.
class Retention {
 public:
  /// Removes the oldest retained rows until at most `most` are left, and those whose moment is before `before`
  /// (kNoMoment: no such limit). At most limits::kTrimRows per call.
  [[nodiscard]] virtual Result<void> trim(StreamId stream, const Load& most, StoreTime before) = 0;
  [[nodiscard]] virtual Result<void> put_cursor(const Cursor& cursor) = 0;
  [[nodiscard]] virtual Result<void> erase_cursor(StreamId stream, std::string_view reader) = 0;
  [[nodiscard]] virtual Result<std::vector<Cursor>> cursors() = 0;

 protected:
  ~Retention() = default;
};

/// Idempotency tokens of enqueues.
class TokenTable {
 public:
  /// Remembers until `expires_at` that the enqueue with `token` in `stream` got `sequence`. full: there are
  /// limits::kTokens already.
  [[nodiscard]] virtual Result<void> put_token(StreamId stream, std::string_view token, Sequence sequence,
                                               StoreTime expires_at) = 0;
  /// Removes at most `limit` tokens that have expired at `now`.
  [[nodiscard]] virtual Result<void> erase_tokens(StoreTime now, std::size_t limit) = 0;
  /// The sequence of a token; 0 if the token is unknown or expired at `now`.
  [[nodiscard]] virtual Result<Sequence> token(StreamId stream, std::string_view token, StoreTime now) = 0;

 protected:
  ~TokenTable() = default;
};

/// The application's own state: small values under keys, changed in the same transaction as its messages.
class StateTable {
 public:
  [[nodiscard]] virtual Result<void> put_state(std::string_view key, std::span<const std::byte> value) = 0;
  [[nodiscard]] virtual Result<void> erase_state(std::string_view key) = 0;
  using StateVisitor = FunctionRef<bool(std::string_view key, std::span<const std::byte> value)>;
  /// Keys that start with `prefix`, in byte order. Return false to stop.
  [[nodiscard]] virtual Result<void> read_state(std::string_view prefix, StateVisitor visit) = 0;

 protected:
  ~StateTable() = default;
};

/// The application's own tables, in the store's file and its transactions.
class SqlTables {
 public:
  /// Runs one statement on the application's tables. rejected, with SQLite's text: a constraint, a syntax error, one of
  /// the store's own tables, a statement that would end the transaction.
  [[nodiscard]] virtual Result<void> execute(const SqlStatement& statement) = 0;
  using SqlVisitor = FunctionRef<bool(std::span<const SqlValue> row)>;
  /// Reads with one SELECT on the application's tables. Values are borrowed for the visit. Errors as execute.
  [[nodiscard]] virtual Result<void> query(const SqlStatement& statement, SqlVisitor visit) = 0;

 protected:
  ~SqlTables() = default;
};

}  // namespace pannier
