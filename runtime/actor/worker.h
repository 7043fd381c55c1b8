#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <exception>
#include <memory>
#include <utility>
#include <vector>

#include <pannier/observer.h>
#include <pannier/platform.h>
#include "platform/function_ref.h"
#include "runtime/actor/cell.h"
#include "runtime/actor/system.h"
#include "runtime/actor/timers.h"

namespace pannier {

/// A service that shares a worker's thread and does its I/O (sockets, a disk) once per step.
class StepHook {
 public:
  virtual ~StepHook() = default;
  /// Runs before actors. True if there is more to do now.
  virtual bool before_actors(MonoTime now) = 0;
  /// Runs after actors, to send what the step produced as one group. True if there is more to do now.
  virtual bool after_actors(MonoTime now) = 0;
};

/// Runs the actors pinned to it, one message at a time. Within a worker, messages need no atomic operation; between
/// workers they pass through one lock-free inbox each. One thread at a time, except where noted.
class Worker final : public Loop {
 public:
  Worker(System& system, std::uint32_t index, Wakeup& wakeup);
  ~Worker() override;

  MonoTime step(MonoTime now) override;
  Wakeup& wakeup() noexcept override { return wakeup_; }
  [[nodiscard]] bool pending() const noexcept override { return inbound_.load(std::memory_order_relaxed) != nullptr; }

  /// Before the first step. `hook` outlives the worker.
  void add_hook(StepHook& hook) { hooks_.push_back(&hook); }

  // --- For actors of this worker, within a step --------------------------------------------------------------------
  /// Sends to any actor. On error nothing was sent and the message is destroyed.
  [[nodiscard]] Result<void> send(MessagePtr message) { return try_send(message); }
  /// The same, but on error the message stays with the caller.
  [[nodiscard]] Result<void> try_send(MessagePtr& message);
  /// Sends a message that is exempt from mailbox bounds: a reply, stop or down.
  void send_reserved(MessagePtr message);
  void reply(const Message& question, MessagePtr answer);
  void reply_error(const Message& question, const Error& error);
  [[nodiscard]] Timers& timers() noexcept { return timers_; }
  [[nodiscard]] MonoTime now() const noexcept { return now_; }
  [[nodiscard]] System& system() noexcept { return system_; }
  [[nodiscard]] Cell* current() noexcept { return current_; }
  [[nodiscard]] Message* current_message() noexcept { return message_; }
  /// What a reply's turn inherits; see Waiting.
  [[nodiscard]] const Waiting& reply_waiting() const noexcept { return reply_waiting_; }
  /// Fails the actor of `cell`; its supervisor decides. If a message of a lane is to blame, the failure counts as an
  /// attempt of the message, not as a restart of the supervisor.
  enum class Blame : std::uint8_t { actor, delivery };
  void fail(Cell& cell, Error error, Blame blame = Blame::actor);
  /// Takes the message of the current turn, for an interceptor that keeps it. The message must have been passed by
  /// value, which a Down is not.
  [[nodiscard]] MessagePtr keep_message() noexcept {
    message_kept_ = true;
    return MessagePtr{message_};
  }
  [[nodiscard]] bool keeps_message() const noexcept { return message_kept_; }
  /// Stashes the message of the current turn, or unstashes; see ActorBase::stash.
  [[nodiscard]] Result<void> stash(Cell& cell);
  void unstash(Cell& cell);
  /// Puts a message into a mailbox of this worker, past its bounds, for messages bounded elsewhere.
  void place(Cell& cell, MessagePtr message) noexcept { enqueue(cell, std::move(message)); }
  void stop_actor(ActorId id);
  void watch(ActorId watcher, ActorId watched);

