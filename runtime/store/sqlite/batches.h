#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "platform/function_ref.h"
#include "runtime/store/row.h"
#include "runtime/store/sqlite/format.h"
#include "runtime/store/sqlite/handle.h"

namespace pannier {

/// The ready rows that are stored several to an entry, in the table `batches`. SQLite frees the pages of a large entry
/// without writing them, while rows of `messages` share pages that are written again as each row leaves: two fifths of
/// the flash a message and half of the store's time (docs/decisions/0013-rows-in-batches.md). A row that comes alone,
/// is large, or comes back is stored singly.
///
/// Belongs to one connection and its transaction: changes are with SQLite after flush(), and dropped by forget().
/// Results are SQLite's codes. One thread.
class SqliteBatches {
 public:
  /// `sql` outlives this. `least_bytes`: what is smaller at a flush goes to `messages` instead.
  SqliteBatches(Statements& sql, std::size_t least_bytes) : sql_(sql), least_bytes_(least_bytes) {}

  /// Whether a row of this size may go into a batch.
  [[nodiscard]] static bool fits(std::size_t head_bytes, std::size_t payload_bytes) noexcept;
  /// Its position must be above all that the stream ever had. Borrowed for the call.
  [[nodiscard]] int put(const StoredRow& row);
  /// Hands all changes to SQLite.
  [[nodiscard]] int flush();
  /// Gives up what is not with SQLite, and what was read of what it may have taken back.
  void forget() noexcept;

  /// The first row behind `after` up to and including `last`, both of one stream. SQLITE_ROW, SQLITE_DONE or an
  /// error; SQLITE_CORRUPT for an entry that is no batch. What it gives is borrowed until the next call.
  [[nodiscard]] int next(std::int64_t after, std::int64_t last, StoredRow& row);
  /// Removes the rows from `first` to `last`, both of one stream, and shows each before. SQLITE_OK or an error.
  using Removed = FunctionRef<void(const StoredRow&)>;
  [[nodiscard]] int erase(std::int64_t first, std::int64_t last, Removed removed);

  /// Hands rows between these positions that are still being collected to SQLite, as a batch or singly: before singles
  /// are read. SQLITE_OK or an error.
  [[nodiscard]] int settle(std::int64_t first, std::int64_t last);
  /// The position of the first entry behind `position`; SQLITE_ROW, SQLITE_DONE or an error. Outside of a transaction.
  [[nodiscard]] int next_entry(std::int64_t position, std::int64_t& found);

 private:
  struct Loaded {
    SqliteBatch batch;
    bool changed = false;
    std::uint64_t used = 0;  ///< When; 0: holds nothing.
  };
  [[nodiscard]] int write_new(SqliteBatch& batch);
  [[nodiscard]] int write_changed(Loaded& loaded);
  /// The first batch that ends behind `after` and begins at or before `last`. SQLITE_ROW, SQLITE_DONE or an error.
  [[nodiscard]] int seek(std::int64_t after, std::int64_t last, Loaded*& found);
  /// The entry at this position.
  [[nodiscard]] int load(std::int64_t position, Loaded*& found);
  /// One to load another batch into; what was changed in it is with SQLite.
  [[nodiscard]] int room(Loaded*& free);
  /// Runs a statement that takes two positions and gives one.
  [[nodiscard]] int query(const char* sql, std::int64_t from, std::int64_t to, std::int64_t& position);

  Statements& sql_;
  std::size_t least_bytes_;
  bool may_be_any_ = true;
  std::vector<SqliteBatch> building_;  ///< By stream; those without rows are free.
  std::array<Loaded, 4> loaded_;
  std::uint64_t uses_ = 0;
};

}  // namespace pannier
