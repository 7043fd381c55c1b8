#pragma once

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/temp_folder.h"

namespace pannier::testing {

/// One running process of the command. Killed with its owner.
class RunningCommand {
 public:
  /// Starts `pannier`, or another program, with these arguments in `folder`. Its stdout comes to us by a pipe, its
  /// stderr goes to a file, its stdin comes from one where that is named.
  RunningCommand(const std::string& folder, const std::vector<std::string>& arguments, const std::string& errors,
                 const std::string& program = PANNIER_COMMAND, const std::string& input = "/dev/null")
      : errors_(folder + "/" + errors) {
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC) != 0) std::abort();
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      const int log = ::open(errors_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
      ::dup2(ends[1], STDOUT_FILENO);
      ::dup2(log, STDERR_FILENO);
      ::dup2(::open(input.c_str(), O_RDONLY), STDIN_FILENO);
      if (::chdir(folder.c_str()) != 0) ::_exit(126);
      std::vector<std::string> words = {program};
      words.insert(words.end(), arguments.begin(), arguments.end());
      std::vector<char*> pointers;
      for (std::string& word : words) pointers.push_back(word.data());
      pointers.push_back(nullptr);
      ::execv(pointers.front(), pointers.data());
      ::_exit(127);
    }
    ::close(ends[1]);
    out_ = ends[0];
  }
  RunningCommand(RunningCommand&& other) noexcept
      : errors_(std::move(other.errors_)), pid_(std::exchange(other.pid_, -1)), out_(std::exchange(other.out_, -1)) {}
  RunningCommand(const RunningCommand&) = delete;
  RunningCommand& operator=(const RunningCommand&) = delete;
  ~RunningCommand() {
    if (pid_ > 0) end(SIGKILL);
    if (out_ >= 0) ::close(out_);
  }

  /// The next line of its stdout; waits for it. Empty: it has ended.
  std::string line() {
    std::string text;
    char c = 0;
    while (::read(out_, &c, 1) == 1 && c != '\n') text += c;
    return text;
  }
  std::string rest() {
    std::string text;
    char block[4096];
    for (ssize_t got = 0; (got = ::read(out_, block, sizeof block)) > 0;) {
      text.append(block, static_cast<std::size_t>(got));
    }
    return text;
  }
  /// What it has said on stderr so far.
  [[nodiscard]] std::string errors() const {
    std::ifstream file(errors_);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  /// Waits until stderr holds `text`. The test's own time limit ends a wait for what never comes.
  void wait_for_error(const std::string& text) const {
    while (errors().find(text) == std::string::npos) std::this_thread::yield();
  }
  /// Waits for its end: the exit status, or 128 and the signal.
  int wait() {
    int status = 0;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  void kill(int signal) const { ::kill(pid_, signal); }
  int end(int signal) {
    kill(signal);
    return wait();
  }
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }

 private:
  std::string errors_;
  pid_t pid_ = -1;
  int out_ = -1;
};

struct Ran {
  int status = -1;
  std::string out;
  std::string errors;
};

/// Runs the command, or another program, to its end.
inline Ran run(const std::string& folder, const std::vector<std::string>& arguments,
               const std::string& program = PANNIER_COMMAND, const std::string& input = "/dev/null") {
  RunningCommand command{folder, arguments, "command.err", program, input};
  Ran ran;
  ran.out = command.rest();
  ran.status = command.wait();
  ran.errors = command.errors();
  return ran;
}

/// Without the line ends at its end.
inline std::string trimmed(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

inline void write_file(const std::string& path, const std::string& content) { std::ofstream(path) << content; }

}  // namespace pannier::testing
