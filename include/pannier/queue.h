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

/// The answer to enqueue: how durable the message is, and the number to find it by.
struct Receipt {
  Durability durability = Durability::memory;
  Sequence sequence = 0;  ///< Of the first message of a batch.
  /// The token of the first message was known; `sequence` is that of the earlier enqueue. Or Batch::skip_if left the
  /// batch out.
  bool duplicate = false;
};

/// One value of the application's state.
struct StateRow {
  std::string key;
  BlockRef value;

  /// Reads the value as a T. malformed: the bytes do not verify as one. A T with the same fields passes too, so tell
  /// types under one prefix apart by their keys.
  template <FlatTable T>
  [[nodiscard]] Result<Table<T>> as() const {
    if (!value || !verify_table<T>(value.bytes())) return ErrorCode::malformed;
    return Table<T>{value};
  }
};

/// Options of one message that override its lane's.
struct EnqueueOptions {
  Duration delay{};       ///< Not sent or delivered earlier. The message takes its place in the order at that time.
  Duration expires_in{};  ///< Not delivered later. Zero: the lane's default. Travels as time remaining.
  std::optional<Durability> durability = {};  ///< Reached before the receipt is given. None: the lane's default.
  /// Idempotency key of at most limits::kTokenBytes. A second enqueue with it to the same lane and node, within
  /// limits::kTokenMemory, stores nothing and returns the first one's number.
  std::string token = {};
};

/// Changes stored in one transaction or not at all: messages to enqueue, the application's state, its own tables. A
/// value. Takes effect only when committed (NodeActor::commit, Delivery::ack).
class Batch {
 public:
  struct Enqueue {
    std::string node;  // empty: a lane of this node
    std::string lane;
    std::string key;
    AnyTable payload;
    EnqueueOptions options = {};
    bool to_topic = false;  ///< `lane` is a topic.
  };
  struct StateChange {
    std::string key;
    BlockRef value;  // null: erase
  };

  using Messages = std::vector<Enqueue, PoolAllocator<Enqueue>>;

  /// `address` is "lane" on this node or "node/lane". Messages of one key keep their order within a lane.
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
  /// To each lane of this node whose LaneOptions::topics match, all of them or none. not_found, once committed: no lane
  /// takes that topic; as the effect of an `ack`, the delivery is retried then.
  Batch& enqueue_topic(std::string_view topic, std::string_view key, const AnyTable& payload,
                       EnqueueOptions options = {}) {
    messages_.push_back({{}, std::string{topic}, std::string{key}, payload, std::move(options), true});
    return *this;
  }
  Batch& put_state(std::string_view key, const AnyTable& value);
  Batch& erase_state(std::string_view key);
  /// Adds one SQL statement on the application's own tables in the store's file, with ?1 to ?n for `values` (integers,
  /// doubles, text, bytes, SqlNull). Statements run in order, before the messages are stored. If one fails the batch is
  /// rejected, with SQLite's text.
  template <class... Values>
  Batch& execute(std::string sql, Values&&... values) {
    return add({std::move(sql), {sql_value(std::forward<Values>(values))...}});
  }
  /// If this SELECT gives a row, the batch is refused as `conflict`, with the row's first value as the text: for what
  /// must still be so when the batch is stored. Sees what the statements before it did.
  template <class... Values>
  Batch& refuse_if(std::string select, Values&&... values) {
    return add({std::move(select), {sql_value(std::forward<Values>(values))...}, SqlStatement::Purpose::refuse_if});
  }
  /// If this SELECT gives a row, the batch was stored before: nothing of it is stored now, and it counts as done
  /// (Receipt::duplicate). A delivery that it settles is acknowledged. Asked before anything else in the batch.
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
  /// Internal.
  void replace_messages(Messages messages) noexcept { messages_ = std::move(messages); }
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

/// A consumer's hold on one message of a lane. Settle it once, with ack, retry or dead_letter; later calls do nothing.
/// The message is retried if the last copy is destroyed unsettled, or after the visibility timeout, if there is one;
/// settling it then does nothing. Copies share one state. Any thread. Must not outlive its node.
class Delivery {
 public:
  /// Internal: made by the dispatcher.
  Delivery(SettleSink& sink, std::uint64_t id, BlockRef trace = {});

  /// Acknowledges: the message has taken effect and is not delivered again once this is committed. A crash before the
  /// commit delivers it again, so effects that must happen once belong in `effects`, which share the commit.
  void ack(Batch effects = {}) const;
  /// Delivers the message again after `delay`, or as the lane's backoff says. Once its attempts are used up it is
  /// dead-lettered with `cause`.
  void retry(std::optional<Duration> delay = {}, std::string cause = "retry asked for") const;
  /// Dead-letters the message with `cause`. The next message proceeds.
  void dead_letter(std::string cause) const;
  /// Restarts the visibility timeout with this length. Does not settle the delivery.
  void extend(Duration visibility) const;

