#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "platform/function_ref.h"
#include "runtime/actor/service.h"
#include "runtime/link/router_messages.h"
#include "runtime/queue/delivery.h"
#include "runtime/queue/group.h"
#include "runtime/queue/inbox_lane.h"
#include "runtime/queue/kept.h"
#include "runtime/queue/lane.h"
#include "runtime/queue/new_row.h"
#include "runtime/queue/queue_messages.h"
#include "runtime/queue/replay.h"
#include "runtime/queue/store_clock.h"

namespace pannier {

/// What every producer's streams have brought here, and what of it is new. A row at or below its stream's watermark is
/// a duplicate; one whose predecessor is missing is refused.
class Watermarks {
 public:
  explicit Watermarks(Store& store) : store_(store) {}
  [[nodiscard]] Result<void> load();

  enum class Verdict : std::uint8_t { fresh, duplicate, gap };
  [[nodiscard]] Verdict judge(const IncomingRow& row);
  /// The row is in the group: it counts as taken for what follows it. True for the first one of a group, whose fate
  /// then has to come back through settle.
  [[nodiscard]] bool staged(const IncomingRow& row);
  /// Writes what changed into the group.
  [[nodiscard]] Result<void> write(Group& group);
  /// The group is committed: what each changed stream has now. Or it is not: back to what was, and each producer is
  /// told to send again, since nothing else would remind it.
  [[nodiscard]] std::vector<StreamAck> settle(const Result<void>& fate);
  [[nodiscard]] Sequence committed(const IncomingRow& row);

 private:
  struct Mark {
    Watermark watermark;  // what is on disk
    Sequence staged = 0;
  };
  Mark& mark(const IncomingRow& row);

  Store& store_;
  std::map<std::tuple<std::string, std::uint64_t, std::string>, Mark> marks_;
  std::vector<Mark*> changed_;
};

/// The receiving end of lanes: hands each lane's rows to whoever consumes or pulls them, in order, one at a time a key,
/// within each consumer's window, and keeps what became of them. Memory is bounded, whatever waits on disk.
///
/// Each row in somebody's hands is noted (Store::claim), and the note survives the process: what an earlier life left
/// in hands has had an attempt, and is suspected of having ended that life. Suspects are handed out one at a time,
/// node-wide, with nothing else fresh in anybody's hands, so that a second death blames the right one.
class Inbox {
 public:
  /// All outlive the inbox.
  Inbox(Store& store, Group& group, Lanes& lanes, const StoreClock& clock)
      : store_(store),
        group_(group),
        options_(lanes),
        clock_(clock),
        kept_(store, group, clock, readers_),
        readers_(store, group) {}
  void start(ServicePort& port);
  /// Takes up what an earlier life left, and counts an attempt of what it left in hands.
  [[nodiscard]] Result<void> load(const std::vector<Stream>& streams);
  /// A group has failed: a lane that was made in it is not there any more.
  void forget_streams();

  /// Stages one row in `stream`, which is that of `lane`.
  [[nodiscard]] Result<void> put(StreamId stream, const LaneOptions& lane, const NewRow& row);
  /// As Boxes::withdraw.
  [[nodiscard]] bool withdraw(std::string_view lane, Sequence sequence);
  /// Rows have come to the end of a lane by another way than put, and are committed.
  void grew(std::string_view lane);
  /// Parked rows of the lane have been made ready or erased.
  void parked_changed(std::string_view lane);
  /// invalid_argument for a name that is none; full past limits::kConsumers.
  [[nodiscard]] Result<void> consume(ActorId consumer, const Consume& request);
  /// Answers `question` with what is ready, now or in time. An error: it is not answered.
  [[nodiscard]] Result<void> claim(const Message& question, const ClaimRows& request);
  /// in_use where another living actor reads under that name; full past limits::kCursors.
  [[nodiscard]] Result<void> replay(ActorId reader, const ReplayLane& request);
  [[nodiscard]] Result<void> forget_reader(const ForgetReader& request);
  /// The consumer's state has ended: what it had in its hands is ready again, and counts no attempt.
  void ended(ActorId consumer);
  /// Stages what became of a delivery. not_found: it was settled before, its time was over, or its consumer had ended.
  [[nodiscard]] Result<void> settle(const Settle& settle);
  [[nodiscard]] bool holds(std::uint64_t delivery) const noexcept {
    return Readers::owns(delivery) ? readers_.holds(delivery) : deliveries_.contains(delivery);
  }
  [[nodiscard]] Load load_of(std::string_view lane) const noexcept;
  /// Hands out what there is room for. Outside of a transaction; it may open one, for what it gives up. True when there
  /// is more to do at once.
  bool feed();

