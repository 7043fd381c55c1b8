#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "platform/sim/seeded_entropy.h"
#include "platform/sim/simulator.h"
#include "runtime/node.h"
#include "tests/support/quiet_log.h"

namespace pannier::testing {

/// One node in virtual time. Its store and its transport, where it has them, are the test's: they outlive a crash.
class SimNode {
 public:
  struct Setup {
    std::uint32_t workers = 1;
    Transport* transport = nullptr;
    Store* store = nullptr;
    Observer* observer = nullptr;
  };

  SimNode(sim::Simulator& simulator, std::string name) : SimNode(simulator, NodeOptions{std::move(name)}, Setup{}) {}
  SimNode(sim::Simulator& simulator, NodeOptions options, Setup setup)
      : simulator_(simulator), entropy_(simulator.entropy().next()) {
    NodeParts parts{{simulator.clock(), entropy_, log_}, {}, setup.transport, setup.store, setup.observer};
    for (std::uint32_t i = 0; i < setup.workers; ++i) {
      wakeups_.push_back(std::make_unique<sim::FlagWakeup>(simulator));
      parts.wakeups.push_back(wakeups_.back().get());
    }
    if (setup.transport != nullptr) parts.wakeups.front() = &setup.transport->wakeup();
    auto made = Node::create(std::move(options), std::move(parts));
    if (!made) std::abort();  // a test that asks for an impossible node
    node_ = std::move(*made);
    for (Loop* loop : node_->loops()) simulator.add(*loop);
  }
  /// A crash: nothing is told to anybody.
  ~SimNode() {
    for (Loop* loop : node_->loops()) simulator_.remove(*loop);
  }
  SimNode(const SimNode&) = delete;
  SimNode& operator=(const SimNode&) = delete;

  [[nodiscard]] Node* operator->() noexcept { return node_.get(); }
  [[nodiscard]] Node& operator*() noexcept { return *node_; }
  [[nodiscard]] QuietLog& log() noexcept { return log_; }

 private:
  sim::Simulator& simulator_;
  sim::SeededEntropy entropy_;
  QuietLog log_;
  std::vector<std::unique_ptr<sim::FlagWakeup>> wakeups_;
  std::unique_ptr<Node> node_;
};

}  // namespace pannier::testing
