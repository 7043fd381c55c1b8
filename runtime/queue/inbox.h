#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <pannier/queue.h>
#include "platform/function_ref.h"
#include "runtime/queue/group.h"
#include "runtime/queue/host.h"
#include "runtime/queue/lanes.h"
#include "runtime/queue/replay.h"
#include "runtime/queue/requests.h"
#include "runtime/queue/settle_sink.h"
#include "runtime/queue/store_clock.h"

namespace pannier {

/// A ready row in memory.
struct HeldRow {
  enum class State : std::uint8_t {
    ready,     ///< May be dispatched once it is the first of its key.
    in_hands,  ///< Delivered to a consumer or fetcher, not settled.
    settling,  ///< Its settlement is in the open group. Its key waits for the commit.
    removed,   ///< It is erased or dead-lettered in the open group. Its key does not wait.
    paused,    ///< The store failed; until a timer fires. Its key waits.
  };
  Sequence sequence = 0;
  Sequence id = 0;  ///< Row::id
  std::string key;
  TypeId type{};
  BlockRef payload;
  StoreTime expires_at{};
  std::uint32_t attempts = 0;
  std::string cause = {};  ///< Of the last attempt.
  BlockRef trace = {};
  State state = State::ready;
  std::uint64_t delivery = 0;
  bool noted = false;  ///< It is in the in-flight journal.
};

struct LaneConsumer {
  ActorId actor;
  ConsumeOptions options;
  std::uint32_t in_hands = 0;
  std::uint64_t turn = 0;  ///< When it last got a delivery: among equals the one that has waited longest is next.
  bool full = false;       ///< Its mailbox was; a timer ends that.

  [[nodiscard]] bool has_window() const noexcept { return !full && in_hands < options.window; }
};

/// A fetch that waits for its first message.
struct LaneFetcher {
  std::uint64_t number = 0;
  ReplyTo reply_to;
  FetchOptions options;
  TimerId deadline{};
  std::vector<FetchedRow> got = {};
};

/// What the inbox holds of one lane in memory: at most limits::kInboxHeldRows rows, whatever waits on disk.
///
/// Rows are read in order. A row whose key has enough rows in memory already is passed over, and the key remembers from
/// where on it has more; so no number of rows behind one key hides the rows of another. A key whose first row waits for
/// its next attempt holds no memory at all: that wait is on disk (Row::moment).
struct InLane {
  StreamId id{};  ///< None: the lane holds nothing yet.
  LaneStatus* lane = nullptr;
  std::deque<HeldRow> held = {};  ///< By sequence.
  std::size_t held_bytes = 0;
  Sequence loaded = 0;     ///< Rows up to here are held, passed over or gone.
  Sequence committed = 0;  ///< The newest row on disk; ~0: unknown.
  struct Key {
    std::uint32_t held = 0;
    bool busy = false;       ///< Its first row is in hands, settling or paused.
    Sequence more_from = 0;  ///< Rows from here to `loaded` were passed over. 0: none.
  };
  std::unordered_map<std::string, Key> keys = {};  ///< Of the rows that are held, where keys are ordered.
  std::vector<std::string> used_up = {};           ///< Keys that have no row in memory, and more on disk.
  std::vector<LaneConsumer> consumers = {};
  std::vector<LaneFetcher> fetchers = {};
  std::uint64_t turns = 0;
  std::uint32_t in_hands = 0;
  bool dirty = false;   ///< It stands in Inbox::dirty_.
  TimerId age_timer{};  ///< Armed while something is retained for a time.

  [[nodiscard]] const std::string& name() const noexcept { return lane->options.name; }
  [[nodiscard]] bool has_takers() const noexcept { return !consumers.empty() || !fetchers.empty(); }
  /// True if a consumer or fetcher can take a row now.
  [[nodiscard]] bool has_window() const noexcept;
  [[nodiscard]] bool has_space() const noexcept {
    return held.size() < limits::kInboxHeldRows && held_bytes < limits::kInboxHeldBytes;
  }
  [[nodiscard]] bool is_ordered(std::string_view key) const noexcept;
  /// It is the turn of this row: it is ready, and the first of its key.
  [[nodiscard]] bool is_due(const HeldRow& row) const noexcept;
  [[nodiscard]] HeldRow* find(Sequence sequence) noexcept;
  [[nodiscard]] const HeldRow* find(Sequence sequence) const noexcept;
  void hold(HeldRow row);
  void set_state(HeldRow& row, HeldRow::State state) noexcept;
  void forget(Sequence sequence);
  /// Drops a key's ready rows from memory; they are read again later.
  void drop_key(const std::string& key);
  /// Drops ready rows that wait behind others of their key, the newest first, until half of the rows are left.
  void drop_waiting();
  [[nodiscard]] LaneConsumer* consumer(ActorId actor) noexcept;
  /// The largest number of attempts that anyone who takes its messages allows.
  [[nodiscard]] std::uint32_t max_attempts() const noexcept;
};

/// The receiving end of lanes: gives each lane's rows to whoever consumes or fetches them, in order, one at a time per
/// key, within each consumer's window, and stores how they were settled.
///
/// Each unsettled delivery is in the in-flight journal, which survives a crash of the process. A row that an earlier
/// process left there counts as attempted and is suspected of having crashed that process. Suspects are dispatched one
/// at a time, with no other delivery unsettled, so that a second crash blames the right one.
class Inbox {
 public:
  /// All outlive the inbox.
  Inbox(Store& store, Group& group, Lanes& lanes, const StoreClock& clock)
      : store_(store), group_(group), lanes_options_(lanes), clock_(clock), readers_(store, group) {}
  void start(QueueHost& host, SettleSink& sink);
  /// Counts an attempt for each row in an earlier process's in-flight journal. `findings`: lines for the log.
  [[nodiscard]] Result<void> load(std::vector<std::string>& findings);

