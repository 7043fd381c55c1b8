#include <algorithm>
#include <cctype>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "platform/concat.h"
#include "runtime/store/sqlite/store_impl.h"

namespace pannier {
namespace {

constexpr std::size_t kCachedStatements = 32;
constexpr int kInstructionsPerTurn = 1000;

bool same(std::string_view a, std::string_view b) noexcept {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
  });
}

bool of_the_store(const char* name) noexcept { return name != nullptr && sqlite_schema::is_store_table(name); }

bool has_rollback(std::string_view sql) noexcept {
  constexpr std::string_view kWord = "rollback";
  for (std::size_t i = 0; i + kWord.size() <= sql.size(); ++i) {
    if (same(sql.substr(i, kWord.size()), kWord)) return true;
  }
  return false;
}

void bind(Statement& statement, int index, const SqlValue& value) noexcept {
  struct Binder {
    Statement& statement;
    int index;
    void operator()(const SqlNull&) const noexcept { statement.bind(index, nullptr); }
    void operator()(std::int64_t number) const noexcept { statement.bind(index, number); }
    void operator()(double number) const noexcept { statement.bind(index, number); }
    void operator()(const std::string& text) const noexcept { statement.bind(index, std::string_view(text)); }
    void operator()(const std::vector<std::byte>& blob) const noexcept { statement.bind(index, std::span(blob)); }
  };
  std::visit(Binder{statement, index}, value);
}

SqlValue value_at(const Statement& statement, int column) {
  switch (sqlite3_column_type(statement.get(), column)) {
    case SQLITE_INTEGER: return statement.integer(column);
    case SQLITE_FLOAT: return sqlite3_column_double(statement.get(), column);
    case SQLITE_TEXT: return std::string(statement.text(column));
    case SQLITE_BLOB: {
      const std::span<const std::byte> blob = statement.blob(column);
      return std::vector<std::byte>(blob.begin(), blob.end());
    }
    default: return SqlNull{};
  }
}

std::size_t size_of(const SqlStatement& statement) noexcept {
  std::size_t size = statement.sql.size();
  for (const SqlValue& value : statement.values) {
    if (const auto* text = std::get_if<std::string>(&value)) size += text->size();
    if (const auto* blob = std::get_if<std::vector<std::byte>>(&value)) size += blob->size();
  }
  return size;
}

/// An error of the statement, not of the disk.
bool is_statements_fault(int rc) noexcept {
  switch (rc & 0xff) {
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_NOMEM:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_CANTOPEN:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL: return false;
    default: return true;
  }
}

Error rejection(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return {ErrorCode::rejected, concat({"SQL: ", text, "."})};
}

/// Runs the application's SQL on the store's connection. SQLite's authorizer restricts it to its own tables: no
/// transactions, pragmas, attached files, temporary tables, or virtual tables other than FTS5. A statement that runs
/// too long is interrupted.
class SqliteSqlTables final : public SqlitePart, public SqlTables {
 public:
  explicit SqliteSqlTables(SqliteStore& store) : store_(store) {}

