#pragma once

#include <compare>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <pannier/lane.h>
#include <pannier/queue.h>
#include "runtime/queue/group.h"
#include "runtime/queue/host.h"
#include "runtime/queue/inbox.h"
#include "runtime/queue/lanes.h"
#include "runtime/queue/outbox.h"
#include "runtime/queue/requests.h"
#include "runtime/queue/settle_sink.h"
#include "runtime/queue/store_clock.h"
#include "runtime/queue/watermarks.h"

namespace pannier {

/// The store-and-forward queue of a node, and the only user of its store. What arrives in one step is one transaction;
/// receipts, acknowledgements and deliveries follow its commit. A step machine: it runs on one thread, calls out
/// through QueueHost alone, and knows neither actors nor links.
///
/// A message's way through it: enqueue.cpp (admission to receipt), then outbox.cpp (to another node) or dispatch.cpp
/// (to a consumer) and settle.cpp (acknowledgement). queue.cpp has the step and the timers, questions.cpp what people
/// ask.
class Queue {
 public:
  /// `store` and `clock` outlive the queue. `lanes` passed check().
  Queue(Store& store, const Clock& clock, std::string own_node, std::vector<LaneOptions> lanes, QueueOptions options);

  /// Reads what an earlier process left. Before start.
  [[nodiscard]] Result<void> load();
  /// Both outlive the queue, or its stop.
  void start(QueueHost& host, SettleSink& sink);
  /// Commits what is staged.
  void stop();

  // --- Messages (enqueue.cpp)
  void enqueue(Commit& commit, const ReplyTo& reply_to);
  void receive(IncomingRow& row);
  void settle(Settle& settle);

  // --- Consumers
  [[nodiscard]] Result<void> consume(ActorId consumer, const Consume& request) {
    return inbox_.consume(consumer, request);
  }
  [[nodiscard]] Result<void> fetch(const ReplyTo& reply_to, const Fetch& request) {
    return inbox_.fetch(reply_to, request);
  }
  [[nodiscard]] Result<void> replay(ActorId reader, const ReplayLane& request);
  /// Answers once there is a change that the asker has not seen.
  [[nodiscard]] Result<void> watch(const ReplyTo& reply_to, const WatchSql& request);
  /// The actor's state has ended.
  void ended(ActorId actor) { inbox_.ended(actor); }

  // --- Links
  void link_up(std::string_view node);
  void link_down(std::string_view node);
  void link_progress(std::string_view node) { outbox_.link_progress(node); }
  void acknowledged(const StreamAck& ack) { outbox_.acknowledged(ack); }
  /// A linked node has told which incarnations its rows may still bear.
  void incarnations(std::string_view node, const std::vector<std::uint64_t>& incarnations);

  // --- Questions (questions.cpp): the reply's value, to be addressed by the caller
  [[nodiscard]] Result<std::vector<StateRow>> answer(const ReadState& request);
  [[nodiscard]] Result<std::vector<SqlRow>> answer(const Query& request);
  [[nodiscard]] Result<detail::Done> answer(const SetLane& request);
  [[nodiscard]] Result<detail::Done> answer(const ForgetReader& request);
  [[nodiscard]] Result<Cancelled> answer(const Cancel& request);
  [[nodiscard]] Result<DeadLetterCount> answer(const Redrive& request);
  [[nodiscard]] Result<DeadLetterCount> answer(const Purge& request);
  [[nodiscard]] Result<RowStatus> answer(const Where& request);
  [[nodiscard]] Result<QueueStatus> answer(const Inspect& request);

  /// Commits the group, dispatches and sends. True when there is more to do at once.
  bool step(MonoTime now);

 private:
  /// A message on its way into a stream. Texts are borrowed for the call.
  struct NewMessage {
    std::string_view node;  // destination; empty: the inbox
    LaneStatus* lane = nullptr;
    std::string_view key;
    TypeId type{};
    BlockRef payload;
    std::string_view producer = {};  // to another node: all that stored it before
    StoreTime expires_at{};
    StoreTime due{};
    std::string_view token = {};
  };

