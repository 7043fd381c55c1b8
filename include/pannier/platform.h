#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <pannier/result.h>

namespace pannier {

using Duration = std::chrono::nanoseconds;

/// Tag of the monotonic clock. It never steps and starts at an arbitrary point. Readings of two processes are
/// comparable only as Clock::boot() says.
struct Monotonic {
  using duration = Duration;
  using rep = Duration::rep;
  using period = Duration::period;
  using time_point = std::chrono::time_point<Monotonic>;
  static constexpr bool is_steady = true;
};
using MonoTime = Monotonic::time_point;

/// "Never": returned by a loop that only a wake-up can bring work.
inline constexpr MonoTime kNever = MonoTime::max();

/// `from + delay`, or kNever on overflow. `from` must not be before the clock's zero.
[[nodiscard]] constexpr MonoTime later(MonoTime from, Duration delay) noexcept {
  return delay < kNever - from ? from + delay : kNever;
}

/// Nanoseconds since 1970-01-01 UTC, for people and tables. It steps, so never decide by it.
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

/// The source of time. A step gets its time as an argument, and it stands still within the step (kj `timer.h`). Any
/// thread. Implementations: posix::SystemClock, sim::VirtualClock.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual MonoTime now() const noexcept = 0;
  [[nodiscard]] virtual WallTime wall_now() const noexcept = 0;
  /// Identifies a run of the monotonic clock. Readings of now() are comparable, across processes too, while this is
  /// equal. Changes at each boot of the machine. 0 if the system does not tell; readings of two processes are then not
  /// comparable.
  [[nodiscard]] virtual std::uint64_t boot() const noexcept = 0;
};

/// The source of randomness: the system's generator in production, a seeded one in simulation. Any thread.
class Entropy {
 public:
  virtual ~Entropy() = default;
  /// Fills all of `out`. Never fails: aborts if the system has no entropy.
  virtual void fill(std::span<std::byte> out) noexcept = 0;

  [[nodiscard]] std::uint64_t next_u64() noexcept {
    std::uint64_t value = 0;
    fill(std::as_writable_bytes(std::span{&value, 1}));
    return value;
  }
};

enum class LogLevel : std::uint8_t { debug, info, warning, error };

/// Receives lines for the operator. Any thread. Must not block for long.
class Log {
 public:
  virtual ~Log() = default;
  /// `line` has no line end and is borrowed for the call.
  virtual void write(LogLevel level, std::string_view line) noexcept = 0;
};

/// Where a loop sleeps and how others wake it. A notification is sticky: one that comes while nobody waits ends the
/// next wait at once, so none is lost. Several before a wait count as one.
class Wakeup {
 public:
  virtual ~Wakeup() = default;

  /// Any thread. Never blocks, never fails.
  virtual void notify() noexcept = 0;

  /// As notify(), called by a loop at the end of a step that left it nothing to do. If the loop behind this wake-up is
  /// asleep, the calling thread may drive it next, which saves waking another thread.
  virtual void hand_over() noexcept { notify(); }

  /// Owner's thread only. Returns after a notification or at `deadline` (kNever: no deadline). May return early.
  virtual void wait_until(MonoTime deadline) noexcept = 0;

  /// True if only notify() and time end a wait. A driver may then poll Loop::pending for a while before it sleeps.
  /// False if the wait also covers sockets, which polling would miss.
  [[nodiscard]] virtual bool notified_only() const noexcept { return false; }
};

/// A step machine driven by a thread in production (posix::Process) and by the simulator in virtual time
/// (sim::Simulator). It owns no thread and reads no clock, so the same code runs under both.
class Loop {
 public:
  virtual ~Loop() = default;

  /// Does a bounded amount of the work due at `now`, which stands still meanwhile. Returns when it wants to run again
  /// without a notification: `now` if work is left, kNever if only a notification can bring work. Called from one
  /// thread, or with a happens-before edge between calls.
  virtual MonoTime step(MonoTime now) = 0;

  /// Any thread. True if another thread has brought work for the next step. Costs one load. A loop that cannot tell
  /// returns false and is woken as usual.
  [[nodiscard]] virtual bool pending() const noexcept { return false; }

  /// Where the driver waits between steps. Lives as long as the loop.
  virtual Wakeup& wakeup() noexcept = 0;
};

/// Files, apart from what SQLite does by itself. Implemented by platform/posix. Any thread.

/// Returns the whole file. Errors: not_found, permission, storage_io; invalid_argument if it exceeds `max_bytes`.
[[nodiscard]] Result<std::string> read_file(const std::string& path, std::uint64_t max_bytes);

/// Makes sure that `path` exists: creates it empty, for its owner alone. A file that is there keeps its mode.
[[nodiscard]] Result<void> ensure_private_file(const std::string& path);

/// As read_file, for a secret. Refuses (permission) a file that group or others may access; the detail gives the chmod
/// that fixes it.
[[nodiscard]] Result<std::string> read_private_file(const std::string& path, std::uint64_t max_bytes);

/// Creates `path` with mode 0600 and syncs it and its directory entry. in_use if it exists.
[[nodiscard]] Result<void> write_private_file(const std::string& path, std::string_view content);

/// True if the file, or the folder it would be created in, is on a file system in memory, whose content a power cut
/// erases. False if that cannot be determined.
[[nodiscard]] bool lies_in_memory(const std::string& path);

/// What a node uses of the operating system. Provided by posix::Process or a simulation. All of it outlives the node.
struct Platform {
  Clock& clock;
  Entropy& entropy;
  Log& log;
};

}  // namespace pannier
