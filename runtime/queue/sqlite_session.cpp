#include "runtime/queue/sqlite_session.h"

#include <string>
#include <vector>

namespace pannier {

Result<std::unique_ptr<SqliteSession>> SqliteSession::create(Connection connection) {
  auto made = std::make_unique<SqliteSession>(std::move(connection));
  struct Entry {
    Statement* statement;
    std::string sql;
  };
  std::vector<Entry> entries = {
      {&made->begin, "BEGIN"},
      {&made->commit, "COMMIT"},
      {&made->rollback, "ROLLBACK"},
      {&made->page_count, "PRAGMA page_count"},
      {&made->free_pages, "PRAGMA freelist_count"},
      {&made->set_lease, "UPDATE meta SET sequence_lease=?1, crc=?2 WHERE id=1"},
      {&made->erase_range, "DELETE FROM rows WHERE position BETWEEN ?1 AND ?2"},
      {&made->is_damaged, "SELECT 1 FROM damaged WHERE position=?1"},
      {&made->erase_damaged, "DELETE FROM damaged WHERE position=?1"},
      {&made->put_stream, "INSERT INTO streams (id, box, node, lane, crc) VALUES (?1, ?2, ?3, ?4, ?5)"},
      {&made->put_watermark,
       "INSERT INTO watermarks (producer, incarnation, lane, sequence, crc) VALUES (?1, ?2, ?3, ?4, ?5)"
       " ON CONFLICT DO UPDATE SET sequence=excluded.sequence, crc=excluded.crc"},
      {&made->watermarks, "SELECT producer, incarnation, lane, sequence, crc FROM watermarks"},
      {&made->put_state,
       "INSERT INTO state (key, value, crc) VALUES (?1, ?2, ?3)"
       " ON CONFLICT DO UPDATE SET value=excluded.value, crc=excluded.crc"},
      {&made->erase_state, "DELETE FROM state WHERE key=?1"},
      {&made->state_from, "SELECT key, value, crc FROM state WHERE key>=?1 ORDER BY key"},
  };
  const char* const tables[] = {"rows", "parked"};
  for (std::size_t i = 0; i < 2; ++i) {
    const std::string table = tables[i];
    const std::string other = tables[1 - i];
    const std::string columns = "position, type, enqueued_at, attempts, crc, key, producer, cause, payload";
    entries.push_back(
        {&made->put[i], "INSERT INTO " + table + " (" + columns + ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"});
    entries.push_back({&made->size[i], "SELECT length(payload) FROM " + table + " WHERE position=?1"});
    entries.push_back({&made->erase[i], "DELETE FROM " + table + " WHERE position=?1"});
    entries.push_back(
        {&made->marked[i], "SELECT attempts, crc, cause, length(payload) FROM " + table + " WHERE position=?1"});
    entries.push_back({&made->mark[i], "UPDATE " + table + " SET attempts=?2, cause=?3, crc=?4 WHERE position=?1"});
    entries.push_back(
        {&made->move_in[i], "INSERT INTO " + table + " (" + columns +
                                ") SELECT position, type, enqueued_at, ?2, ?4, key, producer, ?3, payload FROM " +
                                other + " WHERE position=?1"});
    entries.push_back({&made->read[i], "SELECT " + columns + " FROM " + table +
                                           " WHERE position>?1 AND position<=?2 ORDER BY position"});
    // length() of a blob reads the record's header, not the payload nor its overflow pages.
    entries.push_back({&made->count[i], "SELECT count(*), coalesce(sum(length(payload)), 0) FROM " + table +
                                            " WHERE position BETWEEN ?1 AND ?2"});
    entries.push_back({&made->copy_damaged[i], "INSERT OR REPLACE INTO damaged (" + columns + ") SELECT " + columns +
                                                   " FROM " + table + " WHERE position=?1"});
  }
  for (Entry& entry : entries) {
    Result<Statement> prepared = made->connection.prepare(entry.sql);
    if (!prepared) return prepared.error();
    *entry.statement = std::move(*prepared);
  }
  return made;
}

}  // namespace pannier
