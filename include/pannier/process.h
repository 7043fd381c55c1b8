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

/// The production shell: this process's clock, entropy and log, one thread a loop, the signals that end it, and the
/// service manager that started it, where one did (docs/operations.md).
/// Construct it first in main, before any thread, and let it outlive every node.
class Process {
 public:
  /// `workers` threads for a node; 0: two (sockets, store) and one for each core but one, or one for all on one core.
  explicit Process(LogLevel log_level = LogLevel::info, std::uint32_t workers = 0);

  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  [[nodiscard]] Platform platform() noexcept;
  [[nodiscard]] Log& log() noexcept;
  /// Shows `line` as the state of the service. The thread that runs the node only, before it does.
  void set_status(std::string line);

  /// The places to sleep for NodeParts. `sockets`: Transport::wakeup() of the node's transport, where it has one; it
  /// becomes the first worker's.
  [[nodiscard]] std::vector<Wakeup*> wakeups(Wakeup* sockets = nullptr);

  /// Runs `node` until it has stopped: by itself, or after SIGINT or SIGTERM. Returns the exit status for main:
  /// 0, or Node::kExitFailed where its top supervisor gave up. A service manager is told when the node runs and when it
  /// begins to end, and, where it watches, that each loop still makes progress. Without one there is no periodic
  /// wake-up.
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
