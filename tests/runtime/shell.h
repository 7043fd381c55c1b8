#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <pannier/node.h>
#include <pannier/sim.h>
#include <pannier/simulation.h>
#include "tests/runtime/script.h"

/// Where the tests of actors run: each of them on one worker and on several, in the simulator and on threads.
namespace pannier::testing {

/// For actors that are to share one worker, wherever the test runs: what happens between them has an order.
inline SpawnOptions on_first_worker(SpawnOptions options = {}) {
  options.worker = 0;
  return options;
}

/// Drives loops, on time that the test owns. Time moves only when nobody has anything left to do.
class Drive {
 public:
  virtual ~Drive() = default;
  [[nodiscard]] virtual Clock& clock() noexcept = 0;
  /// A place to sleep for one loop.
  [[nodiscard]] virtual std::unique_ptr<Wakeup> make_wakeup() = 0;
  virtual void add(Loop& loop) = 0;
  /// From now on the loop's thread hangs, while all is quiet.
  virtual void hang(Loop& loop) = 0;
  /// Nobody is stepped any more.
  virtual void end() noexcept = 0;
  virtual void run_for(Duration span) = 0;
  /// Asks `done` when nothing is left to do at one moment, and maybe earlier: it reads what any thread may read.
  [[nodiscard]] virtual bool run_until(const std::function<bool()>& done, Duration limit) = 0;
  /// A handler that takes this long. From its thread.
  virtual void pass(Duration span) = 0;
};

/// A node in one of the shells. Construct one in a test case, and the whole case runs once in each of them:
/// "simulated, 1 worker", "simulated, 4 workers", "1 thread", "4 threads".
class Shell {
 public:
  struct Setup {
    NodeOptions options = {.name = "here"};
    Observer* observer = nullptr;
    Store* store = nullptr;
    bool linked = false;  ///< Gives it a transport within the process.
  };

  Shell() : Shell(Setup{}) {}
  explicit Shell(Setup setup);
  /// A crash: nothing is told to anybody.
  ~Shell();
  Shell(const Shell&) = delete;
  Shell& operator=(const Shell&) = delete;

  [[nodiscard]] Node* operator->() noexcept { return &**this; }
  [[nodiscard]] Node& operator*() noexcept { return *nodes_.front()->node; }
  /// One more node, to be linked with. It lives as long as the shell.
  [[nodiscard]] Node& add(Setup setup);

  /// Until that much time has passed, and nothing is left to do.
  void run_for(Duration span) { drive_->run_for(span); }
  [[nodiscard]] bool run_until(const std::function<bool()>& done, Duration limit) {
    return drive_->run_until(done, limit);
  }
  /// Within a handler: it takes this long.
  void pass(Duration span) { drive_->pass(span); }
  /// A worker of the first node hangs from now on, as in a handler that never returns.
  void hang(std::uint32_t worker) { drive_->hang(*(**this).loops()[worker]); }
  [[nodiscard]] std::uint32_t workers() const noexcept { return workers_; }
  [[nodiscard]] testkit::RecordedLog& log() noexcept { return log_; }

  /// Runs `order` in a turn of `hand`, and what follows from it at once.
  void let(ActorRef<Hand> hand, Hand::Order order);

 private:
  struct OneNode {
    std::vector<std::unique_ptr<Wakeup>> wakeups;
    std::unique_ptr<Transport> transport;
    std::unique_ptr<Node> node;
  };

  std::uint32_t workers_ = 0;
  testkit::RecordedLog log_;
  sim::SeededEntropy entropy_{2};
  std::mutex entropy_mutex_;
  std::unique_ptr<Entropy> shared_entropy_;
  std::shared_ptr<void> exchange_;
  std::unique_ptr<Drive> drive_;
  std::vector<std::unique_ptr<OneNode>> nodes_;
};

}  // namespace pannier::testing
