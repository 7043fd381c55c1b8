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

/// Keeps what a node writes to its log, for a test to look at. With PANNIER_TEST_LOG in the environment each line goes
/// to stderr as well. Any thread.
class RecordedLog final : public Log {
 public:
  /// `prefix` stands before each line on stderr: the node's name.
  explicit RecordedLog(std::string prefix = {});

  void write(LogLevel level, std::string_view line) noexcept override;

  [[nodiscard]] std::uint64_t errors() const noexcept { return errors_; }
  [[nodiscard]] std::uint64_t warnings() const noexcept { return warnings_; }
  /// Empty where there was none.
  [[nodiscard]] std::string last_error() const;
  /// True when one of the newest kLines lines, of any level, has `part` in it.
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

/// The seeds that a test runs with: 1 to `count`, unless the environment says otherwise. PANNIER_SIM_SEED=7 gives that
/// one alone, to run a failure again; PANNIER_SIM_SEEDS=100000 so many from the first, for a long campaign.
[[nodiscard]] std::vector<std::uint64_t> seeds(std::uint64_t count);

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
  /// The disk refuses what needs room, until `full` is false again. Only with a disk.
  void fill_disk(bool full);
  /// The next `count` commits fail. Only with a disk.
  void fail_commits(std::uint32_t count, ErrorCode code = ErrorCode::storage_io);
  /// Internal: all that a disk may do, in testkit/faulty_store.h.
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

/// A test's own world: nodes, the wires between them, and the time, all in one thread and from one seed. The same seed
/// and the same program give the same run, step by step.
///
///     Simulation sim{42};
///     Probe planner = sim.probe("planner");
///     auto courier = sim.spawn<Courier>(planner);
///     sim.advance(std::chrono::seconds{1});
///     auto route = planner.expect<RouteRequest>();
///
/// Nothing in it knows a test framework: expectations answer with a Result that explains itself. One thread.
class Simulation {
 public:
  explicit Simulation(std::uint64_t seed = 1, sim::Network::Options network = {})
      : simulator_(seed), network_(simulator_, std::move(network)) {}
  ~Simulation();
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;

  // --- Nodes -------------------------------------------------------------------------------------------------------
  /// A node on the simulated network; addresses are "sim://name". It lives as long as the simulation, up or down.
  SimNode& add(NodeOptions options, Machine machine = {});
  /// The first node. A test that needs one only need not add it: it is made here, by the name of "here".
  SimNode& node();

  // --- Of the first node -------------------------------------------------------------------------------------------
  /// An A built from copies of `args`, as Node::spawn does; an actor that cannot be stops the process with a line.
  template <class A, class... Args>
  ActorRef<A> spawn(Args... args) {
    return node().spawn<A>(SpawnOptions{}, std::move(args)...);
  }
  template <class A, class... Args>
  ActorRef<A> spawn(SpawnOptions options, Args... args) {
    return node().spawn<A>(std::move(options), std::move(args)...);
  }
  [[nodiscard]] Probe probe(std::string name = {}) { return node().probe(std::move(name)); }

  // --- Time --------------------------------------------------------------------------------------------------------
  [[nodiscard]] MonoTime now() const noexcept { return simulator_.now(); }
  /// Lets `span` pass, and all that happens in it happen.
  void advance(Duration span) { simulator_.run_for(span); }
  /// Lets happen what is due at this instant, and what follows from it, until all are quiet. No time passes.
  void settle() { simulator_.run_for(Duration::zero()); }
  /// Lets time pass until `predicate` holds, which is asked after each step, at most `limit`. Says whether it holds.
  [[nodiscard]] bool run_until(const std::function<bool()>& predicate, Duration limit) {
    return simulator_.run_until(predicate, limit);
  }

  // --- Step by step ------------------------------------------------------------------------------------------------
  /// Goes on until one more message of the program has been handled, on whichever node the seed picks; stops right
  /// after its handler. No time passes. What no such message begins goes by on the way: starts, timers, outcomes, the
  /// runtime's own messages. Empty: all are quiet at this instant.
  std::optional<Step> step();
  /// Goes on, with time, until `actor` of `node` has handled a T, and stops right after its handler. timeout: it did
  /// not within `within`.
  template <class T>
  Result<void> run_until_handled(SimNode& at, LocalRef actor, Duration within = kWithin) {
    return run_until_handled(at, actor, type_info<T>().name, within);
  }

  // --- The world ---------------------------------------------------------------------------------------------------
  /// Delays, loses, cuts, heals.
  [[nodiscard]] sim::Network& network() noexcept { return network_; }
  /// The clock, to step the wall clock; steps and digest, to compare two runs.
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
