#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <pannier/events.h>

#include "services/events/events.fbs.h"

/// Entities whose state is derived from their events (event sourcing), and the actor that runs them.
namespace pannier {

/// What an entity decides about a command: events to store, things that are stored with them, an answer. A value.
class Decision {
 public:
  /// Nothing changes; the answer says why.
  [[nodiscard]] static Decision refuse(ErrorCode code, std::string why);

  /// The answer, given once everything is stored. Without one an asker gets events::Accepted. With no events at all the
  /// decision is a query.
  Decision&& reply(AnyTable answer) && {
    reply_ = std::move(answer);
    return std::move(*this);
  }
  /// Stored in the same transaction: messages, the application's tables, other streams.
  Decision&& with(Batch effects) && {
    effects_ = std::move(effects);
    return std::move(*this);
  }

 private:
  friend class EntityBase;
  friend class EntityHost;
  std::vector<AnyTable> events_;
  std::optional<AnyTable> reply_;
  std::optional<Error> refusal_;
  Batch effects_;
};

/// What every entity has. Calls are made from its handlers.
class EntityBase {
 public:
  EntityBase() = default;
  EntityBase(const EntityBase&) = delete;
  EntityBase& operator=(const EntityBase&) = delete;
  virtual ~EntityBase() = default;

 protected:
  [[nodiscard]] const std::string& id() const noexcept { return id_; }
  /// Of its stream, with everything that it has decided so far.
  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }
  [[nodiscard]] WallTime wall_now() const noexcept { return now_; }

  /// These events happen, in this order; none: nothing changes.
  template <FlatTable... T>
  [[nodiscard]] static Decision accept(const Table<T>&... events) {
    Decision decision;
    (decision.events_.push_back(events), ...);
    return decision;
  }
  [[nodiscard]] static Decision accept(std::vector<AnyTable> events) {
    Decision decision;
    decision.events_ = std::move(events);
    return decision;
  }
  [[nodiscard]] static Decision refuse(std::string why) {
    return Decision::refuse(ErrorCode::rejected, std::move(why));
  }

 private:
  friend class EntityHost;
  std::string id_;
  std::uint64_t version_ = 0;
  WallTime now_{};
};

/// An entity: state, `apply` for each of its events, `on` for each command.
///
///     struct Account : pannier::EventSourced<Account, Deposited, Withdrawn> {
///       static std::string_view entity_of(const Deposit& c) { return pannier::text_of(c.account()); }
///       void apply(const Deposited& e) { balance += e.amount(); }          // what happened: no decisions here
///       pannier::Decision on(const Withdraw& c) {                          // what may happen: no changes here
///         if (c.amount() > balance) return refuse("insufficient funds");
///         return accept(make<Withdrawn>(c.amount()));
///       }
///     };
///
/// What it may have besides:
///   static EventTypes event_types();                    // names, versions, upcasters of its events
///   static std::string_view token_of(const Deposit&);   // idempotency key of a command; empty: none
///   Table<S> snapshot() const; void restore(const S&);  // what stands for all events so far
///   void apply(const events::SubjectForgotten&);        // a subject of its events was forgotten, or it stands for one
template <class Self, class... Events>
class EventSourced : public EntityBase {
 public:
  static EventTypes event_types() {
    EventTypes types;
    (types.add<Events>(), ...);
    return types;
  }
  static Result<void> apply_event(Self& self, const AnyTable& event) {
    bool applied = false;
    ((event.type() == type_info<Events>().id
          ? (self.apply(*flatbuffers::GetRoot<Events>(event.bytes().data())), void(applied = true))
          : void()),
     ...);
    if constexpr (requires(const events::SubjectForgotten& e) { self.apply(e); }) {
      if (const auto forgotten = event.as<events::SubjectForgotten>()) return self.apply(**forgotten), Result<void>{};
    } else if (event.type() == type_info<events::SubjectForgotten>().id) {
      return {};
    }
    if (!applied) return Error{ErrorCode::unsupported, "the entity has no apply for an event that its types list"};
    return {};
  }
};

