#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/queue/sqlite_schema.h"
#include "runtime/queue/sqlite_session.h"
#include "runtime/queue/sqlite_store.h"
#include "runtime/queue/sqlite_vfs.h"

namespace pannier {

/// The store of docs/storage.md. Behind open_sqlite_store(), so that its users do not see SQLite. One thread.
///
/// Its code is in sqlite_store.cpp (opening, sequence, transactions), sqlite_rows.cpp (changes of streams and
/// rows) and sqlite_reads.cpp (reads, watermarks, state).
class SqliteStore final : public Store {
 public:
  SqliteStore(const SqliteOptions& options, std::unique_ptr<CountingVfs> vfs)
      : options_(options), vfs_(std::move(vfs)) {}
  ~SqliteStore() override { SqliteStore::rollback(); }
  SqliteStore(const SqliteStore&) = delete;
  SqliteStore& operator=(const SqliteStore&) = delete;

  /// Opens the file and reads what is kept in memory. Also after a failure, in place of a closed session.
  [[nodiscard]] Result<void> open();
  /// Raises the lease for the numbers that this start gives out.
  [[nodiscard]] Result<void> first_lease();

  [[nodiscard]] std::uint64_t incarnation() const noexcept override { return incarnation_; }
  [[nodiscard]] Durability strongest() const noexcept override { return Durability::fsynced; }
  [[nodiscard]] Result<Sequence> next_sequence() override;
  [[nodiscard]] Result<void> begin() override;
  [[nodiscard]] Result<void> commit(Durability durability) override;
  void rollback() noexcept override;
  [[nodiscard]] Result<StreamId> stream(Box box, std::string_view node, std::string_view lane) override;
  [[nodiscard]] Result<void> put(const Row& row) override;
  [[nodiscard]] Result<void> erase(StreamId stream, Sequence sequence) override;
  [[nodiscard]] Result<void> erase_through(StreamId stream, Sequence sequence) override;
  [[nodiscard]] Result<void> mark(StreamId stream, Sequence sequence, RowState state, std::uint32_t attempts,
                                  std::string_view cause) override;
  [[nodiscard]] Result<void> put_watermark(const Watermark& watermark) override;
  [[nodiscard]] Result<void> put_state(std::string_view key, std::span<const std::byte> value) override;
  [[nodiscard]] Result<void> erase_state(std::string_view key) override;
  [[nodiscard]] Result<void> read(StreamId stream, RowState state, Sequence after, std::size_t limit,
                                  const RowVisitor& visit) override;
  [[nodiscard]] Result<std::vector<Stream>> streams() override { return streams_; }
  [[nodiscard]] Result<std::vector<Watermark>> watermarks() override;
  [[nodiscard]] Result<void> read_state(std::string_view prefix, const StateVisitor& visit) override;
  [[nodiscard]] Counters counters() const noexcept override;
  [[nodiscard]] std::vector<std::string> findings() const override { return findings_; }

 private:
  static constexpr std::size_t kReady = 0;  ///< Index of a table in the session's pairs of statements.
  static constexpr std::size_t kParked = 1;
  static std::size_t table_of(RowState state) noexcept { return state == RowState::ready ? kReady : kParked; }

  struct Counts {
    std::uint64_t messages;
    std::uint64_t bytes;
    std::uint64_t parked;
  };
  struct CountsBefore {
    std::size_t index;
    Counts counts;
  };

  static std::string name_key(Box box, std::string_view node, std::string_view lane);
  [[nodiscard]] Result<void> load_meta();
  [[nodiscard]] Result<void> load_streams();
  [[nodiscard]] Result<void> count_rows(Stream& stream);
  [[nodiscard]] int write_lease(Sequence lease);
  [[nodiscard]] Result<void> check_room();
  [[nodiscard]] bool hold_reserve();

  [[nodiscard]] Result<void> check_change() const;
  /// Ends the transaction with this error, which is given back until rollback().
  Error fail(Error error);
  Error fail(int rc, std::string_view doing) { return fail(session_->connection.error(rc, doing)); }
  void roll_back_changes() noexcept;
  void reopen() noexcept;

  /// Null for no such stream. The counts as they are now come back with a rollback.
  Stream* change(StreamId stream);
  [[nodiscard]] const Stream* find(StreamId stream) const;
  [[nodiscard]] int erase_from(std::size_t table, Stream& stream, std::int64_t at);
  void set_aside(std::size_t table, StreamId stream, const std::vector<std::int64_t>& positions);
  [[nodiscard]] int set_aside_one(std::size_t table, Stream& stream, std::int64_t at);

  SqliteOptions options_;
  std::unique_ptr<CountingVfs> vfs_;
  std::unique_ptr<SqliteSession> session_;  ///< Null after a failure that could not be healed.
  std::uint64_t incarnation_ = 0;

  Sequence next_ = 0;                  ///< The next number to be given out; 0 until the first lease.
  Sequence leased_ = 0;                ///< Committed: no number at or above it may be given out.
  std::optional<Sequence> new_lease_;  ///< Written in the open transaction.

  std::vector<Stream> streams_;  ///< Stream n + 1 at n.
  std::map<std::string, StreamId, std::less<>> stream_ids_;

  bool open_ = false;
  bool room_checked_ = false;
  bool reserve_held_ = false;
  unsigned refusals_ = 0;  ///< Since the reserve was given up.
  std::optional<Error> failed_;
  std::vector<CountsBefore> counts_before_;
  std::size_t streams_before_ = 0;
  std::uint64_t rows_put_before_ = 0;
  Counters counters_;
  std::vector<std::string> findings_;
};

inline std::int64_t as_signed(std::uint64_t value) noexcept { return static_cast<std::int64_t>(value); }
inline std::uint64_t as_unsigned(std::int64_t value) noexcept { return static_cast<std::uint64_t>(value); }

}  // namespace pannier
