#include "runtime/store/sqlite/handle.h"

#include <cerrno>
#include <utility>

#include "platform/concat.h"

namespace pannier {
namespace {

ErrorCode code_of(int rc, int system_error) noexcept {
  if (rc == SQLITE_IOERR_DATA) return ErrorCode::corrupt;  // The checksum of a page is wrong.
  switch (rc & 0xff) {
    case SQLITE_FULL: return ErrorCode::storage_full;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
    case SQLITE_MISMATCH:
    case SQLITE_SCHEMA:
    case SQLITE_ERROR: return ErrorCode::corrupt;  // Our statements are fixed, so a table must be missing.
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL: return ErrorCode::in_use;
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_READONLY: return ErrorCode::permission;
    case SQLITE_CONSTRAINT:
    case SQLITE_TOOBIG:
    case SQLITE_MISUSE:
    case SQLITE_RANGE: return ErrorCode::invalid_argument;
    case SQLITE_CANTOPEN:
      if (system_error == EACCES || system_error == EPERM || system_error == EROFS) return ErrorCode::permission;
      if (system_error == EISDIR) return ErrorCode::invalid_argument;
      return ErrorCode::not_found;
    default: return ErrorCode::storage_io;
  }
}

std::string_view advice(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::storage_full: return "free disk space or raise the cap, or wait for messages to be delivered";
    case ErrorCode::corrupt:
      return "stop the node, keep the file and its -wal file, and restore both or start with a new file";
    case ErrorCode::in_use: return "stop the process that holds it, or give this node a file of its own";
    case ErrorCode::permission: return "check the rights of the file and its folder";
    case ErrorCode::not_found: return "make its folder first, and check the path";
    case ErrorCode::unsupported: return "run the release that made it, or a newer one";
    case ErrorCode::invalid_argument: return "correct the call or the path";
    default: return "check the disk; nothing that was acknowledged depended on this";
  }
}

}  // namespace

Error store_error(ErrorCode code, const std::string& path, std::string_view problem) {
  std::string line = concat({"Store ", path, ": ", problem, "; ", advice(code), "."});
  for (char& c : line) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  return {code, std::move(line)};
}

Statement::Statement(const Connection& connection, std::string_view sql) : Statement(connection.get(), sql) {}

int Statement::prepare() noexcept {
  if (statement_ != nullptr) return SQLITE_OK;
  sqlite3_stmt* made = nullptr;
  const char* rest = nullptr;
  failed_ = sqlite3_prepare_v3(database_, sql_.data(), static_cast<int>(sql_.size()), SQLITE_PREPARE_PERSISTENT, &made,
                               &rest);
  statement_.reset(made);
  if (failed_ != SQLITE_OK) return failed_;
  const std::string_view left = std::string_view(sql_).substr(static_cast<std::size_t>(rest - sql_.data()));
  if (made == nullptr || left.find_first_not_of(" \t\r\n;") != std::string_view::npos) {
    statement_.reset();
    failed_ = SQLITE_MISUSE;  // No statement, or more than one.
  }
  return failed_;
}

void Statement::bind(int index, std::string_view text) noexcept {
  if (!prepared()) return;
  // A null pointer would bind NULL. A null destructor is SQLITE_STATIC: borrowed, not copied.
  const char* at = text.empty() ? "" : text.data();
  keep(sqlite3_bind_text64(get(), index, at, text.size(), nullptr, SQLITE_UTF8));
}

void Statement::bind(int index, std::span<const std::byte> blob) noexcept {
  if (!prepared()) return;
  if (blob.empty()) {
    keep(sqlite3_bind_zeroblob(get(), index, 0));
  } else {
    keep(sqlite3_bind_blob64(get(), index, blob.data(), blob.size(), nullptr));
  }
}

