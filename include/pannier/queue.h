#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <pannier/lane.h>
#include <pannier/message.h>
#include <pannier/store.h>

namespace pannier {

/// What enqueue answers: how durable the message is now, and the number that it can be found by.
struct Receipt {
  Durability durability = Durability::memory;
  Sequence sequence = 0;   ///< Of the first message of a batch.
  bool duplicate = false;  ///< The first message's token was known: `sequence` is that of the earlier enqueue.
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
  template <FlatTable T>
  Batch& enqueue(const Lane<T>& lane, std::string_view key, const Table<T>& payload, EnqueueOptions options = {}) {
    return enqueue(lane.name(), key, AnyTable{payload}, std::move(options));
  }
  template <FlatTable T>
  Batch& enqueue(const RemoteLane<T>& lane, std::string_view key, const Table<T>& payload,
                 EnqueueOptions options = {}) {
    return enqueue(lane.address, key, AnyTable{payload}, std::move(options));
  }
  Batch& put_state(std::string_view key, const AnyTable& value);
  Batch& erase_state(std::string_view key);
  /// One SQL statement on the application's own tables in the store's file, with ?1 to ?n for `values` (integers,
  /// doubles, text, bytes, SqlNull). They run in their order, before the messages are stored. Where one fails the batch
  /// is refused as `rejected`, with SQLite's text.
  template <class... Values>
  Batch& execute(std::string sql, Values&&... values) {
    sql_.push_back({std::move(sql), {sql_value(std::forward<Values>(values))...}});
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

/// How a consumer settles a delivery.
enum class Outcome : std::uint8_t { ack, retry, dead_letter, extend };

class SettleSink;  // runtime/queue/settle_sink.h

/// A message of a lane in a consumer's hands. Settle it once with ack, retry or dead_letter; later calls do nothing. A
/// delivery whose last copy is destroyed unsettled is retried. After its visibility timeout, if it has one, settling it
/// does nothing. Copies share one state. Any thread; it must not outlive its node.
class Delivery {
 public:
  /// Internal: made by the dispatcher.
  Delivery(SettleSink& sink, std::uint64_t id);

  /// The message has taken effect and is not delivered again once this is committed. A crash before that delivers it
  /// again, so an effect that must happen once goes into `effects`, which share the commit.
  void ack(Batch effects = {}) const;
  /// Delivers the message again, at the earliest after `delay`, or as the lane's backoff says. Once the attempts are
  /// used up it is dead-lettered with `cause`.
  void retry(std::optional<Duration> delay = {}, std::string cause = "retry asked for") const;
  /// Dead-letters the message with `cause`. The next message goes on.
  void dead_letter(std::string cause) const;
  /// Restarts the visibility timeout, now with this length. Does not settle the delivery.
  void extend(Duration visibility) const;

  /// Internal: its number, and that the queue has settled it by way of a commit.
  [[nodiscard]] std::uint64_t id() const noexcept;
  void mark_settled() const noexcept;

 private:
  struct State;
  [[nodiscard]] State& state() const noexcept;
  BlockRef state_;
};

}  // namespace pannier

/// How a program takes messages from a lane: as deliveries, by fetching, or by replay; and how it selects dead letters.
/// Values.
namespace pannier {

struct ConsumeOptions {
  std::uint32_t window = 16;  ///< Unsettled deliveries at once. Per key there is one, whatever the window.
  std::uint32_t max_attempts =
      0;  ///< After so many the message is dead-lettered with its last cause. 0: as the lane says.
  /// A delivery that is not settled in time is retried, which counts as an attempt. Zero: no limit.
  Duration visibility{};
};

struct FetchOptions {
  std::uint32_t max = 1;                           ///< Messages at most.
  Duration visibility = std::chrono::seconds{30};  ///< As ConsumeOptions::visibility.
  Duration wait{};                                 ///< How long to wait for the first message if none is ready.
};

/// One fetched message of any type. Unless settled it is retried.
struct FetchedRow {
  std::string key;
  std::uint32_t attempts = 0;  ///< Before this one.
  AnyTable payload;
  Delivery delivery;
};

/// One fetched message of type T.
template <class T>
struct Fetched {
  std::string key;
  std::uint32_t attempts = 0;  ///< Before this one.
  Table<T> payload;
  Delivery delivery;
};
template <>
struct Fetched<AnyTable> : FetchedRow {};

/// Where a reader starts if the lane does not know it yet.
struct Replay {
  enum class Start : std::uint8_t { earliest, latest, at };
  Start start = Start::earliest;
  Sequence position = 0;

