#include <stdlib.h>
#include <sys/syscall.h>

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/support/notify_socket.h"
#include "tests/tools/command_runner.h"

namespace pannier::testing {
namespace {

/// A node without links in a folder of its own.
struct ServiceFolder : TempFolder {
  ServiceFolder() {
    REQUIRE(run(path(), {"keygen", "a.key"}).status == 0);
    write_file(*this / "a.toml", "[node]\nname = \"a\"\nkey = \"a.key\"\nstore = \"a.db\"\nlisten = [\"ipc://" +
                                     *this / "a.sock" + "\"]\n");
  }
  [[nodiscard]] RunningCommand start() const { return {path(), {"node", "--config", "a.toml"}, "node.log"}; }
};

TEST_CASE("a node tells its service manager when it is up, that it lives, and when it begins to end") {
  const ServiceFolder folder;
  const NotifySocket manager{folder / "notify"};
  ::setenv("NOTIFY_SOCKET", (folder / "notify").c_str(), 1);
  ::setenv("WATCHDOG_USEC", "100000", 1);
  RunningCommand node = folder.start();
  ::unsetenv("NOTIFY_SOCKET");
  ::unsetenv("WATCHDOG_USEC");
  CHECK(manager.next().starts_with("STATUS=a is up, listens at ipc://"));
  CHECK(manager.next() == "READY=1");
  // With threads for sockets, disk and actors asleep: each was woken and answered.
  CHECK(manager.next_of("WATCHDOG=1") == "WATCHDOG=1");
  CHECK(manager.next_of("WATCHDOG=1") == "WATCHDOG=1");
  node.kill(SIGTERM);
  CHECK(manager.next_of("STOPPING=1") == "STOPPING=1");
  CHECK(node.wait() == 0);
}

#ifdef __x86_64__  // the numbers and arguments of calls are a machine's own
/// What a thread is in the middle of, as the kernel tells it: the call's number and its first four arguments.
struct Call {
  long number = -1;
  unsigned long arguments[4] = {};
};

Call call_of(const std::filesystem::path& task) {
  std::ifstream file(task / "syscall");
  Call call;
  file >> call.number;
  for (unsigned long& each : call.arguments) file >> std::hex >> each;
  return call;
}

/// Asleep in a call that only an event ends: no time was given.
bool sleeps_without_deadline(const Call& call) {
  constexpr auto kForever = static_cast<int>(-1);
  switch (call.number) {
    case SYS_ppoll: return call.arguments[2] == 0;
    case SYS_poll: return static_cast<int>(call.arguments[2]) == kForever;
    case SYS_epoll_wait: return static_cast<int>(call.arguments[3]) == kForever;
    case SYS_rt_sigtimedwait: return call.arguments[2] == 0;
    default: return false;
  }
}

TEST_CASE("an idle node without links sleeps without a deadline in every thread: it never wakes up") {
  const ServiceFolder folder;
  RunningCommand node = folder.start();
  REQUIRE(node.line().starts_with("a is up"));
  const std::filesystem::path tasks = "/proc/" + std::to_string(node.pid()) + "/task";
  std::size_t threads = 0;
  // It may still be on its way to sleep; the test's own time limit ends a wait for what never comes.
  for (std::size_t asleep = 0; asleep == 0 || asleep < threads; std::this_thread::yield()) {
    asleep = threads = 0;
    for (const auto& task : std::filesystem::directory_iterator{tasks}) {
      ++threads;
      if (sleeps_without_deadline(call_of(task.path()))) ++asleep;
    }
  }
  CHECK(threads >= 3);  // the main thread, ZeroMQ's, a worker
  CHECK(node.end(SIGTERM) == 0);
}
#endif

}  // namespace
}  // namespace pannier::testing
