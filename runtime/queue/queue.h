#pragma once

#include <string>
#include <vector>

#include "platform/function_ref.h"
#include "runtime/actor/service.h"
#include "runtime/queue/boxes.h"
#include "runtime/queue/delayed.h"
#include "runtime/queue/expiry.h"
#include "runtime/queue/group.h"
#include "runtime/queue/inbox.h"
#include "runtime/queue/intake.h"
#include "runtime/queue/lane.h"
#include "runtime/queue/outbox.h"
#include "runtime/queue/parked.h"
#include "runtime/queue/queue_messages.h"
#include "runtime/queue/queue_options.h"
#include "runtime/queue/room.h"
#include "runtime/queue/store_clock.h"

namespace pannier {

/// The store-and-forward queue of a node: the only one who touches the store. What arrives in one step of its worker
/// is one transaction; receipts, acknowledgements and hand-outs follow its commit. On the store's worker.
///
/// Its code is in queue.cpp (who is spoken to, the commit) and queue_questions.cpp (what people and tools ask).
class Queue final : public Service {
 public:
  /// `store` outlives the queue. `lanes` passed check().
  Queue(System& system, Store& store, std::vector<LaneOptions> lanes, QueueOptions options);

  /// Takes up what an earlier life left. Before the node runs.
  [[nodiscard]] Result<void> load();

  void started(ServicePort& port) override;
  void stopping() override;
  Result<void> handle(Message& message) override;
  bool before_actors(MonoTime) override { return false; }
  bool after_actors(MonoTime now) override;

 private:
  // --- What is said to the queue
  void take(Commit& commit, Message& question);
  void take(IncomingRow& row);
  void take(Settle& settle);
  void answer_later(const Message& question, const Receipt& receipt, std::size_t messages);
  void send_ack(StreamAck ack);

  // --- What it is asked: answered at once
  bool ask(Message& question);
  [[nodiscard]] Result<MessagePtr> answer(const ReadState& request);
  [[nodiscard]] Result<MessagePtr> answer(const Inspect& request);
  [[nodiscard]] Result<MessagePtr> answer(const Where& request);
  [[nodiscard]] Result<MessagePtr> answer(const Cancel& request);
  [[nodiscard]] Result<MessagePtr> answer(const SetLane& request);
  [[nodiscard]] Result<MessagePtr> answer(const Query& request);
  [[nodiscard]] Result<MessagePtr> answer(const Redrive& request);
  [[nodiscard]] Result<MessagePtr> answer(const Purge& request);
  [[nodiscard]] Result<MessagePtr> answer(const ForgetReader& request);

  [[nodiscard]] RowStatus status_of(const Stream& stream, const Row& row, std::uint64_t position) const;
  /// Shows `see` the rows that are `wanted`, until it has seen enough.
  [[nodiscard]] Result<void> look_through(const Stream& stream, RowState state, FunctionRef<bool(RowStatus)> see,
                                          FunctionRef<bool(const Row&)> wanted);

  // --- The commit
  /// Whether the open group may wait for company a little longer.
  [[nodiscard]] bool may_wait(MonoTime now);
  void commit();
  /// With what waits for it: storage_io where it failed.
  [[nodiscard]] Result<void> commit_now();
  void note_anchor();
  void after_failures();

  System& system_;
  Store& store_;
  QueueOptions options_;
  Lanes lanes_;
  StoreClock clock_;
  Group group_;
  Outbox outbox_;
  Inbox inbox_;
  Boxes boxes_;
  Parked parked_;
  Watermarks watermarks_;
  Expiry expiry_;
  Room room_;
  Delayed delayed_;
  Intake intake_;
  ServicePort* port_ = nullptr;

  TimerId erasing_{};  // armed while erasures wait for a group to ride in
  bool erase_now_ = false;
  TimerId lingering_{};  // armed while a group waits for company
  MonoTime commit_due_{};
  bool lazy_ = false;  // nobody waits for what the message at hand has staged
  MonoTime anchored_{};
  std::uint64_t failures_seen_ = 0;
  bool counting_ = true;
  std::uint64_t accepted_ = 0;
  std::uint64_t duplicates_ = 0;
  std::uint64_t refused_ = 0;
  std::uint64_t forgotten_ = 0;
};

}  // namespace pannier
