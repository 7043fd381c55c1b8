#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <pannier/actor.h>
#include <pannier/message.h>
#include <pannier/platform.h>
#include <pannier/queue.h>
#include <pannier/result.h>

#include "services/saga/saga.fbs.h"

/// Sagas: work in several steps, each of which can be undone, that goes on over crashes and for as long as it takes.
/// docs/sagas.md explains.
namespace pannier {

/// What a step's function says: what to send, and how it goes on. Used within the call. All that it says is stored in
/// one transaction together with the step's result and with what led to it.
class Step {
 public:
  // --- What is sent once the step is stored
  Step& enqueue(std::string_view address, std::string_view key, const AnyTable& message, EnqueueOptions options = {}) {
    batch_.enqueue(address, key, message, std::move(options));
    return *this;
  }
  /// For what else shares the transaction: the application's tables, state, events.
  [[nodiscard]] Batch& batch() noexcept { return batch_; }
  /// Asks an actor ("payment" here, "hub/payment" there) and waits: the reply goes to the step's `on` for its type; an
  /// error is an attempt that failed. It is asked again after a crash. One question a step.
  void ask(std::string_view address, const AnyTable& question, Duration timeout);
  /// Starts another saga, in the lane `address`, and waits for its end: this step is done, or has failed, with it.
  void start_saga(std::string_view address, std::string_view saga, std::string_view id, const AnyTable& data);
  /// For the compensation of such a step: undoes that saga, whether it has completed or not, and waits.
  void undo_saga(std::string_view address, std::string_view id);

  // --- How it goes on. A step without outcomes is done when its action returns, one with outcomes waits for them.
  void done() { verdict_ = Verdict::done; }
  /// Has not taken effect and will not: what was done before is undone.
  void fail(std::string cause) { give(Verdict::fail, std::move(cause)); }
  /// Again, as the step's options say; in the end it fails. It may have taken effect.
  void retry(std::string cause) { give(Verdict::retry, std::move(cause)); }
  /// Is done, and the step of that name is next, with what follows it.
  void go_to(std::string_view step) { give(Verdict::go_to, std::string{step}); }
  /// Is done, and is run once more, as a step of its own that is undone on its own: for each item of a list.
  void repeat() { verdict_ = Verdict::repeat; }
  /// Is done after `time`, which goes on while the node is off.
  void sleep(Duration time) {
    verdict_ = Verdict::sleep;
    sleep_ = time;
  }
  /// Waits for an outcome, or for a signal that comes later.
  void wait() { verdict_ = Verdict::wait; }

  // --- Who asks
  [[nodiscard]] const std::string& saga_id() const noexcept { return id_; }
  /// Names this execution of this step: whoever answers to the saga's lane with it as the key answers this very step.
  /// With saga_id() as the key, an answer goes to whichever step waits for its type.
  [[nodiscard]] std::string ticket() const { return id_ + "#" + std::to_string(run_); }
  [[nodiscard]] std::uint32_t attempt() const noexcept { return attempt_; }
  [[nodiscard]] WallTime wall_now() const noexcept { return now_; }
  /// A text that the action leaves for the step's compensation.
  void note(std::string text) { note_ = std::move(text); }
  [[nodiscard]] const std::string& note() const noexcept { return note_; }

 private:
  friend class SagaEngine;
  enum class Verdict : std::uint8_t { none, done, fail, retry, go_to, repeat, sleep, wait };
  Step(Batch& batch, std::string id, std::string lane, std::uint64_t run, std::uint32_t attempt, WallTime now,
       std::string note)
      : batch_(batch),
        id_(std::move(id)),
        lane_(std::move(lane)),
        run_(run),
        attempt_(attempt),
        now_(now),
        note_(std::move(note)) {}
  void give(Verdict verdict, std::string cause) {
    verdict_ = verdict;
    cause_ = std::move(cause);
  }
  struct Question {
    std::string to;
    AnyTable table;
    Duration timeout;
  };

