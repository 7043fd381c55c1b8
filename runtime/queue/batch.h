#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/message/any_table.h"
#include "runtime/message/pool_allocator.h"
#include "runtime/store/row.h"

namespace pannier {

/// What enqueue answers: how durable the message is now, and the number that it can be found by.
struct Receipt {
  Durability durability = Durability::memory;
  Sequence sequence = 0;   ///< Of the first message of a batch.
  /// The first message's token was known: `sequence` is that of the earlier enqueue. Or Batch::skip_if left all out.
  bool duplicate = false;
};

/// One value of the application's state.
struct StateRow {
  std::string key;
  BlockRef value;
};

/// What one message asks for that its lane does not give by itself.
struct EnqueueOptions {
  Duration delay{};       ///< Not delivered, nor sent, before. Its place in the order is that of this moment.
  Duration expires_in{};  ///< Not delivered after; zero: as the lane says. Travels with the message as time remaining.
  std::optional<Durability> durability = {};  ///< Before the receipt is given; none: as the lane says.
  /// Idempotency key, at most limits::kTokenBytes: a second enqueue to the same lane and node with it, within
  /// limits::kTokenMemory, stores nothing and answers with the first one's number.
  std::string token = {};
};

/// Changes that belong together: messages to enqueue, the application's own state, and its own tables. All of it is
/// stored in one transaction, or nothing. A value; it does nothing until it is committed (ActorBase::commit,
/// Delivery::ack).
class Batch {
 public:
  struct Enqueue {
    std::string node;  // empty: a lane of this node
    std::string lane;
    std::string key;
    AnyTable payload;
    EnqueueOptions options = {};
  };
  struct StateChange {
    std::string key;
    BlockRef value;  // null: erase
  };

  using Messages = std::vector<Enqueue, PoolAllocator<Enqueue>>;

  /// `address` is "lane" of this node or "node/lane". Messages of one key keep their order within their lane.
  Batch& enqueue(std::string_view address, std::string_view key, const AnyTable& payload, EnqueueOptions options = {});
  Batch& put_state(std::string_view key, const AnyTable& value);
  Batch& erase_state(std::string_view key);
  /// One SQL statement on the application's own tables in the store's file, with ?1 to ?n for `values` (integers,
  /// doubles, text, bytes, SqlNull). They run in their order, before the messages are stored. Where one fails the batch
  /// is refused as `rejected`, with SQLite's text.
  template <class... Values>
  Batch& execute(std::string sql, Values&&... values) {
    return add({std::move(sql), {sql_value(std::forward<Values>(values))...}});
  }
  /// Where this SELECT gives a row, the batch is refused as `conflict`, with the row's first value as the text: for
  /// what must still be so when the batch is stored. It sees what the statements before it did.
  template <class... Values>
  Batch& refuse_if(std::string select, Values&&... values) {
    return add({std::move(select), {sql_value(std::forward<Values>(values))...}, SqlStatement::Purpose::refuse_if});
  }
  /// Where this SELECT gives a row, the batch was stored before: nothing of it is stored now, and it counts as done, as
  /// Receipt::duplicate. A delivery that it settles is acknowledged. Asked before anything else of the batch.
  template <class... Values>
  Batch& skip_if(std::string select, Values&&... values) {
    return add({std::move(select), {sql_value(std::forward<Values>(values))...}, SqlStatement::Purpose::skip_if});
  }
  Batch& add(SqlStatement statement) {
    sql_.push_back(std::move(statement));
    return *this;
  }

  [[nodiscard]] bool empty() const noexcept { return messages_.empty() && state_.empty() && sql_.empty(); }
  [[nodiscard]] const Messages& messages() const noexcept { return messages_; }
  [[nodiscard]] const std::vector<StateChange>& state() const noexcept { return state_; }
  [[nodiscard]] const std::vector<SqlStatement>& sql() const noexcept { return sql_; }

 private:
  Messages messages_;
  std::vector<StateChange> state_;
  std::vector<SqlStatement> sql_;
};

}  // namespace pannier
