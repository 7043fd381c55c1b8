#include "platform/posix/service_manager.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>
#include <pannier/process.h>
#include "platform/posix/progress_probe.h"
#include "tests/support/notify_socket.h"
#include "tests/support/temp_folder.h"

namespace pannier::posix {
namespace {

using testing::NotifySocket;
using testing::TempFolder;

TEST_CASE("a service manager hears what the process says, at a path and at an abstract name") {
  const TempFolder folder;
  const std::string own_pid = std::to_string(::getpid());
  for (const std::string& address : {folder / "notify", "@pannier-test-" + own_pid}) {
    INFO(address);
    const NotifySocket socket{address};
    auto manager = ServiceManager::open({address.c_str(), "30000000", own_pid.c_str()});
    REQUIRE(manager);
    CHECK(manager->watchdog() == std::chrono::seconds{30});
    REQUIRE(manager->ready());
    REQUIRE(manager->status("up\nREADY=1"));
    REQUIRE(manager->alive());
    REQUIRE(manager->stopping());
    CHECK(socket.next() == "READY=1");
    CHECK(socket.next() == "STATUS=up READY=1");
    CHECK(socket.next() == "WATCHDOG=1");
    CHECK(socket.next() == "STOPPING=1");
  }
}

TEST_CASE("without a service manager there is nobody to tell and nobody who watches") {
  for (const char* socket : std::vector<const char*>{nullptr, ""}) {
    auto manager = ServiceManager::open({socket, "30000000", nullptr});
    REQUIRE(manager);
    CHECK(manager->ready());
    CHECK(manager->watchdog() == Duration::zero());
  }
}

TEST_CASE("a watchdog that is meant for the parent process does not bind its child") {
  const auto manager = ServiceManager::open({"/run/notify", "30000000", "1"});
  REQUIRE(manager);
  CHECK(manager->watchdog() == Duration::zero());
}

TEST_CASE("an environment that no service manager sets is named") {
  const auto error = [](const ServiceEnvironment& environment) {
    const auto manager = ServiceManager::open(environment);
    return manager ? std::string{} : manager.error().detail;
  };
  CHECK(error({"relative/path", nullptr, nullptr}).starts_with("Invalid NOTIFY_SOCKET 'relative/path'"));
  CHECK(error({std::string(108, '/').c_str(), nullptr, nullptr}).starts_with("Invalid NOTIFY_SOCKET"));
  CHECK(error({"/run/notify", "often", nullptr}).starts_with("Invalid WATCHDOG_USEC 'often'"));
  CHECK(error({"/run/notify", "0", nullptr}).starts_with("Invalid WATCHDOG_USEC"));
  CHECK(error({"/run/notify", "30000000", "me"}).starts_with("Invalid WATCHDOG_PID 'me'"));
}

TEST_CASE("a service manager that is gone is an error, not the end of the process") {
  const TempFolder folder;
  auto manager = ServiceManager::open({(folder / "gone").c_str(), nullptr, nullptr});
  REQUIRE(manager);
  const auto told = manager->ready();
  REQUIRE(!told);
  CHECK(told.error().code == ErrorCode::unreachable);
}

/// A node of one loop that can be held in a step.
class Holdable final : public Loop {
 public:
  MonoTime step(MonoTime) override {
    if (hold.load()) {
      held.notify();
      gate.wait_until(kNever);
      hold.store(false);
    }
    return kNever;
  }
  Wakeup& wakeup() noexcept override { return wakeup_; }

  static constexpr int kExitFailed = 70;
  void on_stopped(std::function<void()> told) { told_ = std::move(told); }
  [[nodiscard]] std::span<Loop* const> loops() const { return loops_; }
  void stop() {
    stopped_.store(true);
    told_();
  }
  [[nodiscard]] bool stopped() const { return stopped_.load(); }
  [[nodiscard]] bool failed() const { return false; }

  std::atomic<bool> hold{false};
  EventWakeup held;
  EventWakeup gate;

 private:
  EventWakeup wakeup_;
  std::vector<Loop*> loops_{this};
  std::function<void()> told_;
  std::atomic<bool> stopped_{false};
};

TEST_CASE("the watchdog hears of a node while its loops make progress, and not while one is stuck in a step") {
  const TempFolder folder;
  const NotifySocket socket{folder / "notify"};
  ::setenv("NOTIFY_SOCKET", (folder / "notify").c_str(), 1);
  ::setenv("WATCHDOG_USEC", "400000", 1);
  Process process;
  ::unsetenv("NOTIFY_SOCKET");
  ::unsetenv("WATCHDOG_USEC");
  Holdable node;
  process.set_status("up");
  CHECK(socket.next() == "STATUS=up");
  std::thread observer{[&] {
    CHECK(socket.next() == "READY=1");
    CHECK(socket.next_of("WATCHDOG=1") == "WATCHDOG=1");
    CHECK(socket.next_of("WATCHDOG=1") == "WATCHDOG=1");  // it slept meanwhile, and answered

    node.hold.store(true);
    node.wakeup().notify();
    node.held.wait_until(kNever);
    CHECK(socket.next_of("STATUS=worker0 makes no progress") != "");
    CHECK(socket.here() == "");  // stuck: nothing more is said of being alive
    node.gate.notify();
    CHECK(socket.next_of("WATCHDOG=1") == "WATCHDOG=1");
    CHECK(socket.next_of("STATUS=") == "STATUS=up");

    ::kill(::getpid(), SIGTERM);
    CHECK(socket.next_of("STOPPING=1") == "STOPPING=1");
  }};
  CHECK(process.run(node) == 0);
  observer.join();
}

/// Does nothing, and cannot be woken: what is left of a loop whose notification was lost.
struct Deaf final : Loop {
  struct Nowhere final : Wakeup {
    void notify() noexcept override {
      if (hears.load()) place.notify();
    }
    void wait_until(MonoTime deadline) noexcept override {
      asleep.notify();
      place.wait_until(deadline);
    }
    std::atomic<bool> hears{true};
    EventWakeup asleep;
    EventWakeup place;
  };
  MonoTime step(MonoTime) override { return kNever; }
  Wakeup& wakeup() noexcept override { return place; }
  Nowhere place;
};

TEST_CASE("a loop that sleeps though it was notified is found stuck") {
  Deaf loop;
  const SystemClock clock;
  Loop* const loops[] = {&loop};
  LoopThreads threads{loops, clock};
  loop.place.asleep.wait_until(kNever);

  ProgressProbe probe{threads};  // wakes it
  while (probe.stuck()) loop.place.asleep.wait_until(kNever);
  loop.place.hears.store(false);
  probe.ask();
  CHECK(probe.stuck() == 0);
  loop.place.hears.store(true);
}

}  // namespace
}  // namespace pannier::posix