  Batch& batch_;
  std::string id_;
  std::string lane_;
  std::uint64_t run_;
  std::uint32_t attempt_;
  WallTime now_;
  std::string note_;
  Verdict verdict_ = Verdict::none;
  std::string cause_;
  Duration sleep_{};
  std::optional<Question> question_;
};

struct StepOptions {
  Duration deadline{};                              ///< Of one attempt that waits; zero: none.
  std::uint32_t attempts = 3;                       ///< Of the action; then the step has failed.
  std::uint32_t undo_attempts = 10;                 ///< Of the compensation; then the saga is dead-lettered.
  Duration backoff = std::chrono::seconds{1};       ///< Before the second attempt; doubles,
  Duration backoff_cap = std::chrono::minutes{10};  ///< up to this.
};

/// A saga's steps without its types: made by saga<Data>().
struct SagaTable {
  struct Outcome {
    const TypeInfo* type = nullptr;
    std::function<void(void* data, const AnyTable& message, Step& step)> handle;
  };
  struct Row {
    std::string name;
    std::uint32_t group = 0;  ///< Steps of one group run side by side.
    std::function<void(void* data, Step& step)> action;
    std::function<void(void* data, Step& step)> undo;
    bool nothing_to_undo = false;
    StepOptions options;
    std::vector<Outcome> outcomes;
    std::vector<Outcome> undo_outcomes;
  };
  struct Query {
    const TypeInfo* type = nullptr;
    std::function<AnyTable(const void* data, const AnyTable& question)> answer;
  };
  std::string name;
  std::uint32_t version = 1;
  Duration within{};
  std::vector<Row> rows;
  std::vector<Query> queries;
  const TypeInfo* data = nullptr;
  std::function<std::shared_ptr<void>(std::span<const std::byte> bytes)> unpack;
  std::function<AnyTable(const void* data)> pack;

  /// invalid_argument: no steps, two of one name, a step that others follow and that says neither how it is undone nor
  /// that nothing is to undo.
  [[nodiscard]] Result<void> check() const;
  /// A flow chart of the steps and their compensations.
  [[nodiscard]] std::string mermaid() const;
};

/// Says of a step that it needs no compensation.
struct NothingToUndo {};
inline constexpr NothingToUndo nothing_to_undo{};

/// A saga's table of steps. `Data` is the table that each of them starts with and keeps; functions get its object
/// (`PlaceOrderT` of `PlaceOrder`), whose changes are stored with the step.
///
///     pannier::saga<PlaceOrder>("place-order", 3)
///         .step("pay", &pay, &refund)                        // void pay(PlaceOrderT& order, Step& step)
///             .on<ChargeResult>(&charged)                    // void charged(PlaceOrderT&, const ChargeResult&, Step&)
///             .with({.deadline = 30s, .attempts = 3})
///         .step("cook", &cook, &cancel_cooking).on<Cooked>(&cooked)
///         .and_step("find-courier", &find, &release).on<Found>(&found)   // side by side with "cook"
///         .step("tell", &tell, nothing_to_undo);
///
/// Steps run from the first to the last. When one fails, those before it are undone, the last first. A step whose last
/// attempt went unanswered may have taken effect and is undone as well; so is one that runs beside a step that fails.
template <FlatTable Data>
class Saga {
 public:
  using Object = typename Data::NativeTableType;
  using Action = void (*)(Object& data, Step& step);

  Saga(std::string name, std::uint32_t version) : table_(std::make_shared<SagaTable>()) {
    table_->name = std::move(name);
    table_->version = version;
    table_->data = &type_info<Data>();
    table_->unpack = [](std::span<const std::byte> bytes) -> std::shared_ptr<void> {
      if (!verify_table<Data>(bytes)) return nullptr;
      auto object = std::make_shared<Object>();
      flatbuffers::GetRoot<Data>(bytes.data())->UnPackTo(object.get());
      return object;
    };
    table_->pack = [](const void* data) -> AnyTable { return pannier::pack(*static_cast<const Object*>(data)); };
  }

  Saga& step(std::string_view name, Action action, Action undo) { return add(name, action, undo, false, true); }
  Saga& step(std::string_view name, Action action, NothingToUndo) { return add(name, action, nullptr, true, true); }
  /// The last step needs no compensation: nothing after it can fail.
  Saga& step(std::string_view name, Action action) { return add(name, action, nullptr, false, true); }
  /// Runs side by side with the step before it; what follows waits for both.
  Saga& and_step(std::string_view name, Action action, Action undo) { return add(name, action, undo, false, false); }
  Saga& and_step(std::string_view name, Action action, NothingToUndo) {
    return add(name, action, nullptr, true, false);
  }

  /// Of the latest step: a message that it waits for.
  template <FlatTable T>
  Saga& on(void (*handler)(Object& data, const T& message, Step& step)) {
    table_->rows.back().outcomes.push_back(outcome<T>(handler));
    return *this;
  }
  /// Of the latest step: a message that its compensation waits for.
  template <FlatTable T>
  Saga& undo_on(void (*handler)(Object& data, const T& message, Step& step)) {
    table_->rows.back().undo_outcomes.push_back(outcome<T>(handler));
    return *this;
  }
  Saga& with(StepOptions options) {
    table_->rows.back().options = options;
    return *this;
  }
  /// A saga that has not completed by then fails, and is undone.
  Saga& within(Duration time) {
    table_->within = time;
    return *this;
  }
  /// A question that reads the data of one saga (sagas::DataQuestion).
  template <FlatTable Q>
  Saga& query(AnyTable (*answer)(const Object& data, const Q& question)) {
    table_->queries.push_back({&type_info<Q>(), [answer](const void* data, const AnyTable& question) {
                                 return answer(*static_cast<const Object*>(data),
                                               *flatbuffers::GetRoot<Q>(question.bytes().data()));
                               }});
    return *this;
  }

