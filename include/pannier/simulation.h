#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <pannier/node.h>
#include <pannier/platform.h>
#include <pannier/probe.h>
#include <pannier/sim.h>

namespace pannier::testkit {

class FaultyStore;

/// Records a node's log for a test. If PANNIER_TEST_LOG is set in the environment, lines also go to stderr. Any thread.
class RecordedLog final : public Log {
 public:
  /// `prefix` precedes each line on stderr: the node's name.
  explicit RecordedLog(std::string prefix = {});

  void write(LogLevel level, std::string_view line) noexcept override;

  [[nodiscard]] std::uint64_t errors() const noexcept { return errors_; }
  [[nodiscard]] std::uint64_t warnings() const noexcept { return warnings_; }
  /// Empty if there was none.
  [[nodiscard]] std::string last_error() const;
  /// True if one of the newest kLines lines, of any level, contains `part`.
  [[nodiscard]] bool has(std::string_view part) const;

  static constexpr std::size_t kLines = 1000;

 private:
  class Hold;

  const std::string prefix_;
  const bool show_;
  mutable std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
  std::deque<std::string> lines_;
  std::string last_error_;
  std::atomic<std::uint64_t> errors_{0};
  std::atomic<std::uint64_t> warnings_{0};
};

/// The seeds of a test: 1 to `count`, unless set in the environment. PANNIER_SIM_SEED=7 runs only that seed, to
/// reproduce a failure. PANNIER_SIM_SEEDS=100000 sets the count, for a long campaign.
[[nodiscard]] std::vector<std::uint64_t> seeds(std::uint64_t count);

/// A simulated device: what its node has, and what survives a crash.
struct Machine {
  std::uint32_t workers = 1;  ///< 3 or more: sockets, store and actors apart, as on a desktop.
  /// False: no store; enqueue is refused.
  bool disk = true;
  std::string file = {};   ///< Path of an SQLite file to use as the disk; the test removes it. Empty: a store in
                           ///< memory.
  Store* store = nullptr;  ///< The test's own store to use as the disk. Outlives the node.
  Transport* transport = nullptr;  ///< The test's own transport instead of the network's. Outlives the node.
  Observer* observer = nullptr;
  /// Called in each life before the node runs, as main would, to spawn the program's actors.
  std::function<void(Node&)> boot = {};
};

/// One message handled among a program's actors.
struct Step {
  std::string node;
  std::string actor;  ///< Its name, or "#worker.slot.generation".
  std::string type;   ///< Without its namespace.
  bool ok = true;     ///< False if the handler failed or refused the message.
};

/// A node in virtual time and the device under it. The store and the place on the network survive the node's crashes
/// and fail as the test says. The constructor starts the node and aborts with a message if it cannot. The destructor is
/// a crash. Simulator's thread only.
class SimNode {
 public:
  /// A node without a network.
  SimNode(sim::Simulator& simulator, std::string name, Machine machine = {.disk = false});
  /// `network` may be null. Otherwise it outlives the node, whose name is its host.
  SimNode(sim::Simulator& simulator, sim::Network* network, NodeOptions options, Machine machine = {});
  ~SimNode();
  SimNode(const SimNode&) = delete;
  SimNode& operator=(const SimNode&) = delete;

  // --- crash and restart -------------------------------------------------------------------------------------------
  [[nodiscard]] bool up() const noexcept { return life_ != nullptr; }
  /// Kills the process as kill -9 does: memory and uncommitted changes are lost. Nobody is told, but the channels end.
  /// References and probes of this life become invalid.
  void crash();
  /// Kills the process within the `calls`-th store call from now that begins, changes or commits. If that call is a
  /// commit, `commit_is_stored` says whether it takes effect. Nothing the process does afterwards is visible; up()
  /// becomes false.
  void crash_in_store_call(std::uint32_t calls, bool commit_is_stored);
  /// Starts the next life on what the store kept, and rejoins the network if crash_in_store_call took it off. No effect
  /// if the node is up. Errors: those of Node::create and the store.
  Result<void> start();
  Result<void> restart();
  /// Stops as SIGTERM does, and waits. timeout: still up after `limit`.
  Result<void> stop(Duration limit = std::chrono::seconds{30});

  // --- while up() --------------------------------------------------------------------------------------------------
  [[nodiscard]] Node* operator->() noexcept { return &**this; }
  [[nodiscard]] Node& operator*() noexcept;
  template <class A, class... Args>
  ActorRef<A> spawn(SpawnOptions options, Args... args) {
    const std::string name = options.name;
    return must((**this).spawn<A>(std::move(options), std::move(args)...), "spawn", name);
  }
  /// A probe, with this name or without one.
  [[nodiscard]] Probe probe(std::string name = {});

