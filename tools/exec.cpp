#include "tools/exec.h"

#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <thread>

extern char** environ;

namespace pannier::tools {

namespace {

constexpr std::chrono::milliseconds kLookAgain{5};

struct CloseFile {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};

Error cannot(const char* what, int cause) {
  return {ErrorCode::invalid_argument, std::string{"cannot "} + what + ": " + std::strerror(cause)};
}

}  // namespace

Result<std::string> run_script(const Script& script) {
  // A file rather than a pipe: a command that does not read its input must not block us.
  const std::unique_ptr<std::FILE, CloseFile> input{std::tmpfile()};
  if (input == nullptr) return cannot("make a temporary file", errno);
  if (std::fwrite(script.input.data(), 1, script.input.size(), input.get()) != script.input.size() ||
      std::fflush(input.get()) != 0 || ::lseek(fileno(input.get()), 0, SEEK_SET) != 0) {
    return cannot("write a temporary file", errno);
  }
  ::setenv("PANNIER_LANE", script.lane.c_str(), 1);
  ::setenv("PANNIER_KEY", script.key.c_str(), 1);
  ::setenv("PANNIER_TYPE", script.type.c_str(), 1);

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, fileno(input.get()), STDIN_FILENO);
  ::posix_spawnattr_init(&attributes);
  // A group of its own, so that the limit ends what it started as well.
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  std::string shell = "sh";
  std::string option = "-c";
  std::string command = script.command;
  char* const arguments[] = {shell.data(), option.data(), command.data(), nullptr};
  pid_t child = 0;
  const int cause = ::posix_spawn(&child, "/bin/sh", &actions, &attributes, arguments, environ);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (cause != 0) return cannot("start /bin/sh", cause);

  const auto deadline = std::chrono::steady_clock::now() + script.limit;
  int status = 0;
  for (;;) {
    const pid_t ended = ::waitpid(child, &status, WNOHANG);
    if (ended == child) break;
    if (ended < 0 && errno != EINTR) return cannot("wait for the command", errno);
    if (std::chrono::steady_clock::now() >= deadline) {
      ::kill(-child, SIGKILL);
      ::waitpid(child, &status, 0);
      return "the command was killed after " + std::to_string(script.limit.count()) + " ms (--lease)";
    }
    std::this_thread::sleep_for(kLookAgain);
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return std::string{};
  if (WIFEXITED(status)) return "the command ended with status " + std::to_string(WEXITSTATUS(status));
  return "the command was ended by signal " + std::to_string(WTERMSIG(status));
}

}  // namespace pannier::tools
