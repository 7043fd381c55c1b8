#include <algorithm>
#include <exception>

#include <pannier/entity.h>
#include <pannier/limits.h>

#include "services/events/event_sql.h"
#include "services/events/events.fbs.h"

namespace pannier {

namespace {

constexpr std::size_t kEventsAPage = 500;
constexpr std::uint32_t kDecisions = 4;  // of one command, while others write to its stream
constexpr std::size_t kPassivateLooks = 16;

constexpr const char* kFindStream =
    "SELECT s.version, n.version, n.type, n.data, n.sum, n.subjects FROM es_streams s"
    " LEFT JOIN es_snapshots n ON n.stream=s.id WHERE s.name=?1";
constexpr const char* kPutSnapshot =
    "INSERT INTO es_snapshots (stream, version, type, data, sum, subjects)"
    " SELECT id, ?2, ?3, ?4, ?5, ?6 FROM es_streams WHERE name=?1"
    " ON CONFLICT (stream) DO UPDATE SET version=excluded.version, type=excluded.type, data=excluded.data,"
    " sum=excluded.sum, subjects=excluded.subjects";
constexpr std::size_t kSubjectsInSnapshot = 16;

/// Runs the application's code. What it throws is its own failure, not the host's.
template <class F>
Result<void> guarded(F&& step) {
  try {
    return step();
  } catch (const std::exception& thrown) {
    return Error{ErrorCode::failed, thrown.what()};
  } catch (...) {
    return Error{ErrorCode::failed, "it threw something that is no std::exception"};
  }
}

std::set<std::string> lines_of(std::string_view text) {
  std::set<std::string> lines;
  while (!text.empty()) {
    const auto end = text.find('\n');
    lines.emplace(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

std::string text_of_lines(const std::set<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text.append(line).append("\n");
  return text;
}

}  // namespace

Decision Decision::refuse(ErrorCode code, std::string why) {
  Decision decision;
  decision.refusal_ = Error{code, std::move(why)};
  return decision;
}

EntityHost::EntityHost(std::shared_ptr<const EntityKind> kind, EntityOptions options)
    : kind_(std::move(kind)), options_(std::move(options)), types_(kind_->events) {
  if (options_.keys != nullptr) types_.use_keys(*options_.keys);
}

EntityHost::~EntityHost() = default;

void EntityHost::on_start() {
  Batch tables;
  prepare_events(tables);
  commit(std::move(tables)).then([this](const Result<Receipt>& made) {
    if (!made) fail("the tables of events cannot be made: " + made.error().text());
  });
  if (types_.concern_subjects()) require(subscribe<events::SubjectForgotten>(kForgottenTopic));
  if (!options_.lane.empty()) require(consume_lane(options_.lane, {.window = 64}));
}

// --- A command comes ------------------------------------------------------------------------------------------------

void EntityHost::on(const AnyTable& command, Responder responder) {
  take({command, nullptr, std::move(responder), std::nullopt, 0});
}

void EntityHost::on(const AnyTable& command, Delivery delivery) {
  take({command, nullptr, std::nullopt, std::move(delivery), 0});
}

void EntityHost::take(Command command) {
  ++commands_;
  if (commands_ > options_.commands) return answer(command, ErrorCode::full);
  for (const EntityKind::Command& each : kind_->commands) {
    if (each.type->id == command.table.type()) command.kind = &each;
  }
  if (command.kind == nullptr) {
    return answer(command, Error{ErrorCode::rejected, std::string{kind_->name} + " has no such command"});
  }
  auto id = command.kind->entity(command.table);
  if (!id) return answer(command, id.error());
  if (id->empty() || options_.stream_prefix.size() + id->size() > limits::kKeyBytes) {
    return answer(command, Error{ErrorCode::invalid_argument, std::string{command.kind->type->name} +
                                                                  " names no entity: its id has 1 to 255 bytes"});
  }
  auto& place = entities_[*id];
  const bool is_new = place == nullptr;
  if (is_new) {
    place = std::make_unique<Entity>();
    place->id = *id;
    place->place = by_use_.insert(by_use_.end(), place.get());
  }
  Entity& entity = *place;
  touch(entity);
  entity.waiting.push_back(std::move(command));
  is_new ? load(entity) : run(entity);
}

// --- The entity comes to memory -------------------------------------------------------------------------------------

// It is not forgotten meanwhile: something waits for it.
void EntityHost::load(Entity& entity) {
  entity.state.reset();
  entity.void_ = false;
  entity.loading = kind_->make();
  entity.loading->id_ = entity.id;
  entity.subjects.clear();
  entity.since_snapshot = 0;
  entity.bytes_since_snapshot = 0;
  ++counters_.loaded;
  QueueControl{*this}.query(kFindStream, stream_of(entity)).then([this, &entity](Result<std::vector<SqlRow>> rows) {
    restored(entity, std::move(rows));
  });
}

std::uint64_t EntityHost::snapshot_sum(const Entity& entity, std::uint64_t version,
                                       std::span<const std::byte> data) const {
  const std::string head = stream_of(entity) + ' ' + std::to_string(version) + ' ' + std::string{kind_->snapshot->name};
  return event_sql::sum(event_sql::sum(event_sql::kSumSeed, std::as_bytes(std::span{head})), data);
}

void EntityHost::restored(Entity& entity, Result<std::vector<SqlRow>> rows) {
  if (!rows) return cannot(entity, rows.error());
  if (!rows->empty() && !std::holds_alternative<SqlNull>(rows->front()[1]) && kind_->snapshot != nullptr) {
    const SqlRow& row = rows->front();
    const std::uint64_t version = event_sql::number(row[1]);
    const BlockRef data = event_sql::block(row[3]);
    const std::set<std::string> subjects = lines_of(event_sql::text(row[5]));
    const bool holds = event_sql::text(row[2]) == kind_->snapshot->name && version <= event_sql::number(row[0]) &&
                       event_sql::number(row[4]) == snapshot_sum(entity, version, data.bytes());
    const auto restore = [&]() -> Result<void> {
      if (!holds) return ErrorCode::corrupt;
      auto plain = opened(subjects, data);
      if (!plain) return plain.error();
      if (!kind_->snapshot->verify(plain->bytes())) return ErrorCode::corrupt;
      kind_->restore(*entity.loading, AnyTable{kind_->snapshot->id, kind_->snapshot, std::move(*plain)});
      entity.loading->version_ = version;
      entity.subjects = subjects;
      return {};
    };
    if (const auto restored = guarded(restore); !restored) {
      entity.loading = kind_->make();
      entity.loading->id_ = entity.id;
      if (restored.error().code == ErrorCode::not_found) return read_on(entity);  // a subject of it was forgotten
      ++counters_.bad_snapshots;
      log(LogLevel::warning, "the snapshot of " + stream_of(entity) + " does not hold; its events are read instead");
    }
  }
  if (rows->empty()) return read(entity, std::vector<RecordedEvent>{});
  read_on(entity);
}

void EntityHost::read_on(Entity& entity) {
  read_events(*this, {.stream = stream_of(entity), .after = entity.loading->version_, .limit = kEventsAPage},
              [this, &entity](const Result<std::vector<RecordedEvent>>& events) { read(entity, events); });
}

void EntityHost::read(Entity& entity, const Result<std::vector<RecordedEvent>>& events) {
  if (!events) return cannot(entity, events.error());
  for (const RecordedEvent& event : *events) {
    if (event.version != entity.loading->version_ + 1) {
      return cannot(entity, Error{ErrorCode::corrupt, "event " + std::to_string(entity.loading->version_ + 1) +
                                                          " of stream " + event.stream + " is missing"});
    }
    const auto applied = guarded([&]() -> Result<void> {
      auto table = types_.current(event);
      if (!table) return table.error();
      if (table->type() == type_info<events::SubjectForgotten>().id) {
        entity.subjects.erase(event.subject);
      } else if (!event.subject.empty()) {
        entity.subjects.insert(event.subject);
      }
      return kind_->apply(*entity.loading, *table);
    });
    if (!applied) return cannot(entity, applied.error());
    entity.loading->version_ = event.version;
    ++entity.since_snapshot;
    entity.bytes_since_snapshot += event.data.bytes().size();
    ++counters_.events_read;
  }
  if (events->size() == kEventsAPage) return read_on(entity);
  entity.state = std::move(entity.loading);
  run(entity);
}

void EntityHost::cannot(Entity& entity, const Error& why) {
  log(LogLevel::error, "entity " + stream_of(entity) + " cannot be loaded: " + why.text());
  for (std::deque<Command>* queue : {&entity.again, &entity.waiting}) {
    for (Command& each : *queue) answer(each, why);
    queue->clear();
  }
  forget(entity);
}

// --- It decides -----------------------------------------------------------------------------------------------------

void EntityHost::run(Entity& entity) {
  while (entity.state != nullptr && !entity.void_ && (!entity.again.empty() || !entity.waiting.empty())) {
    std::deque<Command>& queue = entity.again.empty() ? entity.waiting : entity.again;
    Command command = std::move(queue.front());
    queue.pop_front();
    decide(entity, std::move(command));
  }
  if (!entity.void_ || !entity.flights.empty()) return;
  if (entity.again.empty() && entity.waiting.empty()) return forget(entity);
  load(entity);
}

void EntityHost::decide(Entity& entity, Command command) {
  EntityBase& state = *entity.state;
  state.now_ = wall_now();
  Decision decision;
  if (auto done = guarded([&]() -> Result<void> {
        decision = command.kind->handle(state, command.table);
        return {};
      });
      !done) {
    entity.void_ = true;  // it may be half changed
    return refused(entity, std::move(command), done.error());
  }
  if (decision.refusal_) return refused(entity, std::move(command), std::move(*decision.refusal_));
  if (decision.events_.empty() && decision.effects_.empty()) {
    Result<AnyTable> said = decision.reply_ ? *decision.reply_ : make<events::Accepted>(state.version_, false);
    if (entity.flights.empty()) return answer(command, said);
    // It rests on what is not stored yet.
    entity.flights.rbegin()->second.behind.emplace_back(std::move(command), std::move(said));
    return;
  }
  Batch batch = std::move(decision.effects_);
  if (!decision.events_.empty()) {
    std::vector<NewEvent> fresh;
    for (const AnyTable& each : decision.events_) {
      auto event = types_.event(each);
      if (!event) return refused(entity, std::move(command), event.error());
      if (!event->subject.empty()) entity.subjects.insert(event->subject);
      fresh.push_back(std::move(*event));
    }
    const auto appended = append(batch, stream_of(entity), ExpectedVersion::exact(state.version_), fresh,
                                 {.at = state.now_, .token = command.kind->token(command.table)});
    if (!appended) return refused(entity, std::move(command), appended.error());
    auto applied = guarded([&]() -> Result<void> {
      for (const AnyTable& each : decision.events_) {
        if (auto done = kind_->apply(state, each); !done) return done;
        ++state.version_;
        ++entity.since_snapshot;
        entity.bytes_since_snapshot += each.bytes().size();
      }
      return {};
    });
    if (!applied) {
      entity.void_ = true;
      return refused(entity, std::move(command), applied.error());
    }
    add_snapshot(entity, batch);
  }
  const std::uint64_t number = next_flight_++;
  // The flight keeps its share of the delivery: after a conflict it is decided anew, not delivered anew.
  const std::optional<Delivery> delivery = command.delivery;
  entity.flights.emplace(number, Flight{std::move(command), std::move(decision.reply_), state.version_, {}});
  const auto then = [this, &entity, number](Result<Receipt> receipt) { stored(entity, number, std::move(receipt)); };
  if (delivery) {
    commit(*delivery, std::move(batch)).then(then);
  } else {
    commit(std::move(batch)).then(then);
  }
}

void EntityHost::add_snapshot(Entity& entity, Batch& batch) {
  if (kind_->snapshot == nullptr || options_.snapshot_every == 0) return;
  if (entity.since_snapshot < options_.snapshot_every && entity.bytes_since_snapshot < options_.snapshot_bytes) return;
  const AnyTable snapshot = kind_->take(*entity.state);
  if (batch.sql().size() >= limits::kSqlStatements || snapshot.bytes().size() > limits::kPayloadBytes) return;
  auto data = sealed(entity, snapshot);
  if (!data) return;
  const std::uint64_t sum = snapshot_sum(entity, entity.state->version_, *data);
  batch.execute(kPutSnapshot, stream_of(entity), entity.state->version_, kind_->snapshot->name, std::move(*data), sum,
                text_of_lines(entity.subjects));
  entity.since_snapshot = 0;
  entity.bytes_since_snapshot = 0;
  ++counters_.snapshots;
}

std::optional<std::vector<std::byte>> EntityHost::sealed(const Entity& entity, const AnyTable& snapshot) const {
  if (entity.subjects.size() > kSubjectsInSnapshot) return std::nullopt;
  std::string data{reinterpret_cast<const char*>(snapshot.bytes().data()), snapshot.bytes().size()};
  for (const std::string& subject : entity.subjects) {
    auto next = options_.keys->seal(subject, data);
    if (!next) {
      log(LogLevel::warning, "no snapshot of " + stream_of(entity) + ": " + next.error().text());
      return std::nullopt;
    }
    data = std::move(*next);
  }
  return event_sql::blob(std::as_bytes(std::span{data}));
}

/// not_found: a subject was forgotten.
Result<BlockRef> EntityHost::opened(const std::set<std::string>& subjects, BlockRef data) const {
  if (!subjects.empty() && options_.keys == nullptr) return ErrorCode::unsupported;
  for (auto subject = subjects.rbegin(); subject != subjects.rend(); ++subject) {
    const auto bytes = data.bytes();
    auto plain = options_.keys->open(*subject, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    if (!plain) return plain.error();
    data = BlockRef::copy_of(std::as_bytes(std::span{*plain}));
  }
  return data;
}

/// A command with a token may have been carried out before, and be refused now for that very reason.
void EntityHost::refused(Entity& entity, Command command, Error why) {
  const std::string token = command.kind->token(command.table);
  if (token.empty()) {
    if (entity.flights.empty()) return answer(command, why);
    entity.flights.rbegin()->second.behind.emplace_back(std::move(command), std::move(why));
    return;
  }
  auto kept = std::make_shared<Command>(std::move(command));
  QueueControl{*this}
      .query("SELECT version FROM es_tokens WHERE token=?1", token)
      .then([this, kept, why = std::move(why)](const Result<std::vector<SqlRow>>& rows) {
        if (!rows) return answer(*kept, rows.error());
        if (rows->empty()) return answer(*kept, why);
        answer(*kept, AnyTable{make<events::Accepted>(event_sql::number(rows->front()[0]), true)});
      });
}

// --- It is stored, or not -------------------------------------------------------------------------------------------

void EntityHost::stored(Entity& entity, std::uint64_t number, Result<Receipt> receipt) {
  auto node = entity.flights.extract(number);
  if (node.empty()) return;
  Flight& flight = node.mapped();
  if (receipt && !receipt->duplicate) {
    answer(flight.command, flight.reply ? *flight.reply : AnyTable{make<events::Accepted>(flight.version, false)});
    for (auto& [command, said] : flight.behind) answer(command, said);
  } else if (receipt) {
    entity.void_ = true;  // it has applied events that were stored long ago
    auto kept = std::make_shared<Command>(std::move(flight.command));
    QueueControl{*this}
        .query("SELECT version FROM es_tokens WHERE token=?1", kept->kind->token(kept->table))
        .then([this, kept](const Result<std::vector<SqlRow>>& rows) {
          const std::uint64_t version = rows && !rows->empty() ? event_sql::number(rows->front()[0]) : 0;
          answer(*kept, AnyTable{make<events::Accepted>(version, true)});
        });
    for (auto& [command, said] : flight.behind) entity.again.push_back(std::move(command));
  } else if (receipt.error().code == ErrorCode::conflict) {
    entity.void_ = true;
    ++counters_.conflicts;
    if (++flight.command.attempts < kDecisions) {
      again(entity, std::move(flight));
    } else {
      answer(flight.command, receipt.error());
      for (auto& [command, said] : flight.behind) entity.again.push_back(std::move(command));
    }
  } else {
    entity.void_ = true;
    answer(flight.command, receipt.error());
    for (auto& [command, said] : flight.behind) entity.again.push_back(std::move(command));
  }
  touch(entity);
  run(entity);
}

void EntityHost::again(Entity& entity, Flight flight) {
  entity.again.push_back(std::move(flight.command));
  for (auto& [command, said] : flight.behind) entity.again.push_back(std::move(command));
}

void EntityHost::answer(Command& command, const Result<AnyTable>& said) {
  --commands_;
  if (command.responder) {
    said ? command.responder->reply(*said) : command.responder->refuse(said.error());
  } else if (said) {
    command.delivery->ack();  // where it was settled with its commit this does nothing
  } else if (said.error().code == ErrorCode::rejected || said.error().code == ErrorCode::invalid_argument ||
             said.error().code == ErrorCode::malformed) {
    command.delivery->dead_letter(said.error().text());
  } else {
    command.delivery->retry({}, said.error().text());
  }
}

// --- It is to be forgotten what it knows ----------------------------------------------------------------------------

void EntityHost::on(const events::SubjectForgotten& forgotten) {
  const std::string subject{text_of(forgotten.subject())};
  for (auto next = by_use_.begin(); next != by_use_.end();) {
    Entity& entity = **next++;
    if (entity.state == nullptr) {
      if (entity.loading != nullptr) entity.void_ = true;  // it may have read them before
    } else if (entity.subjects.contains(subject)) {
      entity.void_ = true;
      run(entity);
    }
  }
}

// --- It leaves memory -----------------------------------------------------------------------------------------------

bool EntityHost::is_idle(const Entity& entity) noexcept {
  return entity.state != nullptr && entity.flights.empty() && entity.waiting.empty() && entity.again.empty();
}

void EntityHost::touch(Entity& entity) {
  entity.used = now();
  by_use_.splice(by_use_.end(), by_use_, entity.place);
  auto next = by_use_.begin();
  for (std::size_t looks = 0; entities_.size() > options_.awake && looks < kPassivateLooks && *next != &entity;
       ++looks) {
    Entity& oldest = **next++;
    if (!is_idle(oldest)) continue;
    ++counters_.passivated;
    forget(oldest);
  }
  arm_idle();
}

void EntityHost::forget(Entity& entity) {
  by_use_.erase(entity.place);
  const std::string id = entity.id;
  entities_.erase(id);
}

void EntityHost::arm_idle() {
  if (idle_timer_ != TimerId{} || by_use_.empty() || options_.passivate_after <= Duration::zero()) return;
  const Duration wait =
      std::max(by_use_.front()->used + options_.passivate_after - now(), Duration{std::chrono::seconds{1}});
  idle_timer_ = after(wait, [this] {
    idle_timer_ = TimerId{};
    for (auto next = by_use_.begin(); next != by_use_.end() && (*next)->used + options_.passivate_after <= now();) {
      Entity& oldest = **next++;
      if (!is_idle(oldest)) continue;
      ++counters_.passivated;
      forget(oldest);
    }
    arm_idle();
  });
}

}  // namespace pannier
