#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "platform/function_ref.h"
#include "runtime/message/callback.h"
#include "runtime/store/store.h"

namespace pannier {

/// One transaction in the making: what arrives while the last one is being committed shares the next one, so that many
/// wait for one fsync (group commit; Gawlick and Kinkade, 1985). Opened by its first change.
class Group {
 public:
  explicit Group(Store& store) : store_(store) {}

  using Change = FunctionRef<Result<void>(Store& store)>;
  /// Makes one change. An error ends the group: everything in it is given up, and each waiter hears of it.
  [[nodiscard]] Result<void> change(Change change);
  /// Makes several changes that hold together: after an error that does not end the transaction (Store) they are taken
  /// back, and their waiters hear of it, while the others of the group go on.
  [[nodiscard]] Result<void> part(FunctionRef<Result<void>()> changes);
  /// As a change, but an error that leaves the transaction as it was leaves the group as it was. Within a part.
  [[nodiscard]] Result<void> attempt(Change change);

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
  void commit();

 private:
  [[nodiscard]] Result<void> open();
  void give_up(const Result<void>& why);
  void finish(const Result<void>& fate);
  void tell_everyone(const Result<void>& fate);

  Store& store_;
  bool open_ = false;
  bool hurried_ = false;
  Durability needed_ = Durability::committed;
  std::uint64_t failures_ = 0;
  std::vector<Waiter> waiters_;
};

}  // namespace pannier
