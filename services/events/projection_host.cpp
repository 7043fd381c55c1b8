#include <algorithm>
#include <exception>

#include <pannier/limits.h>
#include <pannier/projection.h>

#include "services/events/event_sql.h"
#include "services/events/events.fbs.h"

namespace pannier {

namespace {

constexpr std::size_t kWaitingQuestions = 1024;
constexpr Duration kBetweenPages = std::chrono::milliseconds{10};
/// Statements that are left for one more event, and for the note of how far it is.
constexpr std::size_t kSpareStatements = 32;

constexpr const char* kNotTwice =
    "SELECT printf('projection %s is at %d, not %d: it runs twice', ?1, p, ?3) FROM (SELECT coalesce((SELECT position"
    " FROM es_projections WHERE name=?1 AND generation=?2), -1) AS p) WHERE p<>?3";
constexpr const char* kMoveOn = "UPDATE es_projections SET position=?3, stopped=NULL WHERE name=?1 AND generation=?2";

std::string of_event(const RecordedEvent& event) {
  return "event " + std::to_string(event.position) + ", '" + event.type + "', version " +
         std::to_string(event.version) + " of stream " + event.stream;
}

/// The event itself is at fault, and would be each time.
bool is_the_events_fault(ErrorCode code) noexcept {
  return code == ErrorCode::rejected || code == ErrorCode::invalid_argument || code == ErrorCode::failed ||
         code == ErrorCode::full || code == ErrorCode::unsupported;
}

void drop_tables(Batch& batch, std::string_view tables, std::uint64_t generation) {
  while (!tables.empty()) {
    const auto comma = tables.find(',');
    batch.execute("DROP TABLE IF EXISTS " + std::string{tables.substr(0, comma)} + "_" + std::to_string(generation));
    tables.remove_prefix(comma == std::string_view::npos ? tables.size() : comma + 1);
  }
}

}  // namespace

// --- What a projection sees -----------------------------------------------------------------------------------------

std::string ReadModel::physical(std::string_view sql, std::uint64_t generation) {
  std::string out;
  out.reserve(sql.size() + 16);
  while (true) {
    const auto open = sql.find('{');
    const auto close = sql.find('}', open == std::string_view::npos ? sql.size() : open);
    if (open == std::string_view::npos || close == std::string_view::npos) break;
    out.append(sql.substr(0, open)).append(sql.substr(open + 1, close - open - 1));
    out.append("_").append(std::to_string(generation));
    sql.remove_prefix(close + 1);
  }
  return out.append(sql);
}

ReadModel& ReadModel::table(std::string_view name, std::string_view columns) {
  tables_.append(name).append(",");
  return execute("CREATE TABLE {" + std::string{name} + "} (" + std::string{columns} + ")");
}

ReadModel& ReadModel::full_text(std::string_view name, std::string_view columns) {
  tables_.append(name).append(",");
  return execute("CREATE VIRTUAL TABLE {" + std::string{name} + "} USING fts5(" + std::string{columns} + ")");
}

std::shared_ptr<const ProjectionKind> event_feed(std::string name, std::string streams, std::string address) {
  auto kind = std::make_shared<ProjectionKind>();
  kind->name = std::move(name);
  kind->streams = std::move(streams);
  kind->all_types = true;
  kind->create = [](ReadModel&) {};
  kind->apply = [address = std::move(address)](const RecordedEvent& event, const EventTypes&,
                                               ReadModel& model) -> Result<void> {
    model.enqueue(address, event.stream, to_table(event));
    return {};
  };
  return kind;
}

// --- Start ----------------------------------------------------------------------------------------------------------

ProjectionHost::ProjectionHost(std::shared_ptr<const ProjectionKind> kind, ProjectionOptions options)
    : kind_(std::move(kind)), options_(options), types_(kind_->types) {
  if (options_.keys != nullptr) types_.use_keys(*options_.keys);
}

void ProjectionHost::on_start() {
  if (types_.concern_subjects() && !kind_->forgets) {
    return fail("projection " + kind_->name +
                " follows events that concern a subject: give it an apply for events::SubjectForgotten");
  }
  Batch tables;
  prepare_events(tables);
  commit(std::move(tables)).then([this](const Result<Receipt>& made) {
    if (!made) return fail("the tables of events cannot be made: " + made.error().text());
    load();
  });
}

void ProjectionHost::load() {
  QueueControl{*this}
      .query("SELECT generation, version, position, active, tables FROM es_projections WHERE name=?1", kind_->name)
      .then([this](const Result<std::vector<SqlRow>>& rows) { loaded(rows); });
}

void ProjectionHost::loaded(const Result<std::vector<SqlRow>>& rows) {
  if (!rows) return fail("projection " + kind_->name + " cannot be read: " + rows.error().text());
  std::optional<Run> beside;
  bool beside_fits = false;
  for (const SqlRow& row : *rows) {
    Run run;
    run.generation = event_sql::number(row[0]);
    run.position = event_sql::number(row[2]);
    run.tables = event_sql::text(row[4]);
    const bool fits = event_sql::number(row[1]) == kind_->version;
    if (event_sql::number(row[3]) != 0) {
      active_ = std::move(run);
      frozen_ = !fits;
    } else {
      beside_fits = fits;
      beside = std::move(run);
    }
  }
  if (active_.generation == 0) return create(1, true);
  if (beside && beside_fits) {
    next_ = std::move(beside);  // a rebuild that was cut short goes on
  } else if (beside) {
    Batch batch;
    drop_tables(batch, beside->tables, beside->generation);
    batch.execute("DELETE FROM es_projections WHERE name=?1 AND generation=?2", kind_->name, beside->generation);
    commit(std::move(batch)).forget();
  }
  ready();
  if (frozen_ && !next_) {
    log("projection " + kind_->name + " has another version than its tables: they are built anew");
    return create(beside ? beside->generation + 1 : active_.generation + 1, false);
  }
  follow();
}

void ProjectionHost::create(std::uint64_t generation, bool active) {
  Batch batch;
  Run run;
  run.generation = generation;
  run.position = options_.start_after;
  ReadModel model{batch, generation};
  kind_->create(model);
  run.tables = model.tables();
  batch.execute(
      "INSERT INTO es_projections (name, generation, version, position, active, tables)"
      " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
      kind_->name, generation, kind_->version, run.position, active, run.tables);
  busy_ = true;
  commit(std::move(batch)).then([this, run = std::move(run), active](const Result<Receipt>& made) mutable {
    busy_ = false;
    if (!made) return fail("projection " + kind_->name + " cannot make its tables: " + made.error().text());
    if (active) {
      active_ = std::move(run);
      ready();
    } else {
      next_ = std::move(run);
    }
    follow();
  });
}

void ProjectionHost::ready() {
  ready_ = true;
  for (auto& [question, responder] : std::exchange(waiting_, {})) on(question, std::move(responder));
}

// --- It follows the events ------------------------------------------------------------------------------------------

void ProjectionHost::follow() {
  if (busy_) return;
  const auto lags = [](const Run& run) { return !run.live && !run.stopped; };
  const bool of_active = !frozen_ && lags(active_);
  if (of_active || (next_ && lags(*next_))) {
    const Run& run = of_active ? active_ : *next_;
    busy_ = true;
    read_events(*this,
                {.stream_prefix = kind_->streams,
                 .types = kind_->all_types ? std::vector<std::string>{} : types_.names(),
                 .after = run.position,
                 .limit = run.single > 0 ? 1 : options_.page},
                [this, rebuilt = !of_active](Result<std::vector<RecordedEvent>> events) {
                  busy_ = false;
                  page(rebuilt, std::move(events));
                });
    return;
  }
  if (watching_) return;
  watching_ = true;
  QueueControl{*this}.sql_changed(seen_).then([this](const Result<SqlVersion>& now) {
    watching_ = false;
    if (!now) return static_cast<void>(after(limits::kStoreRetry, &ProjectionHost::follow));
    seen_ = *now;
    active_.live = false;
    if (next_) next_->live = false;
    follow();
  });
}

void ProjectionHost::page(bool rebuilt, Result<std::vector<RecordedEvent>> events) {
  if (!events) {
    log(LogLevel::warning, "projection " + kind_->name + " cannot read events: " + events.error().text());
    return static_cast<void>(after(limits::kStoreRetry, &ProjectionHost::follow));
  }
  if (events->empty()) {
    run_of(rebuilt).live = true;
    return rebuilt ? swap() : follow();
  }
  apply(rebuilt, std::make_shared<const std::vector<RecordedEvent>>(std::move(*events)), SIZE_MAX);
}

void ProjectionHost::move_on(Batch& batch, const Run& run, std::uint64_t position) const {
  batch.refuse_if(kNotTwice, kind_->name, run.generation, run.position);
  batch.execute(kMoveOn, kind_->name, run.generation, position);
}

void ProjectionHost::apply(bool rebuilt, const Events& events, std::size_t count) {
  const Run& run = run_of(rebuilt);
  Batch batch;
  ReadModel model{batch, run.generation};
  count = std::min(count, events->size());
  for (std::size_t i = 0; i < count; ++i) {
    const RecordedEvent& event = (*events)[i];
    Result<void> done = [&]() -> Result<void> {
      try {
        return kind_->apply(event, types_, model);
      } catch (const std::exception& thrown) {
        return Error{ErrorCode::failed, thrown.what()};
      }
    }();
    if (!done) {
      if (i > 0) return apply(rebuilt, events, i);  // those before it first
      if (done.error().code == ErrorCode::unsupported || done.error().code == ErrorCode::malformed) {
        stop_at(rebuilt, done.error().text());
        return follow();
      }
      return failed(rebuilt, event, done.error());
    }
    if (batch.sql().size() + kSpareStatements > limits::kSqlStatements) count = i + 1;
  }
  move_on(batch, run, (*events)[count - 1].position);
  busy_ = true;
  commit(std::move(batch)).then([this, rebuilt, events, count](const Result<Receipt>& receipt) {
    busy_ = false;
    applied(rebuilt, events, count, receipt);
  });
}

void ProjectionHost::applied(bool rebuilt, const Events& events, std::size_t count, const Result<Receipt>& receipt) {
  Run& run = run_of(rebuilt);
  if (receipt) {
    run.position = (*events)[count - 1].position;
    if (run.single > 0) --run.single;
    if (rebuilt) active_.live = false;  // it has its turn between two pages of a rebuild
  } else if (receipt.error().code == ErrorCode::conflict) {
    stop_at(rebuilt, receipt.error().text());
  } else if (!is_the_events_fault(receipt.error().code)) {
    log(LogLevel::warning, "projection " + kind_->name + " tries again: " + receipt.error().text());
    return static_cast<void>(after(limits::kStoreRetry, &ProjectionHost::follow));
  } else if (count == 1) {
    return failed(rebuilt, events->front(), receipt.error());
  } else {
    run.single = count;  // one of them
  }
  follow();
}

void ProjectionHost::failed(bool rebuilt, const RecordedEvent& event, const Error& why) {
  const std::string line = of_event(event) + ": " + why.text();
  if (options_.on_failure == ProjectionOptions::OnFailure::stop) {
    stop_at(rebuilt, line);
    return follow();
  }
  const Run& run = run_of(rebuilt);
  Batch batch;
  move_on(batch, run, event.position);
  batch.execute("INSERT OR REPLACE INTO es_failures (name, generation, position, cause) VALUES (?1, ?2, ?3, ?4)",
                kind_->name, run.generation, event.position, line);
  busy_ = true;
  commit(std::move(batch)).then([this, rebuilt, position = event.position, line](const Result<Receipt>& receipt) {
    busy_ = false;
    if (!receipt) return static_cast<void>(after(limits::kStoreRetry, &ProjectionHost::follow));
    Run& moved = run_of(rebuilt);
    moved.position = position;
    if (moved.single > 0) --moved.single;
    ++failures_;
    log(LogLevel::warning, "projection " + kind_->name + " dead-lettered " + line);
    follow();
  });
}

void ProjectionHost::stop_at(bool rebuilt, const std::string& why) {
  Run& run = run_of(rebuilt);
  run.stopped = why;
  log(LogLevel::error, "projection " + kind_->name + " is stopped: " + why);
  Batch batch;
  batch.execute("UPDATE es_projections SET stopped=?3 WHERE name=?1 AND generation=?2", kind_->name, run.generation,
                why);
  commit(std::move(batch)).forget();
}

void ProjectionHost::resume() {
  active_.stopped.reset();
  active_.live = false;
  if (next_) {
    next_->stopped.reset();
    next_->live = false;
  }
  follow();
}

// --- New tables beside the old ones ---------------------------------------------------------------------------------

void ProjectionHost::rebuild(const Responder& responder) {
  if (next_ || busy_) {
    // Between two pages it is possible; while one is under way it has to wait for its end.
    if (next_) return responder.refuse(Error{ErrorCode::in_use, "projection " + kind_->name + " is being rebuilt"});
    return static_cast<void>(after(kBetweenPages, [this, responder] { rebuild(responder); }));
  }
  create(active_.generation + 1, false);
  status(responder);
}

void ProjectionHost::swap() {
  Batch batch;
  batch.execute("DELETE FROM es_projections WHERE name=?1 AND generation=?2", kind_->name, active_.generation)
      .execute("DELETE FROM es_failures WHERE name=?1 AND generation=?2", kind_->name, active_.generation)
      .execute("UPDATE es_projections SET active=1 WHERE name=?1 AND generation=?2", kind_->name, next_->generation);
  drop_tables(batch, active_.tables, active_.generation);
  busy_ = true;
  ready_ = false;  // what is asked now is answered from the new tables
  commit(std::move(batch)).then([this](const Result<Receipt>& receipt) {
    busy_ = false;
    if (receipt) {
      active_ = std::move(*next_);
      next_.reset();
      frozen_ = false;
      log("projection " + kind_->name + " was rebuilt up to event " + std::to_string(active_.position));
    }
    ready();
    if (receipt) return follow();
    static_cast<void>(after(limits::kStoreRetry, &ProjectionHost::follow));
    next_->live = false;
  });
}

// --- It is asked ----------------------------------------------------------------------------------------------------

void ProjectionHost::on(const AnyTable& question, Responder responder) {
  if (question.as<events::ProjectionQuestion>()) return status(responder);
  if (auto order = question.as<events::ProjectionCommand>()) {
    if ((*order)->order() == events::ProjectionOrder::rebuild) return rebuild(responder);
    resume();
    return status(responder);
  }
  for (const ProjectionKind::Query& each : kind_->queries) {
    if (each.type->id == question.type()) return query(each, question, responder);
  }
  responder.refuse(Error{ErrorCode::rejected, "projection " + kind_->name + " has no such query"});
}

void ProjectionHost::query(const ProjectionKind::Query& kind, const AnyTable& question, const Responder& responder) {
  if (!ready_) {
    if (waiting_.size() >= kWaitingQuestions) return responder.refuse(ErrorCode::full);
    waiting_.emplace_back(question, responder);
    return;
  }
  auto asked = kind.ask(question);
  if (!asked) return responder.refuse(asked.error());
  asked->statement.sql = ReadModel::physical(asked->statement.sql, active_.generation);
  QueueControl{*this}
      .query(std::move(asked->statement))
      .then([responder, answer = std::move(asked->answer)](const Result<std::vector<SqlRow>>& rows) {
        if (!rows) return responder.refuse(rows.error());
        try {
          responder.reply(answer(*rows));
        } catch (const std::exception& thrown) {
          responder.refuse(Error{ErrorCode::failed, thrown.what()});
        }
      });
}

void ProjectionHost::status(const Responder& responder) {
  QueueControl{*this}
      .query("SELECT coalesce(max(position), 0) FROM es_events")
      .then([this, responder](const Result<std::vector<SqlRow>>& rows) {
        if (!rows) return responder.refuse(rows.error());
        using State = events::ProjectionState;
        const State state = active_.generation == 0 ? State::starting
                            : active_.stopped       ? State::stopped
                            : active_.live          ? State::live
                                                    : State::catching_up;
        const auto& stopped = active_.stopped ? active_.stopped : next_ ? next_->stopped : active_.stopped;
        responder.reply(AnyTable{make<events::ProjectionStatus>(
            kind_->name, state, active_.generation, active_.position, event_sql::number(rows->front()[0]), failures_,
            stopped.value_or(std::string{}), next_.has_value(), next_ ? next_->position : 0)});
      });
}

}  // namespace pannier
