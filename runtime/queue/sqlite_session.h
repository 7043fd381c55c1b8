#pragma once

#include <array>
#include <memory>
#include <utility>

#include "platform/result.h"
#include "runtime/queue/sqlite_handle.h"

namespace pannier {

/// The open database with its statements, prepared once: what is thrown away and made anew when a file has to
/// be reopened. Statements come in pairs where they exist for both tables: [0] rows, [1] parked, as RowState
/// counts.
struct SqliteSession {
  /// Takes the connection. corrupt where a table or column is missing.
  [[nodiscard]] static Result<std::unique_ptr<SqliteSession>> create(Connection connection);

  explicit SqliteSession(Connection opened) : connection(std::move(opened)) {}

  Connection connection;  ///< First, so that it goes last.
  Statement begin;
  Statement commit;
  Statement rollback;
  Statement page_count;
  Statement free_pages;
  Statement set_lease;  ///< lease, crc

  std::array<Statement, 2> put;           ///< position, type, enqueued_at, attempts, crc, key, producer, cause, payload
  std::array<Statement, 2> size;          ///< position -> length(payload)
  std::array<Statement, 2> erase;         ///< position
  std::array<Statement, 2> marked;        ///< position -> attempts, crc, cause, length(payload)
  std::array<Statement, 2> mark;          ///< position, attempts, cause, crc
  std::array<Statement, 2> move_in;       ///< position, attempts, cause, crc: into this one, from the other
  std::array<Statement, 2> read;          ///< above, through -> all columns
  std::array<Statement, 2> count;         ///< from, through -> count, bytes
  Statement erase_range;                  ///< from, through; of rows
  std::array<Statement, 2> copy_damaged;  ///< position: from this one
  Statement is_damaged;                   ///< position -> 1
  Statement erase_damaged;                ///< position

  Statement put_stream;     ///< id, box, node, lane, crc
  Statement put_watermark;  ///< producer, incarnation, lane, sequence, crc
  Statement watermarks;
  Statement put_state;    ///< key, value, crc
  Statement erase_state;  ///< key
  Statement state_from;   ///< key -> key, value, crc
};

}  // namespace pannier
