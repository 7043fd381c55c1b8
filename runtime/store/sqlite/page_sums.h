#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace pannier {

/// Identifies one of the logs that a database had.
struct LogNumber {
  std::uint32_t run = 0;         ///< Stays the same while the log is restarted in place, until it is deleted.
  std::uint32_t generation = 0;  ///< How often it was restarted.

  bool operator==(const LogNumber&) const = default;
};

/// Checksums of the database pages written most recently, as far as the disk has reported them as synced
/// (docs/storage.md, Notes). A page has a fixed place, which it shares with every 1,024th page. Kept in the file's
/// format.
class PageSums {
 public:
  static constexpr std::size_t kPlaces = 1024;
  static constexpr std::size_t kHeader = 24;
  static constexpr std::size_t kBytes = kHeader + 8 * kPlaces + 4;

  PageSums();

  /// Records a page as it is written; pages count from 1.
  void written(std::uint32_t page, std::span<const std::byte> content) noexcept;
  /// Removes the page.
  void forget(std::uint32_t page) noexcept;
  /// Removes all pages above `pages`.
  void cut(std::uint32_t pages) noexcept;
  void clear() noexcept;

  /// Whether anything was written() since sealed().
  [[nodiscard]] bool changed() const noexcept { return changed_; }
  /// With which logs the list is valid, except for pages that the log itself holds. With a later log the list is stale:
  /// it was not overwritten.
  enum class Beside : std::uint32_t {
    this_and_next,  ///< The database has all of this log; this log or the next one.
    none,           ///< The same, and the log is about to be deleted: no log, or a new one.
    this_only,      ///< This log, which continues.
  };
  /// The bytes to write to the file, valid until the next call.
  [[nodiscard]] std::span<const std::byte> sealed(const LogNumber& log, Beside beside) noexcept;
  /// Loads the bytes of a file; empty if they are malformed.
  void take(std::span<const std::byte> bytes) noexcept;
  /// Whether the loaded list is valid with this log; null: without a log.
  [[nodiscard]] bool is_true_beside(const LogNumber* log) const noexcept;
  /// The log that it was sealed for.
  [[nodiscard]] LogNumber log() const noexcept;

  /// The page at place `i`; 0: none.
  [[nodiscard]] std::uint32_t page(std::size_t i) const noexcept;
  [[nodiscard]] bool holds(std::size_t i, std::span<const std::byte> content) const noexcept;

 private:
  std::vector<std::byte> bytes_;
  bool changed_ = false;
};

}  // namespace pannier