  // --- Any thread --------------------------------------------------------------------------------------------------
  /// A cell of this worker, alive or not; null if the slot never existed. The caller checks the generation.
  [[nodiscard]] Cell* cell(std::uint32_t slot) noexcept;
  [[nodiscard]] Result<ActorId> reserve_slot(const MailboxOptions& mailbox, std::uint32_t name);
  void release_slot(std::uint32_t slot) noexcept;
  /// Counts a message from another thread against the mailbox of `target`, a cell of this worker, before it is pushed.
  [[nodiscard]] Result<void> reserve_room(ActorId target, const Message& message) noexcept;
  /// Appends the living actors of this worker.
  void describe(std::vector<ActorStatus>& all);
  /// The recorded times of the actor's turns, if any.
  [[nodiscard]] HandlerTimes handler_times(ActorId id) noexcept;
  /// `hand_over`: the calling worker has nothing else to do; see Wakeup.
  void push_inbound(Message* first, Message* last, bool hand_over = false) noexcept;
  [[nodiscard]] std::uint32_t index() const noexcept { return index_; }
  [[nodiscard]] std::uint64_t handled() const noexcept { return handled_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t steps() const noexcept { return steps_.load(std::memory_order_relaxed); }
  [[nodiscard]] const Pool& pool() const noexcept { return *pool_; }

 private:
  friend struct System;

  // worker.cpp: sending and receiving
  [[nodiscard]] static std::size_t chunk_of(std::uint32_t slot) noexcept {
    return static_cast<std::size_t>(std::bit_width(slot / kFirstChunk + 1) - 1);
  }
  /// A cell whose slot was used before.
  [[nodiscard]] Cell& used_cell(std::uint32_t slot) noexcept;
  [[nodiscard]] Cell* living(ActorId id) noexcept;
  [[nodiscard]] static bool is_system(const Message& message) noexcept {
    return message.reserved || message.kind >= MessageKind::start || message.kind == MessageKind::reply;
  }
  static void count_in(Cell& cell, const Message& message) noexcept {
    add_by_owner(cell.local_count, 1U);
    add_by_owner(cell.local_bytes, static_cast<std::uint32_t>(message.payload_bytes()));
  }
  static void count_out(Cell& cell, const Message& message) noexcept {
    add_by_owner(cell.local_count, -1U);
    add_by_owner(cell.local_bytes, static_cast<std::uint32_t>(-message.payload_bytes()));
  }
  void enqueue(Cell& cell, MessagePtr message) noexcept;
  /// Takes the message on success only.
  [[nodiscard]] Result<void> deliver(Cell& cell, MessagePtr& message);
  void send_across(MessagePtr message, std::uint32_t worker);
  void make_ready(Cell& cell) noexcept;
  void take_inbound();
  void fire_timers();
  void run_ready();
  void run_cell(Cell& cell, std::size_t& budget);
  void flush_across(bool last = false);
  void handle(Cell& cell, Message& message);
  using Handle = Result<void> (*)(ActorBase&, Message&);
  [[nodiscard]] static Handle find_handler(const Cell& cell, Message& message) noexcept;
  [[nodiscard]] Result<void> timed_turn(Cell& cell, Message& message, FunctionRef<Result<void>()> body);
  void timed(Cell& cell, const Message& message, std::uint64_t parent, Duration took, Result<void>& handled);
  [[nodiscard]] std::uint64_t next_trace_id() noexcept;
  [[nodiscard]] bool is_timed(const Cell& cell) const noexcept {
    return cell.timed || system_.watched.load(std::memory_order_relaxed);
  }
  void record_time(std::uint32_t slot, Duration took);
  void forget_times(std::uint32_t slot) noexcept;
  [[nodiscard]] HandlerTimesCell* times_of(std::uint32_t slot) noexcept;
  void handle_reply(Cell& cell, Message& message);

  // mailbox.cpp: policies of a full mailbox, and the stash
  /// Decides about a message that does not fit on the fast path. If it takes the message, that is null afterwards.
  [[nodiscard]] Result<void> overflow(Cell& cell, MessagePtr& message);
  [[nodiscard]] Result<void> drop_oldest(Cell& cell, std::size_t bytes);
  [[nodiscard]] Result<void> keep_latest(Cell& cell, MessagePtr& message);
  [[nodiscard]] Result<void> spill(Cell& cell, MessagePtr& message);
  /// Checks the bounds the actor was spawned with, not those of the fast path.
  [[nodiscard]] static bool has_room(const Cell& cell, std::size_t more_bytes) noexcept;
  void open_mailbox(Cell& cell);
  /// Answers `question`, of MessageKind::room, now or later.
  void ask_for_room(Cell& cell, const Message& question);
  [[nodiscard]] static bool is_half_empty(const Cell& cell) noexcept;
  /// Answers the questions that wait for room; with `error` if there will be none.
  void tell_of_room(Cell& cell, const Error* error = nullptr);
  [[nodiscard]] MessagePtr pop_keyed(Cell& cell) { return cell.keyed ? take_keyed(cell) : nullptr; }
  [[nodiscard]] MessagePtr take_keyed(Cell& cell);
  /// Discards the stashed message of a failed turn.
  void take_back(Cell& cell, const Message& message) noexcept;
  /// Drops the deliveries in the mailbox without settling them; the lane gets them back by other means.
  void forget_deliveries(Cell& cell);
  void drain_mailbox(Cell& cell);

  void settle_failed(const Message& delivery, const Error& error);
  void dead_letter(const Message& message, DeadLetterReason reason) noexcept;
  /// Disposes of a message that will not be handled: tells its asker, returns it to its lane, and counts it.
  void discard(const Message& message, DeadLetterReason reason, ErrorCode code);
  /// Runs `body` as a turn of `cell`. An exception becomes an error with code failed.
  template <class Body>
  [[nodiscard]] Result<void> turn(Cell& cell, Message* message, Body&& body) noexcept;

  // lifecycle.cpp: from start to down
  void handle_system(Cell& cell, MessagePtr message);
  void start(Cell& cell, RecipePtr recipe);
  void build(Cell& cell);
  void begin_end(Cell& cell, bool hold, bool failed);
  void finish_end(Cell& cell);
  void destroy_actor(Cell& cell) noexcept;
  void tell_supervisor(const Cell& cell, MessageKind what);

  // supervision.cpp: what a supervisor does about its children
  void child_failed(Cell& cell, ActorId child, ChildFailure failure);
  /// Restarts the children from `first` on, together.
  void regroup(Cell& cell, std::size_t first, Duration delay);
  void regroup_next(Cell& cell);
  void regroup_begin(Cell& cell);
  void child_halted(Cell& cell, ActorId child);
  void child_begun(Cell& cell, ActorId child);
  void child_down(Cell& cell, Message& message);
  void stop_next_child(Cell& cell);
  /// The time `child` has to respond; `more` is added because it waits for a child of its own.
  void arm_stop_limit(Cell& cell, const Child& child, Duration more);
  void child_delayed(Cell& cell, ActorId child, Duration at_most);
  void forget_child(Cell& cell, ActorId child);

  /// Chunk k holds 64 << k cells, so that a handheld pays for few, a desktop can have millions, and no cell moves.
  static constexpr std::uint32_t kFirstChunk = 64;
  static constexpr std::size_t kChunks = 18;
  static_assert(std::uint64_t{kFirstChunk} << kChunks >= 1ULL << ActorId::kSlotBits);

  System& system_;
  const std::uint32_t index_;
  Wakeup& wakeup_;
  std::vector<StepHook*> hooks_;
  Pool::Owner pool_ = Pool::create();
  Timers timers_;
  MonoTime now_{};
  Cell* current_ = nullptr;
  Message* message_ = nullptr;
  bool message_kept_ = false;
  bool disorderly_ = false;  // the last turn threw or exceeded its budget
  Waiting reply_waiting_;
  Cell* ready_head_ = nullptr;
  Cell* ready_tail_ = nullptr;

  struct Across {  // gathered for another worker, newest first
    Message* first = nullptr;
    Message* last = nullptr;
  };
  std::vector<Across> across_;
  bool across_any_ = false;
  std::uint64_t traces_ = 0;

  // Read by senders on other workers; apart from what changes with each message.
  alignas(64) std::atomic_flag reserving_ = ATOMIC_FLAG_INIT;
  std::vector<std::uint32_t> free_slots_;
  std::atomic<std::uint32_t> slots_used_{0};
  std::array<std::atomic<Cell*>, kChunks> chunks_{};
  /// The histograms of a chunk's actors, once one of them was timed. Kept, so that another thread may read them.
  std::array<std::atomic<std::atomic<HandlerTimesCell*>*>, kChunks> times_{};

  alignas(64) std::atomic<Message*> inbound_{nullptr};
  alignas(64) std::atomic<std::uint64_t> handled_{0};
  std::atomic<std::uint64_t> steps_{0};
};

template <class Body>
Result<void> Worker::turn(Cell& cell, Message* message, Body&& body) noexcept {
  Cell* const outer_cell = std::exchange(current_, &cell);
  Message* const outer_message = std::exchange(message_, message);
  Result<void> result;
  try {
    result = body();
    disorderly_ = false;
  } catch (const std::exception& thrown) {
    disorderly_ = true;
    result = Error{ErrorCode::failed, thrown.what()};
  } catch (...) {
    disorderly_ = true;
    result = Error{ErrorCode::failed, "threw something other than a std::exception"};
  }
  current_ = outer_cell;
  message_ = outer_message;
  return result;
}

}  // namespace pannier