  [[nodiscard]] Result<void> opened(Connection& connection) override {
    connection_ = &connection;
    savepoint_ = Statement(connection, "SAVEPOINT application");
    undo_ = Statement(connection, "ROLLBACK TO application");
    release_ = Statement(connection, "RELEASE application");
    sqlite3_limit(database(), SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_limit(database(), SQLITE_LIMIT_LENGTH,
                  static_cast<int>(limits::kSqlBytes));  // Large enough for the store's own rows as well.
    sqlite3_set_authorizer(database(), authorize, this);
    return {};
  }
  void closing() noexcept override {
    cache_.clear();
    for (Statement* each : {&savepoint_, &undo_, &release_}) *each = Statement{};
    connection_ = nullptr;
  }

  [[nodiscard]] Result<void> execute(const SqlStatement& statement) override {
    if (Result<void> ready = store_.check_change(); !ready) return ready;
    // OR FAIL keeps the changes made before the failure, so roll back to a savepoint.
    if (const int rc = savepoint_.run(); rc != SQLITE_OK) return store_.fail(rc, "set a savepoint");
    std::string text;
    const int rc = run(statement, nullptr, text);
    if (rc != SQLITE_OK && !is_statements_fault(rc)) return store_.fail(rc, "run a statement of the application");
    if (connection_->autocommit()) {
      // SQLite rolls back the whole transaction if it interrupts a statement that writes.
      return store_.fail(Error{ErrorCode::timeout, rejection(text).detail});
    }
    int ended = rc == SQLITE_OK ? SQLITE_OK : undo_.run();
    if (ended == SQLITE_OK) ended = release_.run();
    if (ended != SQLITE_OK) return store_.fail(ended, "release a savepoint");
    if (rc != SQLITE_OK) return rejection(text);
    return {};
  }

  [[nodiscard]] Result<void> query(const SqlStatement& statement, SqlVisitor visit) override {
    if (Result<void> ready = store_.check_open(); !ready) return ready;
    std::string text;
    const int rc = run(statement, &visit, text);
    if (rc == SQLITE_OK) return {};
    if (!is_statements_fault(rc)) return connection_->error(rc, "run a query of the application");
    return rejection(text);
  }

 private:
  struct Cached {
    std::string sql;
    Statement statement;
  };
  static int authorize(void* self, int action, const char* first, const char* second, const char* database,
                       const char* within) noexcept;
  [[nodiscard]] sqlite3* database() const noexcept { return connection_->get(); }
  [[nodiscard]] Cached& cached(const std::string& sql);
  /// Runs one statement to its end, or until the visitor of a query returns false. SQLITE_OK, or an SQLite error with
  /// one line about it in `text`: SQLITE_AUTH: not allowed; SQLITE_INTERRUPT: ran too long.
  [[nodiscard]] int run(const SqlStatement& asked, const SqlVisitor* visit, std::string& text);
  [[nodiscard]] int step_all(Statement& statement, const SqlStatement& asked, const SqlVisitor* visit,
                             std::string& text);

  SqliteStore& store_;
  Connection* connection_ = nullptr;
  /// The savepoint around each statement. Rolling back to it does not release it.
  Statement savepoint_;
  Statement undo_;
  Statement release_;
  bool running_ = false;     ///< What is prepared now comes from the application.
  std::uint64_t turns_ = 0;  ///< Calls of the progress handler for the current statement.
  std::list<Cached> cache_;  ///< Used last first.
};

int SqliteSqlTables::authorize(void* self, int action, const char* first, const char* second, const char* /*database*/,
                               const char* /*within*/) noexcept {
  if (!static_cast<SqliteSqlTables*>(self)->running_) return SQLITE_OK;
  switch (action) {
    case SQLITE_SELECT:
    case SQLITE_RECURSIVE: return SQLITE_OK;
    case SQLITE_READ:
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE:
    case SQLITE_CREATE_TABLE:
    case SQLITE_CREATE_VIEW:
    case SQLITE_DROP_TABLE:
    case SQLITE_DROP_VIEW:
    case SQLITE_REINDEX: return of_the_store(first) ? SQLITE_DENY : SQLITE_OK;
    case SQLITE_CREATE_INDEX:
    case SQLITE_CREATE_TRIGGER:
    case SQLITE_DROP_INDEX:
    case SQLITE_DROP_TRIGGER: return of_the_store(first) || of_the_store(second) ? SQLITE_DENY : SQLITE_OK;
    case SQLITE_ALTER_TABLE: return of_the_store(second) ? SQLITE_DENY : SQLITE_OK;
    case SQLITE_FUNCTION: return of_the_store(second) || same(second, "load_extension") ? SQLITE_DENY : SQLITE_OK;
    // A full-text index maintains its own tables by statements that are checked here as well, and reads the data
    // version. Other modules, like rtree, are not needed so far.
    case SQLITE_CREATE_VTABLE:
    case SQLITE_DROP_VTABLE:
      return of_the_store(first) || second == nullptr || !same(second, "fts5") ? SQLITE_DENY : SQLITE_OK;
    case SQLITE_PRAGMA:
      return first != nullptr && same(first, "data_version") && second == nullptr ? SQLITE_OK : SQLITE_DENY;
    default:  // Transactions, savepoints, other pragmas, ATTACH, temporary tables, ANALYZE.
      return SQLITE_DENY;
  }
}

SqliteSqlTables::Cached& SqliteSqlTables::cached(const std::string& sql) {
  const auto known = std::find_if(cache_.begin(), cache_.end(), [&](const Cached& each) { return each.sql == sql; });
  if (known != cache_.end()) {
    cache_.splice(cache_.begin(), cache_, known);
    return cache_.front();
  }
  if (cache_.size() == kCachedStatements) cache_.pop_back();
  cache_.push_front({sql, Statement(database(), sql)});
  return cache_.front();
}

int SqliteSqlTables::run(const SqlStatement& asked, const SqlVisitor* visit, std::string& text) {
  if (size_of(asked) > limits::kSqlBytes) {
    text = concat({"a statement with its values has at most ", limits::kSqlBytes, " bytes"});
    return SQLITE_TOOBIG;
  }
  if (has_rollback(asked.sql)) {
    // OR ROLLBACK and RAISE(ROLLBACK), which the authorizer does not see, would end the whole group.
    text = "the word rollback may not stand in a statement; bind it where it is a value";
    return SQLITE_AUTH;
  }
  running_ = true;
  turns_ = limits::kSqlInstructions / kInstructionsPerTurn;
  sqlite3_progress_handler(
      database(), kInstructionsPerTurn,
      [](void* self) {
        std::uint64_t& turns = static_cast<SqliteSqlTables*>(self)->turns_;
        return turns == 0 ? 1 : (--turns, 0);
      },
      this);
  Statement& statement = cached(asked.sql).statement;
  const int rc = step_all(statement, asked, visit, text);
  statement.reset();
  sqlite3_progress_handler(database(), 0, nullptr, nullptr);
  running_ = false;
  if (rc != SQLITE_OK) cache_.pop_front();
  return rc;
}

int SqliteSqlTables::step_all(Statement& statement, const SqlStatement& asked, const SqlVisitor* visit,
                              std::string& text) {
  if (const int rc = statement.prepare(); rc != SQLITE_OK) {
    text = rc == SQLITE_MISUSE ? "one statement, no more and no less" : sqlite3_errmsg(database());
    return rc;
  }
  if (visit != nullptr && (sqlite3_stmt_readonly(statement.get()) == 0 || sqlite3_column_count(statement.get()) == 0)) {
    text = "a query is one SELECT";
    return SQLITE_READONLY;
  }
  if (static_cast<std::size_t>(sqlite3_bind_parameter_count(statement.get())) != asked.values.size()) {
    text = concat({"the statement has ", sqlite3_bind_parameter_count(statement.get()), " parameters, and ",
                   asked.values.size(), " values are given"});
    return SQLITE_RANGE;
  }
  for (std::size_t i = 0; i < asked.values.size(); ++i) bind(statement, static_cast<int>(i) + 1, asked.values[i]);
  const int columns = sqlite3_column_count(statement.get());
  std::vector<SqlValue> row;
  int rc = statement.step();
  for (; rc == SQLITE_ROW; rc = statement.step()) {
    if (visit == nullptr) continue;
    row.clear();
    for (int column = 0; column < columns; ++column) row.push_back(value_at(statement, column));
    if (!(*visit)(row)) return SQLITE_OK;
  }
  if (rc == SQLITE_DONE) return SQLITE_OK;
  text = rc == SQLITE_INTERRUPT ? concat({"stopped after ", limits::kSqlInstructions, " instructions"})
                                : std::string(sqlite3_errmsg(database()));
  return rc;
}

}  // namespace

void with_sql_tables(SqliteStore& store) {
  auto part = std::make_unique<SqliteSqlTables>(store);
  store.parts.sql = part.get();
  store.parts.all.push_back(std::move(part));
}

}  // namespace pannier
