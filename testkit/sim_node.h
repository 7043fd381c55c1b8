#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "platform/sim/seeded_entropy.h"
#include "platform/sim/simulator.h"
#include "runtime/node/node.h"
#include "testkit/faulty_store.h"
#include "testkit/memory_store.h"
#include "testkit/probe.h"
#include "testkit/recorded_log.h"
#include "transports/sim/network.h"

namespace pannier::testkit {

/// What the device of a simulated node has, and keeps from life to life.
struct Machine {
  std::uint32_t workers = 1;  ///< 3 or more: sockets, store and actors apart, as on a desktop.
  /// False: no store, and enqueue is refused.
  bool disk = true;
  std::string file = {};   ///< The disk is an SQLite file there, the test's to remove. Empty: a store in memory.
  Store* store = nullptr;  ///< The disk is the test's own store, which outlives the node.
  Transport* transport = nullptr;  ///< The test's own, which outlives the node, in the place of the network's.
  Observer* observer = nullptr;
  /// What main does in each life before the node runs: it spawns the program's actors.
  std::function<void(Node&)> boot = {};
};

/// One message that was handled, of those that a program's actors send each other.
struct Step {
  std::string node;
  std::string actor;  ///< Its name, or "#worker.slot.generation".
  std::string type;   ///< Without its namespace.
  bool ok = true;     ///< False: the handler failed, or refused it.
};

/// A node in virtual time, and the device under it: the store and the place on the network outlive the node's lives,
/// and fail as the test says. Starts its first life at once; a node that cannot be stops the process with a line.
/// One thread, the simulator's. Destroying it is a crash.
class SimNode {
 public:
  /// A node on its own.
  SimNode(sim::Simulator& simulator, std::string name, Machine machine = {.disk = false});
  /// `network` may be null; else it outlives the node, which is the host of its name there.
  SimNode(sim::Simulator& simulator, sim::Network* network, NodeOptions options, Machine machine = {});
  ~SimNode();
  SimNode(const SimNode&) = delete;
  SimNode& operator=(const SimNode&) = delete;

  // --- Lives -------------------------------------------------------------------------------------------------------
  [[nodiscard]] bool up() const noexcept { return life_ != nullptr; }
  /// The process is gone, as by kill -9: what it had in memory, and what it had not committed. Nobody is told, but its
  /// channels end. References, and probes, of that life are dead.
  void crash();
  /// The process dies in the middle of its work: at the `calls`-th call from now that begins, changes or commits on the
  /// store; a commit there is stored, or is not. From that call on nothing of it is seen any more; up() turns false.
  void crash_in_store_call(std::uint32_t calls, bool commit_is_stored);
  /// The next life, on what the store has kept; back on the network where crash_in_store_call took it off. No effect on
  /// a node that is up. Errors as Node::create and the store say them.
  Result<void> start();
  Result<void> restart();
  /// As SIGTERM does, and waits until it has stopped. timeout: it has not within `limit`, and is up.
  Result<void> stop(Duration limit = std::chrono::seconds{30});

  // --- This life; only while up() ----------------------------------------------------------------------------------
  [[nodiscard]] Node* operator->() noexcept { return &**this; }
  [[nodiscard]] Node& operator*() noexcept;
  template <class A, class... Args>
  ActorRef<A> spawn(SpawnOptions options, Args... args) {
    const std::string name = options.name;
    return must((**this).spawn<A>(std::move(options), std::move(args)...), "spawn", name);
  }
  /// A probe of this name, or without one.
  [[nodiscard]] Probe probe(std::string name = {});

  // --- The device --------------------------------------------------------------------------------------------------
  [[nodiscard]] const std::string& name() const noexcept { return options_.name; }
  /// Makes the disk fail. Only with a disk.
  [[nodiscard]] FaultyStore& disk() noexcept;
  /// What is kept, past all failures. Only with a disk, and while up() where it is a file.
  [[nodiscard]] Store& store() noexcept;
  [[nodiscard]] RecordedLog& log() noexcept { return log_; }

  // --- For Simulation ----------------------------------------------------------------------------------------------
  /// One message a step from now on, or as many as in production.
  void one_by_one(bool on);
  /// Calls `see` for each message that a program's actors handle, on top of Machine::observer; empty: nobody.
  using See = std::function<void(const Handled&)>;
  void on_handled(See see) { see_ = std::move(see); }
  [[nodiscard]] Step step_of(const Handled& handled);

 private:
  struct Life;
  class Eye;
  class Undertaker;

  template <class T>
  T must(Result<T> made, const char* what, const std::string& which) const {
    if (!made) give_up(what, which, made.error());
    return std::move(*made);
  }
  [[noreturn]] void give_up(const char* what, const std::string& which, const Error& error) const;
  Result<Store*> open_store();

  sim::Simulator& simulator_;
  sim::Network* network_;
  const NodeOptions options_;
  const Machine machine_;
  sim::SeededEntropy entropy_;
  RecordedLog log_;
  See see_;
  std::unique_ptr<Store> own_store_;
  std::optional<FaultyStore> faulty_;
  std::unique_ptr<Eye> eye_;
  std::unique_ptr<Undertaker> undertaker_;
  std::unique_ptr<Life> life_;
  bool off_network_ = false;
};

}  // namespace pannier::testkit
