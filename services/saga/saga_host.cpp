#include <algorithm>
#include <charconv>

#include <pannier/limits.h>
#include <pannier/saga.h>

#include "services/saga/saga_engine.h"

namespace pannier {

namespace {

constexpr std::uint32_t kTries = 5;  // of one message while the row changes under it
constexpr std::size_t kSeenSignals = 64;
constexpr std::size_t kHeld = 64;
constexpr std::size_t kListed = 200;
constexpr std::uint64_t kPurged = 1000;

constexpr const char* kRead = "SELECT saga, version, status, cause, revision, body FROM sagas WHERE id=?1";
constexpr const char* kIsThere = "SELECT printf('saga %s is there already', ?1) FROM sagas WHERE id=?1";
constexpr const char* kInsert =
    "INSERT INTO sagas (id, saga, version, status, cause, revision, asking, waiting, started_at, changed_at, body)"
    " VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?7, ?8, ?8, ?9)";
constexpr const char* kMoved =
    "SELECT printf('saga %s has gone on', ?1) FROM (SELECT coalesce((SELECT revision FROM sagas WHERE id=?1), 0) AS r)"
    " WHERE r<>?2";
constexpr const char* kUpdate =
    "UPDATE sagas SET saga=?2, version=?3, status=?4, cause=?5, revision=revision+1, asking=?6, waiting=?7,"
    " changed_at=?8, body=?9 WHERE id=?1";

std::uint64_t number_at(const SqlRow& row, std::size_t column) {
  const auto* found = std::get_if<std::int64_t>(&row[column]);
  return found == nullptr ? 0 : static_cast<std::uint64_t>(*found);
}
std::string text_at(const SqlRow& row, std::size_t column) {
  const auto* found = std::get_if<std::string>(&row[column]);
  return found == nullptr ? std::string{} : *found;
}

/// "order-17#5": the saga, and the execution of a step.
std::pair<std::string, std::uint64_t> parse_key(std::string_view key) {
  const auto hash = key.rfind('#');
  if (hash != std::string_view::npos && hash + 1 < key.size()) {
    std::uint64_t run = 0;
    const auto [end, error] = std::from_chars(key.data() + hash + 1, key.data() + key.size(), run);
    if (error == std::errc{} && end == key.data() + key.size()) return {std::string{key.substr(0, hash)}, run};
  }
  return {std::string{key}, 0};
}

}  // namespace

/// A saga as its row has it, on its way to the next row.
struct SagaHost::Loaded {
  std::shared_ptr<const SagaTable> table;  // null: unknown here
  std::string saga;
  std::uint32_t version = 0;
  std::uint64_t revision = 0;  // 0: no row yet
  SagaState state;
  std::shared_ptr<void> data;
  Batch batch;
  std::vector<SagaEngine::Ask> asks;
  std::string bad;  // why the message can never be taken
  bool later = false;
};

SagaHost::SagaHost(std::vector<std::shared_ptr<const SagaTable>> tables, SagaOptions options)
    : tables_(std::move(tables)), options_(std::move(options)) {}

void SagaHost::on_start() {
  for (const auto& table : tables_) {
    if (auto good = table->check(); !good) return fail(good.error().text());
  }
  Batch batch;
  batch
      .execute(
          "CREATE TABLE IF NOT EXISTS sagas (id TEXT PRIMARY KEY, saga TEXT NOT NULL, version INTEGER NOT NULL,"
          " status TEXT NOT NULL, cause TEXT NOT NULL, revision INTEGER NOT NULL, asking INTEGER NOT NULL,"
          " waiting INTEGER NOT NULL, started_at INTEGER NOT NULL, changed_at INTEGER NOT NULL, body BLOB NOT NULL)"
          " STRICT")
      .execute("CREATE INDEX IF NOT EXISTS sagas_asking ON sagas (id) WHERE asking=1")
      .execute("CREATE INDEX IF NOT EXISTS sagas_waiting ON sagas (id) WHERE waiting=1");
  commit(std::move(batch)).then([this](const Result<Receipt>& made) {
    if (!made) return fail("the table of sagas cannot be made: " + made.error().text());
    wake("SELECT id FROM sagas WHERE asking=1", true);
    wake("SELECT id FROM sagas WHERE waiting=1", false);
    require(consume_lane(options_.lane, {.window = options_.window}));
  });
}

/// What an earlier life of the process left: questions without answers, sagas of versions that are known now.
void SagaHost::wake(std::string sql, bool ask_again) {
  QueueControl{*this}.query(std::move(sql)).then([this, ask_again](const Result<std::vector<SqlRow>>& rows) {
    if (!rows) return log(LogLevel::error, "sagas cannot be read: " + rows.error().text());
    for (const SqlRow& row : *rows) {
      Input input{
          0,        make<sagas::Timer>(sagas::TimerKind::go_on, std::uint64_t{0}, 0U), std::nullopt, 0, std::nullopt, 0,
          ask_again};
      take(text_at(row, 0), std::move(input));
    }
  });
}

// --- A message comes ------------------------------------------------------------------------------------------------

void SagaHost::on(const AnyTable& message, Delivery delivery) {
  auto [id, run] = parse_key(label());
  if (id.empty()) return delivery.dead_letter("a message to a saga has the saga's id as its key");
  take(id, {run, message, std::move(delivery), 0, std::nullopt, 0, false});
}

void SagaHost::take(const std::string& id, Input input) {
  auto& line = lines_[id];
  line.push_back(std::move(input));
  if (line.size() == 1) next(id);
}

void SagaHost::next(const std::string& id) {
  QueueControl{*this}.query(kRead, id).then([this, id](const Result<std::vector<SqlRow>>& rows) { loaded(id, rows); });
}

std::shared_ptr<const SagaTable> SagaHost::table_of(std::string_view name, std::uint32_t version) const {
  std::shared_ptr<const SagaTable> best;
  for (const auto& each : tables_) {
    if (each->name != name || (version != 0 && each->version != version)) continue;
    if (best == nullptr || each->version > best->version) best = each;
  }
  return best;
}

void SagaHost::loaded(const std::string& id, const Result<std::vector<SqlRow>>& rows) {
  Input& input = lines_[id].front();
  if (!rows) {
    log(LogLevel::warning, "saga " + id + " cannot be read, and is tried again: " + rows.error().text());
    after(limits::kStoreRetry, [this, id] { next(id); });
    return;
  }
  auto saga = std::make_shared<Loaded>();
  if (!rows->empty()) {
    const SqlRow& row = rows->front();
    saga->saga = text_at(row, 0);
    saga->version = static_cast<std::uint32_t>(number_at(row, 1));
    saga->state.status = text_at(row, 2);
    saga->state.cause = text_at(row, 3);
    saga->revision = number_at(row, 4);
    const auto* body = std::get_if<std::vector<std::byte>>(&row[5]);
    if (body == nullptr || !unpack_body(*body, saga->state.body)) {
      log(LogLevel::error, "saga " + id + " cannot be read: its row is damaged");
      return drop(id, "the saga's row is damaged");
    }
    if (saga->version != 0) saga->table = table_of(saga->saga, saga->version);
    if (saga->table != nullptr) {
      const auto bytes = std::as_bytes(std::span{saga->state.body.data});
      saga->data = saga->table->unpack(BlockRef::copy_of(bytes).bytes());
      if (saga->data == nullptr) return drop(id, "the saga's data is not what its table says");
    }
  }
  // Those that were held first, in their order.
  auto held = std::move(saga->state.body.held);
  saga->state.body.held.clear();
  for (const auto& each : held) {
    Input earlier{each->run, table_of_bytes(each->type, each->data), std::nullopt, 0, std::nullopt, 0, false};
    work(id, *saga, earlier);
    if (saga->bad.empty() && !saga->later) continue;
    log(LogLevel::error, "saga " + id + " drops a message that it held: " +
                             (saga->later ? "it keeps too many" : std::exchange(saga->bad, {})));
    saga->later = false;
  }
  work(id, *saga, input);
  if (!saga->bad.empty()) return drop(id, saga->bad);
  if (saga->later) {
    if (input.delivery) input.delivery->retry({}, "the saga holds too many messages that it cannot take yet");
    return finish(id);
  }
  store(id, saga);
}

/// What one message makes of the saga.
void SagaHost::work(const std::string& id, Loaded& saga, const Input& input) {
  const auto type = input.table.type();
  const bool is_new = saga.revision == 0 && saga.version == 0 && saga.saga.empty();
  const auto start = input.table.as<sagas::Start>();
  const bool not_started = is_new || saga.state.status == "early" || (saga.saga.empty() && saga.version == 0);
  const auto keep = [&](std::vector<std::unique_ptr<sagas::KeptT>>& list) {
    if (list.size() >= kHeld) {
      saga.later = true;
      return;
    }
    auto kept = std::make_unique<sagas::KeptT>();
    kept->run = input.run;
    kept->type = static_cast<std::uint64_t>(type);
    kept->data = bytes_of(input.table);
    list.push_back(std::move(kept));
  };
  if (start && not_started) {
    const auto name = (*start)->saga() == nullptr ? std::string{} : (*start)->saga()->str();
    saga.table = table_of(name, 0);
    if (saga.table == nullptr) {
      log(LogLevel::warning, "saga " + id + " waits: this program knows no saga '" + name + "'");
      saga.state.status = "waiting";
      saga.state.cause = "no program that knows saga '" + name + "' has run yet";
      return keep(saga.state.body.held);
    }
    saga.state.body.data.clear();
    if ((*start)->data() != nullptr) saga.state.body.data.assign((*start)->data()->begin(), (*start)->data()->end());
    saga.data = saga.table->unpack(BlockRef::copy_of(std::as_bytes(std::span{saga.state.body.data})).bytes());
    if (saga.data == nullptr) {
      saga.bad = "its data is no " + std::string{saga.table->data->name};
      return;
    }
    saga.saga = saga.table->name;
    saga.version = saga.table->version;
    saga.state.cause.clear();
    if ((*start)->parent_lane() != nullptr && (*start)->parent_key() != nullptr) {
      saga.state.body.parent_lane = (*start)->parent_lane()->str();
      saga.state.body.parent_key = (*start)->parent_key()->str();
    }
    SagaEngine engine{*saga.table, saga.state, saga.data.get(), saga.batch, id, options_.lane, wall_now()};
    engine.start();
    saga.asks.insert(saga.asks.end(), engine.asks.begin(), engine.asks.end());
    return;
  }
  if (start) return;  // again
  if (not_started) {
    if (auto order = input.table.as<sagas::Order>()) {
      if ((*order)->parent_lane() != nullptr && (*order)->parent_key() != nullptr) {
        saga.batch.enqueue((*order)->parent_lane()->str(), (*order)->parent_key()->str(),
                           make<sagas::Ended>(id, false, "it never started"));
      }
      return;
    }
    if (type == type_info<sagas::Timer>().id || type == type_info<sagas::Ended>().id) return;
    if (is_new) saga.state.status = "early";
    return keep(saga.state.status == "early" ? saga.state.body.early : saga.state.body.held);
  }
  if (saga.table == nullptr) {
    if (input.ask_again) return;
    log(LogLevel::warning, "saga " + id + " waits: this program knows no version " + std::to_string(saga.version) +
                               " of saga '" + saga.saga + "'");
    return keep(saga.state.body.held);
  }
  SagaEngine engine{*saga.table, saga.state, saga.data.get(), saga.batch, id, options_.lane, wall_now()};
  const auto hear = [&](const AnyTable& message) {
    switch (engine.message(input.run, message)) {
      case SagaEngine::Fate::unknown: saga.bad = "saga " + saga.saga + " has no step that takes such a message"; break;
      case SagaEngine::Fate::malformed: saga.bad = "its bytes are no such table"; break;
      case SagaEngine::Fate::full: saga.later = true; break;
      default: break;
    }
  };
  if (input.ask_again) {
    engine.ask_again();
  } else if (input.ask_failed) {
    engine.ask_failed(input.run, input.ask_attempt, *input.ask_failed);
  } else if (auto timer = input.table.as<sagas::Timer>()) {
    engine.timer(**timer);
  } else if (auto order = input.table.as<sagas::Order>()) {
    engine.order(**order);
  } else if (auto child = input.table.as<sagas::Ended>()) {
    engine.ended(input.run, **child);
  } else if (auto signal = input.table.as<sagas::Signal>()) {
    auto& seen = saga.state.body.seen;
    const std::string name = (*signal)->id() == nullptr ? std::string{} : (*signal)->id()->str();
    if (name.empty() || std::find(seen.begin(), seen.end(), name) == seen.end()) {
      const auto* bytes = (*signal)->data();
      hear(table_of_bytes((*signal)->type(), bytes == nullptr
                                                 ? std::vector<std::uint8_t>{}
                                                 : std::vector<std::uint8_t>{bytes->begin(), bytes->end()}));
      if (!name.empty()) seen.push_back(name);
      if (seen.size() > kSeenSignals) seen.erase(seen.begin());
    }
  } else {
    hear(input.table);
  }
  saga.asks.insert(saga.asks.end(), engine.asks.begin(), engine.asks.end());
}

// --- The row, and what follows --------------------------------------------------------------------------------------

void SagaHost::store(const std::string& id, const std::shared_ptr<Loaded>& saga) {
  Input& input = lines_[id].front();
  if (input.ask_again && saga->batch.empty()) {
    ask_all(id, *saga);
    return finish(id);
  }
  if (saga->revision != 0 || saga->state.status != "running" || saga->version != 0) {
    if (saga->data != nullptr) saga->state.body.data = bytes_of(saga->table->pack(saga->data.get()));
    const bool asking = std::any_of(saga->state.body.active.begin(), saga->state.body.active.end(),
                                    [](const auto& each) { return !each->ask_to.empty(); });
    const AnyTable body = pack(saga->state.body);
    const std::vector<std::byte> bytes{body.bytes().begin(), body.bytes().end()};
    const bool waiting = !saga->state.body.held.empty();
    const auto at = wall_now().time_since_epoch().count();
    if (saga->revision == 0) {
      saga->batch.refuse_if(kIsThere, id);
      saga->batch.execute(kInsert, id, saga->saga, saga->version, saga->state.status, saga->state.cause, asking,
                          waiting, at, bytes);
    } else {
      saga->batch.refuse_if(kMoved, id, saga->revision);
      saga->batch.execute(kUpdate, id, saga->saga, saga->version, saga->state.status, saga->state.cause, asking,
                          waiting, at, bytes);
    }
  }
  const auto then = [this, id, saga](const Result<Receipt>& receipt) { stored(id, saga, receipt); };
  Batch batch = std::move(saga->batch);
  if (input.delivery) {
    commit(*input.delivery, std::move(batch)).then(then);
  } else {
    commit(std::move(batch)).then(then);
  }
}

void SagaHost::stored(const std::string& id, const std::shared_ptr<Loaded>& saga, const Result<Receipt>& receipt) {
  Input& input = lines_[id].front();
  if (receipt) {
    if (saga->state.status == "dead-lettered") {
      log(LogLevel::error, "saga " + id + " of '" + saga->saga + "' is given up on: " + saga->state.cause);
    }
    ask_all(id, *saga);
    return finish(id);
  }
  if (receipt.error().code == ErrorCode::conflict && ++input.attempts < kTries) return next(id);
  log(LogLevel::warning, "saga " + id + " is tried again: " + receipt.error().text());
  if (input.delivery) {
    input.delivery->retry({}, receipt.error().text());  // where its commit has settled it, this does nothing
    return finish(id);
  }
  after(limits::kStoreRetry, [this, id] { next(id); });
}

void SagaHost::drop(const std::string& id, const std::string& why) {
  Input& input = lines_[id].front();
  if (input.delivery) input.delivery->dead_letter("saga " + id + ": " + why);
  finish(id);
}

void SagaHost::finish(const std::string& id) {
  const auto line = lines_.find(id);
  line->second.pop_front();
  if (line->second.empty()) {
    lines_.erase(line);
  } else {
    next(id);
  }
}

void SagaHost::ask_all(const std::string& id, const Loaded& saga) {
  for (const SagaEngine::Ask& each : saga.asks) {
    ask<AnyTable>(ref(each.to), each.question, each.timeout)
        .then([this, id, run = each.run, attempt = each.attempt, question = each.question](Result<AnyTable> answer) {
          Input input{run, answer ? *answer : question, std::nullopt, 0, std::nullopt, attempt, false};
          if (!answer) input.ask_failed = answer.error();
          take(id, std::move(input));
        });
  }
}

// --- Questions ------------------------------------------------------------------------------------------------------

void SagaHost::on(const AnyTable& question, Responder responder) {
  if (auto asked = question.as<sagas::StatusQuestion>()) {
    return status((*asked)->id() == nullptr ? std::string{} : (*asked)->id()->str(), responder, std::nullopt);
  }
  if (auto asked = question.as<sagas::DataQuestion>()) {
    const auto* bytes = (*asked)->data();
    return status(
        (*asked)->id() == nullptr ? std::string{} : (*asked)->id()->str(), responder,
        table_of_bytes((*asked)->type(), bytes == nullptr ? std::vector<std::uint8_t>{}
                                                          : std::vector<std::uint8_t>{bytes->begin(), bytes->end()}));
  }
  if (auto asked = question.as<sagas::SagasQuestion>()) return list(**asked, responder);
  if (auto asked = question.as<sagas::OrderQuestion>()) return order(**asked, responder);
  if (auto asked = question.as<sagas::PurgeQuestion>()) return purge(**asked, responder);
  responder.refuse(Error{ErrorCode::rejected, "a host of sagas has no answer to this question"});
}

void SagaHost::list(const sagas::SagasQuestion& question, const Responder& responder) {
  const auto text = [](const flatbuffers::String* from) { return from == nullptr ? std::string{} : from->str(); };
  QueueControl{*this}
      .query(
          "SELECT id, saga, version, status, cause, started_at, changed_at FROM sagas WHERE id>?1 AND (?2='' OR"
          " status=?2) ORDER BY id LIMIT " +
              std::to_string(kListed + 1),
          text(question.after()), text(question.status()))
      .then([responder](const Result<std::vector<SqlRow>>& rows) {
        if (!rows) return responder.refuse(rows.error());
        sagas::SagasT page;
        for (const SqlRow& row : *rows) {
          page.more = page.sagas.size() == kListed;
          if (page.more) break;
          auto each = std::make_unique<sagas::SagaSummaryT>();
          each->id = text_at(row, 0);
          each->saga = text_at(row, 1);
          each->version = static_cast<std::uint32_t>(number_at(row, 2));
          each->status = text_at(row, 3);
          each->cause = text_at(row, 4);
          each->started_ns = static_cast<std::int64_t>(number_at(row, 5));
          each->changed_ns = static_cast<std::int64_t>(number_at(row, 6));
          page.sagas.push_back(std::move(each));
        }
        responder.reply(AnyTable{pack(page)});
      });
}

void SagaHost::order(const sagas::OrderQuestion& question, const Responder& responder) {
  const std::string id = question.id() == nullptr ? std::string{} : question.id()->str();
  QueueControl{*this}
      .query("SELECT status FROM sagas WHERE id=?1", id)
      .then([this, id, kind = question.order(), responder](const Result<std::vector<SqlRow>>& rows) {
        if (!rows) return responder.refuse(rows.error());
        if (rows->empty()) return responder.refuse(Error{ErrorCode::not_found, "there is no saga " + id});
        sagas::OrderT order;
        order.order = kind;
        enqueue(options_.lane, id, pack(order))
            .then([responder, status = text_at(rows->front(), 0)](const Result<Receipt>& stored) {
              if (!stored) return responder.refuse(stored.error());
              responder.reply(AnyTable{make<sagas::OrderTaken>(status)});
            });
      });
}

void SagaHost::purge(const sagas::PurgeQuestion& question, const Responder& responder) {
  const std::string status = question.status() == nullptr ? std::string{} : question.status()->str();
  if (!status.empty() && status != "completed" && status != "compensated" && status != "dead-lettered") {
    return responder.refuse(Error{ErrorCode::invalid_argument,
                                  "only completed, compensated and dead-lettered sagas can "
                                  "be purged, not those that are " +
                                      status});
  }
  constexpr auto kMost = std::chrono::hours{24 * 365 * 100};
  const auto unchanged = std::min<Duration>(
      kMost, std::chrono::milliseconds{std::min<std::uint64_t>(question.unchanged_ms(), std::uint64_t{1} << 42)});
  const auto until = (wall_now() - unchanged).time_since_epoch().count();
  const std::string which =
      " FROM sagas WHERE changed_at<=?1 AND (status=?2 OR (?2='' AND status IN ('completed', 'compensated')))";
  QueueControl{*this}
      .query("SELECT count(*)" + which, until, status)
      .then([this, which, until, status, responder](const Result<std::vector<SqlRow>>& rows) {
        if (!rows) return responder.refuse(rows.error());
        const std::uint64_t there = number_at(rows->front(), 0);
        Batch batch;
        batch.execute(
            "DELETE FROM sagas WHERE id IN (SELECT id" + which + " ORDER BY id LIMIT " + std::to_string(kPurged) + ")",
            until, status);
        commit(std::move(batch)).then([responder, there](const Result<Receipt>& stored) {
          if (!stored) return responder.refuse(stored.error());
          responder.reply(AnyTable{make<sagas::Purged>(std::min(there, kPurged), there > kPurged)});
        });
      });
}

void SagaHost::status(const std::string& id, const Responder& responder, std::optional<AnyTable> question) {
  QueueControl{*this}.query(kRead, id).then(
      [this, id, responder, question = std::move(question)](const Result<std::vector<SqlRow>>& rows) {
        if (!rows) return responder.refuse(rows.error());
        if (rows->empty()) return responder.refuse(Error{ErrorCode::not_found, "there is no saga " + id});
        const SqlRow& row = rows->front();
        const auto* bytes = std::get_if<std::vector<std::byte>>(&row[5]);
        SagaState state{text_at(row, 2), text_at(row, 3), {}};
        if (bytes == nullptr || !unpack_body(*bytes, state.body)) {
          return responder.refuse(Error{ErrorCode::corrupt, "the row of saga " + id + " is damaged"});
        }
        const std::string name = text_at(row, 0);
        const auto version = static_cast<std::uint32_t>(number_at(row, 1));
        const auto table = version == 0 ? nullptr : table_of(name, version);
        if (question) {
          const auto data = table == nullptr
                                ? nullptr
                                : table->unpack(BlockRef::copy_of(std::as_bytes(std::span{state.body.data})).bytes());
          if (data != nullptr) {
            for (const SagaTable::Query& each : table->queries) {
              if (each.type->id == question->type() && each.type->verify(question->bytes())) {
                return responder.reply(each.answer(data.get(), *question));
              }
            }
          }
          return responder.refuse(Error{ErrorCode::rejected, "saga " + id + " answers no such question here"});
        }
        sagas::StatusT status;
        status.id = id;
        status.saga = name;
        status.version = version;
        status.status = state.body.held.empty() ? state.status : "waiting";
        status.cause = state.cause;
        if (table == nullptr && version != 0) {
          status.cause = "this program knows no version " + std::to_string(version) + " of saga '" + name + "'";
        }
        status.data = state.body.data;
        const auto add = [&](std::uint16_t step, std::string_view how, std::uint32_t attempts) {
          auto each = std::make_unique<sagas::StepStatusT>();
          each->name = table != nullptr ? table->rows[step].name : "step " + std::to_string(step);
          each->state = how;
          each->attempts = attempts;
          status.steps.push_back(std::move(each));
        };
        for (const auto& each : state.body.done) add(each->step, each->undone ? "undone" : "done", 0);
        for (const auto& each : state.body.active) {
          add(each->step,
              each->undoing                                 ? "undoing"
              : each->state == sagas::ActiveState::pausing  ? "waiting for its next attempt"
              : each->state == sagas::ActiveState::sleeping ? "sleeping"
                                                            : "running",
              each->attempts);
        }
        if (table != nullptr) status.mermaid = saga_chart(*table, &state);
        responder.reply(AnyTable{pack(status)});
      });
}

}  // namespace pannier
