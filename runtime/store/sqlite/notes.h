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

/// The side file of a database (docs/storage.md, Notes): what has to outlive the process and is not worth a
/// transaction. It does what it can: a file that cannot be had or written costs the notes and nothing else.
///
/// The first half notices a disk that reports what it has not done. It tells what is known to be on the disk: how far
/// the log, noted after each commit that was synced; and what stands on pages of the database, noted when a checkpoint
/// has synced it. An honest disk holds that much whenever it holds the notes, whatever came in between, so that finding
/// less is proof: the disk lied, or somebody took a file away. Fed by the layer of files (vfs.h), which sees what is
/// written.
///
/// The second half is the in-flight journal: which rows are in somebody's hands. It survives the process, not the
/// machine.
///
/// One thread, that of its store.
class Notes {
 public:
  explicit Notes(sqlite3_vfs* base) : base_(base) {}

  /// Before SQLite opens the database at `path`: what the notes say and the files do not hold, as a clause for people;
  /// empty where nothing is missing. Begins to take notes of this file.
  [[nodiscard]] std::string check(const std::string& path);

  // --- What happens to the log
  /// What was written so far and not committed will not be.
  void transaction_begins() noexcept { pending_ = false; }
  void log_read(std::span<const std::byte> bytes, std::int64_t offset) noexcept;
  /// Before they are written. False: what is noted would become wrong by it, and cannot be changed; they must not be.
  [[nodiscard]] bool log_written(std::span<const std::byte> bytes, std::int64_t offset) noexcept;
  void log_synced() noexcept { synced_ = true; }
  /// A transaction was committed. Takes note of it where it was synced.
  void committed() noexcept;
  /// The log is about to be deleted. Takes the note of it back, and syncs that. False where it cannot: the log must
  /// stay.
  [[nodiscard]] bool forget_log() noexcept;

  // --- What happens to the database
  /// A checkpoint writes it.
  void page_written(std::uint32_t page, std::span<const std::byte> content) noexcept { pages_.written(page, content); }
  /// It is written past the log, where a rollback journal may take it back: a new file, or one that is made to have a
  /// log again. Before it is. False: as log_written().
  [[nodiscard]] bool page_written_past_log(std::uint32_t page) noexcept;
  /// The file ends behind that many pages from now on.
  void database_cut(std::uint32_t pages) noexcept { pages_.cut(pages); }
  /// All that was written is on the disk. Takes note of it.
  void database_synced() noexcept;

  // --- What is in hands, by position
  /// False: limits::kInFlight are noted already.
  [[nodiscard]] bool put_in_flight(std::int64_t position) noexcept;
  void clear_in_flight(std::int64_t position) noexcept;
  /// What an earlier life left, once: it is cleared by that.
  [[nodiscard]] std::vector<std::int64_t> take_in_flight() noexcept;

  [[nodiscard]] std::uint64_t bytes_written() const noexcept { return bytes_written_; }

 private:
  struct Point {
    std::array<std::byte, 8> salts{};
    std::uint32_t generation = 0;    ///< Checkpoint sequence number of the log's header.
    std::int64_t end = 0;            ///< Of the last commit, in bytes.
    std::array<std::byte, 8> sum{};  ///< The chain of checksums there.
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
  bool synced_ = false;   ///< And all of it was synced.
  PageSums pages_;
  bool pages_end_log_ = false;  ///< The file may hold a list that takes this log, or none, for the last word.

  std::map<std::int64_t, std::uint32_t> slots_;  ///< By position.
  std::vector<std::uint32_t> free_;              ///< Used before and free again.
  std::uint32_t used_ = 0;                       ///< Slots below it have been used.
  std::vector<std::int64_t> left_;
};

}  // namespace pannier
