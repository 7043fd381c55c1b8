#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "platform/function_ref.h"
#include "runtime/store/sqlite/claims.h"
#include "runtime/store/sqlite/loads.h"
#include "runtime/store/sqlite/row.h"
#include "runtime/store/sqlite/schema.h"
#include "runtime/store/sqlite/session.h"
#include "runtime/store/sqlite/twin.h"
#include "runtime/store/sqlite/vfs.h"
#include "runtime/store/sqlite_store.h"

namespace pannier {

/// The store of docs/storage.md. Behind open_sqlite_store(), so that its users do not see SQLite. One thread.
///
/// Its code is in store.cpp (sequence, transactions), open.cpp (opening, closing, counting), rows.cpp (streams, rows
/// that come and go), marks.cpp (rows that change), reads.cpp and records.cpp (watermarks, state, cursors, tokens, the
/// clock).
class SqliteStore final : public Store {
 public:
  SqliteStore(const SqliteOptions& options, std::unique_ptr<CountingVfs> vfs)
      : options_(options), vfs_(std::move(vfs)) {}
  ~SqliteStore() override;
  SqliteStore(const SqliteStore&) = delete;
  SqliteStore& operator=(const SqliteStore&) = delete;

  /// Opens the file and reads what is kept in memory. Also after a failure, in place of a closed session.
  [[nodiscard]] Result<void> open();
  /// Raises the lease for the numbers that this start gives out.
  [[nodiscard]] Result<void> raise_lease();

  [[nodiscard]] std::uint64_t incarnation() const noexcept override { return incarnation_; }
  [[nodiscard]] Durability strongest() const noexcept override { return options_.strongest; }
  [[nodiscard]] Result<Sequence> next_sequence() override;
  [[nodiscard]] Result<void> begin() override;
  [[nodiscard]] Result<void> commit(Durability durability) override;
  void rollback() noexcept override;
  [[nodiscard]] Result<void> begin_part() override;
  [[nodiscard]] Result<void> end_part(bool keep) override;
  [[nodiscard]] Result<StreamId> stream(Box box, std::string_view node, std::string_view lane) override;
  [[nodiscard]] Result<void> put(const Row& row) override;
  [[nodiscard]] Result<void> erase(StreamId stream, Sequence sequence) override;
  [[nodiscard]] Result<void> erase_through(StreamId stream, Sequence sequence) override;
  [[nodiscard]] Result<void> keep_through(StreamId stream, Sequence sequence, StoreTime moment) override;
  [[nodiscard]] Result<void> mark(StreamId stream, Sequence sequence, const Mark& mark) override;
  [[nodiscard]] Result<void> requeue(StreamId stream, Sequence sequence, Sequence next) override;
  [[nodiscard]] Result<void> trim(StreamId stream, const Load& most, StoreTime before) override;
  [[nodiscard]] Result<void> put_watermark(const Watermark& watermark) override;
  [[nodiscard]] Result<void> put_state(std::string_view key, std::span<const std::byte> value) override;
  [[nodiscard]] Result<void> erase_state(std::string_view key) override;
  [[nodiscard]] Result<void> put_cursor(const Cursor& cursor) override;
  [[nodiscard]] Result<void> erase_cursor(StreamId stream, std::string_view reader) override;
  [[nodiscard]] Result<void> put_anchor(const ClockAnchor& anchor) override;
  [[nodiscard]] Result<void> put_token(StreamId stream, std::string_view token, Sequence sequence,
                                       StoreTime expires_at) override;
  [[nodiscard]] Result<void> erase_tokens(StoreTime now, std::size_t limit) override;
  [[nodiscard]] Result<void> execute(const SqlStatement& statement) override;
  [[nodiscard]] Result<void> read(StreamId stream, RowState state, Sequence after, std::size_t limit,
                                  RowVisitor visit) override;
  [[nodiscard]] Result<bool> find(Sequence id, RowVisitor visit) override;
  [[nodiscard]] Result<void> read_due(StoreTime now, std::size_t limit, RowVisitor visit) override;
  [[nodiscard]] Result<std::optional<StoreTime>> next_due() override;
  [[nodiscard]] Result<std::vector<Stream>> streams() override { return loads_.all(); }
  [[nodiscard]] const Stream* stream(StreamId id) const noexcept override { return loads_.find(id); }
  [[nodiscard]] Result<bool> count_some() override;
  [[nodiscard]] Result<std::vector<Watermark>> watermarks() override;
  [[nodiscard]] Result<std::vector<Cursor>> cursors() override;
  [[nodiscard]] Result<std::optional<ClockAnchor>> anchor() override;
  [[nodiscard]] Result<Sequence> token(StreamId stream, std::string_view token, StoreTime now) override;
  [[nodiscard]] Result<void> read_state(std::string_view prefix, StateVisitor visit) override;
  [[nodiscard]] Result<void> query(const SqlStatement& statement, SqlVisitor visit) override;
  [[nodiscard]] bool claim(StreamId stream, Sequence sequence) noexcept override;
  void release(StreamId stream, Sequence sequence) noexcept override;
  [[nodiscard]] std::vector<Claim> take_claims() override;
  [[nodiscard]] std::vector<std::string> findings() const override { return findings_; }
  [[nodiscard]] Counters counters() const noexcept override;

