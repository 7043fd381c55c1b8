#include "bench/child.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "bench/measure.h"

namespace pannier::bench {

Child::Child(const Role& role) {
  int ends[2];
  if (::pipe(ends) != 0) give_up("no pipe");
  std::fflush(nullptr);
  pid_ = ::fork();
  if (pid_ < 0) give_up("no process");
  if (pid_ > 0) {
    ::close(ends[1]);
    pipe_ = ends[0];
    return;
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::close(ends[0]);
  pipe_ = ends[1];
  role(*this);
  std::fflush(nullptr);
  ::_exit(0);
}

Child::~Child() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  ::close(pipe_);
}

void Child::say(const std::string& line) const {
  const std::string whole = line + "\n";
  if (::write(pipe_, whole.data(), whole.size()) != static_cast<ssize_t>(whole.size())) give_up("nobody listens");
}

std::string Child::hear() {
  std::string line;
  for (char next = 0;;) {
    const ssize_t got = ::read(pipe_, &next, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got != 1) give_up("the other process ended early");
    if (next == '\n') return line;
    line.push_back(next);
  }
}

void Child::signal(int number) const { ::kill(pid_, number); }

void Child::wait() {
  int status = 0;
  if (::waitpid(pid_, &status, 0) != pid_) give_up("no other process");
  pid_ = 0;
  if (WIFEXITED(status) && WEXITSTATUS(status) != 0) give_up("the other process failed");
}

}  // namespace pannier::bench
