#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "runtime/queue/sqlite/file.h"

namespace pannier {

/// Notices a disk that reports what it has not done. After each commit that was synced it writes to a small file of its
/// own, without a sync, how far the log is known to be on the disk. An honest disk holds that much of the log whenever
/// it holds the note, whatever came in between, so that finding less of the log than the note says is proof: the disk
/// lied, or somebody took the log away (docs/storage.md, Witness).
///
/// Fed by the layer of files (vfs.h), which sees what goes to the log. One thread, that of its store.
class LogWitness {
 public:
  explicit LogWitness(sqlite3_vfs* base) : base_(base) {}

  /// Before SQLite opens the database at `path`: what the note says and the log does not hold, as a clause for people;
  /// empty where nothing is missing. Starts to witness this file.
  [[nodiscard]] std::string check(const std::string& path);

  // --- What happens to the log
  /// What was written so far and not committed will not be.
  void transaction_begins() noexcept { pending_ = false; }
  void log_read(std::span<const std::byte> bytes, std::int64_t offset) noexcept;
  void log_written(std::span<const std::byte> bytes, std::int64_t offset) noexcept;
  void log_synced() noexcept { synced_ = true; }
  /// A transaction was committed. Takes note of it where it was synced. Does what it can.
  void committed() noexcept;
  /// The log is about to be deleted. Takes the note back, and syncs that. False where it cannot: the log must stay.
  [[nodiscard]] bool forget() noexcept;

  [[nodiscard]] std::uint64_t bytes_written() const noexcept { return bytes_written_; }

 private:
  struct Point {
    std::array<std::byte, 8> salts{};
    std::uint32_t generation = 0;    ///< Checkpoint sequence number of the log's header.
    std::int64_t end = 0;            ///< Of the last commit, in bytes.
    std::array<std::byte, 8> sum{};  ///< The chain of checksums there.
  };
  static constexpr std::size_t kBytes = 44;
  using Note = std::array<std::byte, kBytes>;

  [[nodiscard]] static Note encode(const Point& point) noexcept;
  [[nodiscard]] static bool decode(const Note& note, Point& point) noexcept;
  [[nodiscard]] std::string missing(const Point& told, const std::string& log);
  [[nodiscard]] bool write(const Note& note) noexcept;

  sqlite3_vfs* base_;
  std::unique_ptr<VfsFile> file_;
  Point now_;             ///< As the log is being written.
  Point noted_;           ///< As the file says.
  bool pending_ = false;  ///< A commit was written to the log since the transaction began.
  bool synced_ = false;   ///< And all of it was synced.
  bool there_ = false;    ///< The file exists.
  std::uint64_t bytes_written_ = 0;
};

}  // namespace pannier
