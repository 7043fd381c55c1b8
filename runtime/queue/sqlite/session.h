#pragma once

#include <array>
#include <memory>
#include <utility>

#include "platform/result.h"
#include "runtime/queue/row.h"
#include "runtime/queue/sqlite/application.h"
#include "runtime/queue/sqlite/batches.h"
#include "runtime/queue/sqlite/functions.h"
#include "runtime/queue/sqlite/handle.h"

namespace pannier {

/// The open database with its statements, each prepared when it is first used: what is thrown away and made anew when
/// a file has to be reopened. Arrays of statements go by table of rows, as RowState counts.
struct SqliteSession {
  /// Takes the connection. corrupt where a table or column is missing. `batch_bytes`: SqliteOptions.
  [[nodiscard]] static Result<std::unique_ptr<SqliteSession>> create(Connection connection, std::size_t batch_bytes);

  SqliteSession(Connection opened, std::size_t batch_bytes)
      : connection(std::move(opened)), batches(connection, put[0], batch_bytes) {}
  ~SqliteSession() { application.clear(); }
  SqliteSession(const SqliteSession&) = delete;
  SqliteSession& operator=(const SqliteSession&) = delete;

  using PerState = std::array<Statement, kRowStates>;

  sqlite_functions::Tally tally;  ///< What pannier_tally() has met; cleared before a statement and taken after it.
  /// Outlives the connection, which asks it.
  ApplicationSql application;
  Connection connection;  ///< Before the statements, so that it goes after them.
  Statement begin;
  Statement commit;
  Statement rollback;
  Statement begin_part;
  Statement undo_part;
  Statement end_part;
  Statement savepoint;       ///< Around the application's statements.
  Statement undo_savepoint;  ///< Then release.
  Statement release;
  Statement page_count;
  Statement free_pages;
  Statement set_meta;  ///< lease, clean, crc
  Statement put_twin;  ///< version, incarnation, lease, roots, crc

  // A row is given and taken as position, head, payload; of the delayed ones with due behind.
  PerState put;
  PerState erase;         ///< from, through; tallied
  PerState remark;        ///< position, attempts, cause, moment
  PerState read;          ///< above, through -> rows
  PerState sizes;         ///< above, through -> position, length(payload), head
  SqliteBatches batches;  ///< Ready rows that are in no row of put[0].
  /// [from][to]: position, attempts, cause, moment. Copies; the row is then erased by its own statement.
  std::array<PerState, kRowStates> move;
  Statement keep;           ///< from, through, moment: copies of rows into kept
  Statement due;            ///< now -> rows
  Statement next_due;       ///< -> moment or NULL
  Statement put_origin;     ///< origin, position
  Statement erase_origin;   ///< origin
  Statement origin;         ///< origin -> position
  Statement put_damaged;    ///< position, head, payload
  Statement is_damaged;     ///< position -> 1
  Statement erase_damaged;  ///< position

  Statement put_stream;     ///< id, box, node, lane, crc
  Statement put_loads;      ///< stream, messages and bytes of each state, crc
  Statement put_watermark;  ///< producer, incarnation, lane, sequence, crc
  Statement watermarks;
  Statement put_state;     ///< key, value, crc
  Statement erase_state;   ///< key
  Statement state_from;    ///< key -> key, value, crc
  Statement put_cursor;    ///< stream, reader, sequence, crc
  Statement erase_cursor;  ///< stream, reader
  Statement cursors;
  Statement put_anchor;  ///< store, mono, wall, boot, crc
  Statement anchor;
  Statement add_token;      ///< stream, token, sequence, expires_at, crc; changes nothing where it is there
  Statement replace_token;  ///< as add_token; changes nothing where it is not
  Statement erase_tokens;   ///< now, limit
  Statement token;          ///< stream, token -> sequence, expires_at, crc
};

}  // namespace pannier
