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
  suspended,  ///< Failed or halted. Waits for its supervisor; its mailbox keeps filling.
  ending,     ///< Waits for its children to stop; then stops, or waits to be rebuilt.
};

/// An actor's state was destroyed. Sent to the router or the queue if it keeps something for the actor
/// (Cell::subscribes, Cell::consumes).
struct Ended {
  ActorId actor;
};

/// The runtime's side of one actor. Cells are allocated in chunks and reused; the generation distinguishes one actor
/// from the next. All workers read the atomics; the rest belongs to the cell's own worker.
struct Cell {
  std::atomic<std::uint32_t> generation{0};    // odd: alive
  std::atomic<std::uint32_t> remote_count{0};  // sent by other threads, not yet in the queues
  std::atomic<std::uint32_t> remote_bytes{0};
  std::atomic<std::uint32_t> local_count{0};  // in the queues; written by its own worker only
  std::atomic<std::uint32_t> local_bytes{0};
  std::atomic<std::uint32_t> max_count{0};
  std::atomic<std::uint32_t> max_bytes{0};
  std::atomic<std::uint32_t> name{0};  // index in the directory + 1; 0: none
  std::atomic<WhenFull> when_full{WhenFull::reject};

  Phase phase = Phase::vacant;
  bool ready = false;           // is in the worker's ready queue
  bool hold_after_end = false;  // halted; its supervisor will restart it
  bool end_failed = false;
  bool subscribes = false;  // the router keeps something for this actor
  bool consumes = false;    // the queue keeps something for this actor
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
  bool room_wanted = false;  // annex->room_waiters is not empty

  [[nodiscard]] bool has_message() const noexcept {
    // A suspended or ending actor handles system messages only.
    return !system.empty() || (phase == Phase::running && (!urgent.empty() || !normal.empty() || keyed));
  }
  [[nodiscard]] Recipe& plan() const noexcept { return *recipe; }
  Annex& open_annex() {
    if (annex == nullptr) annex = std::make_unique<Annex>();
    return *annex;
  }
};

/// Most of the cost of an idle actor, besides its own state (benchmark row `actor-memory`).
static_assert(sizeof(Cell) <= 144);

/// Increments a counter that only the cell's own worker writes and any thread may read. Needs no locked instruction.
template <class T>
void add_by_owner(std::atomic<T>& counter, T amount) noexcept {
  counter.store(counter.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
}

}  // namespace pannier