  // --- the device --------------------------------------------------------------------------------------------------
  [[nodiscard]] const std::string& name() const noexcept { return options_.name; }
  /// Fills the disk: what needs room is refused until `full` is false. Needs a disk.
  void fill_disk(bool full);
  /// Makes the next `count` commits fail. Needs a disk.
  void fail_commits(std::uint32_t count, ErrorCode code = ErrorCode::storage_io);
  /// Internal: everything a disk can do, see testkit/faulty_store.h.
  [[nodiscard]] FaultyStore& disk() noexcept;
  /// The stored data, bypassing all faults. Needs a disk, and up() if it is a file.
  [[nodiscard]] Store& store() noexcept;
  [[nodiscard]] RecordedLog& log() noexcept { return log_; }

  // --- for Simulation ----------------------------------------------------------------------------------------------
  /// Handles one message per step, or as many as in production.
  void one_by_one(bool on);
  /// Calls `see` for each message handled by a program's actors, besides Machine::observer. Empty: none.
  using See = std::function<void(const Handled&)>;
  void on_handled(See see) { see_ = std::move(see); }
  [[nodiscard]] Step step_of(const Handled& handled);

 private:
  struct Disk;
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
  std::unique_ptr<Disk> disk_;
  std::unique_ptr<Eye> eye_;
  std::unique_ptr<Undertaker> undertaker_;
  std::unique_ptr<Life> life_;
  bool off_network_ = false;
};

/// A test's world: nodes, network and time, in one thread and from one seed. The same seed and program give the same
/// run, step by step.
///
///     Simulation sim{42};
///     Probe planner = sim.probe("planner");
///     auto courier = sim.spawn<Courier>(planner);
///     sim.advance(std::chrono::seconds{1});
///     auto route = planner.expect<RouteRequest>();
///
/// Independent of any test framework: an expectation returns a Result that explains itself. One thread.
class Simulation {
 public:
  explicit Simulation(std::uint64_t seed = 1, sim::Network::Options network = {})
      : simulator_(seed), network_(simulator_, std::move(network)) {}
  ~Simulation();
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;

  // --- nodes -------------------------------------------------------------------------------------------------------
  /// Adds a node on the simulated network, with addresses "sim://name". It lives as long as the simulation, up or down.
  SimNode& add(NodeOptions options, Machine machine = {});
  /// The first node. Created here, as "here", if none was added.
  SimNode& node();

  // --- the first node ----------------------------------------------------------------------------------------------
  /// Spawns an A from copies of `args`, as Node::spawn. Aborts with a message on error.
  template <class A, class... Args>
  ActorRef<A> spawn(Args... args) {
    return node().spawn<A>(SpawnOptions{}, std::move(args)...);
  }
  template <class A, class... Args>
  ActorRef<A> spawn(SpawnOptions options, Args... args) {
    return node().spawn<A>(std::move(options), std::move(args)...);
  }
  [[nodiscard]] Probe probe(std::string name = {}) { return node().probe(std::move(name)); }

  // --- time --------------------------------------------------------------------------------------------------------
  [[nodiscard]] MonoTime now() const noexcept { return simulator_.now(); }
  /// Lets `span` pass, with everything that happens in it.
  void advance(Duration span) { simulator_.run_for(span); }
  /// Runs everything due at this instant, and what follows from it, until all is quiet. No time passes.
  void settle() { simulator_.run_for(Duration::zero()); }
  /// Lets time pass until `predicate` holds, at most `limit`. It is evaluated after each step. Returns whether it
  /// holds.
  [[nodiscard]] bool run_until(const std::function<bool()>& predicate, Duration limit) {
    return simulator_.run_until(predicate, limit);
  }

  // --- step by step ------------------------------------------------------------------------------------------------
  /// Runs until one more message of the program has been handled, on whichever node the seed picks, and stops right
  /// after its handler. No time passes. Starts, timers, outcomes and the runtime's own messages run on the way. Empty
  /// if all is quiet.
  std::optional<Step> step();
  /// Lets time pass until `actor` of `at` has handled a T, and stops right after its handler. timeout: it did not
  /// within `within`.
  template <class T>
  Result<void> run_until_handled(SimNode& at, LocalRef actor, Duration within = kWithin) {
    return run_until_handled(at, actor, type_info<T>().name, within);
  }

  // --- the world ---------------------------------------------------------------------------------------------------
  /// To delay, lose, cut and heal.
  [[nodiscard]] sim::Network& network() noexcept { return network_; }
  /// For the wall clock, and for steps and digest to compare two runs.
  [[nodiscard]] sim::Simulator& simulator() noexcept { return simulator_; }
  [[nodiscard]] std::uint64_t seed() const noexcept { return simulator_.seed(); }

 private:
  class OneByOne;
  Result<void> run_until_handled(SimNode& at, LocalRef actor, std::string_view type, Duration within);

  sim::Simulator simulator_;
  sim::Network network_;
  std::vector<std::unique_ptr<SimNode>> nodes_;
};

}  // namespace pannier::testkit
