#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/store/row.h"

/// How rows are stored as bytes (docs/storage.md): the head of a row, and a batch of rows. Touches no file.
namespace pannier {

/// SQLite's integers are signed; a time is stored in nanoseconds.
inline std::int64_t as_signed(std::uint64_t value) noexcept { return static_cast<std::int64_t>(value); }
inline std::uint64_t as_unsigned(std::int64_t value) noexcept { return static_cast<std::uint64_t>(value); }
inline std::int64_t stored(StoreTime time) noexcept { return time.time_since_epoch().count(); }
inline StoreTime store_time(std::int64_t nanoseconds) noexcept { return StoreTime(Duration(nanoseconds)); }

/// A row as the file has it.
struct StoredRow {
  std::int64_t position = 0;
  std::span<const std::byte> head;  ///< All of the row but its position and payload.
  std::span<const std::byte> payload;
};

/// Replaces `head` with that of `row`.
void encode_head(const Row& row, std::string& head);
/// Fills `row` except for stream, sequence, state and payload; its texts are borrowed from `head`. False where the
/// bytes are no head.
[[nodiscard]] bool decode_head(std::span<const std::byte> head, Row& row) noexcept;
/// The whole row, borrowed from `stored`. False where its head is none.
[[nodiscard]] bool decode_row(const StoredRow& stored, Row& row) noexcept;

/// An entry of the table `batches`: ready rows of one stream that were committed together, and which of them are gone.
class SqliteBatch {
 public:
  static constexpr std::size_t kRows = 512;
  /// Seven overflow pages, and a start that leaves room for two others on its leaf.
  static constexpr std::size_t kBytes = 7 * 4084 + 1300;

  /// Empties it, and keeps its memory.
  void clear() noexcept;
  /// Adds a row of the stream behind the others. False, and nothing done, where it does not fit.
  [[nodiscard]] bool add(const StoredRow& row);

  enum class Parse : std::uint8_t { whole, prefix };
  /// Copies the bytes of an entry. False where they are no batch. `prefix`: they may be cut off; the rows before the
  /// cut are taken.
  [[nodiscard]] bool parse(std::int64_t position, std::span<const std::byte> bytes, Parse what = Parse::whole);

  [[nodiscard]] std::size_t size() const noexcept { return slots_.size(); }
  /// The position of the entry; no row of it lies before.
  [[nodiscard]] std::int64_t first() const noexcept { return position_; }
  [[nodiscard]] std::int64_t last() const noexcept { return slots_.empty() ? position_ : slots_.back().position; }
  /// The index of the first row behind `position`.
  [[nodiscard]] std::size_t after(std::int64_t position) const noexcept;
  /// Borrowed until the batch is changed.
  [[nodiscard]] StoredRow row(std::size_t index) const noexcept;
  [[nodiscard]] bool is_gone(std::size_t index) const noexcept;
  /// The row must not be gone yet.
  void remove(std::size_t index) noexcept;
  /// Rows that are left, and their bytes.
  [[nodiscard]] std::size_t rows() const noexcept { return rows_; }
  [[nodiscard]] std::size_t row_bytes() const noexcept { return row_bytes_; }
  /// Rows that the entry says it has, whether parse() got to them or not.
  [[nodiscard]] std::size_t rows_told() const noexcept;
  /// Leaves out the rows that are gone. The position stays.
  void compact();
  /// As they are to be written. Borrowed until the batch is changed.
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }

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
