#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include <pannier/actor_base.h>
#include <pannier/message.h>
#include "runtime/actor/annex.h"
#include "runtime/actor/timers.h"

namespace pannier {

class ActorBase;
class Worker;
struct TimerNode;

enum class Phase : std::uint8_t {
  vacant,  ///< No actor; the slot is free, or reserved for a start message on its way.
  running,
  suspended,  ///< Has failed, or was halted, and waits for its supervisor's word. Its mailbox keeps filling.
  ending,     ///< Waits for its children to stop; then stops, or waits to be built anew.
};

/// An actor's state has ended: what others keep for it ends as well. Told to whoever keeps something (Cell::subscribes,
/// Cell::consumes).
struct Ended {
  ActorId actor;
};

/// The runtime's side of one actor. Cells stand in chunks and are used again; the generation tells lives apart.
/// The atomics are read by every worker, the rest belongs to the cell's own.
struct Cell {
  std::atomic<std::uint32_t> generation{0};    // odd: a life goes on
  std::atomic<std::uint32_t> remote_count{0};  // sent by other threads and not yet taken in
  std::atomic<std::uint32_t> remote_bytes{0};
  std::atomic<std::uint32_t> local_count{0};  // in the queues; only the own worker writes
  std::atomic<std::uint32_t> local_bytes{0};
  std::atomic<std::uint32_t> max_count{0};
  std::atomic<std::uint32_t> max_bytes{0};
  std::atomic<std::uint32_t> name{0};  // index in the directory + 1; 0: none
  std::atomic<WhenFull> when_full{WhenFull::reject};

  Phase phase = Phase::vacant;
  bool ready = false;           // stands in the worker's ready queue
  bool hold_after_end = false;  // it was halted: its supervisor will begin it anew
  bool end_failed = false;
  bool subscribes = false;  // the router keeps something for this actor
  bool consumes = false;    // the queue does
  bool timed = false;       // its handlers have a time budget
  ActorBase* actor = nullptr;
  std::atomic<const ActorType*> type{nullptr};
  ActorId id;
  MessageQueue system;
  MessageQueue urgent;
  MessageQueue normal;
  Cell* next_ready = nullptr;
  TimerNode* timers = nullptr;  // armed for this actor
  RecipePtr recipe;
  std::unique_ptr<Annex> annex;
  std::atomic<std::uint64_t> parent{0};  // ActorId bits, for the path
  std::atomic<std::uint32_t> handled{0};
  std::atomic<std::uint32_t> rejected{0};
  std::atomic<std::uint32_t> failures{0};
  bool keyed = false;        // messages wait in annex->latest
  bool holds_names = false;  // the directory keeps names for this actor
  bool room_wanted = false;  // somebody waits in annex->room_waiters

  [[nodiscard]] bool has_message() const noexcept {
    // A suspended or ending actor looks at system messages only.
    return !system.empty() || (phase == Phase::running && (!urgent.empty() || !normal.empty() || keyed));
  }
  [[nodiscard]] Recipe& plan() const noexcept { return *recipe; }
  Annex& open_annex() {
    if (annex == nullptr) annex = std::make_unique<Annex>();
    return *annex;
  }
};

/// The largest part of what an idle actor costs, its own state excluded (benchmark row `actor-memory`).
static_assert(sizeof(Cell) <= 144);

/// Adds to a counter that only the cell's own worker writes and any thread may read: no locked instruction.
template <class T>
void add_by_owner(std::atomic<T>& counter, T amount) noexcept {
  counter.store(counter.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
}

}  // namespace pannier
