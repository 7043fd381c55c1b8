#pragma once

#include <string>
#include <vector>

#include "runtime/message/any_table.h"
#include "runtime/queue/store.h"

namespace pannier {

/// What enqueue answers: how durable the message is now, and the number that it can be found by.
struct Receipt {
  Durability durability = Durability::memory;
  Sequence sequence = 0;  ///< Of the first message of a batch.
};

/// Changes that belong together: messages to enqueue and the application's own state. All of it is stored in one
/// transaction, or nothing. A value; it does nothing until it is committed (ActorBase::commit, Delivery::done).
class Batch {
 public:
  struct Enqueue {
    std::string node;  // empty: a lane of this node
    std::string lane;
    std::string key;
    AnyTable payload;
  };
  struct StateChange {
    std::string key;
    BlockRef value;  // null: erase
  };

  /// `address` is "lane" of this node or "node/lane". Messages of one key keep their order within their lane.
  Batch& enqueue(std::string_view address, std::string_view key, const AnyTable& payload);
  Batch& put_state(std::string_view key, const AnyTable& value);
  Batch& erase_state(std::string_view key);

  [[nodiscard]] bool empty() const noexcept { return messages_.empty() && state_.empty(); }
  [[nodiscard]] const std::vector<Enqueue>& messages() const noexcept { return messages_; }
  [[nodiscard]] const std::vector<StateChange>& state() const noexcept { return state_; }

 private:
  std::vector<Enqueue> messages_;
  std::vector<StateChange> state_;
};

}  // namespace pannier
