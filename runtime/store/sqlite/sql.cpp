#include <algorithm>
#include <string>

#include "platform/concat.h"
#include "runtime/store/sqlite/store_impl.h"

namespace pannier {
namespace {

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

}  // namespace

Result<void> SqliteStore::execute(const SqlStatement& statement) {
  if (Result<void> ready = check_change(); !ready) return ready;
  // OR FAIL leaves what it did before it failed: the savepoint does not.
  if (const int rc = session_->savepoint.run(); rc != SQLITE_OK) return fail(rc, "set a savepoint");
  std::string text;
  const int rc = session_->application.run(statement, text);
  if (rc != SQLITE_OK && !is_statements_fault(rc)) return fail(rc, "run a statement of the application");
  if (session_->connection.autocommit()) {
    // SQLite ends the whole transaction where it stops a statement that writes.
    return fail(Error{ErrorCode::timeout, rejection(text).detail});
  }
  int ended = rc == SQLITE_OK ? SQLITE_OK : session_->undo_savepoint.run();
  if (ended == SQLITE_OK) ended = session_->release.run();
  if (ended != SQLITE_OK) return fail(ended, "release a savepoint");
  if (rc != SQLITE_OK) return rejection(text);
  return {};
}

Result<void> SqliteStore::query(const SqlStatement& statement, SqlVisitor visit) {
  if (Result<void> ready = check_open(); !ready) return ready;
  std::string text;
  const int rc = session_->application.query(statement, visit, text);
  if (rc == SQLITE_OK) return {};
  if (!is_statements_fault(rc)) return session_->connection.error(rc, "run a query of the application");
  return rejection(text);
}

}  // namespace pannier