  /// Internal: its number; and marks it settled by a commit.
  [[nodiscard]] std::uint64_t id() const noexcept;
  void mark_settled() const noexcept;

 private:
  struct State;
  [[nodiscard]] State& state() const noexcept;
  BlockRef state_;
};

}  // namespace pannier

/// How a program takes messages from a lane (deliveries, fetch, replay) and selects dead letters. Values.
namespace pannier {

struct ConsumeOptions {
  std::uint32_t window = 16;  ///< Unsettled deliveries at once. Per key there is never more than one.
  std::uint32_t max_attempts =
      0;  ///< After this many, the message is dead-lettered with its last cause. 0: the lane's limit.
  /// A delivery not settled in time is retried, which counts as an attempt. Zero: no limit.
  Duration visibility{};
};

struct FetchOptions {
  std::uint32_t max = 1;                           ///< The most messages to return.
  Duration visibility = std::chrono::seconds{30};  ///< As ConsumeOptions::visibility.
  Duration wait{};                                 ///< How long to wait for the first message if none is ready.
};

/// One fetched message of any type. Retried unless settled.
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

/// Where a reader starts that the lane does not know yet.
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
  std::string reader = {};         ///< The lane remembers the reader's position under this name.
  Replay from = Replay::earliest;  ///< Where a new reader starts.
  bool restart = false;            ///< Start at `from` even if the lane knows the reader.
  std::uint32_t window = 16;       ///< Unsettled deliveries at once.
};

/// Selects dead letters. Empty and 0 match any.
struct DeadLetterSelection {
  Box box = Box::inbox;
  std::string node = {};  ///< Outbox: the destination.
  std::string lane = {};
  std::string key = {};
  Sequence id = 0;  ///< The number from its receipt.
};

/// How many messages were redriven or purged.
struct DeadLetterCount {
  std::uint64_t messages = 0;
  bool more = false;  ///< More match: call again. One call handles at most limits::kMoveRows.
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
  std::uint64_t in_flight = 0;           ///< Sent and not acknowledged, or held by consumers.
  bool link_up = false;
  std::size_t consumers = 0;  ///< Inbox: actors consuming it.
  bool exact = true;          ///< False while `loads` are being counted after an unclean end.

  [[nodiscard]] const Load& operator[](RowState state) const noexcept { return loads[static_cast<std::size_t>(state)]; }
};

/// One message: where it is and why it waits.
struct RowStatus {
  Box box{};
  std::string node;
  std::string lane;
  Sequence id = 0;  ///< The number from its receipt.
  Sequence sequence = 0;
  std::string producer;  ///< The node it came from. Empty if enqueued here.
  std::string key;
  TypeId type{};
  std::uint64_t bytes = 0;
  WallTime enqueued_at{};
  RowState state{};
  std::uint32_t attempts = 0;
  std::string cause;                    ///< The last error.
  std::optional<Duration> due_in = {};  ///< Of a delayed message, or one waiting for its next attempt.
  std::optional<Duration> expires_in = {};
  std::uint64_t position = 0;      ///< Rows before it in its stream and state.
  bool position_is_least = false;  ///< There may be more: counting stopped at limits::kLookRows.
  std::string waits_for;           ///< One sentence.
};

/// The position of a named reader in a lane's retained messages.
struct ReaderStatus {
  std::string lane;
  std::string reader;
  Sequence sequence = 0;  ///< Everything up to here has been read.
  std::uint64_t in_hands = 0;
  std::uint64_t passed_over = 0;  ///< Messages the reader dead-lettered. They stay retained and reading goes on.
  std::uint64_t gaps = 0;         ///< Times that unread messages were trimmed.
  bool attached = false;          ///< An actor is reading under this name.
};

/// Selects what QueueControl::inspect returns. Rows only if `rows` is not zero.
struct Inspect {
  std::string key = {};  ///< Only rows with this key. Empty: any.
  std::size_t rows = 0;  ///< The most rows to return.
};

struct QueueStatus {
  std::vector<StreamStatus> streams;
  std::vector<LaneStatus> lanes;  ///< By name.
  std::vector<RowStatus> rows;
  std::uint64_t rows_not_examined = 0;  ///< A lower bound of the rows not examined.
  std::vector<ReaderStatus> readers;
  std::vector<std::string> links;  ///< Nodes with a link now.
  StoreCounters store;
  std::uint64_t accepted = 0;    ///< Messages whose receipt was given.
  std::uint64_t delivered = 0;   ///< Rows acknowledged by other nodes.
  std::uint64_t handled = 0;     ///< Deliveries acknowledged.
  std::uint64_t duplicates = 0;  ///< Rows received again, and dropped.
  std::uint64_t refused = 0;     ///< Enqueues and rows not stored.
  std::uint64_t forgotten = 0;   ///< Messages with a receipt of `memory` that could not be stored afterwards.
};

/// The outcome of a cancel.
struct Cancelled {
  /// It was sent before, perhaps by an earlier process, and never acknowledged. The other node may have it.
  bool may_have_left = false;
};

}  // namespace pannier
