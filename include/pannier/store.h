#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

/// What a program sees of a node's store: how durable a message is, where it stands, and the values of SQL.
/// <pannier/sqlite_store.h> opens one.
namespace pannier {

/// How durable a message is once its receipt is given.
enum class Durability : std::uint8_t {
  memory,     ///< In this process only.
  committed,  ///< In the file, survives this process; a power cut may take it.
  fsynced,    ///< On stable storage. The default.
};

/// Numbers a store's messages. Grows across restarts and never repeats in one file. Not dense: gaps mean nothing.
using Sequence = std::uint64_t;

enum class Box : std::uint8_t { outbox, inbox };

enum class RowState : std::uint8_t {
  ready,          ///< Waits for its link or its consumer, perhaps for its next attempt.
  dead_lettered,  ///< Given up on, with its cause, until someone redrives or purges it.
  delayed,        ///< Not to be sent or delivered before its moment.
  retained,       ///< Handled, and kept for replay.
};
inline constexpr std::array kAllRowStates = {RowState::ready, RowState::dead_lettered, RowState::delayed,
                                             RowState::retained};
inline constexpr std::size_t kRowStates = kAllRowStates.size();

/// Messages, and the bytes of their payloads.
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

/// What a store has done since it was opened.
struct StoreCounters {
  std::uint64_t commits = 0;
  std::uint64_t rows_put = 0;
  std::uint64_t bytes_written = 0;  ///< To files; 0 in memory.
  std::uint64_t fsyncs = 0;
  std::uint64_t corrupt_pages = 0;  ///< Reads that a page checksum refused.
  std::uint64_t broken_syncs = 0;   ///< Opens that found less, or other, than was reported as synced.
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
};
using SqlRow = std::vector<SqlValue>;

/// Keeps the messages of one node: opened in `main`, lent to Node::create, used by nobody else.
class Store;
struct StoreDeleter {
  void operator()(Store* store) const noexcept;
};
using StorePtr = std::unique_ptr<Store, StoreDeleter>;

}  // namespace pannier
