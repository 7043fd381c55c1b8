#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <pannier/actor.h>
#include <pannier/message.h>
#include <pannier/platform.h>
#include <pannier/queue.h>
#include <pannier/result.h>
#include <pannier/subject_keys.h>

#include "services/events/events.fbs.h"

/// Histories: events in streams, in the node's own store, stored in one transaction with messages, state and tables.
/// docs/events.md explains; docs/queue.md has batches and their promises.
namespace pannier {

/// A stream's version is the number of its last event: 1, 2, 3 ...; 0 where it has none.
struct ExpectedVersion {
  static const ExpectedVersion any;   ///< Whatever the stream holds.
  static const ExpectedVersion none;  ///< No event yet.
  [[nodiscard]] static constexpr ExpectedVersion exact(std::uint64_t version) noexcept { return {version}; }

  std::uint64_t version = kAny;
  static constexpr std::uint64_t kAny = ~std::uint64_t{0};
};
inline constexpr ExpectedVersion ExpectedVersion::any{ExpectedVersion::kAny};
inline constexpr ExpectedVersion ExpectedVersion::none{0};

/// An event that is not stored yet: a table under the name and version that it has on disk for ever.
struct NewEvent {
  std::string type;
  std::uint32_t schema = 1;
  BlockRef data;
  std::string subject = {};  ///< Not empty: `data` is sealed for it (SubjectKeys).
};

/// An event as it is stored.
struct RecordedEvent {
  std::uint64_t position = 0;  ///< In the order of all events of the node. Grows; gaps mean nothing.
  std::string stream;
  std::uint64_t version = 0;  ///< Within its stream; no gaps.
  std::string type;
  std::uint32_t schema = 1;
  WallTime at{};  ///< Of this node's wall clock, never earlier than the event before it in its stream.
  BlockRef data;
  std::string subject = {};  ///< Not empty: `data` is sealed for it; EventTypes::current opens it.
};

/// The events that a program knows: for each its name on disk, its present version, its type, and how older versions
/// become the present one. A value; build it once.
///
///     EventTypes types;
///     types.add<Deposited>("bank.Deposited", 3)
///         .upcast("bank.Deposited", 1, &deposited_1_to_2)   // Table<Deposited2>(const Deposited1&)
///         .upcast("bank.Deposited", 2, &deposited_2_to_3);  // Table<Deposited>(const Deposited2&)
class EventTypes {
 public:
  /// Fields that are added to a table need no new version; a meaning that changes does. `name` is the schema's name of
  /// the table where none is given.
  template <FlatTable T>
  EventTypes& add(std::string_view name = type_info<T>().name, std::uint32_t version = 1) {
    return add(name, version, type_info<T>());
  }
  /// One step of the chain: what an event of version `from` is as one of version `from` + 1.
  template <FlatTable From, FlatTable To>
  EventTypes& upcast(std::string_view name, std::uint32_t from, Table<To> (*step)(const From&)) {
    return upcast(name, from, [step](const BlockRef& old) -> Result<BlockRef> {
      auto table = AnyTable{type_info<From>().id, &type_info<From>(), old}.template as<From>();
      if (!table) return table.error();
      return step(**table).block();
    });
  }

  /// Events of type T, which was added, concern the subject that `subject` names ("customer-7"; empty: nobody). They
  /// are stored sealed, whole, under a key of that subject, until forget_subject destroys it: see use_keys.
  template <FlatTable T>
  EventTypes& concerns(std::string_view (*subject)(const T& event)) {
    return concerns(type_info<T>(), [subject](const BlockRef& data) {
      return std::string{subject(*flatbuffers::GetRoot<T>(data.bytes().data()))};
    });
  }
  /// Where the keys are that events are sealed and opened with. `keys` outlives this and its copies. Its calls block on
  /// the disk: some 10 us for an event, and two syncs for the first event of a subject.
  void use_keys(SubjectKeys& keys) noexcept { keys_ = &keys; }
  /// Some events concern a subject.
  [[nodiscard]] bool concern_subjects() const noexcept { return !subjects_.empty(); }

  /// A table as an event that can be appended. invalid_argument: its type was not added. Errors of SubjectKeys::seal.
  [[nodiscard]] Result<NewEvent> event(const AnyTable& table) const;
  /// What an event is today: events::SubjectForgotten where its subject was forgotten. unsupported: a type or version
  /// that this program does not know, a chain with a gap, or a sealed event without keys; malformed: its bytes do not
  /// verify. Errors of SubjectKeys::open. The text names the event.
  [[nodiscard]] Result<AnyTable> current(const RecordedEvent& event) const;
  /// With that of events::SubjectForgotten where events concern subjects.
  [[nodiscard]] std::vector<std::string> names() const;