/// A class of entities without its types: made by entity_kind.
struct EntityKind {
  struct Command {
    const TypeInfo* type = nullptr;
    Result<std::string> (*entity)(const AnyTable& command) = nullptr;
    std::string (*token)(const AnyTable& command) = nullptr;
    Decision (*handle)(EntityBase& entity, const AnyTable& command) = nullptr;
  };
  std::string_view name;
  EventTypes events;
  std::vector<Command> commands;
  std::unique_ptr<EntityBase> (*make)() = nullptr;
  Result<void> (*apply)(EntityBase& entity, const AnyTable& event) = nullptr;
  const TypeInfo* snapshot = nullptr;  ///< Null: it takes none.
  AnyTable (*take)(const EntityBase& entity) = nullptr;
  void (*restore)(EntityBase& entity, const AnyTable& snapshot) = nullptr;
};

namespace detail {

template <class Entity, class C>
EntityKind::Command entity_command() {
  return {&type_info<C>(),
          [](const AnyTable& command) -> Result<std::string> {
            auto table = command.as<C>();
            if (!table) return table.error();
            return std::string{Entity::entity_of(**table)};
          },
          [](const AnyTable& command) {
            if constexpr (requires(const C& c) { Entity::token_of(c); }) {
              return std::string{Entity::token_of(*flatbuffers::GetRoot<C>(command.bytes().data()))};
            } else {
              return std::string{};
            }
          },
          [](EntityBase& entity, const AnyTable& command) -> Decision {
            return static_cast<Entity&>(entity).on(*flatbuffers::GetRoot<C>(command.bytes().data()));
          }};
}

template <class T>
inline const TypeInfo* table_info(const Table<T>*) {
  return &type_info<T>();
}

}  // namespace detail

/// `Commands` are the tables that the entity handles, each by an `on`.
template <class Entity, FlatTable... Commands>
[[nodiscard]] std::shared_ptr<const EntityKind> entity_kind() {
  auto kind = std::make_shared<EntityKind>();
  kind->name = type_info<Entity>().name;
  kind->events = Entity::event_types();
  (kind->commands.push_back(detail::entity_command<Entity, Commands>()), ...);
  kind->make = []() -> std::unique_ptr<EntityBase> { return std::make_unique<Entity>(); };
  kind->apply = [](EntityBase& entity, const AnyTable& event) {
    return Entity::apply_event(static_cast<Entity&>(entity), event);
  };
  if constexpr (requires(const Entity& entity) { entity.snapshot(); }) {
    using Snapshot = typename decltype(std::declval<const Entity&>().snapshot())::table_type;
    kind->snapshot = &type_info<Snapshot>();
    kind->take = [](const EntityBase& entity) -> AnyTable { return static_cast<const Entity&>(entity).snapshot(); };
    kind->restore = [](EntityBase& entity, const AnyTable& snapshot) {
      static_cast<Entity&>(entity).restore(*flatbuffers::GetRoot<Snapshot>(snapshot.bytes().data()));
    };
  }
  return kind;
}

struct EntityOptions {
  std::string stream_prefix = {};       ///< An entity's stream is this and its id.
  std::string lane = {};                ///< Commands come as deliveries of this lane, too; they take effect once.
  std::uint32_t snapshot_every = 1000;  ///< Events; 0: no snapshots.
  std::uint64_t snapshot_bytes = 4 * 1024 * 1024;      ///< Or so many bytes of events, whatever comes first.
  std::uint32_t awake = 1000;                          ///< Entities that are in memory at once, apart from busy ones.
  Duration passivate_after = std::chrono::minutes{1};  ///< One that is idle for so long leaves memory.
  std::uint32_t commands = 4096;                       ///< That wait for their entity or for the disk; past that: full.
  SubjectKeys* keys = nullptr;                         ///< Of events that concern a subject. Outlives the host.
};

struct EntityCounters {
  std::uint64_t loaded = 0;
  std::uint64_t events_read = 0;
  std::uint64_t passivated = 0;
  std::uint64_t snapshots = 0;
  std::uint64_t bad_snapshots = 0;  ///< Did not hold; the events were read instead.
  std::uint64_t conflicts = 0;
};
/// Asks an EntityHost for its EntityCounters. Within one process.
struct EntityCountersQuestion {};

