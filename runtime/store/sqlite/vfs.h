#pragma once

#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <pannier/result.h>
#include "runtime/store/sqlite/gather.h"
#include "runtime/store/sqlite/notes.h"

namespace pannier {

/// A layer over SQLite's own way to the files (or over one that a test registered): counts what is written
/// and synced where SQLite does it, gathers writes, and knows where in the log a transaction began. Registered
/// under a name of its own while it lives, never the default, so that SQLite elsewhere in the process is not
/// touched. It must outlive every connection opened through it. One thread, that of its store.
class CountingVfs {
 public:
  /// `base`: the name of a registered VFS; empty for SQLite's default. not_found where there is none.
  [[nodiscard]] static Result<std::unique_ptr<CountingVfs>> create(const std::string& base);
  ~CountingVfs();
  CountingVfs(const CountingVfs&) = delete;
  CountingVfs& operator=(const CountingVfs&) = delete;

  /// What it is a layer over.
  [[nodiscard]] sqlite3_vfs* base() const noexcept { return base_; }

  /// For sqlite3_open_v2. Lives as long as this.
  [[nodiscard]] const char* name() const noexcept { return name_.c_str(); }

  [[nodiscard]] std::uint64_t bytes_written() const noexcept { return bytes_written_ + notes_->bytes_written(); }
  [[nodiscard]] std::uint64_t syncs() const noexcept { return syncs_; }

  [[nodiscard]] Notes& notes() noexcept { return *notes_; }

  /// Bytes of the file at `path` (absolute or relative), 0 where there is none, nothing where it cannot be opened.
  [[nodiscard]] std::optional<std::int64_t> size_of(const std::string& path);

  /// Makes sure that a file of `bytes` zeros stands at `path`, written and synced, so that deleting it gives
  /// that much room back. False where it cannot be had; then no file is left.
  [[nodiscard]] bool hold_room(const std::string& path, std::int64_t bytes);
  void release_room(const std::string& path) noexcept;

  /// The next sync of the log that follows frames is left out: that of a commit which need only survive the process.
  /// Syncs of the log's header, of a checkpoint and of the database are not. Off takes an order back that found none.
  void leave_out_commit_sync(bool on) noexcept { leave_out_ = on; }
  /// A sync failed since the log was last given up as a whole. The kernel may have dropped what it was to write and
  /// call the next sync a success (fsyncgate, LWN 752063): no receipt may rest on a later one.
  [[nodiscard]] bool sync_failed() const noexcept { return sync_failed_; }
  /// All that the log held is in the database, which was synced, and the log was given up.
  void log_given_up() noexcept { sync_failed_ = false; }

  /// For a rebuild: from here on the first page of a database reads as this one, and pages with one wrong byte are put
  /// right as they are read.
  void rescue(std::vector<std::byte> first_page) { first_page_ = std::move(first_page); }

  /// Whether a database has room for checksums and its first page has none: a program with plain SQLite has written the
  /// whole file anew.
  [[nodiscard]] bool is_unsealed(const std::string& path);
  /// From here on pages without a checksum read like those whose checksum holds.
  void accept_unsealed(bool on) noexcept { accepts_unsealed_ = on; }

  /// Pages that were read and whose checksum did not hold.
  [[nodiscard]] std::uint64_t repaired_pages() const noexcept { return repaired_pages_; }
  [[nodiscard]] std::uint64_t corrupt_pages() const noexcept { return corrupt_pages_; }

  /// What was left out, made good. SQLITE_OK where nothing was.
  [[nodiscard]] int sync_log() noexcept;

  /// From here on what is written to the log belongs to a new transaction.
  void transaction_begins() noexcept {
    first_frame_ = -1;
    notes_->transaction_begins();
  }
  /// Takes a transaction that could not be committed out of the log, by zeros over the first frame that it
  /// wrote: the chain of frame checksums ends before it, and recovery does not find a group that was reported
  /// as failed. Not synced; does what it can. The log's header stays: it is synced before a frame follows it.
  void void_transaction() noexcept;

 private:
  struct File;
  struct Methods;
  CountingVfs() = default;
  [[nodiscard]] int sync_base(sqlite3_file* file, int flags) noexcept;
  [[nodiscard]] static std::size_t frame_of(sqlite3_int64 offset) noexcept;
  void note_frame(std::span<const std::byte> bytes, sqlite3_int64 offset);
  [[nodiscard]] int check_frame(std::span<const std::byte> bytes, sqlite3_int64 offset);

  sqlite3_vfs vfs_{};
  sqlite3_vfs* base_ = nullptr;
  std::string name_;
  WriteGather gather_;
  std::uint64_t bytes_written_ = 0;
  std::uint64_t syncs_ = 0;
  std::int64_t first_frame_ = -1;
  bool leave_out_ = false;        ///< The next sync that ends a commit.
  bool frames_are_last_ = false;  ///< The last write to the log was no header.
  bool log_unsynced_ = false;
  sqlite3_file* log_ = nullptr;  ///< The base's open log, or null.
  std::vector<std::byte> first_page_;
  bool accepts_unsealed_ = false;
  bool sync_failed_ = false;
  std::uint64_t corrupt_pages_ = 0;
  std::uint64_t repaired_pages_ = 0;
  std::vector<std::uint64_t> frame_sums_;  ///< Of the pages in the log, as they were written; 0: not known.
  std::unique_ptr<Notes> notes_;
};

}  // namespace pannier
