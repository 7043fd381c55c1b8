#pragma once

// Every other header includes this one before it says anything.
#if __cplusplus < 202002L  // A file that is not there is a fatal error, and so the only one.
#include <Pannier needs C++20: compile with -std=c++20 or later>
#endif

#include <cstdint>
#include <cstdlib>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace pannier {

/// Why an operation failed. The set is closed, so that a caller can handle every code.
enum class ErrorCode : std::uint8_t {
  full,              ///< A bound was reached (mailbox, lane, window). Nothing was taken. Retry later or shed load.
  timeout,           ///< The deadline passed first. Whether the other side acted is unknown.
  unreachable,       ///< No link leads there now.
  not_found,         ///< No actor, lane, topic, file or message has that name.
  rejected,          ///< The receiver refuses this: unhandled type, not allowed, wrong state.
  failed,            ///< The receiver's handler failed while handling this.
  cancelled,         ///< The asker cancelled the question, or stopped.
  closed,            ///< The target has ended: a stopped actor, a closed link.
  malformed,         ///< Bytes that do not verify: too long, misaligned, wrong structure.
  unsupported,       ///< A version or feature that this build does not know.
  invalid_argument,  ///< The call itself is wrong. The detail says how.
  permission,        ///< Access rights are missing, or wider than is safe (a readable secret key).
  in_use,            ///< Held by another process or object: an address, a database.
  storage_full,      ///< The disk or the quota is full. Nothing was written. Deletes still work.
  storage_io,        ///< The disk failed. Whatever was not acknowledged is not stored.
  corrupt,           ///< A checksum or an on-disk structure is wrong.
  conflict,          ///< Somebody else changed it first. Nothing was stored; read it again and decide anew.
};

/// The enumerator's name, for logs and tables. Static storage.
[[nodiscard]] std::string_view to_string(ErrorCode code) noexcept;

/// An error as a value: a code for programs and one line for people that says what to do.
struct Error {
  ErrorCode code;
  std::string detail;  ///< A complete sentence, or empty. Programs decide by `code` alone.

  Error(ErrorCode error_code) : code(error_code) {}  // NOLINT: implicit, so that `return ErrorCode::full;` reads well
  Error(ErrorCode error_code, std::string text) : code(error_code), detail(std::move(text)) {}

  /// "code: detail", for logs.
  [[nodiscard]] std::string text() const;
};

/// A value or an error. Owns what it holds. T must move without throwing.
///
/// Reading the side that is not there is a programming error and aborts in every build. A temporary returns its value
/// rather than a reference into itself, so `for (x : *made())` is safe.
///
/// A plain union: std::variant costs the compiler 5 MB and 30 ms for each T (docs/benchmarks.md, compile/20-handlers).
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) noexcept : value_(std::move(value)), ok_(true) {}       // NOLINT: implicit by design
  Result(Error error) noexcept : error_(std::move(error)), ok_(false) {}  // NOLINT: implicit by design
  Result(ErrorCode code) noexcept : Result(Error{code}) {}                // NOLINT: implicit by design
  Result(Result&& other) noexcept : ok_(other.ok_) { take(other); }
  Result(const Result& other) requires std::is_copy_constructible_v<T> : ok_(other.ok_) {
    if (ok_) {
      new (&value_) T(other.value_);
    } else {
      new (&error_) Error(other.error_);
    }
  }
  Result& operator=(Result other) noexcept {
    drop();
    ok_ = other.ok_;
    take(other);
    return *this;
  }
  ~Result() { drop(); }

  [[nodiscard]] bool ok() const noexcept { return ok_; }
  explicit operator bool() const noexcept { return ok_; }

  [[nodiscard]] T& value() & { return *checked(); }
  [[nodiscard]] const T& value() const& { return *const_cast<Result*>(this)->checked(); }
  [[nodiscard]] T value() && { return std::move(*checked()); }
  [[nodiscard]] T& operator*() & { return value(); }
  [[nodiscard]] const T& operator*() const& { return value(); }
  [[nodiscard]] T operator*() && { return std::move(*checked()); }
  [[nodiscard]] T* operator->() { return checked(); }
  [[nodiscard]] const T* operator->() const { return &value(); }

  [[nodiscard]] const Error& error() const& {
    if (ok_) std::abort();
    return error_;
  }
  [[nodiscard]] Error error() && { return std::move(const_cast<Error&>(std::as_const(*this).error())); }

  /// Discards the outcome on purpose: `publish(topic, position).ignore();`
  void ignore() const noexcept {}

  /// The value, or `fallback` on error.
  [[nodiscard]] T value_or(T fallback) const& requires std::is_copy_constructible_v<T> {
    return ok() ? value() : std::move(fallback);
  }
  [[nodiscard]] T value_or(T fallback) && { return ok() ? std::move(*checked()) : std::move(fallback); }

 private:
  T* checked() {
    if (!ok_) std::abort();
    return &value_;
  }
  void take(Result& other) noexcept {
    if (ok_) {
      new (&value_) T(std::move(other.value_));
    } else {
      new (&error_) Error(std::move(other.error_));
    }
  }
  void drop() noexcept {
    if (ok_) {
      value_.~T();
    } else {
      error_.~Error();
    }
  }
  union {
    T value_;
    Error error_;
  };
  bool ok_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() noexcept = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT: implicit by design
  Result(ErrorCode code) : error_(Error{code}) {}    // NOLINT: implicit by design

  [[nodiscard]] bool ok() const noexcept { return !error_.has_value(); }
  explicit operator bool() const noexcept { return ok(); }
  [[nodiscard]] const Error& error() const& {
    if (!error_) std::abort();
    return *error_;
  }
  [[nodiscard]] Error error() && { return std::as_const(*this).error(); }
  /// Discards the outcome on purpose.
  void ignore() const noexcept {}

 private:
  std::optional<Error> error_;
};

}  // namespace pannier
