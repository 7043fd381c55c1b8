#pragma once

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <initializer_list>
#include <string>
#include <vector>

#include <doctest/doctest.h>

extern char** environ;

namespace pannier::testing {

/// A child program with its output in a pipe, read line by line, also what it wrote before it was killed. Its input
/// ends when this does. What still runs then is killed and waited for.
class ChildProcess {
 public:
  explicit ChildProcess(std::vector<std::string> arguments) {
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    std::array<int, 2> out{};
    std::array<int, 2> in{};
    REQUIRE(pipe(out.data()) == 0);
    REQUIRE(pipe(in.data()) == 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    for (const int end : {in[0], in[1], out[0], out[1]}) posix_spawn_file_actions_addclose(&actions, end);
    REQUIRE(posix_spawn(&process_, argv[0], &actions, nullptr, argv.data(), environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    input_ = in[1];
    output_ = out[0];
  }
  ~ChildProcess() {
    if (process_ > 0) kill_and_wait();
    close(input_);
    close(output_);
  }
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  /// The next line that is whole; waits for it. False at the end of its output.
  [[nodiscard]] bool line(std::string& out) {
    while (!take_line(out)) {
      if (!fill()) return false;
    }
    return true;
  }
  /// Waits until one of `children` has said more or has ended, and reads that. False: all have ended.
  static bool wait(std::initializer_list<ChildProcess*> children) {
    std::vector<pollfd> ends;
    std::vector<ChildProcess*> open;
    for (ChildProcess* child : children) {
      if (child == nullptr || child->ended_) continue;
      ends.push_back({child->output_, POLLIN, 0});
      open.push_back(child);
    }
    if (open.empty()) return false;
    if (poll(ends.data(), ends.size(), -1) < 0) return true;
    for (std::size_t i = 0; i < ends.size(); ++i) {
      if (ends[i].revents != 0) static_cast<void>(open[i]->fill());
    }
    return true;
  }
  /// A line that was read; false where there is none yet.
  [[nodiscard]] bool take_line(std::string& out) {
    const std::size_t end = read_.find('\n');
    if (end == std::string::npos) return false;
    out = read_.substr(0, end);
    read_.erase(0, end + 1);
    return true;
  }

  void kill_and_wait() {
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
    process_ = 0;
  }

 private:
  bool fill() {
    std::array<char, 4096> buffer{};
    const ssize_t got = read(output_, buffer.data(), buffer.size());
    ended_ = got <= 0;
    if (!ended_) read_.append(buffer.data(), static_cast<std::size_t>(got));
    return !ended_;
  }

  pid_t process_ = 0;
  int input_ = -1;
  int output_ = -1;
  bool ended_ = false;
  std::string read_;
};

}  // namespace pannier::testing
