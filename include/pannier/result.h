#pragma once

#include <cstdint>
#include <cstdlib>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace pannier {

/// Why something was not done. The set is closed on purpose: a caller can decide on each of them.
enum class ErrorCode : std::uint8_t {
  full,              ///< A bound was reached (mailbox, lane, window). Nothing was taken; try later or shed.
  timeout,           ///< The deadline passed first. Whether the other side acted is unknown.
  unreachable,       ///< No link leads there now.
  not_found,         ///< No actor, lane, topic, file or message of that name.
  rejected,          ///< The receiver is there and refuses this (unhandled type, not allowed, bad state).
  failed,            ///< The receiver's handler failed while it handled this.
  cancelled,         ///< The asker took its question back, or stopped.
  closed,            ///< The thing addressed has ended: a stopped actor, a closed link.
  malformed,         ///< Bytes that do not verify: too long, misaligned, wrong structure.
  unsupported,       ///< A version or feature that this build does not know.
  invalid_argument,  ///< The call itself is wrong; the text says how.
  permission,        ///< Access rights are missing, or are wider than is safe (a readable secret key).
  in_use,            ///< Somebody else holds it: an address, a database.
  storage_full,      ///< The disk or the quota is full. Nothing was written; deletes still work.
  storage_io,        ///< The disk failed. What was not acknowledged is not stored.
  corrupt,           ///< A checksum or a structure on disk does not hold.
};

/// The name as it stands in the enum, for logs and tables. Static storage.
[[nodiscard]] std::string_view to_string(ErrorCode code) noexcept;

/// An error as a value: a code to decide on, and one line for a person that says what to do.
struct Error {
  ErrorCode code;
  std::string detail;  ///< Complete sentence or empty. Never needed to decide anything.

  Error(ErrorCode error_code) : code(error_code) {}  // NOLINT: implicit, so that `return ErrorCode::full;` reads well
  Error(ErrorCode error_code, std::string text) : code(error_code), detail(std::move(text)) {}

  /// "code: detail", for logs.
  [[nodiscard]] std::string text() const;
};

/// A value, or the error that stands in its place. Owns what it holds; T moves without throwing.
/// Reading the side that is not there is a programming error and stops the process in every build.
/// A temporary gives its value away rather than a reference into itself, so that `for (x : *made())` is safe.
/// A plain union: std::variant costs a compiler 5 MB and 30 ms for each T (docs/benchmarks.md, compile/20-handlers).
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

  /// Says that the outcome does not matter here: `publish(topic, position).ignore();`
  void ignore() const noexcept {}

  /// The value, or `fallback` where there is an error.
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
  /// Says that the outcome does not matter here.
  void ignore() const noexcept {}

 private:
  std::optional<Error> error_;
};

}  // namespace pannier
