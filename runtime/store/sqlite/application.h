#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <list>
#include <string>
#include <string_view>

#include "platform/result.h"
#include "runtime/store/sqlite/handle.h"
#include "runtime/store/store.h"

namespace pannier {

/// True for a table or index of the store, a name that is kept for one, and a window of SQLite's own on it.
[[nodiscard]] bool is_store_table(std::string_view name) noexcept;

/// The application's SQL on the store's connection: its own tables and these alone, as SQLite's authorizer has it for
/// statements that come through here; one statement at a time; no transactions, pragmas, attached files, virtual or
/// temporary tables. A statement that runs away is stopped. One thread.
class ApplicationSql {
 public:
  ApplicationSql() = default;
  ApplicationSql(const ApplicationSql&) = delete;
  ApplicationSql& operator=(const ApplicationSql&) = delete;

  /// From now on `database` asks this about every statement that is prepared. It must outlive the connection; what it
  /// has prepared goes with clear().
  void attach(sqlite3* database) noexcept;

  /// Forgets its statements.
  void clear() noexcept { cache_.clear(); }

  /// Runs one statement to its end. SQLITE_OK; or an error of SQLite, with one line about it in `text`: SQLITE_AUTH for
  /// what is not allowed, SQLITE_INTERRUPT for what ran away.
  [[nodiscard]] int run(const SqlStatement& statement, std::string& text) { return run(statement, nullptr, text); }
  /// The same for one that only reads, or until the visitor has enough.
  [[nodiscard]] int query(const SqlStatement& statement, Store::SqlVisitor visit, std::string& text) {
    return run(statement, &visit, text);
  }

 private:
  struct Cached {
    std::string sql;
    Statement statement;
  };
  static int authorize(void* self, int action, const char* first, const char* second, const char* database,
                       const char* within) noexcept;
  [[nodiscard]] Cached& cached(const std::string& sql);
  // `visit`: of a query.
  [[nodiscard]] int run(const SqlStatement& asked, const Store::SqlVisitor* visit, std::string& text);
  [[nodiscard]] int step_all(Statement& statement, const SqlStatement& asked, const Store::SqlVisitor* visit,
                             std::string& text);

  sqlite3* database_ = nullptr;
  bool running_ = false;     ///< What is prepared now comes from the application.
  std::uint64_t turns_ = 0;  ///< Of the progress handler, for the statement that runs.
  std::list<Cached> cache_;  ///< Used last first.
};

}  // namespace pannier
