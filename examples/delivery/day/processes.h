#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <pannier/result.h>

namespace pannier::delivery {

/// What to start, and how to restart it.
struct ProcessSpec {
  std::string name;               ///< For error messages.
  std::vector<std::string> argv;  ///< Starts with the program's path. Not empty.
  std::string log_path;           ///< Its output and errors are appended here. Empty: the demo's own.
};

/// How a process ended: with a status, or by a signal.
struct ProcessExit {
  int status = 0;
  int signal = 0;  ///< 0 if it exited by itself.
  [[nodiscard]] bool clean() const noexcept { return status == 0 && signal == 0; }
};

/// One child process of the demo, over its restarts. It dies with the thread of the demo that started it
/// (PR_SET_PDEATHSIG), so that nothing is left behind: start and restart from the main thread. Not thread-safe.
class Process {
 public:
  /// Errors: not_found or permission if the program cannot be run; full if the system is out of processes.
  [[nodiscard]] static Result<Process> start(ProcessSpec spec);

  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  /// Kills the process if it runs, and waits for it.
  ~Process();

  /// Kills with SIGKILL and waits. No effect if it has ended.
  void kill_now();
  /// Sends SIGTERM. See wait().
  void terminate();
  /// Waits at most `limit`. Empty if it still runs. Zero polls.
  [[nodiscard]] std::optional<ProcessExit> wait(std::chrono::milliseconds limit);
  /// Starts the same program on the same files. in_use if it still runs.
  Result<void> restart();

  [[nodiscard]] bool running() const noexcept { return pid_ > 0; }
  [[nodiscard]] int pid() const noexcept { return pid_; }
  [[nodiscard]] const ProcessSpec& spec() const noexcept { return spec_; }
  /// Bytes written to disk over all its lives, from /proc/PID/io. Empty if unknown. Files in memory (tmpfs) do not
  /// count.
  [[nodiscard]] std::optional<std::uint64_t> disk_bytes() const;

 private:
  explicit Process(ProcessSpec spec) : spec_(std::move(spec)) {}
  Result<void> launch();
  void reap();

  ProcessSpec spec_;
  int pid_ = -1;
  std::optional<ProcessExit> exit_;
  std::optional<std::uint64_t> earlier_disk_bytes_ = 0;  // of earlier lives
};

}  // namespace pannier::delivery
