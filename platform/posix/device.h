#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <pannier/platform.h>
#include <pannier/result.h>

/// What the machine is like that a node runs on: facts to be judged elsewhere (tools/selftest_checks.h), found by
/// looking and by measuring. Linux's /proc and /sys where they are there. Any thread.
namespace pannier::posix {

struct FileSystemFacts {
  std::string folder;   ///< As it was asked for.
  std::string type;     ///< "ext4", "f2fs", "tmpfs"; empty where the system does not tell.
  std::string options;  ///< Of the mount and of the file system, a comma before and after each.
  std::string disk;     ///< The kernel's name of the whole device: "mmcblk0"; empty where no block device is beneath.
  bool in_memory = false;       ///< As lies_in_memory() says.
  bool volatile_cache = false;  ///< The device says that it has a write cache that a flush must empty.
  std::uint64_t free_bytes = 0;
};

/// not_found, permission for a folder that cannot be looked at.
[[nodiscard]] Result<FileSystemFacts> look_at_file_system(const std::string& folder);

/// How long writes of 4 KiB into a file took, each kind sorted from the fastest. The file's blocks are there before, so
/// that no metadata takes part: what SQLite does with a WAL that has grown.
struct SyncFacts {
  std::vector<Duration> synced;    ///< Write, then fdatasync: on stable storage, if the device is honest.
  std::vector<Duration> unsynced;  ///< Straight to the device, not flushed. Empty where O_DIRECT is not to be had.
};

/// Writes to a file of its own in `folder` that has no name, and takes about `budget`; 5 writes at least, 200 at most.
/// not_found, permission, storage_full, storage_io.
[[nodiscard]] Result<SyncFacts> measure_syncs(const std::string& folder, Duration budget);

struct ClockFacts {
  Duration resolution{};      ///< The smallest step of the monotonic clock that was seen.
  Duration steps_back{};      ///< The largest step back that was seen, from core to core as well.
  Duration wall_step{};       ///< What the wall clock did differently from the monotonic one while it was watched.
  bool sees_suspend = false;  ///< The monotonic clock goes on while the device is suspended.
  bool synchronised = false;  ///< The kernel knows that something (NTP, GPS) keeps the wall clock right.
  WallTime wall{};
};

/// Watches the clocks from its construction on.
class ClockWatch {
 public:
  ClockWatch() noexcept;
  /// Takes some milliseconds, and this thread to every core it may use.
  [[nodiscard]] ClockFacts look() const;

 private:
  MonoTime mono_;
  WallTime wall_;
};

struct DescriptorFacts {
  std::uint64_t limit = 0;  ///< That this process may have open; the highest number where there is no limit.
  std::uint64_t hard_limit = 0;
};
[[nodiscard]] DescriptorFacts look_at_descriptors() noexcept;

struct MemoryFacts {
  std::uint64_t total_bytes = 0;  ///< 0: the system does not tell.
  std::uint64_t available_bytes = 0;
};
[[nodiscard]] MemoryFacts look_at_memory();

}  // namespace pannier::posix
