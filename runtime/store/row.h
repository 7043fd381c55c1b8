#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "platform/clock.h"
#include "runtime/message/type_id.h"

/// What a store keeps: rows in streams, and the marks beside them.
namespace pannier {

/// How durable a message is once its receipt is given.
enum class Durability : std::uint8_t {
  memory,     ///< In this process only.
  committed,  ///< In the file, survives this process; a power cut may take it.
  fsynced,    ///< On stable storage. The default.
};

/// A stream is one ordered run of rows in a box: in the outbox one (destination node, lane), in the inbox one lane.
/// Small numbers, 1 to limits::kStreams, given by the store. 0 is no stream.
enum class StreamId : std::uint32_t {};

/// Time as a store has lived it: monotonic, goes on across restarts, steps with no wall clock (StoreClock says how).
struct StoreEpoch {
  using duration = Duration;
  using rep = Duration::rep;
  using period = Duration::period;
  using time_point = std::chrono::time_point<StoreEpoch, Duration>;
  static constexpr bool is_steady = true;
};
using StoreTime = StoreEpoch::time_point;
inline constexpr StoreTime kNoMoment{};

/// Readings of all clocks at one moment: what the time of a store is carried on by over a restart.
struct ClockAnchor {
  StoreTime store{};
  MonoTime mono{};
  WallTime wall{};
  std::uint64_t boot = 0;  ///< Clock::boot().
};

/// Numbers a store's messages. Grows across restarts and never repeats in one file. Not dense: gaps mean nothing.
using Sequence = std::uint64_t;

enum class Box : std::uint8_t { outbox, inbox };

enum class RowState : std::uint8_t {
  ready,          ///< Waits for its link or its consumer; with a moment, for its next attempt.
  dead_lettered,  ///< Given up on, with its cause, until someone redrives or purges it.
  delayed,        ///< Not to be sent or delivered before its moment.
  retained,       ///< Handled at its moment, and kept for replay.
};
inline constexpr std::array kAllRowStates = {RowState::ready, RowState::dead_lettered, RowState::delayed,
                                             RowState::retained};
inline constexpr std::size_t kRowStates = kAllRowStates.size();

/// Rows, and the bytes of their payloads.
struct Load {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;

  bool operator==(const Load&) const = default;
  Load& operator+=(const Load& more) noexcept {
    messages += more.messages;
    bytes += more.bytes;
    return *this;
  }
  /// Not below zero: after a group that failed a count may be behind for a moment.
  Load& operator-=(const Load& less) noexcept {
    messages -= less.messages < messages ? less.messages : messages;
    bytes -= less.bytes < bytes ? less.bytes : bytes;
    return *this;
  }
};

struct Stream {
  StreamId id;
  Box box;
  std::string node;  ///< Destination of an outbox stream; empty for the inbox.
  std::string lane;
  std::array<Load, kRowStates> loads{};  ///< By state.
  /// False while rows are still being counted after an unclean end (Store::count_some): `loads` are then the last ones
  /// that were noted, with all changes since.
  bool exact = true;

  [[nodiscard]] Load& operator[](RowState state) noexcept { return loads[static_cast<std::size_t>(state)]; }
  [[nodiscard]] const Load& operator[](RowState state) const noexcept { return loads[static_cast<std::size_t>(state)]; }
};

/// One row of either box. As an argument everything is borrowed for the call; handed to a visitor it is
/// borrowed for the visit, and the payload may be misaligned: copy it into a Block before it is read.
struct Row {
  StreamId stream{};
  Sequence sequence = 0;
  /// The number that its receipt named, where the row has moved to another sequence since; 0 where it is `sequence`.
  Sequence origin = 0;
  std::string_view key;
  TypeId type{};
  std::span<const std::byte> payload;
  WallTime enqueued_at{};  ///< For people; no decision rests on it.
  StoreTime expires_at{};  ///< Not to be delivered from then on; kNoMoment: never expires.
  StoreTime
      moment{};  ///< Delayed: when it is due. Retained: when it was handled. Ready: its next attempt, or kNoMoment.
  RowState state = RowState::ready;
  std::uint32_t attempts = 0;
  std::string_view producer;  ///< Inbox only: the node it came from; empty for a local enqueue.
  std::string_view cause;     ///< The last error; of a dead-lettered row the reason.

  /// What people and receipts know it by.
  [[nodiscard]] Sequence id() const noexcept { return origin != 0 ? origin : sequence; }
};

/// The highest sequence of one producer's stream that has been taken in. What is at or below it is a
/// duplicate.
struct Watermark {
  std::string producer;           ///< Node name.
  std::uint64_t incarnation = 0;  ///< Of the producer's store when it enqueued the row.
  std::string lane;
  Sequence sequence = 0;
};

/// How far one named reader of a stream's retained rows has come.
struct Cursor {
  StreamId stream{};
  std::string reader;
  Sequence sequence = 0;  ///< Everything up to here has been read.
};

/// What SQL takes and gives. Text and blob are owned.
struct SqlNull {
  bool operator==(const SqlNull&) const = default;
};
using SqlValue = std::variant<SqlNull, std::int64_t, double, std::string, std::vector<std::byte>>;
/// From what a program has at hand: any integer, floating point, text, bytes, SqlNull.
template <class T>
[[nodiscard]] SqlValue sql_value(T&& value) {
  using Plain = std::remove_cvref_t<T>;
  if constexpr (std::is_same_v<Plain, SqlNull> || std::is_same_v<Plain, SqlValue>) {
    return std::forward<T>(value);
  } else if constexpr (std::is_integral_v<Plain>) {
    return static_cast<std::int64_t>(value);
  } else if constexpr (std::is_floating_point_v<Plain>) {
    return static_cast<double>(value);
  } else if constexpr (std::is_convertible_v<T, std::string_view>) {
    return std::string{std::string_view{value}};
  } else {
    return std::vector<std::byte>{std::forward<T>(value)};
  }
}

struct SqlStatement {
  std::string sql;  ///< One statement, with ?1 to ?n for its values.
  std::vector<SqlValue> values;
  /// What a statement of a batch is for (Batch): a change, or a SELECT that decides about the whole batch.
  enum class Purpose : std::uint8_t { change, refuse_if, skip_if };
  Purpose purpose = Purpose::change;
};

}  // namespace pannier
