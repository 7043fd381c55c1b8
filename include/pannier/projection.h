#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <pannier/events.h>

#include "services/events/events.fbs.h"

/// Read models: tables that follow the events, and queries on them (CQRS).
namespace pannier {

/// What a projection does about one event, or to make its tables: statements on them, and messages. A table is written
/// as {product} in SQL, since each generation of the tables has a name of its own.
class ReadModel {
 public:
  ReadModel(Batch& batch, std::uint64_t generation) : batch_(batch), generation_(generation) {}

  /// Makes a table of the projection: `model.table("product", "id TEXT PRIMARY KEY, name TEXT")`.
  ReadModel& table(std::string_view name, std::string_view columns);
  /// Makes one with a full-text index (SQLite's FTS5): `model.full_text("product_text", "id UNINDEXED, name, text")`.
  ReadModel& full_text(std::string_view name, std::string_view columns);
  template <class... Values>
  ReadModel& execute(std::string_view sql, Values&&... values) {
    batch_.execute(physical(sql, generation_), std::forward<Values>(values)...);
    return *this;
  }
  /// Stored with the tables' change: each event leads to its messages once.
  ReadModel& enqueue(std::string_view address, std::string_view key, const AnyTable& message,
                     EnqueueOptions options = {}) {
    batch_.enqueue(address, key, message, std::move(options));
    return *this;
  }

  /// Internal: {product} in `sql` as the table of one generation.
  [[nodiscard]] static std::string physical(std::string_view sql, std::uint64_t generation);
  [[nodiscard]] const std::string& tables() const noexcept { return tables_; }

 private:
  Batch& batch_;
  std::uint64_t generation_;
  std::string tables_;  // their names, each with a comma behind
};

/// A query of a read model: one SELECT, and how its rows become the answer.
struct ReadQuery {
  template <class... Values>
  ReadQuery(std::string_view sql, std::function<AnyTable(const std::vector<SqlRow>& rows)> to_answer,
            Values&&... values)
      : statement{std::string{sql}, {sql_value(std::forward<Values>(values))...}}, answer(std::move(to_answer)) {}
  SqlStatement statement;
  std::function<AnyTable(const std::vector<SqlRow>& rows)> answer;
};

/// A read model: `apply` for each event that it follows, `on` for each query.
///
///     struct Catalogue : pannier::Projection<Catalogue, ProductAdded, PriceChanged> {
///       static constexpr std::string_view kName = "catalogue";
///       static constexpr std::uint32_t kVersion = 1;       // another one: the tables are built anew
///       static void create(ReadModel& model) { model.table("product", "id TEXT PRIMARY KEY, price INTEGER"); }
///       static void apply(const ProductAdded& e, const RecordedEvent&, ReadModel& model) {
///         model.execute("INSERT INTO {product} VALUES (?1, ?2)", e.id()->string_view(), e.price());
///       }
///       static ReadQuery on(const PriceQuestion& q) {...}  // "SELECT price FROM {product} WHERE id=?1"
///     };
///
/// `apply` returns nothing, or a Result<void>. Events of other types are not its concern, unless it says
/// `static constexpr bool kAllTypes = true`: then it stops at an event that it does not list. `static constexpr
/// std::string_view kStreams = "product-"` limits it to streams whose names begin so.
///
/// One whose events concern subjects (EventTypes::concerns) has an `apply` for events::SubjectForgotten too. It removes
/// what the tables hold of the subject, and is called in place of each event that cannot be opened any more.
template <class Self, class... Events>
struct Projection {
  static EventTypes event_types() {
    EventTypes types;
    (types.add<Events>(), ...);
    return types;
  }
  static Result<void> apply_event(const AnyTable& event, const RecordedEvent& record, ReadModel& model) {
    Result<void> done = Error{ErrorCode::unsupported, "the projection has no apply for an event that its types list"};
    if constexpr (kForgets<Self>) {
      if (const auto forgotten = event.as<events::SubjectForgotten>()) return apply_one(**forgotten, record, model);
    }
    ((event.type() == type_info<Events>().id
          ? void(done = apply_one(*flatbuffers::GetRoot<Events>(event.bytes().data()), record, model))
          : void()),
     ...);
    return done;
  }

  template <class P>
  static constexpr bool kForgets = requires(const events::SubjectForgotten& e, const RecordedEvent& r, ReadModel& m) {
    P::apply(e, r, m);
  };