  // --- Who takes messages (inbox.cpp)
  /// invalid_argument for a bad lane name; full past limits::kConsumers.
  [[nodiscard]] Result<void> consume(ActorId consumer, const Consume& request);
  /// Answers with what is ready, now or in time. After an error it does not answer.
  [[nodiscard]] Result<void> fetch(const ReplyTo& reply_to, const Fetch& request);
  /// in_use where another living actor reads under that name; full past limits::kCursors.
  [[nodiscard]] Result<void> replay(ActorId reader, const ReplayLane& request);
  [[nodiscard]] Result<void> forget_reader(const ForgetReader& request);
  /// The consumer's state has ended: what it had in hands is ready again, and counts no attempt.
  void ended(ActorId consumer);
  /// The lane's options have changed.
  void options_changed(std::string_view lane);

  // --- Rows that come (inbox.cpp)
  void added(effect::Added& row);
  /// Rows became ready by another way, and are committed; the lowest of them is `from`, 0: only at the end.
  void grew(StreamId stream, Sequence from);
  /// Marks a ready row as removed within the open group. False where it is in someone's hands: it may not be.
  [[nodiscard]] bool remove(StreamId stream, Sequence sequence);
  void settle(effect::Removed& removed, const Result<void>& fate);
  /// Whether any ready row anywhere waits for a moment (first_of_key has to be asked).
  void rows_may_wait(bool may) noexcept { rows_may_wait_ = may; }
  /// Forgets a stream that the store is about to erase. False while it is in use.
  bool forget(StreamId stream);

  // --- Rows that go (dispatch.cpp)
  /// Dispatches what there is a window for. Outside of a transaction; it may open one, for what it gives up. True when
  /// there is more to do at once.
  bool dispatch();

  // --- How they were settled (settle.cpp)
  /// not_found: it was settled before, its visibility timeout has passed, or its consumer has ended.
  [[nodiscard]] Result<void> settle(const Settle& settle);
  [[nodiscard]] bool holds(std::uint64_t delivery) const noexcept {
    return Readers::owns(delivery) ? readers_.holds(delivery) : deliveries_.contains(delivery);
  }
  void settle(effect::Settled& settled, const Result<void>& fate);
  void settle(effect::Retained& retained, const Result<void>& fate);
  [[nodiscard]] Readers& readers() noexcept { return readers_; }
  [[nodiscard]] std::uint64_t handled() const noexcept { return handled_; }

  // --- For people (dispatch.cpp)
  /// Why a ready row has not been dispatched: one sentence.
  [[nodiscard]] std::string why_waiting(const Stream& stream, const Row& row) const;
  void describe(QueueStatus& status) const;

 private:
  struct Handed {
    InLane* lane = nullptr;
    Sequence sequence = 0;
    ActorId holder{};
    bool fetched = false;
    std::uint32_t max_attempts = 0;
    Duration visibility{};
    MonoTime since{};
    TimerId timer{};
  };
  using RowName = std::pair<StreamId, Sequence>;

  [[nodiscard]] Result<InLane*> lane(std::string_view name);
  [[nodiscard]] InLane* find(StreamId id) const noexcept;
  void resolve(InLane& lane);
  void touch(InLane& lane);
  void load_more(InLane& lane);
  bool refill(InLane& lane, const std::string& key);
  bool scan(InLane& lane);
  [[nodiscard]] bool key_waits(const InLane& lane, std::string_view key);

  void for_each_due(InLane& lane, FunctionRef<bool(HeldRow&)> visit);
  [[nodiscard]] bool give_up(InLane& lane, HeldRow& row);
  [[nodiscard]] bool on_trial();
  bool give(InLane& lane, HeldRow& row);
  bool deliver(InLane& lane, HeldRow& row, LaneConsumer& consumer);
  [[nodiscard]] std::uint64_t hand_to(InLane& lane, HeldRow& row, Handed handed);
  void answer_fetchers(InLane& lane);
  void answer(LaneFetcher& fetcher);

  void timed_out(std::uint64_t delivery);
  void arm_visibility(std::uint64_t delivery, Handed& handed);
  void take_back(std::uint64_t delivery);
  void clear_note(InLane& lane, HeldRow& row) noexcept;
  void pause(InLane& lane, HeldRow& row, Duration delay);
  [[nodiscard]] Result<void> trim(InLane& lane);
  void watch_age(InLane& lane);

  Store& store_;
  Group& group_;
  Lanes& lanes_options_;
  const StoreClock& clock_;
  Readers readers_;
  QueueHost* host_ = nullptr;
  SettleSink* sink_ = nullptr;
  std::map<std::string, std::unique_ptr<InLane>, std::less<>> lanes_;
  std::unordered_map<StreamId, InLane*> by_id_;
  std::vector<InLane*> dirty_;
  std::unordered_map<std::uint64_t, Handed> deliveries_;
  std::uint64_t next_delivery_ = 1;
  std::uint64_t next_fetcher_ = 1;
  bool rows_may_wait_ = true;
  bool journal_full_ = false;
  bool more_ = false;
  /// True: it shared the last process's end with others, and is tried alone once, whatever its attempts.
  std::map<RowName, bool> suspects_;
  std::uint64_t trial_ = 0;  ///< The delivery of the suspect in someone's hands; 0: none.
  TimerId trial_timer_{};
  std::uint64_t handled_ = 0;
};

}  // namespace pannier
