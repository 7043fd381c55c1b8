#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <pannier/result.h>

namespace pannier::delivery {

/// What to start, and how to start it again.
struct ProcessSpec {
  std::string name;               ///< For error lines.
  std::vector<std::string> argv;  ///< The program's path first. Not empty.
  std::string log_path;           ///< Takes its output and errors, appended; empty: those of the demo itself.
};

/// How a process ended: by itself with a status, or by a signal.
struct ProcessExit {
  int status = 0;
  int signal = 0;  ///< 0 when it ended by itself.
  [[nodiscard]] bool clean() const noexcept { return status == 0 && signal == 0; }
};

/// One child process of the demo, in its successive lives. It dies with the demo's thread that started it,
/// however that ends (PR_SET_PDEATHSIG), so that nothing is left behind: start and restart from the main
/// thread. Not thread-safe.
class Process {
 public:
  /// not_found or permission when the program cannot be run; full when the system has no process left.
  [[nodiscard]] static Result<Process> start(ProcessSpec spec);

  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  /// Kills what still runs, and waits for it.
  ~Process();

  /// Kills with SIGKILL, in the midst of whatever it does, and waits for its end. Nothing when it has ended.
  void kill_now();
  /// Asks it to end (SIGTERM); wait() tells when it has.
  void terminate();
  /// Waits at most `limit`; empty when it still runs then. Zero only looks.
  [[nodiscard]] std::optional<ProcessExit> wait(std::chrono::milliseconds limit);
  /// The same program again, on the same files, once it has ended (else in_use).
  Result<void> restart();

  [[nodiscard]] bool running() const noexcept { return pid_ > 0; }
  [[nodiscard]] int pid() const noexcept { return pid_; }
  [[nodiscard]] const ProcessSpec& spec() const noexcept { return spec_; }
  /// Bytes that all its lives have caused to be written to disk, from /proc/PID/io; empty where the system
  /// does not tell. Files in memory (tmpfs) count for nothing.
  [[nodiscard]] std::optional<std::uint64_t> disk_bytes() const;

 private:
  explicit Process(ProcessSpec spec) : spec_(std::move(spec)) {}
  Result<void> launch();
  void reap();

  ProcessSpec spec_;
  int pid_ = -1;
  std::optional<ProcessExit> exit_;
  std::optional<std::uint64_t> earlier_disk_bytes_ = 0;  // of the lives before this one
};

}  // namespace pannier::delivery
