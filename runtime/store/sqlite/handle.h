#pragma once

#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <pannier/result.h>

namespace pannier {

class Connection;

/// A SQL statement, prepared at its first use. For each use: bind, step, read columns, reset. Bound values are borrowed
/// until reset; column values are borrowed until the next step or reset. Must not outlive its connection. One thread.
class Statement {
 public:
  Statement() = default;
  /// Copies the text.
  Statement(const Connection& connection, std::string_view sql);
  Statement(sqlite3* database, std::string_view sql) : database_(database), sql_(sql) {}

  void bind(int index, std::int64_t value) noexcept {
    if (prepared()) keep(sqlite3_bind_int64(get(), index, value));
  }
  void bind(int index, double value) noexcept {
    if (prepared()) keep(sqlite3_bind_double(get(), index, value));
  }
  void bind(int index, const sqlite3_value* value) noexcept {
    if (prepared()) keep(sqlite3_bind_value(get(), index, value));
  }
  void bind(int index, std::nullptr_t) noexcept {
    if (prepared()) keep(sqlite3_bind_null(get(), index));
  }
  void bind(int index, std::string_view text) noexcept;
  void bind(int index, std::span<const std::byte> blob) noexcept;

  /// Binds ?1, ?2 and so on.
  template <class... Values>
  Statement& with(const Values&... values) noexcept {
    int index = 0;
    (bind(++index, values), ...);
    return *this;
  }

  /// SQLITE_OK or an error, which every step then returns until reset. SQLITE_MISUSE: the text is not exactly one
  /// statement.
  int prepare() noexcept;
  /// SQLITE_ROW, SQLITE_DONE or an extended error code; a prepare or bind that failed is reported here.
  int step() noexcept { return prepared() ? sqlite3_step(get()) : failed_; }
  /// For statements without result rows: steps and resets. SQLITE_OK or an extended error code.
  int run() noexcept;
  void reset() noexcept;

  [[nodiscard]] std::int64_t integer(int column) const noexcept { return sqlite3_column_int64(get(), column); }
  [[nodiscard]] std::string_view text(int column) const noexcept;
  [[nodiscard]] std::span<const std::byte> blob(int column) const noexcept;
  /// The handle; null before it is prepared.
  [[nodiscard]] sqlite3_stmt* get() const noexcept { return statement_.get(); }

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
  };
  bool prepared() noexcept { return failed_ == SQLITE_OK && (statement_ != nullptr || prepare() == SQLITE_OK); }
  void keep(int rc) noexcept {
    if (rc != SQLITE_OK) failed_ = rc;
  }
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  sqlite3* database_ = nullptr;
  std::string sql_;
  int failed_ = SQLITE_OK;  ///< The error since the last reset.
};

/// Resets a statement at the end of a scope.
class StatementScope {
 public:
  explicit StatementScope(Statement& statement) noexcept : statement_(statement) {}
  ~StatementScope() { statement_.reset(); }
  StatementScope(const StatementScope&) = delete;
  StatementScope& operator=(const StatementScope&) = delete;

 private:
  Statement& statement_;
};

/// An open database. Closes on destruction, which checkpoints the log. Statements must be destroyed before. One thread.
class Connection {
 public:
  /// Opens or creates the file, without reading it. `vfs` must outlive the connection.
  [[nodiscard]] static Result<Connection> open(const std::string& path, const char* vfs);

  /// Runs one or more statements and ignores their results.
  [[nodiscard]] Result<void> execute(const char* sql);
  /// The first column of the first row.
  [[nodiscard]] Result<std::int64_t> integer(std::string_view sql);
  [[nodiscard]] Result<std::int64_t> integer(Statement& read);
  [[nodiscard]] Result<std::string> text(std::string_view sql);
  /// Sets a pragma and reads it back. An error if the value is not `expected`.
  [[nodiscard]] Result<void> set(std::string_view pragma, std::string_view value, std::string_view expected);

  /// Off: closing does not checkpoint, so that a refused file is left untouched. On by default.
  void checkpoint_on_close(bool on) noexcept {
    sqlite3_db_config(handle_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, on ? 0 : 1, nullptr);
  }
  /// False within a transaction. SQLite ends a transaction by itself on some errors.
  [[nodiscard]] bool autocommit() const noexcept { return sqlite3_get_autocommit(handle_.get()) != 0; }
  /// The number of rows that the last statement inserted, changed or removed.
  [[nodiscard]] std::int64_t changes() const noexcept { return sqlite3_changes(handle_.get()); }
  [[nodiscard]] sqlite3* get() const noexcept { return handle_.get(); }
  [[nodiscard]] bool read_only() const noexcept { return sqlite3_db_readonly(handle_.get(), "main") == 1; }

  /// Sets what error() calls for a code that means damage.
  void on_damage(std::function<void()> tell) { on_damage_ = std::move(tell); }

  /// Converts `rc` to an error with one line: the file, what failed, SQLite's text and what to do.
  [[nodiscard]] Error error(int rc, std::string_view doing) const;

 private:
  struct Close {
    void operator()(sqlite3* handle) const noexcept { sqlite3_close_v2(handle); }
  };
  Connection(sqlite3* handle, std::string path) : handle_(handle), path_(std::move(path)) {}
  std::unique_ptr<sqlite3, Close> handle_;
  std::string path_;
  std::function<void()> on_damage_;
};

/// A cache of the statements of one connection. Must not outlive the connection. One thread.
class Statements {
 public:
  explicit Statements(const Connection& connection) noexcept : database_(connection.get()) {}
  /// `sql` must be a literal, since its address is the key. The reference is valid as long as this.
  [[nodiscard]] Statement& operator[](const char* sql) {
    const auto [at, fresh] = all_.try_emplace(sql);
    if (fresh) at->second = Statement(database_, sql);
    return at->second;
  }

 private:
  sqlite3* database_;
  std::unordered_map<const char*, Statement> all_;
};

/// One line about a store's file: "Store <path>: <problem>; <what to do for an error of this code>."
[[nodiscard]] Error store_error(ErrorCode code, const std::string& path, std::string_view problem);

}  // namespace pannier