  // --- enqueue.cpp
  void answer_row(IncomingRow& row, Sequence taken, std::optional<ErrorCode> refusal);
  void remember_refused(std::string_view node, std::string_view lane, std::uint64_t incarnation);
  [[nodiscard]] bool leads_on(std::string_view path, const LaneStatus& lane);
  [[nodiscard]] Result<void> route(Batch& batch) const;
  [[nodiscard]] Result<void> check(const Batch& batch);
  [[nodiscard]] Result<Receipt> stage(const Batch& batch);
  [[nodiscard]] Result<Receipt> stage_all(const Batch& batch, bool& skipped);
  [[nodiscard]] Result<void> run(const SqlStatement& statement, bool& skipped);
  [[nodiscard]] Result<Receipt> stage(const Batch::Enqueue& message);
  [[nodiscard]] Result<void> put(const NewMessage& message, Receipt& receipt);
  [[nodiscard]] bool fits(const Stream& stream, const LaneStatus& lane, std::size_t bytes) const noexcept;
  [[nodiscard]] bool node_fits(std::size_t bytes) const noexcept;
  [[nodiscard]] Result<void> make_room(StreamId stream, const NewMessage& message);
  [[nodiscard]] Result<void> put_row(StreamId stream, const NewMessage& message, Receipt& receipt);
  [[nodiscard]] Result<Sequence> latest_of(StreamId stream, RowState state, std::string_view key);
  [[nodiscard]] Result<bool> evict(StreamId stream, LaneStatus& lane, FunctionRef<bool()> enough);
  [[nodiscard]] Result<bool> evict_lower(const NewMessage& message);
  [[nodiscard]] Result<bool> erase(const Stream& stream, LaneStatus& lane, Sequence sequence,
                                   std::uint64_t LaneCounters::*counter);
  void disk_is_full();
  void look_for_room();
  void invite_to(StreamId stream);
  void invite(FunctionRef<bool(const std::string& lane)> has_room);
  void answer_after_commit(const ReplyTo& reply_to, Receipt receipt, std::size_t messages);
  Result<void> commit_group();
  void apply(Effect& effect, const Result<void>& fate);
  void sql_changed();
  [[nodiscard]] StoreTime expiry_of(const LaneStatus& lane, Duration asked) const noexcept;

  // --- queue.cpp
  [[nodiscard]] bool may_wait(MonoTime now);
  [[nodiscard]] Result<void> note_anchor();
  void arm_due(StoreTime due);
  void release_due();
  [[nodiscard]] Result<void> release(const Stream& stream, const Row& row);
  void note_expiry(StreamId stream, StoreTime expires_at);
  void arm_expiry();
  void sweep_due();
  /// True if a message of the stream may have expired.
  [[nodiscard]] bool has_expired(StreamId stream) const;
  [[nodiscard]] Result<std::size_t> sweep(StreamId stream);
  void note_if_empty(StreamId stream);
  bool erase_idle_streams();

  // --- questions.cpp
  /// The open group, and what waits for it, on stable storage.
  [[nodiscard]] Result<void> commit_now();
  [[nodiscard]] Result<DeadLetterCount> move(const DeadLetterSelection& selection, bool redrive);
  [[nodiscard]] RowStatus status_of(const Stream& stream, const Row& row, std::uint64_t position) const;

  Store& store_;
  BlockRef trace_;  // of the request that is being staged
  const Clock& wall_;
  std::string own_node_;
  QueueOptions options_;
  Lanes lanes_;
  StoreClock clock_;
  Group group_;
  Outbox outbox_;
  Inbox inbox_;
  Watermarks watermarks_;
  /// Rows of these streams were refused for want of room. Beyond limits::kRefusedStreams they come again by themselves.
  struct RefusedStream {
    std::string lane;
    std::string node;
    std::uint64_t incarnation = 0;
    auto operator<=>(const RefusedStream&) const = default;
  };
  std::set<RefusedStream> refused_streams_;
  TimerId room_{};                              // armed while the disk is full
  std::set<std::string, std::less<>> circles_;  // lanes that were found to lead in one
  QueueHost* host_ = nullptr;
  std::vector<std::string> findings_;

  Load staged_;           // in the open group
  bool in_part_ = false;  // parts do not nest
  using Latest = std::unordered_map<std::string, Sequence>;
  std::map<std::pair<StreamId, RowState>, Latest> latest_;  // of lanes with latest_per_key

  TimerId linger_{};  // armed while a group waits for company
  MonoTime commit_due_{};
  TimerId erasing_{};  // armed while erasures wait for a group to ride in
  bool erase_now_ = false;
  MonoTime anchored_{};
  bool counting_ = true;

  TimerId due_timer_{};  // armed for the first delayed row, or row that waits for its next attempt
  StoreTime due_{};
  std::set<std::pair<StoreTime, StreamId>> expiry_;  // when each stream is to be swept
  std::unordered_map<StreamId, StoreTime> expiry_of_stream_;
  TimerId expiry_timer_{};
  std::deque<StreamId> idle_;  // streams that held nothing when they were noted
  std::unordered_set<StreamId> is_idle_;

  SqlVersion sql_version_{1};
  std::vector<ReplyTo> sql_watchers_;

  std::uint64_t accepted_ = 0;
  std::uint64_t duplicates_ = 0;
  std::uint64_t refused_ = 0;
  std::uint64_t forgotten_ = 0;
};

}  // namespace pannier