  static const Replay earliest;  ///< The oldest retained message.
  static const Replay latest;    ///< Messages handled from now on.
  /// The message of that sequence, or the next one retained.
  [[nodiscard]] static constexpr Replay sequence(Sequence number) noexcept { return {Start::at, number}; }
};
inline constexpr Replay Replay::earliest{Start::earliest, 0};
inline constexpr Replay Replay::latest{Start::latest, 0};

struct ReplayOptions {
  std::string reader = {};         ///< Name under which the lane remembers how far the reader has come.
  Replay from = Replay::earliest;  ///< Where a new reader starts.
  bool restart = false;            ///< Start at `from` even if the lane knows the reader.
  std::uint32_t window = 16;       ///< Unsettled deliveries at once.
};

/// Selects dead letters. Empty and 0 select any.
struct DeadLetterSelection {
  Box box = Box::inbox;
  std::string node = {};  ///< Outbox: the destination.
  std::string lane = {};
  std::string key = {};
  Sequence id = 0;  ///< The number of its receipt.
};

/// How many messages were redriven or purged.
struct DeadLetterCount {
  std::uint64_t messages = 0;
  bool more = false;  ///< More may be selected: ask again. One call handles at most limits::kMoveRows.
};

namespace detail {

template <class T>
struct Carried<std::vector<Fetched<T>>> {
  using type = std::vector<FetchedRow>;
  static std::vector<Fetched<T>> unpack(type&& rows) {
    std::vector<Fetched<T>> all;
    all.reserve(rows.size());
    for (FetchedRow& row : rows) {
      if constexpr (std::is_same_v<T, AnyTable>) {
        all.push_back(Fetched<AnyTable>{std::move(row)});
      } else if (auto table = row.payload.template as<T>()) {
        all.push_back({std::move(row.key), row.attempts, std::move(*table), std::move(row.delivery)});
      } else {
        row.delivery.retry({}, "fetched as another type: " + table.error().text());
      }
    }
    return all;
  }
};

}  // namespace detail

}  // namespace pannier

/// What people and tools see of a queue. Values.
namespace pannier {

/// What waits in one stream.
struct StreamStatus {
  Box box{};
  std::string node;
  std::string lane;
  std::array<Load, kRowStates> loads{};  ///< By state.
  std::uint64_t in_flight = 0;           ///< Sent and not acknowledged, or in consumers' hands.
  bool link_up = false;
  std::size_t consumers = 0;  ///< Inbox: actors that consume it.
  bool exact = true;          ///< False while `loads` are still being counted after an unclean end.

  [[nodiscard]] const Load& operator[](RowState state) const noexcept { return loads[static_cast<std::size_t>(state)]; }
};

/// One row, for "where is message X and why does it wait?".
struct RowStatus {
  Box box{};
  std::string node;
  std::string lane;
  Sequence id = 0;  ///< As its receipt named it.
  Sequence sequence = 0;
  std::string producer;  ///< The node that it came from; empty if it was enqueued here.
  std::string key;
  TypeId type{};
  std::uint64_t bytes = 0;
  WallTime enqueued_at{};
  RowState state{};
  std::uint32_t attempts = 0;
  std::string cause;                    ///< The last error.
  std::optional<Duration> due_in = {};  ///< Of a delayed message, or one that waits for its next attempt.
  std::optional<Duration> expires_in = {};
  std::uint64_t position = 0;      ///< Rows before it in its stream and state.
  bool position_is_least = false;  ///< There may be more: counting stopped at limits::kLookRows.
  std::string waits_for;           ///< One sentence.
};

/// How far a named reader of a lane's retained messages has come.
struct ReaderStatus {
  std::string lane;
  std::string reader;
  Sequence sequence = 0;  ///< Everything up to here has been read.
  std::uint64_t in_hands = 0;
  std::uint64_t passed_over = 0;  ///< Messages that the reader dead-lettered: they stay retained, reading goes on.
  std::uint64_t gaps = 0;         ///< Times that unread messages were trimmed.
  bool attached = false;          ///< An actor reads under this name now.
};

/// What QueueControl::inspect looks at. Rows only where `rows` is not zero.
struct Inspect {
  std::string key = {};  ///< Only rows with this key; empty: any.
  std::size_t rows = 0;  ///< At most so many.
};

struct QueueStatus {
  std::vector<StreamStatus> streams;
  std::vector<LaneStatus> lanes;  ///< By name.
  std::vector<RowStatus> rows;
  std::uint64_t rows_not_examined = 0;  ///< Rows that the search for `rows` did not reach, at least.
  std::vector<ReaderStatus> readers;
  std::vector<std::string> links;  ///< Nodes that a link leads to now.
  StoreCounters store;
  std::uint64_t accepted = 0;    ///< Messages whose receipt was given.
  std::uint64_t delivered = 0;   ///< Rows acknowledged by other nodes.
  std::uint64_t handled = 0;     ///< Deliveries that were acknowledged.
  std::uint64_t duplicates = 0;  ///< Rows received again, and dropped.
  std::uint64_t refused = 0;     ///< Enqueues and rows that were not stored.
  std::uint64_t forgotten = 0;   ///< Messages whose receipt said `memory`, and which could not be stored afterwards.
};

/// What became of a message that was cancelled.
struct Cancelled {
  /// It was sent before, perhaps by an earlier process, and never acknowledged: the other node may have it all the
  /// same.
  bool may_have_left = false;
};

}  // namespace pannier
