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

#include <pannier/sqlite_store.h>
#include "runtime/store/sqlite/session.h"
#include "runtime/store/sqlite/streams.h"
#include "runtime/store/sqlite/vfs.h"
#include "runtime/store/store_checks.h"

namespace pannier {

/// An optional part of the store. The store reports when the file is opened or closed, also after a failure, and when
/// transactions begin or are undone, so that the part can update its memory.
class SqlitePart {
 public:
  virtual ~SqlitePart() = default;
  /// May hold statements of the connection until closing().
  [[nodiscard]] virtual Result<void> opened(Connection& /*connection*/) { return {}; }
  virtual void closing() noexcept {}
  virtual void begin() noexcept {}
  virtual void rollback() noexcept {}
  virtual void begin_part() noexcept {}
  virtual void undo_part() noexcept {}
};

/// The store of docs/storage.md, behind open_sqlite_store(). One thread.
///
/// Its code: open.cpp (opening, closing, counting), store.cpp (sequence, transactions, streams), messages.cpp,
/// records.cpp (watermarks, the clock, the in-flight journal), and a file for each part.
class SqliteStore final : public Store {
 public:
  SqliteStore(const SqliteOptions& options, std::unique_ptr<CountingVfs> vfs)
      : options_(options), vfs_(std::move(vfs)) {}
  ~SqliteStore() override;
  SqliteStore(const SqliteStore&) = delete;
  SqliteStore& operator=(const SqliteStore&) = delete;

  /// Opens the file and loads what is kept in memory. Also reopens after a failure.
  [[nodiscard]] Result<void> open();

  [[nodiscard]] std::uint64_t incarnation() const noexcept override { return incarnation_; }
  [[nodiscard]] std::uint64_t incarnation_of(Sequence sequence) const noexcept override;
  [[nodiscard]] std::vector<std::uint64_t> incarnations() const override;
  [[nodiscard]] Durability strongest() const noexcept override { return options_.strongest; }
  [[nodiscard]] Result<Sequence> next_sequence() override;

  [[nodiscard]] Result<void> begin() override;
  [[nodiscard]] Result<void> commit(Durability durability) override;
  void rollback() noexcept override;
  [[nodiscard]] Result<void> begin_part() override;
  [[nodiscard]] Result<void> end_part(bool keep) override;

  [[nodiscard]] Result<StreamId> stream(Box box, std::string_view node, std::string_view lane) override;
  [[nodiscard]] const Stream* find_stream(StreamId id) const noexcept override { return streams_.find(id); }
  [[nodiscard]] const Stream* find_stream(Box box, std::string_view node,
                                          std::string_view lane) const noexcept override {
    return streams_.find(box, node, lane);
  }
  void visit_streams(std::optional<Box> box, std::optional<std::string_view> node, StreamVisitor visit) const override {
    streams_.visit(box, node, visit);
  }
  [[nodiscard]] Load total(RowState state) const noexcept override { return streams_.total(state); }
  [[nodiscard]] Result<bool> erase_stream(StreamId id) override;
  [[nodiscard]] bool has_room() override;
  [[nodiscard]] Result<bool> count_some() override;

  [[nodiscard]] Result<void> put(const Row& row) override;
  [[nodiscard]] Result<void> erase(StreamId stream, Sequence sequence) override;
  [[nodiscard]] Result<void> erase_through(StreamId stream, Sequence sequence) override;
  [[nodiscard]] Result<void> mark(StreamId stream, Sequence sequence, const Mark& mark) override;
  [[nodiscard]] Result<void> requeue(StreamId stream, Sequence sequence, Sequence next) override;
  [[nodiscard]] Result<void> read(StreamId stream, RowState state, Sequence after, std::size_t limit,
                                  RowVisitor visit) override;
  [[nodiscard]] Result<bool> find(Sequence id, RowVisitor visit) override;
  [[nodiscard]] Result<void> read_due(StoreTime now, std::size_t limit, RowVisitor visit) override;
  [[nodiscard]] Result<std::optional<StoreTime>> next_due() override;
  [[nodiscard]] Result<Sequence> first_of_key(StreamId stream, RowState state, std::string_view key) override;

  [[nodiscard]] Result<void> put_watermark(const Watermark& watermark) override;
  [[nodiscard]] Result<void> erase_watermark(const Watermark& watermark) override;
  [[nodiscard]] Result<std::vector<Watermark>> watermarks() override;
  [[nodiscard]] Result<void> put_anchor(const ClockAnchor& anchor) override;
  [[nodiscard]] Result<std::optional<ClockAnchor>> anchor() override;

  [[nodiscard]] bool note_in_flight(StreamId stream, Sequence sequence) noexcept override;
  void clear_in_flight(StreamId stream, Sequence sequence) noexcept override;
  [[nodiscard]] std::vector<InFlight> take_in_flight() override;

  [[nodiscard]] Retention* retention() noexcept override { return parts.retention; }
  [[nodiscard]] TokenTable* tokens() noexcept override { return parts.tokens; }
  [[nodiscard]] StateTable* state() noexcept override { return parts.state; }
  [[nodiscard]] SqlTables* sql() noexcept override { return parts.sql; }

  [[nodiscard]] std::vector<std::string> findings() const override { return findings_; }
  [[nodiscard]] Counters counters() const noexcept override;

  // compact.cpp
  [[nodiscard]] Result<CompactedStore> compact();
  [[nodiscard]] Result<void> take_over();

