// The rows compile/20-handlers: runs the compiler once on a file with an actor of twenty handlers, and prints what it
// took, as the kernel counted it for that process and its children. `compile ROW VARIANT SCALE`; variant 1 is ours, 2
// is CAF's.

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "bench/measure.h"

namespace pannier::bench {
namespace {

/// Optimised, as users build; without warnings, since CAF's headers are full of them.
rusage compile(unsigned variant) {
  std::vector<std::string> words{COMPILER, "-std=c++20", "-O2", "-w", "-c", "-o", "/dev/null"};
  const std::vector<std::string> side =
      variant == 1 ? std::vector<std::string>{"-I" SOURCES, "-isystem", GENERATED, SOURCES "/bench/compile/twenty.cpp"}
                   : std::vector<std::string>{"-I" CAF, SOURCES "/bench/compile/twenty_caf.cpp"};
  words.insert(words.end(), side.begin(), side.end());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  const pid_t child = ::fork();
  if (child == 0) {
    ::execv(arguments.front(), arguments.data());
    ::_exit(127);
  }
  int status = 0;
  rusage used{};
  if (child < 0 || ::wait4(child, &status, 0, &used) != child || status != 0) give_up("the compiler failed");
  return used;
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

double measure(const Call& call) {
  const rusage used = compile(call.variant);
  if (call.row == "compile/20-handlers") return seconds(used.ru_utime) + seconds(used.ru_stime);
  if (call.row == "compile/20-handlers-memory") return static_cast<double>(used.ru_maxrss) / 1024;
  give_up("there is no row " + call.row);
}

}  // namespace
}  // namespace pannier::bench

int main(int argc, char** argv) {
  return pannier::bench::answer(pannier::bench::measure(pannier::bench::read_call(argc, argv)));
}
