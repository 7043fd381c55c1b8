#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "runtime/message/callback.h"
#include "runtime/queue/mutants.h"
#include "runtime/queue/store.h"

namespace pannier {

/// One transaction in the making: what arrives while the last one is being committed shares the next one, so that many
/// wait for one fsync (group commit; Gawlick and Kinkade, 1985). Opened by its first change.
class Group {
 public:
  explicit Group(Store& store) : store_(store) {}

  /// Makes one change. An error ends the group: everything in it is given up, and each waiter hears of it.
  template <class Change>
  [[nodiscard]] Result<void> change(Change&& change) {
    if (auto begun = open(); !begun) return begun;
    auto changed = change(store_);
    if (!changed) give_up(changed);
    return changed;
  }

  /// Makes several changes that hold together: after an error that does not end the transaction (Store) they are taken
  /// back, and their waiters hear of it, while the others of the group go on.
  template <class Changes>
  [[nodiscard]] Result<void> part(Changes&& changes) {
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

  /// As a change, but an error that leaves the transaction as it was leaves the group as it was. Within a part.
  template <class Change>
  [[nodiscard]] Result<void> attempt(Change&& change) {
    if (auto begun = open(); !begun) return begun;
    auto changed = change(store_);
    if (!changed && ends_transaction(changed.error().code)) give_up(changed);
    return changed;
  }

  /// Runs once the group's fate is known: after it is committed, or with the error that ended it.
  using Waiter = Callback<void(const Result<void>& fate)>;
  void then(Waiter waiter) { waiters_.push_back(std::move(waiter)); }

  /// The commit shall be at least so durable. Without a word it is `committed`: for changes whose loss in a power cut
  /// costs work, not messages.
  void need(Durability durability) noexcept { needed_ = std::max(needed_, durability); }
  /// Somebody waits for the commit now; without one the group may wait for company.
  void hurry() noexcept { hurried_ = true; }

  [[nodiscard]] std::size_t size() const noexcept { return waiters_.size(); }
  [[nodiscard]] bool is_open() const noexcept { return open_; }
  [[nodiscard]] bool hurried() const noexcept { return hurried_; }
  /// Groups and parts that ended with an error: whoever counted on them looks anew.
  [[nodiscard]] std::uint64_t failures() const noexcept { return failures_; }

  /// Commits, and tells everyone. Without a change there is nothing to commit.
  void commit() {
    if (!open_) return;
    if constexpr (is_mutant(Mutant::ack_before_commit)) tell_everyone({});
    auto fate = store_.commit(needed_);
    if (!fate) store_.rollback();
    finish(fate);
  }

 private:
  [[nodiscard]] Result<void> open() {
    if (open_) return {};
    auto begun = store_.begin();
    if (!begun) {
      finish(begun);
    } else {
      open_ = true;
    }
    return begun;
  }

  static bool ends_transaction(ErrorCode code) noexcept {
    return code != ErrorCode::rejected && code != ErrorCode::unsupported && code != ErrorCode::full &&
           code != ErrorCode::not_found;
  }

  void give_up(const Result<void>& why) {
    store_.rollback();
    finish(why);
  }

  void finish(const Result<void>& fate) {
    open_ = false;
    needed_ = Durability::committed;
    hurried_ = false;
    if (!fate) ++failures_;
    tell_everyone(fate);
  }

  void tell_everyone(const Result<void>& fate) {
    std::vector<Waiter> waiters = std::move(waiters_);
    waiters_.clear();
    for (Waiter& waiter : waiters) waiter(fate);
    waiters.clear();
    if (waiters_.empty()) waiters_ = std::move(waiters);  // keeps the memory
  }

  Store& store_;
  bool open_ = false;
  bool hurried_ = false;
  Durability needed_ = Durability::committed;
  std::uint64_t failures_ = 0;
  std::vector<Waiter> waiters_;
};

}  // namespace pannier
