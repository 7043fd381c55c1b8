#include "services/saga/saga_engine.h"

#include <algorithm>
#include <exception>

#include <pannier/limits.h>

namespace pannier {

namespace {

constexpr int kActionsACommit = 64;
constexpr std::size_t kEarly = 32;

std::string seconds_text(Duration span) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(span).count()) + " ms";
}

Duration backoff_before(const StepOptions& options, std::uint32_t attempt) {
  Duration delay = options.backoff;
  for (std::uint32_t i = 2; i < attempt && delay < options.backoff_cap; ++i) delay *= 2;
  return std::min(delay, options.backoff_cap);
}

}  // namespace

// --- What comes in --------------------------------------------------------------------------------------------------

void SagaEngine::start() {
  state_.status = "running";
  if (table_.within > Duration::zero()) set_timer(sagas::TimerKind::overall, nullptr, table_.within);
  begin_group(0);
  pump();
}

SagaEngine::Fate SagaEngine::message(std::uint64_t run, const AnyTable& message) {
  if (is_over()) return Fate::dropped;
  const auto takes = [&](const std::vector<SagaTable::Outcome>& outcomes) {
    return std::find_if(outcomes.begin(), outcomes.end(),
                        [&](const SagaTable::Outcome& each) { return each.type->id == message.type(); });
  };
  for (const auto& each : body_.active) {
    const bool listens = each->state == sagas::ActiveState::waiting || each->state == sagas::ActiveState::pausing;
    if (!listens || (run != 0 && each->run != run)) continue;
    const auto& outcomes = outcomes_of(*each);
    const auto found = takes(outcomes);
    if (found == outcomes.end()) continue;
    if (!found->type->verify(message.bytes())) return Fate::malformed;
    if (state_.status == "dead-lettered") state_.status = "compensating";
    hear(*each, *found, message);
    pump();
    return Fate::taken;
  }
  if (run != 0) return Fate::dropped;  // the step that it answers to is over
  const bool is_known = std::any_of(table_.rows.begin(), table_.rows.end(), [&](const SagaTable::Row& row) {
    return takes(row.outcomes) != row.outcomes.end() || takes(row.undo_outcomes) != row.undo_outcomes.end();
  });
  if (!is_known) return Fate::unknown;
  if (state_.status != "running") return Fate::dropped;
  if (body_.early.size() >= kEarly) return Fate::full;
  auto kept = std::make_unique<sagas::KeptT>();
  kept->type = static_cast<std::uint64_t>(message.type());
  kept->data = bytes_of(message);
  body_.early.push_back(std::move(kept));
  return Fate::kept;
}

void SagaEngine::ended(std::uint64_t run, const sagas::Ended& child) {
  ActiveT* active = find(run);
  if (active == nullptr || active->state == sagas::ActiveState::begin) return;
  if (active->undoing || child.completed()) {
    finish_step(*active);
  } else {
    const std::string cause{child.cause() == nullptr ? std::string_view{} : child.cause()->string_view()};
    fail(active, false, "step " + row_of(*active).name + ": saga " + child.id()->str() + " failed: " + cause);
  }
  pump();
}

void SagaEngine::timer(const sagas::Timer& timer) {
  if (timer.kind() == sagas::TimerKind::overall) {
    if (state_.status == "running") fail(nullptr, false, "not completed within " + seconds_text(table_.within));
    return pump();
  }
  if (timer.kind() == sagas::TimerKind::go_on) return pump();
  ActiveT* active = find(timer.run());
  if (active == nullptr || active->attempts != timer.attempt()) return;
  if (timer.kind() == sagas::TimerKind::attempt && active->state == sagas::ActiveState::pausing) {
    active->state = sagas::ActiveState::begin;
  } else if (timer.kind() == sagas::TimerKind::wake && active->state == sagas::ActiveState::sleeping) {
    finish_step(*active);
  } else if (timer.kind() == sagas::TimerKind::deadline && active->state == sagas::ActiveState::waiting) {
    attempt_failed(*active, "no answer within " + seconds_text(row_of(*active).options.deadline));
  }
  pump();
}

void SagaEngine::order(const sagas::Order& order) {
  if (order.parent_lane() != nullptr && order.parent_lane()->size() > 0 && order.parent_key() != nullptr) {
    body_.parent_lane = order.parent_lane()->str();
    body_.parent_key = order.parent_key()->str();
  }
  const bool dead = state_.status == "dead-lettered";
  switch (order.order()) {
    case sagas::OrderKind::cancel:
    case sagas::OrderKind::compensate:
      if (state_.status == "running") {
        fail(nullptr, false, "cancelled");
      } else if (state_.status == "completed" && order.order() == sagas::OrderKind::compensate) {
        state_.status = "compensating";
        state_.cause = "ordered to be undone";
      } else if (state_.status == "compensated") {
        tell_parent();
      }
      break;
    case sagas::OrderKind::retry:
      for (const auto& each : body_.active) {
        if (each->state != sagas::ActiveState::pausing) continue;
        if (dead) each->attempts = 1;
        each->state = sagas::ActiveState::begin;
      }
      if (dead) state_.status = "compensating";
      break;
    case sagas::OrderKind::skip:
      if (!dead || body_.active.empty()) break;
      state_.status = "compensating";
      finish_step(*body_.active.front());
      break;
  }
  pump();
}

