#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "platform/function_ref.h"
#include "runtime/store/row.h"
#include "runtime/store/sqlite/batch.h"
#include "runtime/store/sqlite/handle.h"

namespace pannier {

/// The ready rows that are kept several in one entry, in the table `batches`. An entry of many rows has pages of its
/// own in the file, and SQLite frees those without writing them, while a row of the table `rows` shares its page with
/// others, which is written once more as they leave: two fifths of the flash for a message, and half of the store's
/// time (docs/decisions/0013-rows-in-batches.md). What comes alone, is large, or comes back stands in
/// `rows`.
///
/// Belongs to one connection and its transaction: what was changed is with SQLite after flush(), and given up by
/// forget(). Results are SQLite's codes. One thread.
class SqliteBatches {
 public:
  /// `least_bytes`: what is smaller at a flush goes to `rows`, through `put_row` (position, head, payload), which
  /// outlives this.
  SqliteBatches(const Connection& database, Statement& put_row, std::size_t least_bytes);

  /// Whether a row of this size may go into a batch.
  [[nodiscard]] static bool fits(std::size_t head_bytes, std::size_t payload_bytes) noexcept;
  /// Its position must be above all that the stream ever had. Borrowed for the call.
  [[nodiscard]] int put(const StoredRow& row);
  /// Hands all changes to SQLite.
  [[nodiscard]] int flush();
  /// Gives up what is not with SQLite, and what was read of what it may have taken back.
  void forget() noexcept;

  /// What next() and erase() answer where an entry is no batch: broken() is its position. Once it is taken out they
  /// are to be called again.
  static constexpr int kBroken = SQLITE_NOTFOUND;
  /// The first row behind `after` up to and including `last`, both of one stream. SQLITE_ROW, SQLITE_DONE or an
  /// error. What it gives is borrowed until the next call.
  [[nodiscard]] int next(std::int64_t after, std::int64_t last, StoredRow& row);
  /// Removes the rows from `first` to `last`, both of one stream, and shows each before. SQLITE_OK or an error.
  using Removed = FunctionRef<void(const StoredRow&)>;
  [[nodiscard]] int erase(std::int64_t first, std::int64_t last, Removed removed);

  [[nodiscard]] std::int64_t broken() const noexcept { return broken_; }
  /// Removes it and gives its bytes. SQLITE_OK or an error.
  [[nodiscard]] int take_out_broken(std::vector<std::byte>& bytes);

 private:
  struct Loaded {
    SqliteBatch batch;
    bool changed = false;
    std::uint64_t used = 0;  ///< When; 0: holds nothing.
  };
  /// Makes sure that rows between these positions are with SQLite or in `loaded_`.
  [[nodiscard]] int settle(std::int64_t first, std::int64_t last);
  [[nodiscard]] int write_new(SqliteBatch& batch);
  [[nodiscard]] int write_changed(Loaded& loaded);
  /// The first batch that ends behind `after` and begins at or before `last`. SQLITE_ROW, SQLITE_DONE or an error.
  [[nodiscard]] int seek(std::int64_t after, std::int64_t last, Loaded*& found);
  /// The entry at this position.
  [[nodiscard]] int load(std::int64_t position, Loaded*& found);
  /// One to load another batch into; what was changed in it is with SQLite.
  [[nodiscard]] int room(Loaded*& free);
  /// Runs a statement that takes two positions and gives one.
  [[nodiscard]] int query(Statement& statement, std::int64_t from, std::int64_t to, std::int64_t& position);

  Statement& put_row_;
  std::size_t least_bytes_;
  Statement put_;
  Statement update_;
  Statement erase_;
  Statement before_;
  Statement behind_;
  Statement read_;
  Statement any_;
  bool may_be_any_ = true;
  std::vector<SqliteBatch> building_;  ///< By stream; those without rows are free.
  std::array<Loaded, 4> loaded_;
  std::uint64_t uses_ = 0;
  std::int64_t broken_ = 0;
};

}  // namespace pannier
