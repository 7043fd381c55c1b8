// An actor's life on its worker: start, failure, restart, stop, and what its supervisor does about it. The words and
// the rules are OTP's (Armstrong, 2003); a restart keeps the address and the mailbox, as in Akka.

#include <algorithm>

#include "runtime/actor/worker.h"
#include "runtime/link/router_messages.h"

namespace pannier {

namespace {

MessagePtr down_message(ActorId to, const Cell& cell, const Error& error) {
  return native_message(MessageKind::down, to, Down{Ref{cell.id}, cell.end_failed, error});
}

Duration backoff(const Supervision& rules, std::size_t restarts_before) {
  Duration delay = rules.backoff_base;
  for (std::size_t i = 0; i < restarts_before && delay < rules.backoff_cap; ++i) delay *= 2;
  return std::min(delay, rules.backoff_cap);
}

/// From both ends inwards: those who end are mostly among the first or the last ones started.
std::deque<Child>::iterator find_child(std::deque<Child>& children, ActorId id) noexcept {
  for (auto first = children.begin(), last = children.end(); first != last; ++first) {
    if (first->id == id) return first;
    if (--last; last->id == id) return last;
    if (first == last) break;
  }
  return children.end();
}

}  // namespace

Recipe::Recipe(const SpawnOptions& options) {
  const SpawnOptions usual;
  if (options.restart != usual.restart || options.children != usual.children ||
      options.handler_budget != usual.handler_budget) {
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
      cell.kin().children.push_back(child);
      // Too late for a child: it is sent away at once, in its turn.
      if (cell.phase == Phase::ending && cell.family->children.size() == 1) stop_next_child(cell);
      return;
    }
    case MessageKind::watch: cell.kin().watchers.push_back(message->sender); return;
    case MessageKind::stop: begin_end(cell, false, false); return;
    case MessageKind::restart: begin_end(cell, true, true); return;
    case MessageKind::failed:
      child_failed(cell, message->sender, std::move(*static_cast<Error*>(message->inline_value())));
      return;
    case MessageKind::down: child_down(cell, *message); return;
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
  if (system_.stopping.load(std::memory_order_relaxed) && cell.plan().parent) {
    begin_end(cell, false, false);
    return;
  }
  build(cell);
}

void Worker::build(Cell& cell) {
  cell.phase = Phase::running;
  cell.end_failed = false;
  cell.restart_after_end = false;
  auto built = turn(cell, nullptr, [&]() -> Result<void> {
    ActorBase::Birth birth{*this, cell};
    cell.actor = cell.plan().build();
    cell.type.load(std::memory_order_relaxed)->on_start(*cell.actor);
    return {};
  });
  if (!built) fail(cell, Error{ErrorCode::failed, "while starting: " + built.error().detail});
}

void Worker::fail(Cell& cell, Error error) {
  if (cell.phase == Phase::vacant || cell.phase == Phase::suspended) return;
  cell.failures.fetch_add(1, std::memory_order_relaxed);
  cell.end_failed = true;
  system_.platform.log.write(LogLevel::error, "actor " + system_.describe(cell.id) + " (" +
                                                  std::string{cell.type.load(std::memory_order_relaxed)->name} +
                                                  ") failed " + error.detail);
  if (cell.phase == Phase::ending) return;  // it is going anyway
  cell.phase = Phase::suspended;
  if (cell.id == system_.root) {  // nobody is above
    system_.failed.store(true, std::memory_order_release);
    begin_end(cell, false, true);
    return;
  }
  MessagePtr report = native_message(MessageKind::failed, cell.plan().parent, std::move(error));
  report->sender = cell.id;
  send_reserved(std::move(report));
}

void Worker::stop_actor(ActorId id) { send_reserved(make_message(MessageKind::stop, id)); }

void Worker::watch(ActorId watcher, ActorId watched) {
  MessagePtr request = make_message(MessageKind::watch, watched);
  request->sender = watcher;
  // Gone already: the watcher hears so at once.
  if (!send(std::move(request))) send_reserved(native_message(MessageKind::down, watcher, Down{Ref{watched}}));
}

void Worker::begin_end(Cell& cell, bool restart, bool failed) {
  if (cell.phase == Phase::ending) {
    if (!restart) cell.restart_after_end = false;  // a stop overrules a restart
    return;
  }
  if (cell.phase == Phase::vacant && cell.recipe == nullptr) return;
  cell.phase = Phase::ending;
  cell.restart_after_end = restart;
  cell.end_failed = cell.end_failed || failed;
  stop_next_child(cell);
}

void Worker::stop_next_child(Cell& cell) {
  if (cell.family != nullptr) timers_.cancel(std::exchange(cell.family->stop_timer, TimerId{}));
  if (cell.family == nullptr || cell.family->children.empty()) {
    finish_end(cell);
    return;
  }
  const Child last = cell.family->children.back();
  send_reserved(make_message(MessageKind::stop, last.id));
  cell.family->stop_timer = timers_.arm(cell, now_ + last.stop_limit, Duration::zero(), [this, &cell, last](Message*) {
    system_.platform.log.write(LogLevel::error, "actor " + system_.describe(last.id) +
                                                    " did not stop within its limit; its supervisor " +
                                                    system_.describe(cell.id) + " goes on without it");
    forget_child(cell, last.id);
    stop_next_child(cell);
  });
}

void Worker::finish_end(Cell& cell) {
  if (cell.actor != nullptr) {
    auto stopped = turn(cell, nullptr, [&]() -> Result<void> {
      cell.type.load(std::memory_order_relaxed)->on_stop(*cell.actor);
      return {};
    });
    if (!stopped) {
      system_.platform.log.write(
          LogLevel::error, "actor " + system_.describe(cell.id) + " failed while stopping: " + stopped.error().detail);
    }
  }
  const bool consumed = cell.consumes;
  // What it subscribed to and consumed ends with its state; on_start asks for it anew. The queue hears of the end
  // before the deliveries in its hands go, so that they are given back and cost no attempt.
  for (auto [kept, service] : {std::pair{&cell.subscribes, system_.router}, std::pair{&cell.consumes, system_.queue}}) {
    if (std::exchange(*kept, false)) send_reserved(native_message(MessageKind::tell, service, Ended{cell.id}));
  }
  flush_across();
  timers_.cancel_all(cell);
  destroy_actor(cell);
  if (cell.restart_after_end) {
    if (consumed) drop_deliveries(cell);
    build(cell);
    return;
  }

  for (MessageQueue* queue : {&cell.urgent, &cell.normal, &cell.system}) {
    while (MessagePtr message = queue->pop()) {
      if (message->kind == MessageKind::ask) reply_error(*message, ErrorCode::closed);
      if (message->kind < MessageKind::reply || message->kind == MessageKind::publish) {
        dead_letter(*message, DeadLetterReason::stopped);
      }
    }
  }
  cell.local_count.store(0, std::memory_order_relaxed);
  cell.local_bytes.store(0, std::memory_order_relaxed);
  const Error reason{cell.end_failed ? ErrorCode::failed : ErrorCode::closed};
  if (cell.family != nullptr) {
    for (const ActorId watcher : cell.family->watchers) send_reserved(down_message(watcher, cell, reason));
  }
  if (cell.plan().parent) send_reserved(down_message(cell.plan().parent, cell, reason));
  if (const std::uint32_t name = cell.name.exchange(0, std::memory_order_relaxed); name != 0) {
    system_.directory.entry(ActorId::named(name - 1)).local.store(0, std::memory_order_release);
  }
  if (cell.id == system_.root) {
    system_.stopped.store(true, std::memory_order_release);
    if (system_.on_stopped) system_.on_stopped();
  }
  cell.recipe.reset();
  cell.family.reset();
  cell.phase = Phase::vacant;
  for (auto* count : {&cell.handled, &cell.rejected, &cell.failures}) count->store(0, std::memory_order_relaxed);
  release_slot(cell.id.slot());
}

/// The queue has them back (Ended), and gives them to the new state anew, under other numbers.
void Worker::drop_deliveries(Cell& cell) noexcept {
  for (MessageQueue* queue : {&cell.urgent, &cell.normal}) {
    MessageQueue others;
    while (MessagePtr message = queue->pop()) {
      if (message->kind != MessageKind::delivery) {
        others.push(std::move(message));
        continue;
      }
      add_by_owner(cell.local_count, -1U);
      add_by_owner(cell.local_bytes, static_cast<std::uint32_t>(-message->payload_bytes()));
    }
    while (MessagePtr message = others.pop()) queue->push(std::move(message));
  }
}

void Worker::destroy_actor(Cell& cell) noexcept {
  if (cell.actor == nullptr) return;
  ActorBase* actor = std::exchange(cell.actor, nullptr);
  cell.type.load(std::memory_order_relaxed)->destroy(*actor);
  Pool::release(actor);
}

void Worker::forget_child(Cell& cell, ActorId child) noexcept {
  if (cell.family == nullptr) return;
  auto& children = cell.family->children;
  if (const auto at = find_child(children, child); at != children.end()) children.erase(at);
}

void Worker::child_failed(Cell& cell, ActorId child, Error error) {
  const auto find = [&cell, child] {  // kept by the timer below
    return find_child(cell.kin().children, child);
  };
  if (cell.phase != Phase::running || find() == cell.family->children.end() || find()->restart == Restart::temporary) {
    send_reserved(make_message(MessageKind::stop, child));
    return;
  }
  const Supervision& rules = cell.plan().options().children;
  auto& restarts = cell.family->restarts;
  std::erase_if(restarts, [&](MonoTime at) { return at + rules.period <= now_; });
  if (restarts.size() >= rules.max_restarts) {
    fail(cell, Error{ErrorCode::failed, "since its child " + system_.describe(child) + " failed more than " +
                                            std::to_string(rules.max_restarts) + " times in its period, at last " +
                                            error.detail});
    return;
  }
  const Duration delay = backoff(rules, restarts.size());
  restarts.push_back(now_);
  timers_.arm(cell, now_ + delay, Duration::zero(), [this, &cell, find, strategy = rules.strategy](Message*) {
    const auto failed = find();
    auto& children = cell.family->children;
    if (failed == children.end()) return;
    const auto first = strategy == Strategy::one_for_all ? children.begin() : failed;
    const auto last = strategy == Strategy::one_for_one ? failed + 1 : children.end();
    for (auto each = first; each != last; ++each) send_reserved(make_message(MessageKind::restart, each->id));
  });
}

void Worker::child_down(Cell& cell, Message& message) {
  const Down& down = *static_cast<Down*>(message.inline_value());
  const ActorId child = down.actor.id();
  auto& children = cell.kin().children;
  const auto at = find_child(children, child);
  const bool was_child = at != children.end();
  const bool awaited = was_child && cell.phase == Phase::ending && at + 1 == children.end();
  if (was_child) children.erase(at);
  if (cell.phase == Phase::running) {
    for (const Handler& handler : cell.type.load(std::memory_order_relaxed)->handlers) {
      if (handler.type == message.type) {
        handle(cell, message);
        return;
      }
    }
  }
  if (awaited) stop_next_child(cell);
}

}  // namespace pannier