/// Runs all entities of one kind. A command is a question or a delivery; it names its entity, which is loaded where it
/// is not in memory. An entity handles one command at a time, in their order, and goes on to the next one before the
/// first is on disk: many commits share one sync. Answers are given once everything before them is stored. Where that
/// fails, the entity is loaded anew and the commands behind are decided anew.
///
///     node.spawn<pannier::EntityHost>({.name = "accounts"}, pannier::entity_kind<Account, Deposit, Withdraw>(),
///                                     pannier::EntityOptions{.stream_prefix = "account-"});
///
/// An entity whose history this program cannot read answers `unsupported` and says which event it is; others go on.
class EntityHost final : public Actor<EntityHost, AnyTable, events::SubjectForgotten, EntityCountersQuestion> {
 public:
  EntityHost(std::shared_ptr<const EntityKind> kind, EntityOptions options);
  ~EntityHost();

  void on_start();
  void on(const AnyTable& command, Responder responder);
  void on(const AnyTable& command, Delivery delivery);
  void on(const events::SubjectForgotten& forgotten);
  EntityCounters on(const EntityCountersQuestion&) { return counters_; }

 private:
  struct Command {
    AnyTable table;
    const EntityKind::Command* kind;
    std::optional<Responder> responder;
    std::optional<Delivery> delivery;
    std::uint32_t attempts = 0;
  };
  /// What waits for one commit.
  struct Flight {
    Command command;
    std::optional<AnyTable> reply;
    std::uint64_t version = 0;
    /// Decisions that stored nothing, and rest on what this commit stores.
    std::vector<std::pair<Command, Result<AnyTable>>> behind;
  };
  struct Entity {
    std::string id;
    std::unique_ptr<EntityBase> state;    // null: being loaded
    std::unique_ptr<EntityBase> loading;  // not yet all of it
    bool void_ = false;                   // what it believes does not hold: loaded anew once all flights are back
    std::set<std::string> subjects;       // whose events it has read
    std::uint64_t since_snapshot = 0;     // events
    std::uint64_t bytes_since_snapshot = 0;
    std::deque<Command> waiting;
    std::map<std::uint64_t, Flight> flights;
    std::deque<Command> again;  // to be decided anew, before those that wait
    MonoTime used{};
    std::list<Entity*>::iterator place;
  };

  void take(Command command);
  void load(Entity& entity);
  void restored(Entity& entity, Result<std::vector<SqlRow>> rows);
  void read_on(Entity& entity);
  void read(Entity& entity, const Result<std::vector<RecordedEvent>>& events);
  void cannot(Entity& entity, const Error& why);
  void run(Entity& entity);
  void decide(Entity& entity, Command command);
  void refused(Entity& entity, Command command, Error why);
  void stored(Entity& entity, std::uint64_t flight, Result<Receipt> receipt);
  void answer(Command& command, const Result<AnyTable>& answer);
  void again(Entity& entity, Flight flight);
  void add_snapshot(Entity& entity, Batch& batch);
  /// Within the seals of all subjects that it may tell of; nothing where that cannot be done.
  [[nodiscard]] std::optional<std::vector<std::byte>> sealed(const Entity& entity, const AnyTable& snapshot) const;
  [[nodiscard]] Result<BlockRef> opened(const std::set<std::string>& subjects, BlockRef data) const;
  [[nodiscard]] std::uint64_t snapshot_sum(const Entity& entity, std::uint64_t version,
                                           std::span<const std::byte> data) const;
  [[nodiscard]] static bool is_idle(const Entity& entity) noexcept;
  void touch(Entity& entity);
  void forget(Entity& entity);
  void arm_idle();
  [[nodiscard]] std::string stream_of(const Entity& entity) const { return options_.stream_prefix + entity.id; }

  std::shared_ptr<const EntityKind> kind_;
  EntityOptions options_;
  EventTypes types_;  // with the keys
  EntityCounters counters_;
  std::unordered_map<std::string, std::unique_ptr<Entity>> entities_;
  std::list<Entity*> by_use_;  // the longest unused first
  std::size_t commands_ = 0;
  std::uint64_t next_flight_ = 1;
  TimerId idle_timer_{};
};

}  // namespace pannier
