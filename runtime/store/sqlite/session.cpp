#include "runtime/store/sqlite/session.h"

#include <string>
#include <utility>

#include "runtime/store/sqlite/schema.h"

namespace pannier {
namespace {

using sqlite_schema::kRowTables;

constexpr std::string_view kMove =
    "INSERT INTO $ (position, head, payload[, due])"
    " SELECT position, pannier_remark(head, position, ?2, ?3, ?4), payload[, ?4] FROM @ WHERE position=?1";

/// What `pattern` says of the table of `state`.
std::string filled_in(std::string_view pattern, RowState state, RowState from) {
  std::string sql;
  bool left_out = false;
  for (const char c : pattern) {
    switch (c) {
      case '[': left_out = state != RowState::delayed; break;
      case ']': left_out = false; break;
      case '$': sql += kRowTables[static_cast<std::size_t>(state)]; break;
      case '@': sql += kRowTables[static_cast<std::size_t>(from)]; break;
      default:
        if (!left_out) sql += c;
    }
  }
  return sql;
}

}  // namespace

SqliteSession::SqliteSession(Connection opened, std::size_t batch_bytes)
    : connection(std::move(opened)),
      move{each(kMove, RowState::ready), each(kMove, RowState::parked), each(kMove, RowState::delayed),
           each(kMove, RowState::kept)},
      batches(connection, put[0], batch_bytes) {}

SqliteSession::PerState SqliteSession::each(std::string_view pattern, RowState from) const {
  const auto one = [&](RowState state) { return Statement{connection, filled_in(pattern, state, from)}; };
  return {one(RowState::ready), one(RowState::parked), one(RowState::delayed), one(RowState::kept)};
}

Result<std::unique_ptr<SqliteSession>> SqliteSession::create(Connection opened, std::size_t batch_bytes) {
  auto made = std::make_unique<SqliteSession>(std::move(opened), batch_bytes);
  SqliteSession& s = *made;
  if (const int rc = sqlite_functions::add(s.connection.get(), s.tally); rc != SQLITE_OK) {
    return s.connection.error(rc, "add a function");
  }
  s.application.attach(s.connection.get());
  // Between them these name every table and column.
  for (Statement* each :
       {&s.set_meta, &s.put_twin, &s.put_stream, &s.put_loads, &s.put_watermark, &s.put_state, &s.put_cursor,
        &s.put_anchor, &s.add_token, &s.is_damaged, &s.put_origin, &s.read[0], &s.read[1], &s.read[2], &s.read[3]}) {
    if (const int rc = each->prepare(); rc != SQLITE_OK) return s.connection.error(rc, "prepare a statement");
  }
  return made;
}

}  // namespace pannier
