#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace pannier {

/// One entry of a tree in a database file (sqlite.org/fileformat2.html, 1.6 and 2.1), taken apart without SQLite. Bytes
/// are borrowed from whoever gave them. Nothing of it is trusted: what is not as it must be is not there.
class SqliteRecord {
 public:
  /// False where the bytes are no record.
  [[nodiscard]] bool parse(std::int64_t rowid, std::span<const std::byte> bytes);

  [[nodiscard]] std::int64_t rowid() const noexcept { return rowid_; }
  [[nodiscard]] std::size_t columns() const noexcept { return columns_.size(); }
  /// Nothing where the column is not there, or of another kind.
  [[nodiscard]] std::optional<std::int64_t> integer(std::size_t column) const noexcept;
  [[nodiscard]] std::optional<std::string_view> text(std::size_t column) const noexcept;
  [[nodiscard]] std::optional<std::span<const std::byte>> blob(std::size_t column) const noexcept;

 private:
  struct Column {
    std::uint64_t type;  ///< SQLite's serial type.
    std::span<const std::byte> bytes;
  };
  std::int64_t rowid_ = 0;
  std::vector<Column> columns_;
};

/// Takes a variable-length integer off the front of `bytes`; nothing where they end before it does.
[[nodiscard]] std::optional<std::uint64_t> take_varint(std::span<const std::byte>& bytes) noexcept;

}  // namespace pannier
