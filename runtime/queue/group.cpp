#include "runtime/queue/group.h"

#include <utility>

#include "runtime/mutants.h"

namespace pannier {
namespace {

bool ends_transaction(ErrorCode code) noexcept {
  return code != ErrorCode::rejected && code != ErrorCode::unsupported && code != ErrorCode::full &&
         code != ErrorCode::not_found;
}

}  // namespace

Result<void> Group::change(Change change) {
  if (auto begun = open(); !begun) return begun;
  auto changed = change(store_);
  if (!changed) give_up(changed);
  return changed;
}

Result<void> Group::part(FunctionRef<Result<void>()> changes) {
  if (auto begun = change([](Store& store) { return store.begin_part(); }); !begun) return begun;
  const std::size_t waiters = waiters_.size();
  const std::uint64_t failures = failures_;
  auto changed = changes();
  if (failures_ != failures) return changed;  // the group has ended, and the part with it
  auto ended = change([&](Store& store) { return store.end_part(changed.ok()); });
  if (changed) return ended;
  if (!ended) return changed;
  std::vector<Waiter> told;
  for (std::size_t i = waiters; i < waiters_.size(); ++i) told.push_back(std::move(waiters_[i]));
  waiters_.resize(waiters);
  ++failures_;
  for (Waiter& waiter : told) waiter(changed);
  return changed;
}

Result<void> Group::attempt(Change change) {
  if (auto begun = open(); !begun) return begun;
  auto changed = change(store_);
  if (!changed && ends_transaction(changed.error().code)) give_up(changed);
  return changed;
}

void Group::commit() {
  if (!open_) return;
  if constexpr (is_mutant(Mutant::ack_before_commit)) tell_everyone({});
  auto fate = store_.commit(needed_);
  if (!fate) store_.rollback();
  finish(fate);
}

Result<void> Group::open() {
  if (open_) return {};
  auto begun = store_.begin();
  if (!begun) {
    finish(begun);
  } else {
    open_ = true;
  }
  return begun;
}

void Group::give_up(const Result<void>& why) {
  store_.rollback();
  finish(why);
}

void Group::finish(const Result<void>& fate) {
  open_ = false;
  needed_ = Durability::committed;
  hurried_ = false;
  if (!fate) ++failures_;
  tell_everyone(fate);
}

void Group::tell_everyone(const Result<void>& fate) {
  std::vector<Waiter> waiters = std::move(waiters_);
  waiters_.clear();
  for (Waiter& waiter : waiters) waiter(fate);
  waiters.clear();
  if (waiters_.empty()) waiters_ = std::move(waiters);  // keeps the memory
}

}  // namespace pannier
