#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "runtime/actor/annex.h"
#include "runtime/actor/options.h"
#include "runtime/actor/timers.h"
#include "runtime/message/message.h"

namespace pannier {

class ActorBase;
class Worker;
struct TimerNode;

/// How one message type reaches one actor class. Made at compile time.
struct Handler {
  TypeId type;
  const TypeInfo* info;
  /// Checks, calls the member function, replies where it answers. An error is the actor's failure unless it is
  /// `rejected` or `malformed`: then the message was at fault.
  Result<void> (*handle)(ActorBase& actor, Message& message);
  /// What WhenFull::keep_latest keeps the latest of, beside the type; null where the class does not say.
  std::string (*key)(Message& message);
};

/// What the runtime knows of an actor class. One static object a class, and one for each of its behaviours.
struct ActorType {
  std::string_view name;
  std::span<const Handler> handlers;
  void (*on_start)(ActorBase& actor);
  void (*on_stop)(ActorBase& actor);
  void (*destroy)(ActorBase& actor) noexcept;
  /// Takes every message before the handlers do; null for all but the runtime's own services.
  Result<void> (*intercept)(ActorBase& actor, Message& message);
  /// Takes tables of types that are not in `handlers`; null where the class has no handler for AnyTable.
  Result<void> (*any)(ActorBase& actor, Message& message);
};

/// How to build an actor, at first and at each restart: what its start message brings, kept for its whole life in a
/// piece of pool memory. As small as it can be, since every idle actor has one.
class Recipe {
 public:
  explicit Recipe(const SpawnOptions& options);
  virtual ~Recipe() = default;
  Recipe(const Recipe&) = delete;
  Recipe& operator=(const Recipe&) = delete;

  [[nodiscard]] virtual const ActorType& type() const noexcept = 0;
  /// Builds into pool memory. May throw what the constructor throws.
  virtual ActorBase* build() = 0;
  /// What of SpawnOptions counts after the start: restart, children, handler_budget, and the mailbox where its policy
  /// is keep_latest or spill. The rest may be the default.
  [[nodiscard]] const SpawnOptions& options() const noexcept;

  ActorId parent;

 private:
  std::unique_ptr<const SpawnOptions> special_;  // null where all of that is the default, as it mostly is
};

struct DeleteRecipe {
  void operator()(Recipe* recipe) const noexcept {
    recipe->~Recipe();
    Pool::release(recipe);
  }
};
/// The payload of a start message.
using RecipePtr = std::unique_ptr<Recipe, DeleteRecipe>;
[[nodiscard]] inline RecipePtr& recipe_of(Message& start) noexcept {
  return *static_cast<RecipePtr*>(start.inline_value());
}

enum class Phase : std::uint8_t {
  vacant,  ///< No actor; the slot is free, or reserved for a start message on its way.
  running,
  suspended,  ///< Has failed, or was halted, and waits for its supervisor's word. Its mailbox keeps filling.
  ending,     ///< Waits for its children to stop; then stops, or waits to be built anew.
};

/// Why an actor has ended: what its supervisor and those who watch it are told.
struct Down {
  Ref actor;
  bool failed = false;
  Error error{ErrorCode::closed};  ///< Of a failure: what it was.
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
