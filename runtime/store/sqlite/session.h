#pragma once

#include <array>
#include <memory>
#include <string_view>

#include "platform/result.h"
#include "runtime/store/row.h"
#include "runtime/store/sqlite/application.h"
#include "runtime/store/sqlite/batches.h"
#include "runtime/store/sqlite/functions.h"
#include "runtime/store/sqlite/handle.h"
#include "runtime/store/sqlite/twin.h"

namespace pannier {

/// The open database with its statements, each prepared when it is first used: what is thrown away and made anew when
/// a file has to be reopened.
struct SqliteSession {
  /// Takes the connection. corrupt where a table or column is missing. `batch_bytes`: SqliteOptions.
  [[nodiscard]] static Result<std::unique_ptr<SqliteSession>> create(Connection connection, std::size_t batch_bytes);

  SqliteSession(Connection opened, std::size_t batch_bytes);
  ~SqliteSession() { application.clear(); }
  SqliteSession(const SqliteSession&) = delete;
  SqliteSession& operator=(const SqliteSession&) = delete;

  using PerState = std::array<Statement, kRowStates>;

  sqlite_functions::Tally tally;  ///< What pannier_tally() has met; cleared before a statement and taken after it.
  /// Outlives the connection, which asks it.
  ApplicationSql application;
  Connection connection;  ///< Before the statements, so that it goes after them.
  Statement begin{connection, "BEGIN"};
  Statement commit{connection, "COMMIT"};
  Statement rollback{connection, "ROLLBACK"};
  Statement begin_part{connection, "SAVEPOINT part"};
  Statement undo_part{connection, "ROLLBACK TO part"};
  Statement end_part{connection, "RELEASE part"};
  /// Around the application's statements; to undo is not yet to release.
  Statement savepoint{connection, "SAVEPOINT application"};
  Statement undo_savepoint{connection, "ROLLBACK TO application"};
  Statement release{connection, "RELEASE application"};
  Statement page_count{connection, "PRAGMA page_count"};
  Statement free_pages{connection, "PRAGMA freelist_count"};
  Statement set_meta{connection, "UPDATE meta SET sequence_lease=?1, clean=?2, crc=?3 WHERE id=1"};
  Statement put_twin{connection, sqlite_twin::kPut};

  // By table of rows, as RowState counts: '$' stands for the table, and what is in brackets is for `delayed` alone,
  // which has when its rows are due beside them, for an index.
  PerState put = each("INSERT INTO $ (position, head, payload[, due]) VALUES (?1, ?2, ?3[, ?4])");
  /// length() of a blob reads the record's header, not the payload nor its overflow pages.
  PerState erase = each("DELETE FROM $ WHERE position BETWEEN ?1 AND ?2 AND pannier_tally(head, length(payload))");
  /// position, attempts, cause, moment
  PerState remark = each("UPDATE $ SET head=pannier_remark(head, position, ?2, ?3, ?4)[, due=?4] WHERE position=?1");
  PerState read =
      each("SELECT position, head, payload[, due] FROM $ WHERE position>?1 AND position<=?2 ORDER BY position");
  PerState sizes =
      each("SELECT position, length(payload), head FROM $ WHERE position>?1 AND position<=?2 ORDER BY position");
  /// [from][to]: position, attempts, cause, moment. Copies; the row is then erased by its own statement.
  std::array<PerState, kRowStates> move;
  SqliteBatches batches;  ///< Ready rows that are in no row of put[0].

  Statement keep{connection,
                 "INSERT INTO kept (position, head, payload)"
                 " SELECT position, pannier_remark(head, position, NULL, NULL, ?3), payload FROM rows"
                 " WHERE position BETWEEN ?1 AND ?2"};
  Statement due{connection, "SELECT position, head, payload, due FROM delayed WHERE due<=?1 ORDER BY due, position"};
  Statement next_due{connection, "SELECT min(due) FROM delayed"};
  Statement put_origin{connection, "INSERT OR REPLACE INTO origins (origin, position) VALUES (?1, ?2)"};
  Statement erase_origin{connection, "DELETE FROM origins WHERE origin=?1"};
  Statement origin{connection, "SELECT position FROM origins WHERE origin=?1"};
  Statement put_damaged{connection, "INSERT OR REPLACE INTO damaged (position, head, payload) VALUES (?1, ?2, ?3)"};
  /// position, payload, how many of the kind are kept
  Statement put_broken{connection,
                       "INSERT OR REPLACE INTO damaged (position, head, payload) SELECT ?1, x'', ?2"
                       " WHERE (SELECT count(*) FROM damaged WHERE position<0) < ?3"};
  Statement is_damaged{connection, "SELECT 1 FROM damaged WHERE position=?1"};
  Statement erase_damaged{connection, "DELETE FROM damaged WHERE position=?1"};

  Statement put_stream{connection, "INSERT INTO streams (id, box, node, lane, crc) VALUES (?1, ?2, ?3, ?4, ?5)"};
  Statement put_loads{
      connection,
      "INSERT OR REPLACE INTO loads (stream, ready, ready_bytes, parked, parked_bytes, delayed, delayed_bytes,"
      " kept, kept_bytes, crc) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"};
  Statement put_watermark{
      connection,
      "INSERT INTO watermarks (producer, incarnation, lane, sequence, crc) VALUES (?1, ?2, ?3, ?4, ?5)"
      " ON CONFLICT DO UPDATE SET sequence=excluded.sequence, crc=excluded.crc"};
  Statement watermarks{connection, "SELECT producer, incarnation, lane, sequence, crc FROM watermarks"};
  Statement put_state{connection,
                      "INSERT INTO state (key, value, crc) VALUES (?1, ?2, ?3)"
                      " ON CONFLICT DO UPDATE SET value=excluded.value, crc=excluded.crc"};
  Statement erase_state{connection, "DELETE FROM state WHERE key=?1"};
  Statement state_from{connection, "SELECT key, value, crc FROM state WHERE key>=?1 ORDER BY key"};
  Statement put_cursor{connection,
                       "INSERT OR REPLACE INTO cursors (stream, reader, sequence, crc) VALUES (?1, ?2, ?3, ?4)"};
  Statement erase_cursor{connection, "DELETE FROM cursors WHERE stream=?1 AND reader=?2"};
  Statement cursors{connection, "SELECT stream, reader, sequence, crc FROM cursors"};
  Statement put_anchor{
      connection, "INSERT OR REPLACE INTO clock (id, store, mono, wall, boot, crc) VALUES (1, ?1, ?2, ?3, ?4, ?5)"};
  Statement anchor{connection, "SELECT store, mono, wall, boot, crc FROM clock WHERE id=1"};
  /// Changes nothing where it is there.
  Statement add_token{connection,
                      "INSERT INTO tokens (stream, token, sequence, expires_at, crc) VALUES (?1, ?2, ?3, ?4, ?5)"
                      " ON CONFLICT DO NOTHING"};
  /// Changes nothing where it is not.
  Statement replace_token{connection,
                          "UPDATE tokens SET sequence=?3, expires_at=?4, crc=?5 WHERE stream=?1 AND token=?2"};
  Statement erase_tokens{connection,
                         "DELETE FROM tokens WHERE (stream, token) IN"
                         " (SELECT stream, token FROM tokens WHERE expires_at<=?1 ORDER BY expires_at LIMIT ?2)"};
  Statement token{connection, "SELECT sequence, expires_at, crc FROM tokens WHERE stream=?1 AND token=?2"};

 private:
  /// `from`: what '@' stands for.
  [[nodiscard]] PerState each(std::string_view pattern, RowState from = RowState::ready) const;
};

}  // namespace pannier
