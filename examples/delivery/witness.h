#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "examples/delivery/day/ledger.h"
#include "examples/delivery/events.h"
#include "examples/delivery/schema/witness.fbs.h"

namespace pannier::delivery {

using ::delivery::AppliedEvent;
using ::delivery::AppliedEventT;

/// Shows the auditor what one actor did (day/ledger.h). For the demo's proof only; other programs do not need it.
/// Belongs to its actor; `ledger` outlives it.
class Witness {
 public:
  Witness(LedgerWriter* ledger, std::string prefix) : ledger_(ledger), prefix_(std::move(prefix)) {}

  /// Takes a row of the actor's state if it is the witness's own.
  bool restore(const StateRow& row) {
    if (!row.key.starts_with(prefix_)) return false;
    if (const auto kept = table_of<AppliedEvent>(row)) {
      AppliedEventT applied;
      (*kept)->UnPackTo(&applied);
      std::uint64_t& last = last_position_[applied.order];
      last = std::max(last, applied.position);
      applied_[applied.event] = std::move(applied);
    }
    return true;
  }

  /// Counts the effect of `event` in `batch`, in the same transaction.
  template <class Event>
  void applied(Batch& batch, const Event& event) {
    AppliedEventT& row = applied_[event.id()->str()];
    if (++row.times == 1) {
      row.event = event.id()->str();
      row.order = event.order()->str();
      row.type = Event::Traits::name;
      row.position = ++last_position_[row.order];
    }
    batch.put_state(prefix_ + row.event, pack(row));
  }

  /// `event` has a receipt: the `sequence`th that this node sent to that receiver for this order.
  template <FlatTable Event>
  void accepted(const Table<Event>& event, std::uint64_t sequence) {
    note(Accepted{event->id()->str(), event->order()->str(), Event::Traits::name, sequence, ledger_now_ms()});
  }

  /// For the progress line.
  void gauge(const char* name, std::uint64_t value) {
    note(Status{name, static_cast<std::int64_t>(value), ledger_now_ms()});
  }

 private:
  void note(const LedgerLine& line) {
    ledger_->append(line).ignore();  // a witness that cannot write shows up in the audit
  }

  LedgerWriter* ledger_;
  std::string prefix_;
  std::map<std::string, AppliedEventT> applied_;        // by event
  std::map<std::string, std::uint64_t> last_position_;  // by order
};

}  // namespace pannier::delivery
