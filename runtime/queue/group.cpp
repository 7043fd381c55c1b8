#include "runtime/queue/group.h"

#include <unordered_set>
#include <utility>

#include "runtime/mutants.h"

namespace pannier {
namespace {

/// Store: these errors change nothing and end nothing.
bool leaves_transaction(ErrorCode code) noexcept {
  return code == ErrorCode::rejected || code == ErrorCode::unsupported || code == ErrorCode::full ||
         code == ErrorCode::not_found;
}

/// A row that was added and removed in one group must not leave when the first of the two effects is applied.
void withdraw_removed(std::vector<Effect>& effects) {
  std::unordered_set<Sequence> removed;
  for (const Effect& each : effects) {
    if (const auto* gone = std::get_if<effect::Removed>(&each)) removed.insert(gone->sequence);
  }
  if (removed.empty()) return;
  for (Effect& each : effects) {
    if (auto* added = std::get_if<effect::Added>(&each)) added->withdrawn = removed.contains(added->sequence);
  }
}

}  // namespace

Result<void> Group::open() {
  if (open_) return {};
  auto begun = store_.begin();
  open_ = begun.ok();
  if (!begun) finish(begun);
  return begun;
}

Result<void> Group::change(Change change) {
  if (auto begun = open(); !begun) return begun;
  auto changed = change(store_);
  if (!changed) {
    store_.rollback();
    finish(changed);
  }
  return changed;
}

Result<void> Group::attempt(Change change) {
  if (auto begun = open(); !begun) return begun;
  auto changed = change(store_);
  if (!changed && !leaves_transaction(changed.error().code)) {
    store_.rollback();
    finish(changed);
  }
  return changed;
}

Result<void> Group::part(FunctionRef<Result<void>()> changes) {
  if (auto begun = change([](Store& store) { return store.begin_part(); }); !begun) return begun;
  const std::size_t first = effects_.size();
  const std::uint64_t failures = failures_;
  auto changed = changes();
  if (failures_ != failures) return changed;  // the group has failed, and the part with it
  auto ended = change([&](Store& store) { return store.end_part(changed.ok()); });
  if (changed) return ended;
  if (is_mutant(Mutant::failed_part_not_undone))
    effects_.erase(effects_.begin() + static_cast<std::ptrdiff_t>(first), effects_.end());
  if (ended) apply_from(first, changed);
  return changed;
}

Result<void> Group::commit() {
  if (!open_) return {};
  if constexpr (is_mutant(Mutant::ack_before_commit)) apply_from(0, {});
  auto fate = store_.commit(needed_);
  if (!fate) store_.rollback();
  finish(fate);
  return fate;
}

void Group::finish(const Result<void>& fate) {
  open_ = false;
  needed_ = Durability::committed;
  hurried_ = false;
  if (!fate) ++failures_;
  if (fate && !is_mutant(Mutant::withdrawn_row_sent)) withdraw_removed(effects_);
  apply_from(0, fate);
}

/// Effects may open the next group and add to it, so they are taken out first.
void Group::apply_from(std::size_t first, const Result<void>& fate) {
  std::vector<Effect> applying = std::exchange(applying_, {});
  const auto begin = effects_.begin() + static_cast<std::ptrdiff_t>(first);
  applying.assign(std::make_move_iterator(begin), std::make_move_iterator(effects_.end()));
  effects_.erase(begin, effects_.end());
  for (Effect& effect : applying) apply_(effect, fate);
  applying.clear();
  applying_ = std::move(applying);
}

}  // namespace pannier
