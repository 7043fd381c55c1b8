#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "platform/clock.h"
#include "platform/loop.h"
#include "platform/sim/seeded_entropy.h"
#include "platform/sim/virtual_clock.h"
#include "platform/wakeup.h"

namespace pannier::sim {

class Simulator;

/// The wake-up of a simulated loop: a flag that the simulator reads. Nobody ever sleeps in it.
/// Must not outlive its simulator.
class FlagWakeup final : public Wakeup {
 public:
  explicit FlagWakeup(Simulator& simulator);
  ~FlagWakeup() override;
  FlagWakeup(const FlagWakeup&) = delete;
  FlagWakeup& operator=(const FlagWakeup&) = delete;

  void notify() noexcept override { notified_ = true; }
  /// Takes the notification; returns at once, since the simulator owns the time.
  void wait_until(MonoTime /*deadline*/) noexcept override { notified_ = false; }

  [[nodiscard]] bool notified() const noexcept { return notified_; }

 private:
  Simulator& simulator_;
  bool notified_ = false;
};

/// Drives any number of loops in one thread on virtual time. What is notified or due is stepped, one loop at a time in
/// an order drawn from the seed, until all are quiet; then the clock jumps to the earliest due time. The same seed and
/// the same program give the same run, to the step (FoundationDB's simulation, TigerBeetle's VOPR).
///
/// One thread. Loops may be added and removed at any time, from within a step too: that is how a node crashes and
/// starts again.
class Simulator {
 public:
  explicit Simulator(std::uint64_t seed) noexcept : seed_(seed), entropy_(seed) {}
  Simulator(const Simulator&) = delete;
  Simulator& operator=(const Simulator&) = delete;

  /// The loop is stepped at once, then by its own word. It must stay alive until remove(). Its wakeup() must be a
  /// FlagWakeup of this simulator: anything else is a programming error and stops the process.
  void add(Loop& loop);
  /// From now on the loop is not stepped any more. Unknown loops are ignored. Call it before the loop's wake-up dies.
  void remove(Loop& loop) noexcept;

  /// Steps one loop that is notified or due now, drawn from the seed. False: there is none; time stands still either
  /// way.
  bool step();
  /// Runs until `span` of virtual time has passed.
  void run_for(Duration span);
  /// Runs until `predicate` holds, which is asked before the first step and after each, or until `limit` of virtual
  /// time has passed. Says whether it holds.
  [[nodiscard]] bool run_until(const std::function<bool()>& predicate, Duration limit);

  [[nodiscard]] MonoTime now() const noexcept { return clock_.now(); }
  [[nodiscard]] VirtualClock& clock() noexcept { return clock_; }
  /// Shared by all who want one stream of numbers. A node takes its own: `SeededEntropy{simulator.entropy().next()}`.
  [[nodiscard]] SeededEntropy& entropy() noexcept { return entropy_; }
  [[nodiscard]] std::uint64_t seed() const noexcept { return seed_; }

  /// Steps so far.
  [[nodiscard]] std::uint64_t steps() const noexcept { return steps_; }
  /// Times that loops kept themselves busy past kStepsPerInstant, so that time had to be moved on for them.
  [[nodiscard]] std::uint64_t busy_instants() const noexcept { return busy_instants_; }
  /// A hash over (time, loop) of every step: equal for equal runs.
  [[nodiscard]] std::uint64_t digest() const noexcept { return digest_; }

  /// Loops that never rest do not stop the time: after this many steps at one instant it moves on by kBusyAdvance.
  static constexpr std::uint64_t kStepsPerInstant = 100'000;
  static constexpr Duration kBusyAdvance = std::chrono::microseconds{100};

 private:
  friend class FlagWakeup;
  struct Entry {
    Loop* loop;
    FlagWakeup* wakeup;
    MonoTime due;
    std::uint64_t id;
  };

  bool run(const std::function<bool()>* predicate, MonoTime end);
  [[nodiscard]] MonoTime earliest_due() const noexcept;

  std::uint64_t seed_;
  VirtualClock clock_;
  SeededEntropy entropy_;
  std::vector<FlagWakeup*> wakeups_;
  std::vector<Entry> entries_;
  std::vector<std::size_t> ready_;  ///< Scratch of step().
  std::uint64_t next_id_ = 1;
  std::uint64_t steps_ = 0;
  std::uint64_t busy_instants_ = 0;
  std::uint64_t digest_ = 0xcbf29ce484222325ULL;
};

}  // namespace pannier::sim
