#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "platform/function_ref.h"

namespace pannier {

/// A row as a file has it: what row.h reads and writes as its head, and its payload.
struct StoredRow {
  std::int64_t position = 0;
  std::span<const std::byte> head;
  std::span<const std::byte> payload;
};

/// An entry of the table `batches` (docs/storage.md, Batch): rows of one stream that came together, as bytes, and which
/// of them have left. Touches no file.
class SqliteBatch {
 public:
  /// What a batch holds at most. Bytes: seven overflow pages of SQLite, and a head that leaves room for two others on
  /// its leaf.
  static constexpr std::size_t kRows = 512;
  static constexpr std::size_t kBytes = 7 * 4092 + 1300;

  /// Empties it. Memory is kept.
  void clear() noexcept;
  /// Adds a row of the stream behind the others. False, and nothing done: it does not fit.
  [[nodiscard]] bool add(const StoredRow& row);

  /// Takes a copy of the bytes. False where they are no batch: its head does not hold, or its rows do not follow each
  /// other. Whether each of them holds is not looked at.
  [[nodiscard]] bool parse(std::int64_t position, std::span<const std::byte> bytes);

  [[nodiscard]] std::size_t size() const noexcept { return slots_.size(); }
  /// The position of its entry, which no row of it lies before.
  [[nodiscard]] std::int64_t first() const noexcept { return position_; }
  /// That of its last row.
  [[nodiscard]] std::int64_t last() const noexcept;
  /// Where the rows behind `position` begin.
  [[nodiscard]] std::size_t after(std::int64_t position) const noexcept;
  /// Borrowed until the batch is changed.
  [[nodiscard]] StoredRow row(std::size_t index) const noexcept;
  [[nodiscard]] bool has_left(std::size_t index) const noexcept;
  /// Marks it as gone. It must be there.
  void remove(std::size_t index) noexcept;
  /// Rows that are there, and bytes of theirs.
  [[nodiscard]] std::size_t rows() const noexcept { return rows_; }
  [[nodiscard]] std::size_t row_bytes() const noexcept { return row_bytes_; }
  /// Leaves out what has left. Its position stays, the indexes of its rows change.
  void compact();
  /// Whether that was ever done: then an index that was read elsewhere says nothing.
  [[nodiscard]] bool was_compacted() const noexcept;
  /// As they are to be written, checksum included. Borrowed until the batch is changed.
  [[nodiscard]] std::span<const std::byte> bytes() noexcept;

  /// For bytes that parse() refuses: takes the head alone, which tells first, last, rows and what has left.
  /// False where it does not hold.
  [[nodiscard]] bool take_head(std::int64_t position, std::span<const std::byte> bytes);
  /// Looks for rows in such bytes, or in a part of them: those that follow each other, and behind a gap those whose
  /// checksum holds. `sound`: it holds; else its position may be damage as well. Borrowed for the visit.
  static void search(std::span<const std::byte> bytes,
                     FunctionRef<void(const StoredRow&, std::size_t index, bool sound)> visit);

 private:
  void begin(std::int64_t position);

  struct Slot {
    std::int64_t position = 0;
    std::uint32_t at = 0;  ///< Where its head begins.
    std::uint32_t head_bytes = 0;
    std::uint32_t payload_bytes = 0;
  };
  std::int64_t position_ = 0;
  std::vector<std::byte> bytes_;
  std::vector<Slot> slots_;
  std::size_t rows_ = 0;
  std::size_t row_bytes_ = 0;
};

}  // namespace pannier
