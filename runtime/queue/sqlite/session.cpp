#include "runtime/queue/sqlite/session.h"

#include <string>

#include "runtime/queue/sqlite/functions.h"
#include "runtime/queue/sqlite/schema.h"
#include "runtime/queue/sqlite/twin.h"

namespace pannier {
namespace {

using sqlite_schema::kRowTables;

/// What a row is in a table: the delayed ones have when they are due beside it, for an index.
std::string columns(std::size_t state) {
  return static_cast<RowState>(state) == RowState::delayed ? "position, head, payload, due" : "position, head, payload";
}

}  // namespace

Result<std::unique_ptr<SqliteSession>> SqliteSession::create(Connection opened, std::size_t batch_bytes) {
  auto made = std::make_unique<SqliteSession>(std::move(opened), batch_bytes);
  SqliteSession& s = *made;
  if (const int rc = sqlite_functions::add(s.connection.get(), s.tally); rc != SQLITE_OK) {
    return s.connection.error(rc, "add a function");
  }
  s.application.attach(s.connection.get());
  const auto statement = [&s](std::string sql) { return s.connection.statement(std::move(sql)); };
  s.begin = statement("BEGIN");
  s.commit = statement("COMMIT");
  s.rollback = statement("ROLLBACK");
  s.begin_part = statement("SAVEPOINT part");
  s.undo_part = statement("ROLLBACK TO part");
  s.end_part = statement("RELEASE part");
  s.savepoint = statement("SAVEPOINT application");
  s.undo_savepoint = statement("ROLLBACK TO application");
  s.release = statement("RELEASE application");
  s.page_count = statement("PRAGMA page_count");
  s.free_pages = statement("PRAGMA freelist_count");
  s.set_meta = statement("UPDATE meta SET sequence_lease=?1, clean=?2, crc=?3 WHERE id=1");
  s.put_twin = statement(sqlite_twin::kPut);
  for (std::size_t i = 0; i < kRowStates; ++i) {
    const std::string table = kRowTables[i];
    const bool has_due = static_cast<RowState>(i) == RowState::delayed;
    const std::string into = "INSERT INTO " + table + " (" + columns(i) + ") ";
    s.put[i] = statement(into + (has_due ? "VALUES (?1, ?2, ?3, ?4)" : "VALUES (?1, ?2, ?3)"));
    // length() of a blob reads the record's header, not the payload nor its overflow pages.
    s.erase[i] = statement("DELETE FROM " + table +
                           " WHERE position BETWEEN ?1 AND ?2 AND pannier_tally(head, length(payload))");
    s.remark[i] = statement("UPDATE " + table + " SET head=pannier_remark(head, position, ?2, ?3, ?4)" +
                            (has_due ? ", due=?4" : "") + " WHERE position=?1");
    s.read[i] =
        statement("SELECT " + columns(i) + " FROM " + table + " WHERE position>?1 AND position<=?2 ORDER BY position");
    s.sizes[i] = statement("SELECT position, length(payload), head FROM " + table +
                           " WHERE position>?1 AND position<=?2 ORDER BY position");
    for (std::size_t from = 0; from < kRowStates; ++from) {
      if (from == i) continue;
      s.move[from][i] = statement(into + "SELECT position, pannier_remark(head, position, ?2, ?3, ?4), payload" +
                                  (has_due ? ", ?4" : "") + " FROM " + kRowTables[from] + " WHERE position=?1");
    }
  }
  s.keep = statement(
      "INSERT INTO kept (position, head, payload)"
      " SELECT position, pannier_remark(head, position, NULL, NULL, ?3), payload FROM rows"
      " WHERE position BETWEEN ?1 AND ?2");
  s.due = statement("SELECT position, head, payload, due FROM delayed WHERE due<=?1 ORDER BY due, position");
  s.next_due = statement("SELECT min(due) FROM delayed");
  s.put_origin = statement("INSERT OR REPLACE INTO origins (origin, position) VALUES (?1, ?2)");
  s.erase_origin = statement("DELETE FROM origins WHERE origin=?1");
  s.origin = statement("SELECT position FROM origins WHERE origin=?1");
  s.put_damaged = statement("INSERT OR REPLACE INTO damaged (position, head, payload) VALUES (?1, ?2, ?3)");
  s.is_damaged = statement("SELECT 1 FROM damaged WHERE position=?1");
  s.erase_damaged = statement("DELETE FROM damaged WHERE position=?1");

  s.put_stream = statement("INSERT INTO streams (id, box, node, lane, crc) VALUES (?1, ?2, ?3, ?4, ?5)");
  s.put_loads = statement(
      "INSERT OR REPLACE INTO loads (stream, ready, ready_bytes, parked, parked_bytes, delayed, delayed_bytes, kept,"
      " kept_bytes, crc) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
  s.put_watermark = statement(
      "INSERT INTO watermarks (producer, incarnation, lane, sequence, crc) VALUES (?1, ?2, ?3, ?4, ?5)"
      " ON CONFLICT DO UPDATE SET sequence=excluded.sequence, crc=excluded.crc");
  s.watermarks = statement("SELECT producer, incarnation, lane, sequence, crc FROM watermarks");
  s.put_state = statement(
      "INSERT INTO state (key, value, crc) VALUES (?1, ?2, ?3)"
      " ON CONFLICT DO UPDATE SET value=excluded.value, crc=excluded.crc");
  s.erase_state = statement("DELETE FROM state WHERE key=?1");
  s.state_from = statement("SELECT key, value, crc FROM state WHERE key>=?1 ORDER BY key");
  s.put_cursor = statement("INSERT OR REPLACE INTO cursors (stream, reader, sequence, crc) VALUES (?1, ?2, ?3, ?4)");
  s.erase_cursor = statement("DELETE FROM cursors WHERE stream=?1 AND reader=?2");
  s.cursors = statement("SELECT stream, reader, sequence, crc FROM cursors");
  s.put_anchor =
      statement("INSERT OR REPLACE INTO clock (id, store, mono, wall, boot, crc) VALUES (1, ?1, ?2, ?3, ?4, ?5)");
  s.anchor = statement("SELECT store, mono, wall, boot, crc FROM clock WHERE id=1");
  s.add_token = statement(
      "INSERT INTO tokens (stream, token, sequence, expires_at, crc) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO "
      "NOTHING");
  s.replace_token = statement("UPDATE tokens SET sequence=?3, expires_at=?4, crc=?5 WHERE stream=?1 AND token=?2");
  s.erase_tokens = statement(
      "DELETE FROM tokens WHERE (stream, token) IN"
      " (SELECT stream, token FROM tokens WHERE expires_at<=?1 ORDER BY expires_at LIMIT ?2)");
  s.token = statement("SELECT sequence, expires_at, crc FROM tokens WHERE stream=?1 AND token=?2");

  // Between them these name every table and column.
  for (Statement* each :
       {&s.set_meta, &s.put_twin, &s.put_stream, &s.put_loads, &s.put_watermark, &s.put_state, &s.put_cursor,
        &s.put_anchor, &s.add_token, &s.is_damaged, &s.put_origin, &s.read[0], &s.read[1], &s.read[2], &s.read[3]}) {
    if (const int rc = each->prepare(); rc != SQLITE_OK) return s.connection.error(rc, "prepare a statement");
  }
  return made;
}

}  // namespace pannier
