#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <pannier/platform.h>
#include <pannier/result.h>

/// Facts about the machine, measured or read from Linux's /proc and /sys. Judged elsewhere (tools/selftest_checks.h).
/// Any thread.
namespace pannier::posix {

struct FileSystemFacts {
  std::string folder;           ///< As requested.
  std::string type;             ///< "ext4", "f2fs", "tmpfs"; empty if unknown.
  std::string options;          ///< Of the mount and the file system, each option between commas.
  std::string disk;             ///< The kernel's name of the whole device: "mmcblk0"; empty without a block device.
  bool in_memory = false;       ///< See lies_in_memory().
  bool volatile_cache = false;  ///< The device reports a write cache that needs flushing.
  std::uint64_t free_bytes = 0;
};

/// Errors: not_found, permission.
[[nodiscard]] Result<FileSystemFacts> look_at_file_system(const std::string& folder);

/// The duration of 4 KiB writes, each kind sorted from the fastest. The file's blocks exist beforehand, so no metadata
/// is written: as for SQLite on a WAL that has grown.
struct SyncFacts {
  std::vector<Duration> synced;    ///< Write, then fdatasync: on stable storage if the device is honest.
  std::vector<Duration> unsynced;  ///< Direct, not flushed. Empty without O_DIRECT.
};

/// Writes to an unnamed file in `folder` for about `budget`, 5 to 200 times. Errors: not_found, permission,
/// storage_full, storage_io.
[[nodiscard]] Result<SyncFacts> measure_syncs(const std::string& folder, Duration budget);

struct ClockFacts {
  Duration resolution{};      ///< The smallest observed step of the monotonic clock.
  Duration steps_back{};      ///< The largest observed step back, across cores too.
  Duration wall_step{};       ///< How far the wall clock deviated from the monotonic one.
  bool sees_suspend = false;  ///< The monotonic clock advances during suspend.
  bool synchronised = false;  ///< The kernel considers the wall clock synchronised (NTP, GPS).
  WallTime wall{};
};

/// Watches the clocks from construction on.
class ClockWatch {
 public:
  ClockWatch() noexcept;
  /// Takes some milliseconds and moves this thread to each core it may use.
  [[nodiscard]] ClockFacts look() const;

 private:
  MonoTime mono_;
  WallTime wall_;
};

struct DescriptorFacts {
  std::uint64_t limit = 0;  ///< Descriptors this process may open. The largest number if unlimited.
  std::uint64_t hard_limit = 0;
};
[[nodiscard]] DescriptorFacts look_at_descriptors() noexcept;

struct MemoryFacts {
  std::uint64_t total_bytes = 0;  ///< 0 if unknown.
  std::uint64_t available_bytes = 0;
};
[[nodiscard]] MemoryFacts look_at_memory();

}  // namespace pannier::posix
