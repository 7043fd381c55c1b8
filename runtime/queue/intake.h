#pragma once

#include "runtime/queue/boxes.h"
#include "runtime/queue/delayed.h"
#include "runtime/queue/expiry.h"
#include "runtime/queue/room.h"

namespace pannier {

/// What comes into the queue, from this node's actors and from other nodes: checked, given a number and a place, staged
/// in the group. On the store's worker.
class Intake {
 public:
  /// All outlive this; `own_node` too.
  Intake(const std::string& own_node, const Clock& clock, const StoreClock& store_clock, Store& store, Group& group,
         Lanes& lanes, Outbox& outbox, Inbox& inbox, Room& room, Expiry& expiry, Delayed& delayed)
      : own_node_(own_node),
        clock_(clock),
        store_clock_(store_clock),
        store_(store),
        group_(group),
        lanes_(lanes),
        outbox_(outbox),
        inbox_(inbox),
        room_(room),
        expiry_(expiry),
        delayed_(delayed) {}

  /// Whether a batch can be at all, whatever room there is: names, sizes, times. invalid_argument, with one line; full:
  /// a lane too many.
  [[nodiscard]] Result<void> check(const Batch& batch);
  /// All of a batch that passed check(), or nothing of it. full: no room; rejected: an SQL statement failed; else what
  /// ended the group. The receipt names the durability that the batch asks for.
  [[nodiscard]] Result<Receipt> stage(const Batch& batch);
  /// A row from another node. full: no room; else what ended the group.
  [[nodiscard]] Result<void> stage(const IncomingRow& row);

  /// Rows and bytes that were staged since the last call.
  [[nodiscard]] Load take_staged() noexcept { return std::exchange(staged_, {}); }
  [[nodiscard]] const Load& staged() const noexcept { return staged_; }

 private:
  [[nodiscard]] Result<Receipt> stage_all(const Batch& batch);
  [[nodiscard]] Result<Receipt> stage(const Batch::Enqueue& message);
  [[nodiscard]] Result<void> put(const std::string& node, const LaneOptions& lane, NewRow row, const std::string& token,
                                 Receipt& receipt);
  [[nodiscard]] Result<void> put(StreamId stream, const std::string& node, const LaneOptions& lane, NewRow row,
                                 const std::string& token, Receipt& receipt);
  [[nodiscard]] Result<bool> known(StreamId stream, const std::string& token, Receipt& receipt);
  [[nodiscard]] Result<void> remember(StreamId stream, const std::string& token, Sequence sequence);
  /// The node that a message for `node` is sent on to; empty: it stays here.
  [[nodiscard]] const std::string& leads_to(const std::string& node, const LaneOptions& lane) const noexcept {
    return node.empty() || node == own_node_ ? lane.forward_to : node;
  }
  [[nodiscard]] StoreTime expiry_of(const LaneOptions& lane, Duration asked) const noexcept;

  const std::string& own_node_;
  const Clock& clock_;
  const StoreClock& store_clock_;
  Store& store_;
  Group& group_;
  Lanes& lanes_;
  Outbox& outbox_;
  Inbox& inbox_;
  Room& room_;
  Expiry& expiry_;
  Delayed& delayed_;
  Load staged_;
};

}  // namespace pannier
