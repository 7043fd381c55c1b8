#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "runtime/message.h"
#include "runtime/options.h"
#include "runtime/timers.h"

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
};

/// What the runtime knows of an actor class. One static object a class.
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

/// How to build an actor, at first and at each restart: the payload of its start message, kept for its whole life.
class Recipe {
 public:
  Recipe(const ActorType& actor_type, SpawnOptions spawn_options, ActorId supervisor)
      : type(&actor_type), options(std::move(spawn_options)), parent(supervisor) {}
  virtual ~Recipe() = default;
  /// Builds into pool memory. May throw what the constructor throws.
  virtual ActorBase* build() = 0;

  const ActorType* type;
  SpawnOptions options;
  ActorId parent;
};

enum class Phase : std::uint8_t {
  vacant,  ///< No actor; the slot is free, or reserved for a start message on its way.
  running,
  suspended,  ///< Has failed and waits for its supervisor's word. Its mailbox keeps filling.
  ending,     ///< Waits for its children to stop; then stops or is built anew.
};

/// Why an actor has ended: what its supervisor and those who watch it are told.
struct Down {
  Ref actor;
  bool failed = false;
  Error error{ErrorCode::closed};  ///< Of a failure: what it was.
};

struct Child {
  ActorId id;
  Restart restart;
  Duration stop_limit;
};

/// Children and watchers. Most actors have neither, so it stands outside the cell.
struct Family {
  std::vector<Child> children;  // in the order of their start
  std::vector<ActorId> watchers;
  std::vector<MonoTime> restarts;  // those within the period
  TimerId stop_timer{};
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
  std::atomic<WhenFull> when_full{WhenFull::reject};

  std::atomic<std::uint32_t> name{0};  // index in the directory + 1; 0: none

  Phase phase = Phase::vacant;
  bool ready = false;  // stands in the worker's ready queue
  bool restart_after_end = false;
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
  MessagePtr recipe;
  std::unique_ptr<Family> family;
  std::atomic<std::uint32_t> handled{0};
  std::atomic<std::uint32_t> rejected{0};
  std::atomic<std::uint32_t> failures{0};

  [[nodiscard]] bool has_message() const noexcept {
    // A suspended or ending actor looks at system messages only.
    return !system.empty() || (phase == Phase::running && (!urgent.empty() || !normal.empty()));
  }
  [[nodiscard]] Recipe& plan() const noexcept { return *static_cast<Recipe*>(recipe->inline_value()); }
  Family& kin() {
    if (family == nullptr) family = std::make_unique<Family>();
    return *family;
  }
};

/// An idle actor's share of memory, its own state excluded: the figure of the benchmark row `actor-memory`.
static_assert(sizeof(Cell) <= 208);

}  // namespace pannier
