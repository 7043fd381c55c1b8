#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "runtime/message/any_table.h"
#include "runtime/queue/delivery.h"
#include "runtime/store/row.h"

/// What a program says to the receiving end of a lane: how it consumes, claims, reads again, and decides about what is
/// parked. Values.
namespace pannier {

/// What a consumer of a lane asks for.
struct ConsumeOptions {
  std::uint32_t window = 16;       ///< Deliveries in its hands at once. One at a time a key, whatever the window.
  std::uint32_t max_attempts = 0;  ///< Past that the message is parked with its last cause. 0: as the lane says.
  /// A delivery that is not settled in time goes back, and counts as an attempt. Zero: it may take any time.
  Duration visibility{};
};

/// A pull: what is ready now, instead of a stream of deliveries.
struct ClaimOptions {
  std::uint32_t max = 1;                           ///< At most so many at once.
  Duration visibility = std::chrono::seconds{30};  ///< As ConsumeOptions::visibility.
  Duration wait{};                                 ///< So long for the first one, where none is ready.
};

/// One message of a pull, of whatever type. What is not settled goes back.
struct ClaimedRow {
  std::string key;
  std::uint32_t attempts = 0;  ///< Before this one.
  AnyTable payload;
  Delivery delivery;
};

/// One message of a pull.
template <class T>
struct Claimed {
  std::string key;
  std::uint32_t attempts = 0;  ///< Before this one.
  Table<T> payload;
  Delivery delivery;
};
template <>
struct Claimed<AnyTable> : ClaimedRow {};

/// Where a reader starts that the lane does not know yet.
struct Replay {
  enum class Start : std::uint8_t { earliest, latest, at };
  Start start = Start::earliest;
  Sequence position = 0;

  /// With the oldest message that is kept.
  static const Replay earliest;
  /// With what is handled from now on.
  static const Replay latest;
  /// With the message of that number, or the next one that is kept.
  [[nodiscard]] static constexpr Replay sequence(Sequence number) noexcept { return {Start::at, number}; }
};
inline constexpr Replay Replay::earliest{Start::earliest, 0};
inline constexpr Replay Replay::latest{Start::latest, 0};

struct ReplayOptions {
  std::string reader = {};         ///< Its name, under which the lane remembers how far it has come.
  Replay from = Replay::earliest;  ///< Where the lane knows no reader of that name.
  bool anew = false;               ///< From `from` in any case: how far it had come is forgotten.
  std::uint32_t window = 16;       ///< Deliveries in its hands at once.
};

/// Which parked messages. What is empty, or 0, is any.
struct ParkedSelection {
  Box box = Box::inbox;
  std::string node = {};  ///< Outbox: the destination.
  std::string lane = {};
  std::string key = {};
  Sequence id = 0;  ///< The number of its receipt.
};

/// What became of a selection. One transaction takes a bounded number (limits::kMoveRows).
struct ParkedAnswer {
  std::uint64_t messages = 0;
  bool more = false;  ///< There may be more of them: ask again.
};

namespace detail {

/// What a reply carries in the process for a T, and how the T is made of it.
template <class T>
struct Carried {
  using type = T;
  static T unpack(T&& value) { return std::move(value); }
};
template <class T>
struct Carried<std::vector<Claimed<T>>> {
  using type = std::vector<ClaimedRow>;
  static std::vector<Claimed<T>> unpack(type&& rows) {
    std::vector<Claimed<T>> all;
    all.reserve(rows.size());
    for (ClaimedRow& row : rows) {
      if constexpr (std::is_same_v<T, AnyTable>) {
        all.push_back(Claimed<AnyTable>{std::move(row)});
      } else if (auto table = row.payload.template as<T>()) {
        all.push_back({std::move(row.key), row.attempts, std::move(*table), std::move(row.delivery)});
      } else {
        row.delivery.retry({}, "its claimer expects another type: " + table.error().text());
      }
    }
    return all;
  }
};

}  // namespace detail

}  // namespace pannier
