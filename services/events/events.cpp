#include <pannier/events.h>
#include <pannier/limits.h>

#include "services/events/event_sql.h"
#include "services/events/events.fbs.h"

// docs/events.md has the tables and what each is for.

namespace pannier {

namespace {

constexpr const char* kGuard =
    "SELECT printf('stream %s is at version %d, not %d', ?1, v, ?2)"
    " FROM (SELECT coalesce((SELECT version FROM es_streams WHERE name=?1), 0) AS v) WHERE v<>?2";
constexpr const char* kGrow =
    "INSERT INTO es_streams (name, version, at) VALUES (?1, ?2, ?3)"
    " ON CONFLICT (name) DO UPDATE SET version=version+excluded.version, at=max(at, excluded.at)";
constexpr const char* kInsert =
    "INSERT INTO es_events (stream, version, type, schema, at, data, subject)"
    " SELECT id, version-?2, ?3, ?4, at, ?5, nullif(?6, '') FROM es_streams WHERE name=?1";
/// In each stream with events of the subject, unless the latest of them says already that it was forgotten.
constexpr const char* kForget =
    "INSERT INTO es_events (stream, version, type, schema, at, data, subject)"
    " SELECT id, version+1, ?2, 1, max(at, ?3), ?4, ?1 FROM es_streams s"
    " WHERE id IN (SELECT stream FROM es_events WHERE subject=?1) AND (SELECT type FROM es_events e"
    " WHERE e.subject=?1 AND e.stream=s.id ORDER BY e.version DESC LIMIT 1)<>?2";
constexpr const char* kGrowForgotten =
    "UPDATE es_streams SET version=version+1, at=max(at, ?2) WHERE id IN (SELECT stream FROM es_events"
    " WHERE subject=?1) AND EXISTS (SELECT 1 FROM es_events e WHERE e.stream=es_streams.id AND"
    " e.version=es_streams.version+1)";
constexpr const char* kTokenKnown = "SELECT 'token ' || token || ' is known' FROM es_tokens WHERE token=?1";
constexpr const char* kToken =
    "INSERT INTO es_tokens (token, stream, version) SELECT ?1, id, version FROM es_streams WHERE name=?2";

Error wrong_append(std::string what) { return {ErrorCode::invalid_argument, "append: " + std::move(what)}; }

}  // namespace

void prepare_events(Batch& batch) {
  batch
      .execute(
          "CREATE TABLE IF NOT EXISTS es_streams (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
          " version INTEGER NOT NULL, at INTEGER NOT NULL) STRICT")
      .execute(
          "CREATE TABLE IF NOT EXISTS es_events (position INTEGER PRIMARY KEY, stream INTEGER NOT NULL,"
          " version INTEGER NOT NULL, type TEXT NOT NULL, schema INTEGER NOT NULL, at INTEGER NOT NULL,"
          " data BLOB NOT NULL, subject TEXT) STRICT")
      .execute("CREATE UNIQUE INDEX IF NOT EXISTS es_events_stream ON es_events (stream, version)")
      .execute(
          "CREATE INDEX IF NOT EXISTS es_events_subject ON es_events (subject, stream, version)"
          " WHERE subject IS NOT NULL")
      .execute(
          "CREATE TABLE IF NOT EXISTS es_tokens (token TEXT PRIMARY KEY, stream INTEGER NOT NULL,"
          " version INTEGER NOT NULL) STRICT, WITHOUT ROWID")
      .execute(
          "CREATE TABLE IF NOT EXISTS es_snapshots (stream INTEGER PRIMARY KEY, version INTEGER NOT NULL,"
          " type TEXT NOT NULL, data BLOB NOT NULL, sum INTEGER NOT NULL, subjects TEXT NOT NULL) STRICT")
      .execute(
          "CREATE TABLE IF NOT EXISTS es_projections (name TEXT NOT NULL, generation INTEGER NOT NULL,"
          " version INTEGER NOT NULL, position INTEGER NOT NULL, active INTEGER NOT NULL, tables TEXT NOT NULL,"
          " stopped TEXT, PRIMARY KEY (name, generation)) STRICT, WITHOUT ROWID")
      .execute(
          "CREATE TABLE IF NOT EXISTS es_failures (name TEXT NOT NULL, generation INTEGER NOT NULL,"
          " position INTEGER NOT NULL, cause TEXT NOT NULL, PRIMARY KEY (name, generation, position))"
          " STRICT, WITHOUT ROWID");
}

Result<void> append(Batch& batch, std::string_view stream, ExpectedVersion expected, std::span<const NewEvent> events,
                    const AppendOptions& options) {
  if (stream.empty() || stream.size() > limits::kKeyBytes) return wrong_append("a stream's name has 1 to 255 bytes");
  if (events.empty()) return wrong_append("stream " + std::string{stream} + ": no events are given");
  if (batch.sql().size() + events.size() + 4 > limits::kSqlStatements) {
    return wrong_append("a batch has at most " + std::to_string(limits::kSqlStatements) +
                        " statements, and these are " + std::to_string(events.size()) + " events");
  }
  if (options.token.size() > limits::kTokenBytes) return wrong_append("a token has at most 128 bytes");
  for (const NewEvent& event : events) {
    if (event.type.empty()) return wrong_append("stream " + std::string{stream} + ": an event has no type");
    if (event.subject.size() > limits::kKeyBytes || event.subject.find('\n') != std::string::npos) {
      return wrong_append("a subject's name has 1 to 255 bytes, and no line break");
    }
    if (event.data.bytes().size() > limits::kPayloadBytes) return wrong_append("an event has at most 256 KiB");
  }
  // First of all: a token that is known makes the expectation void.
  if (!options.token.empty()) batch.skip_if(kTokenKnown, options.token);
  if (expected.version != ExpectedVersion::kAny) batch.refuse_if(kGuard, stream, expected.version);
  batch.execute(kGrow, stream, events.size(), options.at.time_since_epoch().count());
  std::size_t behind = events.size();
  for (const NewEvent& event : events) {
    --behind;
    batch.execute(kInsert, stream, behind, event.type, event.schema, event_sql::blob(event.data.bytes()),
                  event.subject);
  }
  if (!options.token.empty()) batch.execute(kToken, options.token, stream);
  return {};
}

SqlStatement select_events(const EventSelection& selection) {
  SqlStatement select;
  const auto bound = [&](SqlValue value) {
    select.values.push_back(std::move(value));
    return "?" + std::to_string(select.values.size());
  };
  const auto count = [](std::uint64_t value) { return sql_value(value); };
  const bool one = !selection.stream.empty();
  const std::string place = one ? "e.version" : "e.position";
  std::string& sql = select.sql;
  sql = "SELECT e.position, s.name, e.version, e.type, e.schema, e.at, e.data, e.subject FROM ";
  sql += one ? "es_streams s CROSS JOIN es_events e ON e.stream=s.id"
             : "es_events e CROSS JOIN es_streams s ON s.id=e.stream";
  if (selection.backward) {
    sql += " WHERE " + place + "<" + bound(selection.after == 0 ? SqlValue{INT64_MAX} : count(selection.after));
  } else {
    sql += " WHERE " + place + ">" + bound(count(selection.after));
  }
  if (one) {
    sql += " AND s.name=" + bound(selection.stream);
  } else if (!selection.stream_prefix.empty()) {
    sql += " AND s.name>=" + bound(selection.stream_prefix);
    if (auto end = event_sql::end_of_prefix(selection.stream_prefix)) sql += " AND s.name<" + bound(*end);
  }
  if (selection.up_to != 0) sql += " AND " + place + "<=" + bound(count(selection.up_to));
  if (selection.as_of != WallTime{})
    sql += " AND e.at<=" + bound(SqlValue{std::int64_t{selection.as_of.time_since_epoch().count()}});
  for (std::size_t i = 0; i < selection.types.size(); ++i) {
    sql += (i == 0 ? " AND e.type IN (" : ", ") + bound(selection.types[i]);
  }
  if (!selection.types.empty()) sql += ")";
  sql += " ORDER BY " + place + (selection.backward ? " DESC" : "") + " LIMIT " + bound(count(selection.limit));
  return select;
}

Result<std::vector<RecordedEvent>> to_events(const Result<std::vector<SqlRow>>& rows) {
  if (!rows) return rows.error();
  std::vector<RecordedEvent> events;
  events.reserve(rows->size());
  for (const SqlRow& row : *rows) {
    if (row.size() != 8) return Error{ErrorCode::invalid_argument, "these are not rows of select_events"};
    events.push_back({event_sql::number(row[0]), std::string{event_sql::text(row[1])}, event_sql::number(row[2]),
                      std::string{event_sql::text(row[3])}, static_cast<std::uint32_t>(event_sql::number(row[4])),
                      WallTime{Duration{event_sql::integer(row[5])}}, event_sql::block(row[6]),
                      std::string{event_sql::text(row[7])}});
  }
  return events;
}

void forget_subject(ActorHandle actor, SubjectKeys& keys, std::string subject,
                    std::function<void(const Result<void>& done)> then) {
  const auto forgotten = make<events::SubjectForgotten>(std::string_view{subject});
  const std::string_view type = type_info<events::SubjectForgotten>().name;
  const std::int64_t at = actor.wall_now().time_since_epoch().count();
  Batch batch;
  prepare_events(batch);
  batch.execute(kForget, subject, type, at, event_sql::blob(forgotten.bytes())).execute(kGrowForgotten, subject, at);
  // The events first: a key that is gone with no event to say so would leave read models as they are.
  actor.commit(std::move(batch))
      .then([actor, &keys, subject = std::move(subject), forgotten,
             then = std::move(then)](const Result<Receipt>& stored) {
        if (!stored) return then(stored.error());
        const Result<void> gone = keys.forget(subject);
        if (gone) actor.publish(kForgottenTopic, forgotten).ignore();
        then(gone);
      });
}

}  // namespace pannier
