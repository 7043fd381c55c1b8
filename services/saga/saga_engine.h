#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <pannier/saga.h>

#include "services/saga/saga.fbs.h"

namespace pannier {

/// What a saga is between two messages.
struct SagaState {
  std::string status = "running";
  std::string cause;
  sagas::BodyT body;
};

/// One saga's reaction to one message: changes the state, and says in the batch what is sent. Knows no store, no actor
/// and no clock.
class SagaEngine {
 public:
  struct Ask {
    std::uint64_t run;
    std::uint32_t attempt;
    std::string to;
    AnyTable question;
    Duration timeout;
  };
  enum class Fate : std::uint8_t { taken, kept, dropped, unknown, malformed, full };

  /// All outlive it.
  SagaEngine(const SagaTable& table, SagaState& state, void* data, Batch& batch, const std::string& id,
             const std::string& lane, WallTime now)
      : table_(table), state_(state), body_(state.body), data_(data), batch_(batch), id_(id), lane_(lane), now_(now) {}

  void start();
  Fate message(std::uint64_t run, const AnyTable& message);
  void ended(std::uint64_t run, const sagas::Ended& child);
  void timer(const sagas::Timer& timer);
  void order(const sagas::Order& order);
  void ask_failed(std::uint64_t run, std::uint32_t attempt, const Error& why);
  /// Every question that waits for its answer.
  void ask_again();

  /// To be asked once the batch is stored.
  std::vector<Ask> asks;

 private:
  using ActiveT = sagas::ActiveT;
  [[nodiscard]] const SagaTable::Row& row_of(const ActiveT& active) const { return table_.rows[active.step]; }
  [[nodiscard]] const std::vector<SagaTable::Outcome>& outcomes_of(const ActiveT& active) const {
    return active.undoing ? row_of(active).undo_outcomes : row_of(active).outcomes;
  }
  [[nodiscard]] ActiveT* find(std::uint64_t run);
  [[nodiscard]] bool is_over() const { return state_.status == "completed" || state_.status == "compensated"; }
  void begin_step(std::size_t step);
  void begin_group(std::uint32_t group);
  void pump();
  bool advance();
  void act(ActiveT& active);
  void hear(ActiveT& active, const SagaTable::Outcome& outcome, const AnyTable& message);
  void apply(ActiveT& active, Step& step, bool from_action);
  void finish_step(ActiveT& active);
  void note_done(const ActiveT& active);
  void attempt_failed(ActiveT& active, const std::string& why);
  void fail(ActiveT* culprit, bool uncertain, const std::string& why);
  void hear_early(ActiveT& active);
  void end(std::string status);
  void tell_parent();
  void set_timer(sagas::TimerKind kind, const ActiveT* active, Duration delay);
  [[nodiscard]] Step step_for(const ActiveT& active) const {
    return Step{batch_, id_, lane_, active.run, active.attempts, now_, active.note};
  }

  const SagaTable& table_;
  SagaState& state_;
  sagas::BodyT& body_;
  void* data_;
  Batch& batch_;
  const std::string& id_;
  const std::string& lane_;
  WallTime now_;
};

/// A table out of bytes as they stand in a message or a row.
[[nodiscard]] AnyTable table_of_bytes(std::uint64_t type, const std::vector<std::uint8_t>& bytes);
[[nodiscard]] std::vector<std::uint8_t> bytes_of(const AnyTable& table);

/// Reads what the row of a saga holds. False: it is damaged.
[[nodiscard]] bool unpack_body(std::span<const std::byte> bytes, sagas::BodyT& body);

/// The flow chart of a table, with where one saga is, if any.
[[nodiscard]] std::string saga_chart(const SagaTable& table, const SagaState* state);

}  // namespace pannier