int Statement::run() noexcept {
  const int rc = step();
  reset();
  return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

void Statement::reset() noexcept {
  if (statement_ != nullptr) sqlite3_reset(get());
  failed_ = SQLITE_OK;
}

std::string_view Statement::text(int column) const noexcept {
  // sqlite3_column_text() may allocate, to append a zero, and return null if it cannot.
  const bool is_text = sqlite3_column_type(get(), column) == SQLITE_TEXT;
  const void* at = is_text ? sqlite3_column_blob(get(), column) : sqlite3_column_text(get(), column);
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(get(), column));
  return at == nullptr ? std::string_view{} : std::string_view{static_cast<const char*>(at), size};
}

std::span<const std::byte> Statement::blob(int column) const noexcept {
  const void* at = sqlite3_column_blob(get(), column);
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(get(), column));
  return at == nullptr ? std::span<const std::byte>{} : std::span{static_cast<const std::byte*>(at), size};
}

Result<Connection> Connection::open(const std::string& path, const char* vfs) {
  if (path.empty()) return Error{ErrorCode::invalid_argument, "A store needs the path of its file."};
  // SQLite would not take "file:..." and ":memory:" as file names.
  const bool special = path.starts_with("file:") || path.starts_with(":");
  sqlite3* handle = nullptr;
  const int rc = sqlite3_open_v2((special ? "./" + path : path).c_str(), &handle,
                                 SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, vfs);
  Connection connection(handle, path);
  if (handle == nullptr) return store_error(ErrorCode::storage_io, path, "no memory for a connection");
  if (rc != SQLITE_OK) return connection.error(rc, "open");
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  return connection;
}

Error Connection::error(int rc, std::string_view doing) const {
  const int system_error = sqlite3_system_errno(handle_.get());
  std::string problem(doing);
  problem.append(": ").append(sqlite3_errstr(rc));
  // sqlite3_errmsg() describes the last call only.
  if ((sqlite3_errcode(handle_.get()) & 0xff) == (rc & 0xff)) {
    const std::string_view text = sqlite3_errmsg(handle_.get());
    if (text != sqlite3_errstr(rc)) problem.append(" (").append(text).append(")");
  }
  const ErrorCode code = code_of(rc, system_error);
  if (rc == SQLITE_IOERR_DATA) problem = concat({doing, ": the checksum of a page does not hold"});
  const bool damage = rc == SQLITE_IOERR_DATA || (rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB;
  if (damage && on_damage_) on_damage_();
  if (code == ErrorCode::corrupt && (rc & 0xff) == SQLITE_NOTADB) problem = "not a Pannier store (not a database)";
  return store_error(code, path_, problem);
}

Result<void> Connection::execute(const char* sql) {
  const int rc = sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr);
  if (rc != SQLITE_OK) return error(rc, "write");
  return {};
}

Result<std::int64_t> Connection::integer(std::string_view sql) {
  Statement read(*this, sql);
  return integer(read);
}

Result<std::int64_t> Connection::integer(Statement& read) {
  const StatementScope scope(read);
  const int rc = read.step();
  if (rc != SQLITE_ROW) return error(rc == SQLITE_DONE ? SQLITE_CORRUPT : rc, "read");
  return read.integer(0);
}

Result<std::string> Connection::text(std::string_view sql) {
  Statement read(*this, sql);
  const int rc = read.step();
  if (rc == SQLITE_DONE) return std::string{};
  if (rc != SQLITE_ROW) return error(rc, "read");
  std::string found(read.text(0));
  if (sqlite3_errcode(handle_.get()) == SQLITE_NOMEM) return error(SQLITE_NOMEM, "read");
  return found;
}

Result<void> Connection::set(std::string_view pragma, std::string_view value, std::string_view expected) {
  // Not all pragmas return the new value when set, so it is read back separately.
  if (Result<std::string> done = text(concat({"PRAGMA ", pragma, "=", value})); !done) return done.error();
  const Result<std::string> now = text(concat({"PRAGMA ", pragma}));
  if (!now) return now.error();
  if (*now != expected) {
    return store_error(ErrorCode::unsupported, path_,
                       concat({"the setting ", pragma, " did not take (it is ", *now, ", not ", expected, ")"}));
  }
  return {};
}

}  // namespace pannier
