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

/// What a store keeps: rows in streams, watermarks, and the cursors of readers.
namespace pannier {

/// Names a stream, an ordered sequence of rows: one per (destination node, lane) in the outbox, one per lane in the
/// inbox. Assigned by the store, from 1 to limits::kStreams. 0 is no stream.
enum class StreamId : std::uint32_t {};

/// The clock of a store: monotonic, continues across restarts, and does not step with the wall clock (see StoreClock).
struct StoreEpoch {
  using duration = Duration;
  using rep = Duration::rep;
  using period = Duration::period;
  using time_point = std::chrono::time_point<StoreEpoch, Duration>;
  static constexpr bool is_steady = true;
};
using StoreTime = StoreEpoch::time_point;
inline constexpr StoreTime kNoMoment{};

/// All clocks read at one moment. A store's time continues from the last anchor after a restart.
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
  /// False while rows are being counted after an unclean end (Store::count_some). Until then `loads` are estimates: the
  /// last ones stored, with all changes since.
  bool exact = true;

  [[nodiscard]] Load& operator[](RowState state) noexcept { return loads[static_cast<std::size_t>(state)]; }
  [[nodiscard]] const Load& operator[](RowState state) const noexcept { return loads[static_cast<std::size_t>(state)]; }
};

/// One row of either box. As an argument, views are borrowed for the call. In a visitor, they are borrowed for the
/// visit, and the payload may be misaligned: copy it into a Block before reading it.
struct Row {
  StreamId stream{};
  Sequence sequence = 0;
  /// The sequence in its receipt, if the row has moved to another sequence since; otherwise 0.
  Sequence origin = 0;
  std::string_view key;
  TypeId type{};
  std::span<const std::byte> payload;
  WallTime enqueued_at{};  ///< For display only.
  StoreTime expires_at{};  ///< From then on it is not delivered; kNoMoment: never expires.
  StoreTime
      moment{};  ///< Delayed: when it is due. Retained: when it was handled. Ready: its next attempt, or kNoMoment.
  RowState state = RowState::ready;
  std::uint32_t attempts = 0;
  std::string_view producer;  ///< Empty for a local enqueue. Inbox: the node it came from. Outbox: all nodes that have
                              ///< stored it, first to last, separated by ' '.
  std::string_view cause;     ///< The last error; for a dead letter, the reason.
  Trace trace;                ///< Trace context; usually none.

  /// The sequence in its receipt, also shown to people.
  [[nodiscard]] Sequence id() const noexcept { return origin != 0 ? origin : sequence; }
};

/// The highest sequence of one producer's stream that was committed here. A row at or below it is a duplicate.
struct Watermark {
  std::string producer;           ///< Node name.
  std::uint64_t incarnation = 0;  ///< The incarnation of the producer's store.
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
