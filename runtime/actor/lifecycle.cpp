// An actor's life on its worker: start, failure, halt, stop. A restart keeps address and mailbox, as in Akka.
// Supervision is in supervision.cpp.

#include <pannier/actor_base.h>
#include "platform/concat.h"
#include "runtime/actor/worker.h"
#include "runtime/mutants.h"

namespace pannier {

namespace {

MessagePtr down_message(ActorId to, const Cell& cell, const Error& error) {
  return native_message(MessageKind::down, to, Down{Ref{cell.id}, cell.end_failed, error});
}

}  // namespace

Recipe::Recipe(const SpawnOptions& options) {
  const SpawnOptions usual;
  if (options.restart != usual.restart || options.children != usual.children ||
      options.handler_budget != usual.handler_budget || options.mailbox.when_full >= WhenFull::keep_latest) {
    special_ = std::make_unique<const SpawnOptions>(options);
  }
}

const SpawnOptions& Recipe::options() const noexcept {
  static const SpawnOptions usual;
  return special_ == nullptr ? usual : *special_;
}

void Worker::handle_system(Cell& cell, MessagePtr message) {
  switch (message->kind) {
    case MessageKind::start: start(cell, std::move(recipe_of(*message))); return;
    case MessageKind::reply: handle_reply(cell, *message); return;
    case MessageKind::adopt: {
      const Child& child = *static_cast<Child*>(message->inline_value());
      cell.open_annex().children.push_back(child);
      // Too late for a child: it is stopped at once.
      if (cell.phase == Phase::ending && cell.annex->children.size() == 1) stop_next_child(cell);
      return;
    }
    case MessageKind::watch: cell.open_annex().watchers.push_back(message->sender); return;
    case MessageKind::stop: begin_end(cell, false, false); return;
    case MessageKind::halt: begin_end(cell, true, false); return;
    case MessageKind::begin:
      if (cell.phase == Phase::suspended && cell.actor == nullptr) build(cell);
      if (cell.phase == Phase::running) tell_supervisor(cell, MessageKind::begun);
      return;
    case MessageKind::halted: child_halted(cell, message->sender); return;
    case MessageKind::begun: child_begun(cell, message->sender); return;
    case MessageKind::delayed:
      child_delayed(cell, message->sender, *static_cast<Duration*>(message->inline_value()));
      return;
    case MessageKind::failed:
      child_failed(cell, message->sender, std::move(*static_cast<ChildFailure*>(message->inline_value())));
      return;
    case MessageKind::down: child_down(cell, *message); return;
    case MessageKind::room:
      if (message->receiver.is_named()) {  // elsewhere: the router knows
        handle(cell, *message);
      } else {
        ask_for_room(cell, *message);
      }
      return;
    default:  // a program's message that took reserved room
      handle(cell, *message);
      if (std::exchange(message_kept_, false)) static_cast<void>(message.release());
      return;
  }
}

void Worker::start(Cell& cell, RecipePtr recipe) {
  cell.recipe = std::move(recipe);
  cell.type.store(&cell.plan().type(), std::memory_order_release);
  cell.timed = cell.plan().options().handler_budget > Duration::zero();
  cell.parent.store(cell.plan().parent.bits(), std::memory_order_relaxed);
  if (system_.stopping.load(std::memory_order_relaxed) && cell.plan().parent) {
    begin_end(cell, false, false);
    return;
  }
  open_mailbox(cell);
  build(cell);
}

void Worker::build(Cell& cell) {
  cell.phase = Phase::running;
  cell.end_failed = false;
  cell.hold_after_end = false;
  cell.type.store(&cell.plan().type(), std::memory_order_release);
  auto built = turn(cell, nullptr, [&]() -> Result<void> {
    ActorBase::Birth birth{*this, cell};
    cell.actor = cell.plan().build();
    cell.type.load(std::memory_order_relaxed)->on_start(*cell.actor);
    return {};
  });
  if (!built) fail(cell, Error{ErrorCode::failed, "while starting: " + built.error().detail});
}

void Worker::fail(Cell& cell, Error error, Blame blame) {
  if (cell.phase == Phase::vacant || cell.phase == Phase::suspended) return;
  cell.failures.fetch_add(1, std::memory_order_relaxed);
  cell.end_failed = true;
  system_.platform.log.write(
      LogLevel::error, concat({"actor ", system_.path(cell.id), " (", cell.type.load(std::memory_order_relaxed)->name,
                               ") failed ", printable(error.detail)}));
  if (cell.phase == Phase::ending) return;  // it is ending anyway
  cell.phase = Phase::suspended;
  if (cell.id == system_.root) {  // no supervisor above
    system_.failed.store(true, std::memory_order_release);
    begin_end(cell, false, true);
    return;
  }
  ChildFailure failure{std::move(error), blame == Blame::actor || is_mutant(Mutant::failed_delivery_counted)};
  MessagePtr report = native_message(MessageKind::failed, cell.plan().parent, std::move(failure));
  report->sender = cell.id;
  send_reserved(std::move(report));
}

void Worker::tell_supervisor(const Cell& cell, MessageKind what) {
  MessagePtr word = make_message(what, cell.plan().parent);
  word->sender = cell.id;
  send_reserved(std::move(word));
}

void Worker::stop_actor(ActorId id) { send_reserved(make_message(MessageKind::stop, id)); }

void Worker::watch(ActorId watcher, ActorId watched) {
  MessagePtr request = make_message(MessageKind::watch, watched);
  request->sender = watcher;
  // Already gone: tell the watcher at once.
  if (!send(std::move(request))) send_reserved(native_message(MessageKind::down, watcher, Down{Ref{watched}}));
}

void Worker::begin_end(Cell& cell, bool hold, bool failed) {
  if (cell.phase == Phase::ending) {
    if (!hold) cell.hold_after_end = false;  // a stop overrides a halt
    return;
  }
  if (cell.phase == Phase::vacant && cell.recipe == nullptr) return;
  cell.phase = Phase::ending;
  cell.hold_after_end = hold;
  cell.end_failed = cell.end_failed || failed;
  if (cell.annex != nullptr) {
    timers_.cancel(cell.annex->regroup.timer);
    cell.annex->regroup = {};
  }
  stop_next_child(cell);
}

void Worker::finish_end(Cell& cell) {
  if (cell.actor != nullptr) {
    auto stopped = turn(cell, nullptr, [&]() -> Result<void> {
      cell.type.load(std::memory_order_relaxed)->on_stop(*cell.actor);
      return {};
    });
    if (!stopped) {
      system_.platform.log.write(
          LogLevel::error,
          concat({"actor ", system_.path(cell.id), " failed while stopping: ", printable(stopped.error().detail)}));
    }
  }
  // Its lanes take back what waits in its mailbox, except for a spiller's messages, which stay.
  const bool gives_back = cell.consumes && (cell.annex == nullptr || cell.annex->spill == nullptr);
  // Its subscriptions and consumption end with its state; on_start renews them. The queue learns of the end before its
  // deliveries are released, so they are returned without costing an attempt.
  for (auto [kept, service] : {std::pair{&cell.subscribes, system_.router}, std::pair{&cell.consumes, system_.queue}}) {
    if (std::exchange(*kept, false)) send_reserved(native_message(MessageKind::tell, service, Ended{cell.id}));
  }
  flush_across();
  if (std::exchange(cell.holds_names, false)) system_.directory.release(cell.id);
  timers_.cancel_all(cell);
  destroy_actor(cell);
  unstash(cell);
  if (cell.hold_after_end) {
    if (gives_back) forget_deliveries(cell);
    cell.phase = Phase::suspended;
    tell_supervisor(cell, MessageKind::halted);
    return;
  }

  drain_mailbox(cell);
  if (cell.room_wanted) {
    const Error gone{ErrorCode::closed};
    tell_of_room(cell, &gone);
  }
  const Error reason{cell.end_failed ? ErrorCode::failed : ErrorCode::closed};
  if (cell.annex != nullptr) {
    for (const ActorId watcher : cell.annex->watchers) send_reserved(down_message(watcher, cell, reason));
  }
  if (cell.plan().parent) send_reserved(down_message(cell.plan().parent, cell, reason));
  if (const std::uint32_t name = cell.name.exchange(0, std::memory_order_relaxed); name != 0) {
    system_.directory.leave(name - 1, cell.id);
  }
  if (cell.id == system_.root) {
    system_.stopped.store(true, std::memory_order_release);
    if (system_.on_stopped) system_.on_stopped();
  }
  cell.recipe.reset();
  cell.annex.reset();
  cell.phase = Phase::vacant;
  forget_times(cell.id.slot());
  for (auto* count : {&cell.handled, &cell.rejected, &cell.failures}) count->store(0, std::memory_order_relaxed);
  release_slot(cell.id.slot());
}

void Worker::destroy_actor(Cell& cell) noexcept {
  if (cell.actor == nullptr) return;
  ActorBase* actor = std::exchange(cell.actor, nullptr);
  cell.type.load(std::memory_order_relaxed)->destroy(*actor);
  Pool::release(actor);
}

}  // namespace pannier