void SagaEngine::ask_failed(std::uint64_t run, std::uint32_t attempt, const Error& why) {
  ActiveT* active = find(run);
  if (active == nullptr || active->attempts != attempt || active->state != sagas::ActiveState::waiting) return;
  attempt_failed(*active, why.text());
  pump();
}

void SagaEngine::ask_again() {
  for (const auto& each : body_.active) {
    if (each->ask_to.empty() || each->state != sagas::ActiveState::waiting) continue;
    asks.push_back({each->run, each->attempts, each->ask_to, table_of_bytes(each->ask_type, each->ask_data),
                    Duration{each->ask_timeout}});
  }
}

// --- Forward --------------------------------------------------------------------------------------------------------

SagaEngine::ActiveT* SagaEngine::find(std::uint64_t run) {
  for (const auto& each : body_.active) {
    if (each->run == run) return each.get();
  }
  return nullptr;
}

void SagaEngine::begin_step(std::size_t step) {
  auto active = std::make_unique<ActiveT>();
  active->step = static_cast<std::uint16_t>(step);
  active->run = ++body_.runs;
  active->attempts = 1;
  body_.active.push_back(std::move(active));
}

void SagaEngine::begin_group(std::uint32_t group) {
  body_.group = group;
  body_.go_to = -1;
  for (std::size_t i = 0; i < table_.rows.size(); ++i) {
    if (table_.rows[i].group == group) begin_step(i);
  }
}

/// Runs what can run now, a bounded number of actions in one transaction.
void SagaEngine::pump() {
  for (int actions = 0;;) {
    if (state_.status == "dead-lettered" || is_over()) return;
    const auto next = std::find_if(body_.active.begin(), body_.active.end(),
                                   [](const auto& each) { return each->state == sagas::ActiveState::begin; });
    if (next != body_.active.end()) {
      if (actions++ == kActionsACommit) return set_timer(sagas::TimerKind::go_on, nullptr, {});
      act(**next);
    } else if (!body_.active.empty() || !advance()) {
      return;
    }
  }
}

/// Nothing runs: the next group, or the next compensation. False: that was all.
bool SagaEngine::advance() {
  if (state_.status == "running") {
    const std::uint32_t next = body_.go_to >= 0 ? static_cast<std::uint32_t>(body_.go_to) : body_.group + 1;
    if (next > table_.rows.back().group) {
      end("completed");
      return false;
    }
    begin_group(next);
    return true;
  }
  for (auto done = body_.done.rbegin(); done != body_.done.rend(); ++done) {
    if ((*done)->undone || !table_.rows[(*done)->step].undo) continue;
    auto active = std::make_unique<ActiveT>();
    active->step = (*done)->step;
    active->run = (*done)->run;
    active->attempts = 1;
    active->undoing = true;
    active->note = (*done)->note;
    body_.active.push_back(std::move(active));
    return true;
  }
  end("compensated");
  return false;
}

void SagaEngine::act(ActiveT& active) {
  Step step = step_for(active);
  const auto& function = active.undoing ? row_of(active).undo : row_of(active).action;
  try {
    function(data_, step);
  } catch (const std::exception& thrown) {
    step.retry(thrown.what());
  } catch (...) {
    step.retry("it threw something that is no std::exception");
  }
  apply(active, step, true);
}

void SagaEngine::hear(ActiveT& active, const SagaTable::Outcome& outcome, const AnyTable& message) {
  Step step = step_for(active);
  try {
    outcome.handle(data_, message, step);
  } catch (const std::exception& thrown) {
    step.retry(thrown.what());
  } catch (...) {
    step.retry("it threw something that is no std::exception");
  }
  apply(active, step, false);
}

void SagaEngine::apply(ActiveT& active, Step& step, bool from_action) {
  using Verdict = Step::Verdict;
  active.note = step.note_;
  Verdict verdict = step.verdict_;
  if (verdict == Verdict::none) {
    const bool waits = !from_action || step.question_ || !outcomes_of(active).empty();
    verdict = waits ? Verdict::wait : Verdict::done;
  }
  if (active.undoing && (verdict == Verdict::go_to || verdict == Verdict::repeat)) verdict = Verdict::done;
  if (active.undoing && verdict == Verdict::fail) verdict = Verdict::retry;
  switch (verdict) {
    case Verdict::none:
    case Verdict::done: return finish_step(active);
    case Verdict::repeat: {
      const std::size_t again = active.step;
      finish_step(active);
      return begin_step(again);
    }
    case Verdict::go_to: {
      const auto to = std::find_if(table_.rows.begin(), table_.rows.end(),
                                   [&](const SagaTable::Row& row) { return row.name == step.cause_; });
      if (to == table_.rows.end()) {
        return fail(&active, true, "step " + row_of(active).name + " goes to '" + step.cause_ + "', and there is none");
      }
      body_.go_to = static_cast<std::int32_t>(to->group);
      return finish_step(active);
    }
    case Verdict::fail: return fail(&active, false, "step " + row_of(active).name + ": " + step.cause_);
    case Verdict::retry: return attempt_failed(active, step.cause_);
    case Verdict::sleep:
      active.state = sagas::ActiveState::sleeping;
      return set_timer(sagas::TimerKind::wake, &active, step.sleep_);
    case Verdict::wait: break;
  }
  if (active.state == sagas::ActiveState::waiting || active.state == sagas::ActiveState::pausing) return;
  active.state = sagas::ActiveState::waiting;
  if (row_of(active).options.deadline > Duration::zero()) {
    set_timer(sagas::TimerKind::deadline, &active, row_of(active).options.deadline);
  }
  if (step.question_) {
    active.ask_to = step.question_->to;
    active.ask_type = static_cast<std::uint64_t>(step.question_->table.type());
    active.ask_data = bytes_of(step.question_->table);
    active.ask_timeout = step.question_->timeout.count();
    asks.push_back({active.run, active.attempts, step.question_->to, step.question_->table, step.question_->timeout});
  }
  hear_early(active);
}

