#pragma once

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
    if (!open_) {
      if (auto begun = store_.begin(); !begun) {
        finish(begun);
        return begun;
      }
      open_ = true;
    }
    auto changed = change(store_);
    if (!changed) {
      store_.rollback();
      open_ = false;
      finish(changed);
    }
    return changed;
  }

  /// Runs once the group's fate is known: after it is committed, or with the error that ended it.
  using Waiter = Callback<void(const Result<void>& fate)>;
  void then(Waiter waiter) { waiters_.push_back(std::move(waiter)); }

  [[nodiscard]] std::size_t size() const noexcept { return waiters_.size(); }
  [[nodiscard]] bool open() const noexcept { return open_; }
  /// Groups that ended with an error: whoever counted on them counts anew.
  [[nodiscard]] std::uint64_t failures() const noexcept { return failures_; }

  /// Commits, and tells everyone. Without a change there is nothing to commit.
  void commit(Durability durability) {
    if (!open_) return;
    if constexpr (is_mutant(Mutant::ack_before_commit)) finish({});
    auto fate = store_.commit(durability);
    if (!fate) store_.rollback();
    open_ = false;
    finish(fate);
  }

 private:
  void finish(const Result<void>& fate) {
    if (!fate) ++failures_;
    std::vector<Waiter> waiters = std::move(waiters_);
    waiters_.clear();
    for (Waiter& waiter : waiters) waiter(fate);
    waiters.clear();
    if (waiters_.empty()) waiters_ = std::move(waiters);  // keeps the memory
  }

  Store& store_;
  bool open_ = false;
  std::uint64_t failures_ = 0;
  std::vector<Waiter> waiters_;
};

}  // namespace pannier
