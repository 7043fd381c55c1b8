#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <pannier/result.h>

/// What a program sees of a node's store: durability, the state of a message, SQL values. <pannier/sqlite_store.h>
/// opens one.
namespace pannier {

/// How durable a message is when its receipt is given.
enum class Durability : std::uint8_t {
  memory,     ///< In this process only.
  committed,  ///< In the file. Survives the process, but maybe not a power cut.
  fsynced,    ///< On stable storage. The default.
};

/// Numbers the messages of a store. Increases across restarts and never repeats in one file. Gaps mean nothing.
using Sequence = std::uint64_t;

enum class Box : std::uint8_t { outbox, inbox };

enum class RowState : std::uint8_t {
  ready,          ///< Waiting for its link or consumer, or for its next attempt.
  dead_lettered,  ///< Given up on, kept with its cause until someone redrives or purges it.
  delayed,        ///< Not to be sent or delivered before its time.
  retained,       ///< Handled, and kept for replay.
};
inline constexpr std::array kAllRowStates = {RowState::ready, RowState::dead_lettered, RowState::delayed,
                                             RowState::retained};
inline constexpr std::size_t kRowStates = kAllRowStates.size();

/// A number of messages and the bytes of their payloads.
struct Load {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;

  bool operator==(const Load&) const = default;
  Load& operator+=(const Load& more) noexcept {
    messages += more.messages;
    bytes += more.bytes;
    return *this;
  }
  /// Stops at zero: after a failed group, a count may lag for a moment.
  Load& operator-=(const Load& less) noexcept {
    messages -= less.messages < messages ? less.messages : messages;
    bytes -= less.bytes < bytes ? less.bytes : bytes;
    return *this;
  }
};

/// Counters since the store was opened.
struct StoreCounters {
  std::uint64_t commits = 0;
  std::uint64_t rows_put = 0;
  std::uint64_t bytes_written = 0;  ///< To files; 0 in memory.
  std::uint64_t fsyncs = 0;
  std::uint64_t corrupt_pages = 0;  ///< Reads refused by a page checksum.
  std::uint64_t broken_syncs = 0;   ///< Opens that found less than was reported as synced, or something else.
};

/// SQL parameters and results. Text and blobs are owned.
struct SqlNull {
  bool operator==(const SqlNull&) const = default;
};
using SqlValue = std::variant<SqlNull, std::int64_t, double, std::string, std::vector<std::byte>>;
/// Converts any integer, floating-point number, text, bytes or SqlNull.
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

namespace detail {
/// Converts an SQL value: integers and bool from INTEGER within range, floating point from REAL or INTEGER, text,
/// bytes, and std::optional of these, empty for NULL. False if it does not fit.
template <class T>
[[nodiscard]] bool read_column(const SqlValue& value, T& out) {
  if constexpr (requires {
                  typename T::value_type;
                  out.reset();
                }) {
    if (std::holds_alternative<SqlNull>(value)) return true;
    return read_column(value, out.emplace());
  } else if constexpr (std::is_integral_v<T>) {
    const auto* number = std::get_if<std::int64_t>(&value);
    if (number == nullptr) return false;
    out = static_cast<T>(*number);
    return static_cast<std::int64_t>(out) == *number && (std::is_signed_v<T> || *number >= 0);
  } else if constexpr (std::is_floating_point_v<T>) {
    const auto* whole = std::get_if<std::int64_t>(&value);
    const auto* real = std::get_if<double>(&value);
    if (whole != nullptr) out = static_cast<T>(*whole);
    if (real != nullptr) out = static_cast<T>(*real);
    return whole != nullptr || real != nullptr;
  } else {
    const auto* same = std::get_if<T>(&value);
    if (same != nullptr) out = *same;
    return same != nullptr;
  }
}
}  // namespace detail

/// One row of what a SELECT gives.
struct SqlRow : std::vector<SqlValue> {
  using std::vector<SqlValue>::vector;

  /// All columns as these types: `const auto [dish, count] = *row.as<std::string, int>();` malformed, naming the
  /// column, for NULL, another type, or a number out of range.
  template <class... Columns>
  [[nodiscard]] Result<std::tuple<Columns...>> as() const {
    if (size() != sizeof...(Columns)) {
      return Error{ErrorCode::malformed, "the row has " + std::to_string(size()) + " columns, and was read as " +
                                             std::to_string(sizeof...(Columns))};
    }
    std::tuple<Columns...> columns;
    std::size_t read = 0;
    const bool all = std::apply(
        [&](auto&... column) { return ((detail::read_column((*this)[read], column) && ++read != 0) && ...); }, columns);
    if (all) return columns;
    return Error{ErrorCode::malformed, "column " + std::to_string(read + 1) + " is of another type, or does not fit"};
  }
};

/// Keeps the messages of one node. Opened in main, lent to Node::create, used by nobody else.
class Store;
struct StoreDeleter {
  void operator()(Store* store) const noexcept;
};
using StorePtr = std::unique_ptr<Store, StoreDeleter>;

}  // namespace pannier