 private:
  template <class E>
  static Result<void> apply_one(const E& event, const RecordedEvent& record, ReadModel& model) {
    if constexpr (std::is_void_v<decltype(Self::apply(event, record, model))>) {
      Self::apply(event, record, model);
      return {};
    } else {
      return Self::apply(event, record, model);
    }
  }
};

/// A projection without its types: made by projection_kind, or by event_feed.
struct ProjectionKind {
  struct Query {
    const TypeInfo* type = nullptr;
    Result<ReadQuery> (*ask)(const AnyTable& question) = nullptr;
  };
  std::string name;
  std::uint32_t version = 1;
  EventTypes types;
  std::string streams;  ///< Prefix of their names.
  bool all_types = false;
  bool forgets = false;  ///< It has an `apply` for events::SubjectForgotten.
  std::vector<Query> queries;
  std::function<void(ReadModel&)> create;
  std::function<Result<void>(const RecordedEvent&, const EventTypes&, ReadModel&)> apply;
};

/// `Queries` are the tables that the projection answers, each by an `on`.
template <class P, FlatTable... Queries>
[[nodiscard]] std::shared_ptr<const ProjectionKind> projection_kind() {
  auto kind = std::make_shared<ProjectionKind>();
  kind->name = P::kName;
  kind->version = P::kVersion;
  kind->types = P::event_types();
  if constexpr (requires { P::kStreams; }) kind->streams = P::kStreams;
  if constexpr (requires { P::kAllTypes; }) kind->all_types = P::kAllTypes;
  kind->forgets = P::template kForgets<P>;
  kind->create = [](ReadModel& model) { P::create(model); };
  kind->apply = [](const RecordedEvent& record, const EventTypes& types, ReadModel& model) -> Result<void> {
    auto event = types.current(record);
    if (!event) return event.error();
    return P::apply_event(*event, record, model);
  };
  (kind->queries.push_back({&type_info<Queries>(),
                            [](const AnyTable& question) -> Result<ReadQuery> {
                              auto table = question.as<Queries>();
                              if (!table) return table.error();
                              return P::on(**table);
                            }}),
   ...);
  return kind;
}

/// Sends every event of the streams that begin with `streams` to `address` ("tablet/feed"), as events::Recorded under
/// the stream's name as key: a subscriber on another node follows them through a lane, each event once, in order.
/// A new one starts behind ProjectionOptions::start_after.
[[nodiscard]] std::shared_ptr<const ProjectionKind> event_feed(std::string name, std::string streams,
                                                               std::string address);

struct ProjectionOptions {
  /// What becomes of an event that `apply` refuses, or whose statements SQLite refuses. One that the program does not
  /// know (type, version) always stops the projection.
  enum class OnFailure : std::uint8_t {
    stop,         ///< Nothing behind it is applied until a restart, or ProjectionOrder::resume.
    dead_letter,  ///< It is noted with its cause (table es_failures), and the next one goes on.
  };
  OnFailure on_failure = OnFailure::stop;
  std::uint32_t page = 500;       ///< Events that are read, and applied in one transaction, at most.
  std::uint64_t start_after = 0;  ///< Position behind which a new projection starts.
  SubjectKeys* keys = nullptr;    ///< Of events that concern a subject. Outlives the host.
};

/// Runs one projection: applies events and notes how far it is in the same transaction, so that no event is left out
/// or applied twice; then waits for the next event without waking up. Answers events::ProjectionQuestion with
/// events::ProjectionStatus, takes events::ProjectionCommand, and answers the projection's queries from tables that
/// follow what is stored with a lag that the status shows. One actor per projection name and node.
class ProjectionHost final : public Actor<ProjectionHost, AnyTable> {
 public:
  ProjectionHost(std::shared_ptr<const ProjectionKind> kind, ProjectionOptions options);

  void on_start();
  void on(const AnyTable& question, Responder responder);

 private:
  /// One generation of the tables that is being brought up to date.
  struct Run {
    std::uint64_t generation = 0;
    std::uint64_t position = 0;
    std::string tables;
    std::size_t single = 0;  // so many events are applied one by one, to find the one that fails
    bool live = false;
    std::optional<std::string> stopped;
  };

  using Events = std::shared_ptr<const std::vector<RecordedEvent>>;

  void load();
  void loaded(const Result<std::vector<SqlRow>>& rows);
  void create(std::uint64_t generation, bool active);
  void follow();
  void page(bool rebuilt, Result<std::vector<RecordedEvent>> events);
  void apply(bool rebuilt, const Events& events, std::size_t count);
  void applied(bool rebuilt, const Events& events, std::size_t count, const Result<Receipt>& receipt);
  void failed(bool rebuilt, const RecordedEvent& event, const Error& why);
  void move_on(Batch& batch, const Run& run, std::uint64_t position) const;
  void stop_at(bool rebuilt, const std::string& why);
  void resume();
  void rebuild(const Responder& responder);
  void swap();
  void ready();
  void status(const Responder& responder);
  void query(const ProjectionKind::Query& kind, const AnyTable& question, const Responder& responder);
  [[nodiscard]] Run& run_of(bool rebuilt) { return rebuilt ? *next_ : active_; }

  std::shared_ptr<const ProjectionKind> kind_;
  ProjectionOptions options_;
  EventTypes types_;  // with the keys
  Run active_;
  std::optional<Run> next_;  // a rebuild
  bool frozen_ = false;      // the active tables are of another version of the projection
  bool busy_ = false;        // a page or a commit is under way
  bool watching_ = false;
  bool ready_ = false;  // the active tables can be asked
  std::uint64_t failures_ = 0;
  std::vector<std::pair<AnyTable, Responder>> waiting_;  // until they can
  SqlVersion seen_{};
};

}  // namespace pannier