  void describe(QueueStatus& status) const;
  /// Why a row that is ready in `lane` has not been handed out: one sentence.
  [[nodiscard]] std::string why_waiting(std::string_view lane, const Row& row) const;
  [[nodiscard]] std::optional<Duration> next_try_in(std::string_view lane, const Row& row) const noexcept;
  struct Counters {
    std::uint64_t handled = 0;
  };
  [[nodiscard]] const Counters& counters() const noexcept { return counters_; }

 private:
  struct Handed {
    InboxLane* lane = nullptr;
    Sequence sequence = 0;
    ActorId holder{};
    bool pulled = false;
    std::uint32_t max_attempts = 0;
    MonoTime since{};
    TimerId visibility{};
  };
  struct Terms {
    ActorId holder{};
    bool pulled = false;
    std::uint32_t max_attempts = 0;
    Duration visibility{};
  };
  using RowName = std::pair<StreamId, Sequence>;

  // inbox.cpp
  InboxLane& lane(StreamId id, std::string_view name);
  /// Makes the lane where it is new.
  [[nodiscard]] Result<InboxLane*> known_lane(std::string_view name);
  [[nodiscard]] Result<void> count_claims(const std::vector<Store::InFlight>& claims);

  // hand_out.cpp
  [[nodiscard]] bool prepare(InboxLane& lane);
  void scan_parked(InboxLane& lane);
  void load_some(InboxLane& lane);
  void for_each_due(InboxLane& lane, FunctionRef<bool(HeldRow&)> each);
  [[nodiscard]] bool give_up_unseen(InboxLane& lane, HeldRow& row);
  [[nodiscard]] bool on_trial();
  bool give(InboxLane& lane, HeldRow& row);
  bool hand_out(InboxLane& lane, HeldRow& row, LaneConsumer& consumer);
  [[nodiscard]] std::uint64_t take(InboxLane& lane, HeldRow& row, const Terms& terms);
  void answer_claimers(InboxLane& lane);
  void answer(LaneClaimer& claimer);

  // settle.cpp
  void timed_out(std::uint64_t delivery);
  void take_back(std::uint64_t delivery);
  struct Word {
    Outcome outcome = Outcome::retry;
    std::optional<Duration> delay;
    std::string cause;
    std::uint32_t attempts = 0;
    bool give_up = false;
  };
  void settled(InboxLane& lane, HeldRow& row, Word& word, const Result<void>& fate);
  void pause(InboxLane& lane, HeldRow& row, Duration delay);
  void release(InboxLane& lane, HeldRow& row) noexcept;
  void note_parked(InboxLane& lane, const HeldRow& row);

  Store& store_;
  Group& group_;
  Lanes& options_;
  const StoreClock& clock_;
  Kept kept_;
  Readers readers_;
  ServicePort* port_ = nullptr;
  std::map<std::string, std::unique_ptr<InboxLane>, std::less<>> lanes_;
  std::unordered_map<std::uint64_t, Handed> deliveries_;
  std::uint64_t next_delivery_ = 1;
  std::uint64_t next_claimer_ = 1;
  bool claims_full_ = false;
  bool more_ = false;
  /// True: it shared the last life's end with others, and is tried alone once, whatever its attempts.
  std::map<RowName, bool> suspects_;
  std::uint64_t trial_ = 0;  ///< The delivery of the suspect that is in somebody's hands; 0: none is.
  TimerId trial_timer_{};
  Counters counters_;
};

}  // namespace pannier
