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

/// Tag of the monotonic clock: never steps, counts from an arbitrary start, means nothing to another process.
struct Monotonic {
  using duration = Duration;
  using rep = Duration::rep;
  using period = Duration::period;
  using time_point = std::chrono::time_point<Monotonic>;
  static constexpr bool is_steady = true;
};
using MonoTime = Monotonic::time_point;

/// "Never": what a loop returns when only a wake-up can bring it work.
inline constexpr MonoTime kNever = MonoTime::max();

/// `from` and `delay` on; kNever where no clock reaches that. `from` is not before the clock's zero.
[[nodiscard]] constexpr MonoTime later(MonoTime from, Duration delay) noexcept {
  return delay < kNever - from ? from + delay : kNever;
}

/// Nanoseconds since 1970-01-01 UTC. For people and for tables only: it steps, so no decision rests on it alone.
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

/// Where time comes from. Time is passed in, and stands still within a step (kj `timer.h`).
/// Callable from any thread. Implementations: posix::SystemClock, sim::VirtualClock.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual MonoTime now() const noexcept = 0;
  [[nodiscard]] virtual WallTime wall_now() const noexcept = 0;
  /// Which run of the monotonic clock this is: readings of now() may be compared, across processes too, where this is
  /// the same. Another one after each boot of the machine; 0 where the system does not tell, and then nothing may be.
  [[nodiscard]] virtual std::uint64_t boot() const noexcept = 0;
};

/// Where randomness comes from: the system's generator in production, a seeded one in the simulation.
/// Callable from any thread.
class Entropy {
 public:
  virtual ~Entropy() = default;
  /// Fills all of `out`. Never fails: a system without entropy stops the process.
  virtual void fill(std::span<std::byte> out) noexcept = 0;

  [[nodiscard]] std::uint64_t next_u64() noexcept {
    std::uint64_t value = 0;
    fill(std::as_writable_bytes(std::span{&value, 1}));
    return value;
  }
};

enum class LogLevel : std::uint8_t { debug, info, warning, error };

/// Where lines for the operator go. Callable from any thread; must not block for long.
class Log {
 public:
  virtual ~Log() = default;
  /// `line` is one line without its end, and is borrowed for the call.
  virtual void write(LogLevel level, std::string_view line) noexcept = 0;
};

/// Where one loop sleeps, and how others wake it. A notification is sticky: one that comes while nobody
/// waits ends the next wait at once, so no wake-up is ever lost. Several before one wait count as one.
class Wakeup {
 public:
  virtual ~Wakeup() = default;

  /// Any thread. Never blocks, never fails.
  virtual void notify() noexcept = 0;

  /// As notify(), by a loop at the end of a step that leaves it nothing to do: where this loop sleeps, the thread that
  /// is in the caller's step may drive it next, which spares it the wake-up of another thread.
  virtual void hand_over() noexcept { notify(); }

  /// The owner's thread only. Returns after a notification, or at `deadline` (kNever: only then); may return early.
  virtual void wait_until(MonoTime deadline) noexcept = 0;

  /// True where nothing but notify() and time ends a wait, so that a driver may look at Loop::pending for a while
  /// before it sleeps. False where sockets are waited for as well: they would go unseen meanwhile.
  [[nodiscard]] virtual bool notified_only() const noexcept { return false; }
};

/// A step machine that someone else drives: a thread in production (posix::LoopThread), the simulator in virtual
/// time (sim::Simulator). It owns no thread and asks no clock; the same code runs under both.
class Loop {
 public:
  virtual ~Loop() = default;

  /// Does a bounded amount of the work that is due at `now`, which stands still meanwhile. Returns when to be called
  /// again without a notification: `now` when work is left, kNever when only a notification can bring work.
  /// Always from the same thread, or with a happens-before edge between two calls.
  virtual MonoTime step(MonoTime now) = 0;

  /// Any thread. True when another thread has brought work for the next step; costs one load. A loop that cannot tell
  /// says false, and is woken as ever.
  [[nodiscard]] virtual bool pending() const noexcept { return false; }

  /// Where the driver waits between two steps. Lives as long as the loop.
  virtual Wakeup& wakeup() noexcept = 0;
};

/// What the operating system owes us of files, besides what SQLite asks of it by itself.
/// The build picks the folder that implements these (platform/posix). All are callable from any thread.

/// The whole file. not_found, permission, or storage_io; larger than `max_bytes` is invalid_argument.
[[nodiscard]] Result<std::string> read_file(const std::string& path, std::uint64_t max_bytes);

/// As read_file, for a secret: refuses (permission) a file that group or others may read, write or run, and says the
/// chmod that mends it.
[[nodiscard]] Result<std::string> read_private_file(const std::string& path, std::uint64_t max_bytes);

/// Creates `path` with mode 0600, writes and syncs it and its directory entry. in_use where it exists already.
[[nodiscard]] Result<void> write_private_file(const std::string& path, std::string_view content);

/// Whether the file, or the folder where it is to be made, lies on a file system in memory, of which a power cut leaves
/// nothing. False where that cannot be told.
[[nodiscard]] bool lies_in_memory(const std::string& path);

/// What an operating system lends a node: posix::Process or sim::World make one. Everything in it outlives the node.
struct Platform {
  Clock& clock;
  Entropy& entropy;
  Log& log;
};

}  // namespace pannier