 private:
  struct Known {
    std::string name;
    std::uint32_t version;
    const TypeInfo* info;
  };
  using Step = std::function<Result<BlockRef>(const BlockRef&)>;
  struct Upcaster {
    std::string name;
    std::uint32_t from;
    Step step;
  };
  EventTypes& add(std::string_view name, std::uint32_t version, const TypeInfo& info);
  EventTypes& upcast(std::string_view name, std::uint32_t from, Step step);
  using SubjectOf = std::function<std::string(const BlockRef& data)>;
  EventTypes& concerns(const TypeInfo& info, SubjectOf subject);
  [[nodiscard]] Result<BlockRef> opened(const RecordedEvent& event) const;

  std::vector<Known> known_;
  std::vector<Upcaster> upcasters_;
  std::vector<std::pair<const TypeInfo*, SubjectOf>> subjects_;
  SubjectKeys* keys_ = nullptr;
};

struct AppendOptions {
  WallTime at{};  ///< When it happened: ActorBase::wall_now.
  /// Idempotency key, at most limits::kTokenBytes, remembered as long as the store lives: a batch with a token that is
  /// known is left out as a whole, and counts as done (Receipt::duplicate).
  std::string token = {};
};

/// Adds to `batch` that `events` are stored at the end of `stream`, which is created where it is not there. conflict,
/// once it is committed: the stream is at another version than `expected`; the text names it, and nothing of the batch
/// is stored. A batch may append to several streams. A stream's name has 1 to 255 bytes. At most
/// limits::kSqlStatements statements fit a batch: one an event, and up to four a call.
/// invalid_argument: nothing was added.
Result<void> append(Batch& batch, std::string_view stream, ExpectedVersion expected, std::span<const NewEvent> events,
                    const AppendOptions& options);

/// Makes the tables of events where they are not there yet. Commit it before anything else here is used; entities and
/// projections do so by themselves.
void prepare_events(Batch& batch);

/// Which events to read.
struct EventSelection {
  std::string stream = {};              ///< This stream; empty: all streams.
  std::string stream_prefix = {};       ///< Streams whose name begins so. Only where `stream` is empty.
  std::vector<std::string> types = {};  ///< Only these; empty: all.
  /// Of one stream: only those with a higher version. Of all: only those at a higher position. Backward: a lower one,
  /// 0 for all.
  std::uint64_t after = 0;
  std::uint64_t up_to = 0;  ///< The last version, or position; 0: no limit. As of a version.
  WallTime as_of{};         ///< Only what had happened by then; the default is everything.
  bool backward = false;    ///< The last one first.
  std::size_t limit = 1000;
};

/// For QueueControl::query, and back.
[[nodiscard]] SqlStatement select_events(const EventSelection& selection);
[[nodiscard]] Result<std::vector<RecordedEvent>> to_events(const Result<std::vector<SqlRow>>& rows);

/// Reads events for `actor`, within one of its turns: `then` takes a Result<std::vector<RecordedEvent>>, as a turn of
/// its own.
template <class F>
void read_events(ActorBase& actor, const EventSelection& selection, F then) {
  QueueControl{actor}
      .query(select_events(selection))
      .then([then = std::move(then)](const Result<std::vector<SqlRow>>& rows) mutable { then(to_events(rows)); });
}

/// Forgets a subject: appends events::SubjectForgotten to each stream that has events of it, destroys its key, and
/// publishes events::SubjectForgotten at kForgottenTopic, so that entities in memory are read anew. Projections see the
/// event. `then` runs in a turn of its own; after an error, or where the node died on the way, forget again: what was
/// done counts. An event of that subject that is appended later is sealed under a new key.
/// `keys` outlives the actor.
void forget_subject(ActorHandle actor, SubjectKeys& keys, std::string subject,
                    std::function<void(const Result<void>& done)> then);
inline constexpr std::string_view kForgottenTopic = "pannier/events/forgotten";

/// An event as it travels, with its bytes as they are stored.
[[nodiscard]] Table<events::Recorded> to_table(const RecordedEvent& event);

/// Answers events::StreamsQuestion and events::EventsQuestion in pages, for tools: `pannier events` asks the actor
/// "events". What is sealed stays sealed.
class EventReader final : public Actor<EventReader, events::StreamsQuestion, events::EventsQuestion> {
 public:
  void on_start();
  void on(const events::StreamsQuestion& question, Responder responder);
  void on(const events::EventsQuestion& question, Responder responder);
};

/// For handlers: the text, or nothing where the field is missing.
[[nodiscard]] inline std::string_view text_of(const flatbuffers::String* text) noexcept {
  return text == nullptr ? std::string_view{} : text->string_view();
}

}  // namespace pannier
