// What a supervisor does about its children, by OTP's terms and rules (Armstrong, 2003). Children that restart together
// are halted from last to first, then begun one by one in the order of their start.

#include <algorithm>

#include "platform/concat.h"
#include "runtime/actor/worker.h"

namespace pannier {

namespace {

using Step = Regroup::Step;

Duration backoff(const Supervision& rules, std::size_t restarts_before) {
  Duration delay = rules.backoff_base;
  for (std::size_t i = 0; i < restarts_before && delay < rules.backoff_cap; ++i) delay *= 2;
  return std::min(delay, rules.backoff_cap);
}

constexpr std::size_t kNobody = ~std::size_t{0};

/// From both ends inwards: those who end are mostly among the first or the last started.
std::size_t find_child(const std::deque<Child>& children, ActorId id) noexcept {
  for (std::size_t low = 0, high = children.size(); low < high; ++low) {
    if (children[low].id == id) return low;
    if (children[--high].id == id) return high;
  }
  return kNobody;
}

bool is_awaited(const Annex& annex, std::size_t child) noexcept {
  const Regroup& group = annex.regroup;
  return (group.step == Step::halting || group.step == Step::beginning) && group.awaited == child;
}

}  // namespace

// --- A child has failed ----------------------------------------------------------------------------------------------

void Worker::child_failed(Cell& cell, ActorId child, ChildFailure failure) {
  Annex& annex = cell.open_annex();
  const std::size_t index = find_child(annex.children, child);
  if (cell.phase != Phase::running || index == kNobody || annex.children[index].restart == Restart::temporary) {
    send_reserved(make_message(MessageKind::stop, child));
    return;
  }
  const Supervision& rules = cell.plan().options().children;
  std::erase_if(annex.restarts, [&](MonoTime at) { return at + rules.period <= now_; });
  if (failure.counts && annex.restarts.size() >= rules.max_restarts) {
    fail(cell,
         Error{ErrorCode::failed, concat({"because its child ", system_.describe(child), " failed more than ",
                                          rules.max_restarts, " times in its period, last: ", failure.error.detail})});
    return;
  }
  // A failure that does not count still waits for the base delay, so that a handler failing on every message does not
  // spin.
  const Duration delay = backoff(rules, failure.counts ? annex.restarts.size() : 0);
  if (failure.counts) annex.restarts.push_back(now_);
  if (rules.strategy != Strategy::one_for_one && !annex.children[index].apart) {
    regroup(cell, rules.strategy == Strategy::one_for_all ? 0 : index, delay);
    return;
  }
  timers_.arm(cell, now_ + delay, Duration::zero(), [this, &cell, child](Message*) {
    if (find_child(cell.annex->children, child) != kNobody) send_reserved(make_message(MessageKind::halt, child));
  });
}

void Worker::regroup(Cell& cell, std::size_t first, Duration delay) {
  Regroup& group = cell.annex->regroup;
  group.first = group.step == Step::none ? first : std::min(first, group.first);
  // It will be among those halted.
  if (group.step == Step::pausing || group.step == Step::halting) return;
  timers_.cancel(group.timer);
  group.step = Step::pausing;
  group.timer = timers_.arm(cell, now_ + delay, Duration::zero(), [this, &cell](Message*) {
    Regroup& begun = cell.annex->regroup;
    begun.step = Step::halting;
    begun.awaited = cell.annex->children.size();
    regroup_next(cell);
  });
}

void Worker::regroup_next(Cell& cell) {
  Annex& annex = *cell.annex;
  Regroup& group = annex.regroup;
  timers_.cancel(std::exchange(group.timer, TimerId{}));
  while (group.step == Step::halting && group.awaited > group.first && annex.children[group.awaited - 1].apart) {
    --group.awaited;
  }
  if (group.step == Step::halting && group.awaited > group.first) {
    const Child& last = annex.children[--group.awaited];
    const bool goes = last.restart == Restart::temporary;  // a temporary child is not restarted
    send_reserved(make_message(goes ? MessageKind::stop : MessageKind::halt, last.id));
  } else if (group.step == Step::halting) {
    group.step = Step::beginning;
    group.awaited = group.first;
    regroup_begin(cell);
    return;
  } else {
    ++group.awaited;
    regroup_begin(cell);
    return;
  }
  arm_stop_limit(cell, annex.children[group.awaited], Duration::zero());
}

void Worker::regroup_begin(Cell& cell) {
  Annex& annex = *cell.annex;
  Regroup& group = annex.regroup;
  timers_.cancel(std::exchange(group.timer, TimerId{}));
  while (group.awaited < annex.children.size() && annex.children[group.awaited].apart) ++group.awaited;
  if (group.awaited >= annex.children.size()) {
    group = {};
    return;
  }
  send_reserved(make_message(MessageKind::begin, annex.children[group.awaited].id));
  arm_stop_limit(cell, annex.children[group.awaited], Duration::zero());
}

void Worker::child_halted(Cell& cell, ActorId child) {
  if (cell.phase != Phase::running || cell.annex == nullptr) return;
  const std::size_t index = find_child(cell.annex->children, child);
  if (index == kNobody) return;
  if (cell.plan().options().children.strategy == Strategy::one_for_one || cell.annex->children[index].apart) {
    send_reserved(make_message(MessageKind::begin, child));
  } else if (cell.annex->regroup.step == Step::halting && is_awaited(*cell.annex, index)) {
    regroup_next(cell);
  }
  // Otherwise it is late, and `begin` is, or will be, in its mailbox.
}

void Worker::child_begun(Cell& cell, ActorId child) {
  if (cell.phase != Phase::running || cell.annex == nullptr || cell.annex->regroup.step != Step::beginning) return;
  if (is_awaited(*cell.annex, find_child(cell.annex->children, child))) regroup_next(cell);
}

// --- Ends ------------------------------------------------------------------------------------------------------------

void Worker::stop_next_child(Cell& cell) {
  if (cell.annex != nullptr) timers_.cancel(std::exchange(cell.annex->stop_timer, TimerId{}));
  if (cell.annex == nullptr || cell.annex->children.empty()) {
    finish_end(cell);
    return;
  }
  const Child& last = cell.annex->children.back();
  send_reserved(make_message(MessageKind::stop, last.id));
  arm_stop_limit(cell, last, Duration::zero());
}

void Worker::arm_stop_limit(Cell& cell, const Child& child, Duration more) {
  Annex& annex = *cell.annex;
  const bool ends = cell.phase == Phase::ending;
  TimerId& timer = ends ? annex.stop_timer : annex.regroup.timer;
  timers_.cancel(timer);
  const MonoTime due = now_ + child.stop_limit + more;
  timer = timers_.arm(cell, due, Duration::zero(), [this, &cell, id = child.id, ends](Message*) {
    const bool starts = !ends && cell.annex->regroup.step == Step::beginning;
    system_.platform.log.write(LogLevel::error, concat({"actor ", system_.path(id), " did not ",
                                                        starts ? "start" : "stop", " within its limit; its supervisor ",
                                                        system_.describe(cell.id), " goes on without it"}));
    if (ends) {
      forget_child(cell, id);
      stop_next_child(cell);
    } else {
      regroup_next(cell);
    }
  });
  // Its own supervisor waits as long, so that the one that blocks is named and not those waiting for it. Announced
  // ahead of need: a supervisor of many children does it now and then, not for each.
  if (!ends || !cell.plan().parent || due <= annex.announced) return;
  const Duration at_most = 2 * (due - now_);
  annex.announced = now_ + at_most;
  MessagePtr word = native_message(MessageKind::delayed, cell.plan().parent, Duration{at_most});
  word->sender = cell.id;
  send_reserved(std::move(word));
}

void Worker::child_delayed(Cell& cell, ActorId child, Duration at_most) {
  if (cell.annex == nullptr) return;
  const auto& children = cell.annex->children;
  const std::size_t index = find_child(children, child);
  if (index == kNobody) return;
  const bool ends = cell.phase == Phase::ending && index + 1 == children.size();
  const bool halts = cell.phase == Phase::running && is_awaited(*cell.annex, index);
  if (ends || halts) arm_stop_limit(cell, children[index], at_most);
}

void Worker::forget_child(Cell& cell, ActorId child) {
  auto& children = cell.annex->children;
  const std::size_t index = find_child(children, child);
  if (index == kNobody) return;
  children.erase(children.begin() + static_cast<std::ptrdiff_t>(index));
  Regroup& group = cell.annex->regroup;
  if (index < group.first) --group.first;
  if (index < group.awaited) --group.awaited;
}

void Worker::child_down(Cell& cell, Message& message) {
  const Down& down = *static_cast<Down*>(message.inline_value());
  Annex& annex = cell.open_annex();
  const std::size_t index = find_child(annex.children, down.actor.id());
  const bool last = index != kNobody && index + 1 == annex.children.size();
  const bool awaited = index != kNobody && is_awaited(annex, index);
  if (index != kNobody) forget_child(cell, down.actor.id());
  if (cell.phase == Phase::running) {
    if (awaited && annex.regroup.step == Step::halting) {
      regroup_next(cell);
    } else if (awaited) {
      regroup_begin(cell);
    }
    for (const Handler& handler : cell.type.load(std::memory_order_relaxed)->handlers) {
      if (handler.type == message.type) {
        handle(cell, message);
        return;
      }
    }
  }
  if (last && cell.phase == Phase::ending) stop_next_child(cell);
}

}  // namespace pannier
