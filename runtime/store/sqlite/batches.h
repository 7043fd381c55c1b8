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

/// The table `batches`, which stores several ready rows in one entry. SQLite frees the pages of a large entry without
/// writing them, while rows of `messages` share pages that are rewritten as each row leaves. Batches save two fifths of
/// the flash writes per message and half of the store's time (docs/decisions/0013-rows-in-batches.md). A row that comes
/// alone, is large, or becomes ready again is stored in `messages`.
///
/// Belongs to one connection and its transaction: flush() passes changes to SQLite, forget() drops them. Results are
/// SQLite's codes. One thread.
class SqliteBatches {
 public:
  /// `sql` must outlive this. A batch smaller than `least_bytes` at a flush goes to `messages` instead.
  SqliteBatches(Statements& sql, std::size_t least_bytes) : sql_(sql), least_bytes_(least_bytes) {}

  /// Whether a row of this size may go into a batch.
  [[nodiscard]] static bool fits(std::size_t head_bytes, std::size_t payload_bytes) noexcept;
  /// Adds a row. Its position must be higher than any that the stream ever had. Borrowed for the call.
  [[nodiscard]] int put(const StoredRow& row);
  /// Passes all changes to SQLite.
  [[nodiscard]] int flush();
  /// Drops changes not passed to SQLite and cached entries that SQLite may have rolled back.
  void forget() noexcept;

  /// The first row after `after`, up to and including `last`, both of one stream. SQLITE_ROW, SQLITE_DONE or an error;
  /// SQLITE_CORRUPT for a malformed entry. `row` is borrowed until the next call.
  [[nodiscard]] int next(std::int64_t after, std::int64_t last, StoredRow& row);
  /// Removes the rows from `first` to `last`, both of one stream; calls `removed` before each. SQLITE_OK or an error.
  using Removed = FunctionRef<void(const StoredRow&)>;
  [[nodiscard]] int erase(std::int64_t first, std::int64_t last, Removed removed);

  /// Passes collected rows between these positions to SQLite, as a batch or singly. Call before reading `messages`.
  /// SQLITE_OK or an error.
  [[nodiscard]] int settle(std::int64_t first, std::int64_t last);
  /// The position of the first entry after `position`. SQLITE_ROW, SQLITE_DONE or an error. Call outside of a
  /// transaction.
  [[nodiscard]] int next_entry(std::int64_t position, std::int64_t& found);

 private:
  struct Loaded {
    SqliteBatch batch;
    bool changed = false;
    std::uint64_t used = 0;  ///< When it was last used; 0: empty.
  };
  [[nodiscard]] int write_new(SqliteBatch& batch);
  [[nodiscard]] int write_changed(Loaded& loaded);
  /// The first batch that ends after `after` and begins at or before `last`. SQLITE_ROW, SQLITE_DONE or an error.
  [[nodiscard]] int seek(std::int64_t after, std::int64_t last, Loaded*& found);
  /// Loads the entry at this position.
  [[nodiscard]] int load(std::int64_t position, Loaded*& found);
  /// Frees a place to load another batch into, after passing its changes to SQLite.
  [[nodiscard]] int room(Loaded*& free);
  /// Runs a statement with two positions as parameters and one as result.
  [[nodiscard]] int query(const char* sql, std::int64_t from, std::int64_t to, std::int64_t& position);

  Statements& sql_;
  std::size_t least_bytes_;
  bool may_be_any_ = true;
  std::vector<SqliteBatch> building_;  ///< At most one per stream; those without rows are free.
  std::array<Loaded, 4> loaded_;
  std::uint64_t uses_ = 0;
};

}  // namespace pannier