/// What came before the step waited for it.
void SagaEngine::hear_early(ActiveT& active) {
  const auto& outcomes = outcomes_of(active);
  const std::uint64_t run = active.run;
  for (std::size_t i = 0; i < body_.early.size(); ++i) {
    const auto found = std::find_if(outcomes.begin(), outcomes.end(), [&](const SagaTable::Outcome& each) {
      return static_cast<std::uint64_t>(each.type->id) == body_.early[i]->type;
    });
    if (found == outcomes.end()) continue;
    const auto kept = std::move(body_.early[i]);
    body_.early.erase(body_.early.begin() + static_cast<std::ptrdiff_t>(i));
    const AnyTable message = table_of_bytes(kept->type, kept->data);
    if (found->type->verify(message.bytes())) hear(active, *found, message);
    if (const ActiveT* still = find(run); still == nullptr || still->state != sagas::ActiveState::waiting) return;
    i = SIZE_MAX;  // from the beginning: the list has changed
  }
}

void SagaEngine::finish_step(ActiveT& active) {
  if (active.undoing) {
    for (const auto& each : body_.done) {
      if (each->run == active.run && each->step == active.step) each->undone = true;
    }
  } else if (row_of(active).undo || std::none_of(body_.done.begin(), body_.done.end(), [&](const auto& each) {
               return each->step == active.step;  // of what is not undone, a loop notes one
             })) {
    note_done(active);
  }
  body_.active.erase(
      std::find_if(body_.active.begin(), body_.active.end(), [&](const auto& each) { return each.get() == &active; }));
}

void SagaEngine::note_done(const ActiveT& active) {
  auto done = std::make_unique<sagas::DoneStepT>();
  done->step = active.step;
  done->run = active.run;
  done->note = active.note;
  body_.done.push_back(std::move(done));
}

// --- Back -----------------------------------------------------------------------------------------------------------

void SagaEngine::attempt_failed(ActiveT& active, const std::string& why) {
  const StepOptions& options = row_of(active).options;
  active.uncertain = true;
  active.ask_to.clear();
  if (active.attempts < (active.undoing ? options.undo_attempts : options.attempts)) {
    ++active.attempts;
    active.state = sagas::ActiveState::pausing;
    return set_timer(sagas::TimerKind::attempt, &active, backoff_before(options, active.attempts));
  }
  if (!active.undoing) return fail(&active, true, "step " + row_of(active).name + ": " + why);
  active.state = sagas::ActiveState::pausing;
  state_.status = "dead-lettered";
  state_.cause += (state_.cause.empty() ? "" : "; ") + ("the compensation of step " + row_of(active).name + " failed " +
                                                        std::to_string(active.attempts) + " times: " + why);
}

/// From here on everything is undone. What runs beside the culprit may have taken effect.
void SagaEngine::fail(ActiveT* culprit, bool uncertain, const std::string& why) {
  state_.status = "compensating";
  state_.cause = why;
  for (const auto& each : body_.active) {
    const bool has_run = each->state != sagas::ActiveState::begin || each->attempts > 1;
    if (each.get() == culprit ? !(uncertain || each->uncertain) : !has_run) continue;
    note_done(*each);
  }
  body_.active.clear();
  body_.early.clear();
}

void SagaEngine::end(std::string status) {
  state_.status = std::move(status);
  tell_parent();
}

void SagaEngine::tell_parent() {
  if (body_.parent_lane.empty()) return;
  batch_.enqueue(body_.parent_lane, body_.parent_key,
                 make<sagas::Ended>(id_, state_.status == "completed", state_.cause));
}

void SagaEngine::set_timer(sagas::TimerKind kind, const ActiveT* active, Duration delay) {
  batch_.enqueue(
      lane_, id_,
      make<sagas::Timer>(kind, active == nullptr ? 0 : active->run, active == nullptr ? 0 : active->attempts),
      {.delay = std::min(delay, limits::kLongestWait)});
}

}  // namespace pannier
