#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "platform/sim/simulator.h"
#include "testkit/probe.h"
#include "testkit/seeds.h"
#include "testkit/sim_node.h"
#include "transports/sim/network.h"

namespace pannier::testkit {

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