 private:
  /// A row that was found damaged while it was read.
  struct Place {
    RowState state{};
    std::int64_t position = 0;
  };
  class RowSource;

  /// Opens the file as it is.
  [[nodiscard]] Result<void> open_file();
  void check_log();
  [[nodiscard]] Result<void> load_meta();
  /// corrupt: what duplicates are told by, or the clock or the application's state, does not hold.
  [[nodiscard]] Result<void> check_records();
  [[nodiscard]] Result<void> load_streams(bool clean);
  [[nodiscard]] Result<void> load_tokens();
  [[nodiscard]] Result<bool> count_rows(std::size_t limit);
  [[nodiscard]] int write_meta(Sequence lease, bool clean);
  [[nodiscard]] int write_twin(Sequence lease);
  void close() noexcept;
  [[nodiscard]] int write_loads(const Stream& stream);
  [[nodiscard]] Result<void> check_room();
  [[nodiscard]] bool hold_reserve();

  [[nodiscard]] Result<void> check_open() const;
  [[nodiscard]] Result<void> check_change() const;
  /// Ends the transaction with this error, which is given back until rollback().
  Error fail(Error error);
  Error fail(int rc, std::string_view doing) { return fail(session_->connection.error(rc, doing)); }
  void roll_back_changes() noexcept;
  void reopen() noexcept;

  /// Moves a row out of its batch. SQLITE_ROW, SQLITE_DONE where it is in none, or an error.
  [[nodiscard]] int mark_batched(std::int64_t position, const Mark& mark);
  /// Copies rows of batches to those that are kept.
  [[nodiscard]] int keep_batched(std::int64_t after, std::int64_t last, StoreTime moment);
  [[nodiscard]] int put_row(RowState state, const Row& row);
  /// A row whose head is made.
  [[nodiscard]] int put_stored(RowState state, const StoredRow& row, StoreTime moment);
  /// Notes its number, and says whether it is above all that its stream ever had.
  [[nodiscard]] bool note_number(const Row& row);
  /// Removes a range of rows in one state and adds what they were to `removed`. `gone`: for good, so that nobody asks
  /// for them by their origin any more. SQLITE_OK or an error.
  [[nodiscard]] int erase_range(StreamId stream, RowState state, Sequence first, Sequence last, bool gone,
                                Load& removed);
  /// The next row that holds; SQLITE_ROW, SQLITE_DONE or an error. What does not hold is noted in `damaged`.
  [[nodiscard]] int next_row(RowSource& source, Row& row, std::vector<Place>& damaged);
  /// Visits what `source` gives, at most `limit` rows, and moves aside what does not hold.
  [[nodiscard]] Result<void> visit_rows(RowSource& source, std::size_t limit, RowVisitor visit);
  /// `broken_batch`: and what stands in the entry that the batches call broken.
  [[nodiscard]] Result<void> set_aside(const std::vector<Place>& places, bool broken_batch);
  [[nodiscard]] int set_aside_one(const Place& place);
  [[nodiscard]] int put_damaged(const StoredRow& row);
  /// The entry that the batches call broken: what holds in it goes on, what does not is put aside. In a transaction.
  [[nodiscard]] int take_batch_apart();
  /// Runs what answers kBroken until it does not, in a transaction.
  [[nodiscard]] int with_batches(FunctionRef<int(SqliteBatches&)> use);

  SqliteOptions options_;
  std::unique_ptr<CountingVfs> vfs_;
  std::unique_ptr<SqliteSession> session_;  ///< Null after a failure that could not be healed.
  std::unique_ptr<SqliteClaims> claims_;
  std::uint64_t incarnation_ = 0;
  std::vector<std::string> findings_;

  sqlite_twin::Roots roots_;
  Sequence next_ = 0;                  ///< The next number to be given out; 0 until the first lease.
  Sequence leased_ = 0;                ///< Committed: no number at or above it may be given out.
  bool clean_ = false;                 ///< The file says that it was closed in an orderly way: not once it is changed.
  std::optional<Sequence> new_lease_;  ///< Written in the open transaction.

  SqliteLoads loads_;
  Sequence first_ = 0;             ///< No number at or above it was in the file when it was opened.
  std::vector<Sequence> highest_;  ///< The highest number that was put since, by stream.
  std::size_t tokens_ = 0;
  std::size_t tokens_before_ = 0;

  std::string head_;  ///< Of the row that is put; kept for its memory.

  bool open_ = false;
  bool room_checked_ = false;
  bool reserve_held_ = false;
  unsigned refusals_ = 0;  ///< Since the reserve was given up.
  std::optional<Error> failed_;
  std::uint64_t rows_put_before_ = 0;
  struct Part {
    std::size_t tokens = 0;
    std::uint64_t rows_put = 0;
  };
  std::optional<Part> part_;  ///< What was counted before the part that is open.
  Counters counters_;
};

}  // namespace pannier
