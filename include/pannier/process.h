#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <pannier/platform.h>

namespace pannier::posix {

/// Runs nodes in production: clock, entropy and log of this process, one thread per loop, termination signals, and the
/// service manager if one started it (docs/operations.md). Construct it first in main, before any thread. It must
/// outlive every node.
class Process {
 public:
  /// Raises the process's soft limit of descriptors. With fewer than 64 it prints an error and exits with status 70.
  /// `workers`: threads of a node. 0: one on a single core, otherwise two (sockets, store) plus one for each core but
  /// one.
  explicit Process(LogLevel log_level = LogLevel::info, std::uint32_t workers = 0);

  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  [[nodiscard]] Platform platform() noexcept;
  [[nodiscard]] Log& log() noexcept;
  /// Shows `line` as the service's state. Call it before run(), from the same thread.
  void set_status(std::string line);

  /// The wake-ups for NodeParts. `sockets`: Transport::wakeup() of the node's transport, if it has one; it is used by
  /// the first worker.
  [[nodiscard]] std::vector<Wakeup*> wakeups(Wakeup* sockets = nullptr);

  /// Also drives `loop`, which sleeps at a wake-up of its own, on a thread of its own from run() until the node has
  /// stopped: a gateway, a bridge. The watchdog does not look at it. Before run(); `loop` outlives it.
  void drive(Loop& loop);

  /// `reload` is called on the thread of run() for each SIGHUP while the node runs, to read a configuration again.
  /// Without it SIGHUP is like SIGTERM. Set it before any thread starts.
  void on_hangup(std::function<void()> reload);

  /// Runs `node` until it stops by itself or after SIGINT or SIGTERM. Returns the exit status for main: 0, or
  /// Node::kExitFailed if the top supervisor gave up. Tells the service manager when the node is ready and when it is
  /// stopping, and sends watchdog signals if it asked for them. Without a service manager there is no periodic wake-up.
  template <class Node>
  int run(Node& node) {
    node.on_stopped([this] { wake_main(); });
    run_loops(
        node.loops(), [&] { node.stop(); }, [&] { return node.stopped(); });
    return node.failed() ? Node::kExitFailed : 0;
  }

 private:
  struct Parts;

  void run_loops(std::span<Loop* const> loops, const std::function<void()>& stop, const std::function<bool()>& stopped);
  void wake_main() noexcept;

  std::unique_ptr<Parts> parts_;
};

}  // namespace pannier::posix
