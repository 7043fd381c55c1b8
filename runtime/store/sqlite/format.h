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

/// A row as stored.
struct StoredRow {
  std::int64_t position = 0;
  std::span<const std::byte> head;  ///< All of the row but its position and payload.
  std::span<const std::byte> payload;
};

/// Encodes the head of `row` into `head`.
void encode_head(const Row& row, std::string& head);
/// Fills `row` except for stream, sequence, state and payload; its texts are borrowed from `head`. False if the bytes
/// are malformed.
[[nodiscard]] bool decode_head(std::span<const std::byte> head, Row& row) noexcept;
/// Decodes the whole row, borrowed from `stored`. False if its head is malformed.
[[nodiscard]] bool decode_row(const StoredRow& stored, Row& row) noexcept;

/// An entry of the table `batches`: ready rows of one stream that were committed together, each marked when it is
/// removed.
class SqliteBatch {
 public:
  static constexpr std::size_t kRows = 512;
  /// Seven overflow pages, and a first part small enough that three entries share a leaf page.
  static constexpr std::size_t kBytes = 7 * 4084 + 1300;

  /// Removes all rows, but keeps the memory.
  void clear() noexcept;
  /// Appends a row of the stream. False, and no change, if it does not fit.
  [[nodiscard]] bool add(const StoredRow& row);

  enum class Parse : std::uint8_t { whole, prefix };
  /// Copies the bytes of an entry. False if they are malformed. `prefix`: they may be truncated; the rows before the
  /// end are taken.
  [[nodiscard]] bool parse(std::int64_t position, std::span<const std::byte> bytes, Parse what = Parse::whole);

  [[nodiscard]] std::size_t size() const noexcept { return slots_.size(); }
  /// The position of the entry; no row has a lower one.
  [[nodiscard]] std::int64_t first() const noexcept { return position_; }
  [[nodiscard]] std::int64_t last() const noexcept { return slots_.empty() ? position_ : slots_.back().position; }
  /// The index of the first row after `position`.
  [[nodiscard]] std::size_t after(std::int64_t position) const noexcept;
  /// Borrowed until the batch is changed.
  [[nodiscard]] StoredRow row(std::size_t index) const noexcept;
  [[nodiscard]] bool is_gone(std::size_t index) const noexcept;
  /// Marks a row as removed. It must not be removed already.
  void remove(std::size_t index) noexcept;
  /// The number and bytes of rows not removed.
  [[nodiscard]] std::size_t rows() const noexcept { return rows_; }
  [[nodiscard]] std::size_t row_bytes() const noexcept { return row_bytes_; }
  /// The number of rows in the entry's header, whether parse() reached them or not.
  [[nodiscard]] std::size_t rows_told() const noexcept;
  /// Drops removed rows. The position stays the same.
  void compact();
  /// The bytes to write. Borrowed until the batch is changed.
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
