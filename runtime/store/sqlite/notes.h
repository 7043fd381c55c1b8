#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runtime/store/sqlite/file.h"
#include "runtime/store/sqlite/page_sums.h"

namespace pannier {

/// The side file of a database (docs/storage.md, Notes): facts that must outlive the process but need no transaction.
/// Best effort: if the file cannot be opened or written, only the notes are lost.
///
/// The first half detects a disk that reports syncs it has not done. It records what must be on the disk: the end of
/// the log, after each synced commit, and sums of database pages, after a checkpoint has synced them. An honest disk
/// that has the notes has at least that much. Finding less proves that the disk lied or that a file was removed.
/// CountingVfs (vfs.h) reports what is written.
///
/// The second half is the in-flight journal: which rows are delivered and not settled. It survives a crash of the
/// process, not of the machine.
///
/// One thread, that of its store.
class Notes {
 public:
  explicit Notes(sqlite3_vfs* base) : base_(base) {}

  /// Call before SQLite opens the database at `path`. Returns what the notes promise and the files lack, as a clause
  /// for people; empty if nothing is missing. From then on takes notes of this file.
  [[nodiscard]] std::string check(const std::string& path);

  // --- What happens to the log
  /// What was written and not committed so far is abandoned.
  void transaction_begins() noexcept { pending_ = false; }
  void log_read(std::span<const std::byte> bytes, std::int64_t offset) noexcept;
  /// Call before the write. False: the write would make the notes wrong, and they could not be changed; do not write.
  [[nodiscard]] bool log_written(std::span<const std::byte> bytes, std::int64_t offset) noexcept;
  void log_synced() noexcept { synced_ = true; }
  /// A transaction was committed. Notes the new end of the log if it was synced.
  void committed() noexcept;
  /// Call before the log is deleted. Removes the note about it and syncs that. False if that failed; do not delete the
  /// log.
  [[nodiscard]] bool forget_log() noexcept;

  // --- What happens to the database
  /// A checkpoint writes this page.
  void page_written(std::uint32_t page, std::span<const std::byte> content) noexcept { pages_.written(page, content); }
  /// Call before a page is written outside of a checkpoint, where a rollback journal may undo it: in a new file, or one
  /// being switched back to WAL. False: as log_written().
  [[nodiscard]] bool page_written_past_log(std::uint32_t page) noexcept;
  /// The file was truncated to that many pages.
  void database_cut(std::uint32_t pages) noexcept { pages_.cut(pages); }
  /// The database was synced. Notes its pages.
  void database_synced() noexcept;

  // --- The in-flight journal, by position
  /// False: limits::kInFlight are noted already.
  [[nodiscard]] bool put_in_flight(std::int64_t position) noexcept;
  void clear_in_flight(std::int64_t position) noexcept;
  /// The entries left by an earlier process. Clears them.
  [[nodiscard]] std::vector<std::int64_t> take_in_flight() noexcept;

  [[nodiscard]] std::uint64_t bytes_written() const noexcept { return bytes_written_; }

 private:
  struct Point {
    std::array<std::byte, 8> salts{};
    std::uint32_t generation = 0;    ///< Checkpoint sequence number of the log's header.
    std::int64_t end = 0;            ///< The end of the last commit, in bytes.
    std::array<std::byte, 8> sum{};  ///< The running checksum there.
  };
  using LogNote = std::array<std::byte, 44>;

  [[nodiscard]] static LogNote encode(const Point& point) noexcept;
  [[nodiscard]] static bool decode(const LogNote& note, Point& point) noexcept;
  [[nodiscard]] std::string missing(const Point* told, const std::string& log);
  void forsake() noexcept;
  [[nodiscard]] std::string lost_pages(const std::string& path);
  [[nodiscard]] bool write(std::span<const std::byte> bytes, std::int64_t offset) noexcept;
  [[nodiscard]] bool write_pages(PageSums::Beside beside) noexcept;
  [[nodiscard]] bool reopen_pages() noexcept;
  [[nodiscard]] LogNumber number() const noexcept;
  void read_in_flight();
  void write_slot(std::uint32_t slot, std::int64_t position) noexcept;

  sqlite3_vfs* base_;
  std::unique_ptr<VfsFile> file_;
  bool there_ = false;  ///< The file exists.
  std::uint64_t bytes_written_ = 0;

  Point now_;             ///< As the log is being written.
  bool pending_ = false;  ///< A commit was written to the log since the transaction began.
  bool synced_ = false;   ///< That commit was synced.
  PageSums pages_;
  bool pages_end_log_ = false;  ///< The file may hold a list sealed with Beside::this_and_next or none.

  std::map<std::int64_t, std::uint32_t> slots_;  ///< By position.
  std::vector<std::uint32_t> free_;              ///< Used before and free again.
  std::uint32_t used_ = 0;                       ///< Slots below it have been used.
  std::vector<std::int64_t> left_;
};

}  // namespace pannier