  operator std::shared_ptr<const SagaTable>() const { return table_; }  // NOLINT: a finished table
  [[nodiscard]] const SagaTable& table() const noexcept { return *table_; }

 private:
  template <class T>
  static SagaTable::Outcome outcome(void (*handler)(Object&, const T&, Step&)) {
    return {&type_info<T>(), [handler](void* data, const AnyTable& message, Step& step) {
              handler(*static_cast<Object*>(data), *flatbuffers::GetRoot<T>(message.bytes().data()), step);
            }};
  }
  static std::function<void(void*, Step&)> erased(Action action) {
    if (action == nullptr) return {};
    return [action](void* data, Step& step) { action(*static_cast<Object*>(data), step); };
  }
  Saga& add(std::string_view name, Action action, Action undo, bool nothing, bool new_group) {
    const std::uint32_t group = table_->rows.empty() ? 0 : table_->rows.back().group + (new_group ? 1U : 0U);
    table_->rows.push_back({std::string{name}, group, erased(action), erased(undo), nothing, {}, {}, {}});
    return *this;
  }

  std::shared_ptr<SagaTable> table_;
};

template <FlatTable Data>
[[nodiscard]] Saga<Data> saga(std::string name, std::uint32_t version) {
  return Saga<Data>{std::move(name), version};
}

/// Adds to `batch` that a saga starts at `address` ("sagas", "hub/sagas"): it does once the batch is stored, once.
void start_saga(Batch& batch, std::string_view address, std::string_view saga, std::string_view id,
                const AnyTable& data);

struct SagaOptions {
  std::string lane = "sagas";  ///< Where it takes starts, answers, signals and its own timers from.
  std::uint32_t window = 64;   ///< Messages in hands at once; of one saga it is one.
};

/// Runs the sagas of one lane. A saga that waits is a row on disk and nothing else: it costs neither memory nor
/// wake-ups. What comes in, and what a step makes of it, share one transaction: whatever dies in between, each step's
/// messages are sent once. An actor that sends a saga's id as the key reaches that saga.
///
/// Several versions of a saga may be given: new ones start with the highest, running ones finish on theirs. One whose
/// version is not given waits, and says so.
///
/// Ids name sagas of all kinds of one host. Answers sagas::StatusQuestion, DataQuestion and SagasQuestion, and carries
/// out sagas::OrderQuestion and PurgeQuestion.
class SagaHost final : public Actor<SagaHost, AnyTable> {
 public:
  SagaHost(std::vector<std::shared_ptr<const SagaTable>> tables, SagaOptions options);

  void on_start();
  void on(const AnyTable& message, Delivery delivery);
  void on(const AnyTable& question, Responder responder);

 private:
  struct Input {
    std::uint64_t run = 0;  // 0: no step is named
    AnyTable table;
    std::optional<Delivery> delivery;
    std::uint32_t attempts = 0;
    std::optional<Error> ask_failed;
    std::uint32_t ask_attempt = 0;
    bool ask_again = false;  // after a restart
  };
  struct Loaded;

  void take(const std::string& id, Input input);
  void next(const std::string& id);
  void loaded(const std::string& id, const Result<std::vector<SqlRow>>& rows);
  void work(const std::string& id, Loaded& saga, const Input& input);
  void store(const std::string& id, const std::shared_ptr<Loaded>& saga);
  void stored(const std::string& id, const std::shared_ptr<Loaded>& saga, const Result<Receipt>& receipt);
  void drop(const std::string& id, const std::string& why);
  void finish(const std::string& id);
  void ask_all(const std::string& id, const Loaded& saga);
  void wake(std::string sql, bool ask_again);
  [[nodiscard]] std::shared_ptr<const SagaTable> table_of(std::string_view name, std::uint32_t version) const;
  void status(const std::string& id, const Responder& responder, std::optional<AnyTable> question);
  void list(const sagas::SagasQuestion& question, const Responder& responder);
  void order(const sagas::OrderQuestion& question, const Responder& responder);
  void purge(const sagas::PurgeQuestion& question, const Responder& responder);

  std::vector<std::shared_ptr<const SagaTable>> tables_;
  SagaOptions options_;
  std::map<std::string, std::deque<Input>> lines_;  // by saga; the first one is being worked on
};

}  // namespace pannier
