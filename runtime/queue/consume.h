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

/// What a reply carries in the process for a T, and how the T is made of it.
template <class T>
struct Carried {
  using type = T;
  static T unpack(T&& value) { return std::move(value); }
};
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
