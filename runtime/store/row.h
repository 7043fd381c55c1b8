#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <pannier/message.h>
#include <pannier/platform.h>
#include <pannier/store.h>

/// What a store keeps: rows in streams, and the marks beside them.
namespace pannier {

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
  Trace trace;                ///< Of the message that caused it; mostly none.

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

}  // namespace pannier
