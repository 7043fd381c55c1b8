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

/// An SQLite VFS over the default one (or one that a test registered). Counts writes and syncs, gathers writes, checks
/// and adds page checksums, and knows where in the log a transaction began. Registered under a unique name, never as
/// the default, so that other users of SQLite in the process are not affected. Must outlive every connection opened
/// through it. Use on its store's thread.
class CountingVfs {
 public:
  /// `base`: the name of a registered VFS; empty for SQLite's default. not_found: there is none.
  [[nodiscard]] static Result<std::unique_ptr<CountingVfs>> create(const std::string& base);
  ~CountingVfs();
  CountingVfs(const CountingVfs&) = delete;
  CountingVfs& operator=(const CountingVfs&) = delete;

  /// The VFS below this one.
  [[nodiscard]] sqlite3_vfs* base() const noexcept { return base_; }

  /// The name for sqlite3_open_v2. Valid as long as this.
  [[nodiscard]] const char* name() const noexcept { return name_.c_str(); }

  [[nodiscard]] std::uint64_t bytes_written() const noexcept { return bytes_written_ + notes_->bytes_written(); }
  [[nodiscard]] std::uint64_t syncs() const noexcept { return syncs_; }

  [[nodiscard]] Notes& notes() noexcept { return *notes_; }

  /// The size of the file at `path` (absolute or relative) in bytes; 0 if it does not exist, nullopt if it cannot be
  /// opened.
  [[nodiscard]] std::optional<std::int64_t> size_of(const std::string& path);

  /// Makes sure that a synced file of `bytes` zeros exists at `path`, so that deleting it frees that much space. False
  /// if it could not be written; then no file is left.
  [[nodiscard]] bool hold_room(const std::string& path, std::int64_t bytes);
  void release_room(const std::string& path) noexcept;

  /// On: skips the next sync of the log that follows frames, for a commit that need only survive the process. Syncs of
  /// the log's header, of a checkpoint and of the database are never skipped. Off: cancels that if no such sync came.
  void leave_out_commit_sync(bool on) noexcept { leave_out_ = on; }
  /// True if a sync failed since log_given_up(). The kernel may have dropped dirty pages and report success for the
  /// next sync (fsyncgate, LWN 752063), so no receipt may rely on a later sync.
  [[nodiscard]] bool sync_failed() const noexcept { return sync_failed_; }
  /// The log was fully checkpointed, the database was synced, and the log was deleted.
  void log_given_up() noexcept { sync_failed_ = false; }

  /// For a rebuild: from here on this page is read as the first page of a database, and pages with one wrong byte are
  /// repaired as they are read.
  void rescue(std::vector<std::byte> first_page) { first_page_ = std::move(first_page); }

  /// True if a database has room for checksums but its first page has none: a program with plain SQLite has rewritten
  /// the whole file.
  [[nodiscard]] bool is_unsealed(const std::string& path);
  /// On: pages without a checksum are read as if it were right.
  void accept_unsealed(bool on) noexcept { accepts_unsealed_ = on; }

  /// Pages read with a wrong checksum: repaired, or not.
  [[nodiscard]] std::uint64_t repaired_pages() const noexcept { return repaired_pages_; }
  [[nodiscard]] std::uint64_t corrupt_pages() const noexcept { return corrupt_pages_; }

  /// Performs the syncs that were skipped. SQLITE_OK if there were none.
  [[nodiscard]] int sync_log() noexcept;

  /// From here on what is written to the log belongs to a new transaction.
  void transaction_begins() noexcept {
    first_frame_ = -1;
    notes_->transaction_begins();
  }
  /// Removes a failed transaction from the log by overwriting its first frame with zeros. The chain of frame checksums
  /// ends before that, so recovery does not find a group that was reported as failed. Best effort; not synced. The
  /// log's header stays: it is synced before the first frame.
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
  bool leave_out_ = false;        ///< Skip the next sync that ends a commit.
  bool frames_are_last_ = false;  ///< The last write to the log was not its header.
  bool log_unsynced_ = false;
  sqlite3_file* log_ = nullptr;  ///< The base's open log, or null.
  std::vector<std::byte> first_page_;
  bool accepts_unsealed_ = false;
  bool sync_failed_ = false;
  std::uint64_t corrupt_pages_ = 0;
  std::uint64_t repaired_pages_ = 0;
  std::vector<std::uint64_t> frame_sums_;  ///< Sums of the pages in the log, as written; 0: unknown.
  std::unique_ptr<Notes> notes_;
};

}  // namespace pannier
