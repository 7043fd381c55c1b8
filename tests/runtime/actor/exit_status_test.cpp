// What a service manager sees of a node whose top supervisor gave up: each node in a process of its own.

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>

#include <pannier/actor.h>
#include <pannier/node.h>
#include <pannier/process.h>

namespace pannier::testing {
namespace {

struct Hopeless : Actor<Hopeless> {
  void on_start() { throw std::runtime_error("no configuration"); }
};
struct Content : Actor<Content> {
  void on_start() { stop_node(); }
};

template <class A>
int run_in_a_process() {
  const ::pid_t child = ::fork();
  if (child == 0) {
    posix::Process process{LogLevel::error, 1};
    auto node = Node::create({.name = "here"}, {process.platform(), process.wakeups(), nullptr, nullptr});
    const bool spawned = node && (*node)->spawn<A>();
    ::_exit(spawned ? process.run(**node) : 1);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_CASE("a process whose top supervisor gave up ends with status 70, one that was told to stop with 0") {
  CHECK(run_in_a_process<Hopeless>() == 70);
  CHECK(run_in_a_process<Content>() == 0);
}

}  // namespace
}  // namespace pannier::testing