  // --- For its parts
  struct Parts {
    std::vector<std::unique_ptr<SqlitePart>> all;
    Retention* retention = nullptr;
    TokenTable* tokens = nullptr;
    StateTable* state = nullptr;
    SqlTables* sql = nullptr;
  };
  Parts parts;  ///< Before open().
  [[nodiscard]] SqliteSession& session() noexcept { return *session_; }
  [[nodiscard]] const std::string& path() const noexcept { return options_.path; }
  /// storage_io if the file had to be closed.
  [[nodiscard]] Result<void> check_open() const;
  /// What ended the transaction, or invalid_argument outside of one.
  [[nodiscard]] Result<void> check_change() const;
  /// The same; an error in `valid` also ends the transaction.
  [[nodiscard]] Result<void> check_change(const Result<void>& valid);
  /// Runs a statement that changes data. An error ends the transaction.
  [[nodiscard]] Result<void> change(std::string_view doing, Statement& statement);
  /// Visits the rows of a statement. `sql` as for Statements.
  template <class... Values>
  [[nodiscard]] Result<void> read_rows(const char* sql, FunctionRef<void(const Statement&)> visit,
                                       const Values&... values) {
    if (Result<void> ready = check_open(); !ready) return ready;
    return read_all(session_->sql[sql].with(values...), visit);
  }
  /// Ends the transaction with this error, which every change returns until rollback().
  Error fail(Error error);
  Error fail(int rc, std::string_view doing) { return fail(session_->connection.error(rc, doing)); }
  /// Removes the rows of one state of a stream from `first` to `last` and adds their number to `removed`. SQLITE_OK or
  /// an error.
  [[nodiscard]] int erase_range(RowState state, StreamId stream, Sequence first, Sequence last, std::uint64_t& removed);

 private:
  struct Incarnation {
    Sequence first = 0;
    std::uint64_t number = 0;
  };
  /// A row and its position, copied from the file.
  struct Located {
    std::int64_t position = 0;
    bool batched = false;
    Row row;  ///< Its texts are borrowed from head_, its payload from payload_.
  };

  // open.cpp
  [[nodiscard]] Result<void> open_file();
  void check_log();
  /// Checkpoints the whole log and deletes it, both synced.
  [[nodiscard]] Result<void> empty_log();
  [[nodiscard]] Result<void> load_meta();
  [[nodiscard]] Result<void> load_incarnations();
  [[nodiscard]] Result<void> load_streams();
  [[nodiscard]] Result<void> choose_incarnation();
  [[nodiscard]] Result<bool> count_rows(std::size_t limit);
  [[nodiscard]] Result<bool> is_small();
  void close_session() noexcept;
  void close() noexcept;
  void reopen() noexcept;

  // store.cpp
  [[nodiscard]] Result<void> read_all(Statement& statement, FunctionRef<void(const Statement&)> visit);
  void checkpoint() noexcept;
  [[nodiscard]] int write_lease(Sequence lease);
  [[nodiscard]] int write_meta(Sequence lease, bool clean);
  [[nodiscard]] int write_loads();
  void end_transaction() noexcept;
  void roll_back_changes() noexcept;

  // messages.cpp
  [[nodiscard]] Result<void> check_room();
  [[nodiscard]] bool hold_reserve();
  [[nodiscard]] int put_row(const Row& row);
  [[nodiscard]] int put_single(std::int64_t position, const Row& row);
  /// SQLITE_ROW, SQLITE_DONE or an error.
  [[nodiscard]] int locate(const Stream& stream, Sequence sequence, Located& found);
  [[nodiscard]] int take_out(const Located& found);
  [[nodiscard]] Result<void> visit_rows(SqliteRows& rows, std::size_t limit, RowVisitor visit);

  SqliteOptions options_;
  std::unique_ptr<CountingVfs> vfs_;
  std::unique_ptr<SqliteSession> session_;  ///< Null after a failure, until it is reopened.
  std::vector<std::string> findings_;

  std::uint64_t incarnation_ = 0;
  std::vector<Incarnation>
      incarnations_;                 ///< Those in the file, including any that the first lease will drop; oldest first.
  Sequence drop_before_ = 0;         ///< The first lease drops incarnations that begin before it.
  bool incarnation_stored_ = false;  ///< The current incarnation is committed.

  Sequence first_ = 0;                 ///< All sequences in the file were below it when the store was first opened.
  Sequence fresh_from_ = 0;            ///< The same when the file was last opened.
  Sequence next_ = 0;                  ///< The next sequence to assign.
  Sequence leased_ = 0;                ///< The committed lease: only sequences below it may be assigned.
  std::optional<Sequence> new_lease_;  ///< A lease written in the open transaction.
  bool lease_in_part_ = false;         ///< It was written in the open part.
  bool clean_ = false;                 ///< The file is marked as closed in order; cleared by the first change.

  SqliteStreams streams_;
  bool may_be_paused_ = true;  ///< Some ready row may have a moment.

  std::string head_;     ///< Scratch: the head of the current row.
  std::string payload_;  ///< Scratch: its payload.

  std::uint32_t log_pages_ = 0;  ///< Pages in the log after the last commit; 0 after a checkpoint.
  bool open_ = false;
  bool in_part_ = false;
  bool room_checked_ = false;
  bool reserve_held_ = false;
  unsigned refusals_ = 0;  ///< Messages refused since the reserve was released.
  std::optional<Error> failed_;
  std::uint64_t rows_put_before_ = 0;
  std::uint64_t rows_put_before_part_ = 0;
  Counters counters_;
};

}  // namespace pannier
