#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "runtime/actor/service.h"
#include "runtime/queue/group.h"
#include "runtime/queue/inbox.h"
#include "runtime/queue/lane.h"
#include "runtime/queue/outbox.h"
#include "runtime/queue/queue_messages.h"

namespace pannier {

/// The store-and-forward queue of a node: the only one who touches the store. What arrives in one step of its worker
/// is one transaction; receipts, acknowledgements and hand-outs follow its commit. On the store's worker.
class Queue final : public Service {
 public:
  /// `store` outlives the queue.
  Queue(System& system, Store& store, std::vector<LaneOptions> lanes);

  /// Takes up what an earlier life left. Before the node runs.
  [[nodiscard]] Result<void> load();

  void started(ServicePort& port) override;
  void stopping() override;
  Result<void> handle(Message& message) override;
  bool before_actors(MonoTime) override { return false; }
  bool after_actors(MonoTime now) override;

 private:
  [[nodiscard]] const LaneOptions& lane(std::string_view name);
  /// False for a lane that would be one too many: names come from programs, but from peers as well.
  [[nodiscard]] bool may_use(const std::string& lane) const {
    return lanes_.size() < limits::kLanes || lanes_.contains(lane);
  }
  /// Finds out before the group is touched whether a batch can be at all, and fits.
  [[nodiscard]] Result<void> check(const Batch& batch);
  /// The node that a message for `node` is sent on to; empty: it stays here.
  [[nodiscard]] const std::string& leads_to(const std::string& node, const LaneOptions& options) const noexcept;
  [[nodiscard]] bool has_room(std::string_view node, const LaneOptions& options, std::uint64_t messages,
                              std::uint64_t bytes) const noexcept;
  [[nodiscard]] Result<Sequence> stage(const Batch& batch);
  [[nodiscard]] Result<Sequence> stage(const Batch::Enqueue& message);
  void take(Commit& commit, Message& question);
  void take(IncomingRow& row);
  void take(Settle& settle);
  void read_state(const ReadState& request, Message& question);
  void inspect(const Inspect& request, Message& question);
  void commit();
  void count_anew();
  void send_ack(StreamAck ack);

  System& system_;
  Store& store_;
  Group group_;
  Outbox outbox_;
  Inbox inbox_;
  Watermarks watermarks_;
  ServicePort* port_ = nullptr;
  std::unordered_map<std::string, LaneOptions> lanes_;
  TimerId erasing_{};  // armed while erasures wait for a group to ride in
  bool erase_now_ = false;
  std::size_t group_bytes_ = 0;
  std::uint64_t failures_seen_ = 0;
  std::uint64_t accepted_ = 0;
  std::uint64_t duplicates_ = 0;
  std::uint64_t refused_ = 0;
};

}  // namespace pannier
