#include "examples/delivery/day/processes.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <thread>
#include <utility>

namespace pannier::delivery {
namespace {

constexpr auto kLookEvery = std::chrono::milliseconds(2);

std::optional<std::uint64_t> written_by(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/io");
  std::string name;
  std::uint64_t value = 0;
  while (file >> name >> value) {
    if (name == "write_bytes:") return value;
  }
  return std::nullopt;
}

// The child, between fork and exec: only what is safe in a copy of a threaded process. Reports errors through `report`.
[[noreturn]] void become(char* const* argv, const char* log_path, pid_t parent, int report) {
  const auto fail = [report] {
    const int cause = errno;
    [[maybe_unused]] const ssize_t written = ::write(report, &cause, sizeof cause);
    ::_exit(127);
  };
  // The parent may have blocked signals to wait for them; the child must receive its own.
  sigset_t none;
  ::sigemptyset(&none);
  if (::sigprocmask(SIG_SETMASK, &none, nullptr) != 0) fail();
  // The parent may have ended before the request was recorded.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) fail();
  if (::getppid() != parent) ::_exit(127);
  if (*log_path != '\0') {
    const int log = ::open(log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (log < 0 || ::dup2(log, STDOUT_FILENO) < 0 || ::dup2(log, STDERR_FILENO) < 0) fail();
  }
  ::execv(argv[0], argv);
  fail();
  ::_exit(127);
}

Error start_error(const std::string& name, int cause) {
  const ErrorCode code = cause == ENOENT   ? ErrorCode::not_found
                         : cause == EACCES ? ErrorCode::permission
                                           : ErrorCode::full;
  return {code, "cannot start " + name + ": " + std::strerror(cause)};
}

}  // namespace

Result<Process> Process::start(ProcessSpec spec) {
  if (spec.argv.empty()) {
    return Error{ErrorCode::invalid_argument, "cannot start " + spec.name + ": no program given"};
  }
  Process process(std::move(spec));
  if (const auto launched = process.launch(); !launched) return launched.error();
  return process;
}

Result<void> Process::launch() {
  // Exec closes the pipe; anything read from it is an error.
  std::array<int, 2> report{};
  if (::pipe2(report.data(), O_CLOEXEC) != 0) return start_error(spec_.name, errno);
  std::vector<char*> argv;
  for (std::string& word : spec_.argv) argv.push_back(word.data());
  argv.push_back(nullptr);

  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) become(argv.data(), spec_.log_path.c_str(), parent, report[1]);
  const int fork_cause = errno;
  ::close(report[1]);
  int cause = 0;
  ssize_t got = 0;
  if (pid > 0) {
    do got = ::read(report[0], &cause, sizeof cause);
    while (got < 0 && errno == EINTR);
  }
  ::close(report[0]);
  if (pid < 0) return start_error(spec_.name, fork_cause);
  if (got == static_cast<ssize_t>(sizeof cause)) {
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    return start_error(spec_.name + " (" + spec_.argv.front() + ")", cause);
  }
  pid_ = pid;
  exit_.reset();
  return {};
}

Process::Process(Process&& other) noexcept
    : spec_(std::move(other.spec_)),
      pid_(std::exchange(other.pid_, -1)),
      exit_(other.exit_),
      earlier_disk_bytes_(other.earlier_disk_bytes_) {}

Process& Process::operator=(Process&& other) noexcept {
  std::swap(spec_, other.spec_);
  std::swap(pid_, other.pid_);
  std::swap(exit_, other.exit_);
  std::swap(earlier_disk_bytes_, other.earlier_disk_bytes_);
  return *this;
}

Process::~Process() { kill_now(); }

void Process::kill_now() {
  if (!running()) return;
  ::kill(pid_, SIGKILL);
  siginfo_t info{};
  while (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT) < 0 && errno == EINTR) {
  }
  reap();
}

void Process::terminate() {
  if (running()) ::kill(pid_, SIGTERM);
}

std::optional<ProcessExit> Process::wait(std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (running()) {
    siginfo_t info{};
    if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT | WNOHANG) == 0 && info.si_pid == pid_) {
      reap();
      break;
    }
    if (std::chrono::steady_clock::now() >= deadline) return std::nullopt;
    std::this_thread::sleep_for(kLookEvery);
  }
  return exit_;
}

// The process has ended but is still in the table, so its counters can be read a last time.
void Process::reap() {
  earlier_disk_bytes_ = disk_bytes();
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  exit_ = WIFSIGNALED(status) ? ProcessExit{0, WTERMSIG(status)} : ProcessExit{WEXITSTATUS(status), 0};
  pid_ = -1;
}

Result<void> Process::restart() {
  if (running()) return Error{ErrorCode::in_use, spec_.name + " is still running; stop it first"};
  return launch();
}

std::optional<std::uint64_t> Process::disk_bytes() const {
  if (!running()) return earlier_disk_bytes_;
  const auto now = written_by(pid_);
  if (!now || !earlier_disk_bytes_) return std::nullopt;
  return *earlier_disk_bytes_ + *now;
}

}  // namespace pannier::delivery
