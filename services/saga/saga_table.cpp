#include <algorithm>

#include <pannier/limits.h>
#include <pannier/saga.h>

#include "services/saga/saga_engine.h"

namespace pannier {

AnyTable table_of_bytes(std::uint64_t type, const std::vector<std::uint8_t>& bytes) {
  return AnyTable{TypeId{type}, nullptr, BlockRef::copy_of(std::as_bytes(std::span{bytes}))};
}

std::vector<std::uint8_t> bytes_of(const AnyTable& table) {
  const auto* first = reinterpret_cast<const std::uint8_t*>(table.bytes().data());
  return {first, first + table.bytes().size()};
}

/// From our own disk: longer, and with more tables in it, than a message may be.
bool unpack_body(std::span<const std::byte> bytes, sagas::BodyT& body) {
  // Out of SQLite's memory: the bytes may be misaligned for the table.
  const BlockRef aligned = BlockRef::copy_of(bytes);
  const auto* first = reinterpret_cast<const std::uint8_t*>(aligned.bytes().data());
  flatbuffers::Verifier verifier(first, bytes.size(), limits::kVerifyDepth, 1'000'000);
  if (!verifier.VerifyBuffer<sagas::Body>(nullptr)) return false;
  flatbuffers::GetRoot<sagas::Body>(first)->UnPackTo(&body);
  return true;
}

// --- What a step's function says ------------------------------------------------------------------------------------

void Step::ask(std::string_view address, const AnyTable& question, Duration timeout) {
  question_ = Question{std::string{address}, question, timeout};
}

void Step::start_saga(std::string_view address, std::string_view saga, std::string_view id, const AnyTable& data) {
  sagas::StartT start;
  start.saga = saga;
  start.data = bytes_of(data);
  start.parent_lane = lane_;
  start.parent_key = ticket();
  batch_.enqueue(address, id, pack(start));
  wait();
}

void Step::undo_saga(std::string_view address, std::string_view id) {
  batch_.enqueue(address, id, make<sagas::Order>(sagas::OrderKind::compensate, lane_, ticket()));
  wait();
}

void start_saga(Batch& batch, std::string_view address, std::string_view saga, std::string_view id,
                const AnyTable& data) {
  sagas::StartT start;
  start.saga = saga;
  start.data = bytes_of(data);
  batch.enqueue(address, id, pack(start));
}

// --- The table ------------------------------------------------------------------------------------------------------

Result<void> SagaTable::check() const {
  const auto wrong = [&](const std::string& what) {
    return Error{ErrorCode::invalid_argument, "saga " + name + ": " + what};
  };
  if (rows.empty()) return wrong("it has no steps");
  if (rows.size() > 1000) return wrong("it has more than 1000 steps");
  for (const Row& row : rows) {
    if (std::count_if(rows.begin(), rows.end(), [&](const Row& each) { return each.name == row.name; }) > 1) {
      return wrong("two steps are named '" + row.name + "'");
    }
    const bool is_last = row.group == rows.back().group && &row == &rows.back();
    if (!row.undo && !row.nothing_to_undo && !is_last) {
      return wrong("step '" + row.name + "' needs a compensation, or nothing_to_undo: a step after it may fail");
    }
    if (row.options.attempts == 0 || row.options.undo_attempts == 0) {
      return wrong("step '" + row.name + "' has no attempt");
    }
  }
  return {};
}

std::string SagaTable::mermaid() const { return saga_chart(*this, nullptr); }

std::string saga_chart(const SagaTable& table, const SagaState* state) {
  std::string chart = "flowchart TD\n";
  const auto node = [](std::size_t i) { return "s" + std::to_string(i); };
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    const SagaTable::Row& row = table.rows[i];
    chart += "  " + node(i) + "[\"" + row.name + "\"]\n";
    for (std::size_t j = 0; j < table.rows.size(); ++j) {
      if (table.rows[j].group == row.group + 1) chart += "  " + node(i) + " --> " + node(j) + "\n";
    }
    if (row.undo) chart += "  " + node(i) + " -. undo .-> u" + std::to_string(i) + "([\"undo " + row.name + "\"])\n";
  }
  if (state == nullptr) return chart;
  const auto mark = [&](std::string_view prefix, std::size_t step, std::string_view how) {
    chart += "  class " + std::string{prefix} + std::to_string(step) + " " + std::string{how} + "\n";
  };
  for (const auto& each : state->body.done) {
    mark("s", each->step, "done");
    if (each->undone) mark("u", each->step, "done");
  }
  for (const auto& each : state->body.active) {
    mark(each->undoing ? "u" : "s", each->step, state->status == "dead-lettered" ? "failed" : "active");
  }
  chart += "  classDef done fill:#cfc\n  classDef active fill:#ffc\n  classDef failed fill:#fcc\n";
  return chart;
}

}  // namespace pannier
