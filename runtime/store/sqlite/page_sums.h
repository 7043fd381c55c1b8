#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace pannier {

/// Which one of all the logs that a database had.
struct LogNumber {
  std::uint32_t run = 0;  ///< The same from one log to the next that was begun in its place, until it is deleted.
  std::uint32_t generation = 0;  ///< Times that it was begun anew.

  bool operator==(const LogNumber&) const = default;
};

/// What stands on pages of the database, as far as the disk has reported it as synced: a sum each, for those that were
/// written last (docs/storage.md, Notes). A page has one place, which it shares with every 1,024th. In the form
/// that the file has, so that nothing need be encoded.
class PageSums {
 public:
  static constexpr std::size_t kPlaces = 1024;
  static constexpr std::size_t kHeader = 24;
  static constexpr std::size_t kBytes = kHeader + 8 * kPlaces + 4;

  PageSums();

  /// Of a page as it is written; pages count from 1.
  void written(std::uint32_t page, std::span<const std::byte> content) noexcept;
  /// Nothing is known of the page any more.
  void forget(std::uint32_t page) noexcept;
  /// The database has no more than `pages`.
  void cut(std::uint32_t pages) noexcept;
  void clear() noexcept;

  /// Whether anything was written() since sealed().
  [[nodiscard]] bool changed() const noexcept { return changed_; }
  /// Beside which logs a list is true, but for the pages that they hold. Beside a later one it is an old list that was
  /// not overwritten.
  enum class Beside : std::uint32_t {
    this_and_next,  ///< All that this log brought is in the database.
    none,           ///< So it is, and the log is about to be deleted. Another may be begun.
    this_only,      ///< This log goes on.
  };
  /// The bytes for the file, valid until the next call.
  [[nodiscard]] std::span<const std::byte> sealed(const LogNumber& log, Beside beside) noexcept;
  /// Takes what a file holds; nothing is known where that is no such list.
  void take(std::span<const std::byte> bytes) noexcept;
  /// Whether what was taken is true with this log. Null: there is none.
  [[nodiscard]] bool is_true_beside(const LogNumber* log) const noexcept;
  /// The log that it was sealed for.
  [[nodiscard]] LogNumber log() const noexcept;

  /// The page at place `i`; 0 where none is known.
  [[nodiscard]] std::uint32_t page(std::size_t i) const noexcept;
  [[nodiscard]] bool holds(std::size_t i, std::span<const std::byte> content) const noexcept;

 private:
  std::vector<std::byte> bytes_;
  bool changed_ = false;
};

}  // namespace pannier
