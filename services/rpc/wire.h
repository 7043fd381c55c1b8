#pragma once

#include <span>
#include <string>
#include <vector>

#include <pannier/rpc.h>

#include "services/rpc/schema/rpc.fbs.h"

namespace pannier::rpc::detail {

[[nodiscard]] inline std::string text(std::string_view first, std::string_view second) {
  return std::string{first}.append(second);
}

[[nodiscard]] inline MessagePtr question_of(Ref to, const AnyTable& table, Urgency urgency) {
  MessagePtr question = any_message(MessageKind::ask, to.id(), table);
  question->urgency = urgency;
  return question;
}

/// Takes a call of this process back: told, so that no chain of questions is in its way.
struct LocalCancel {
  std::uint64_t caller;  // 0: `id` is Call.id
  std::uint64_t id;      // else the correlation of the question
};

/// The bytes of an item, in a block of their own; empty: they are no table that `type` verifies.
[[nodiscard]] BlockRef block_of(const wire::Item* item, const TypeInfo& type);

/// A Turn.
struct TurnParts {
  std::span<const BlockRef> items = {};
  bool ended = false;
  const Outcome* outcome = nullptr;  ///< How it ended.
};
[[nodiscard]] AnyTable turn_of(const TurnParts& parts);
[[nodiscard]] inline AnyTable refusal(Status status, std::string message, bool not_started) {
  const Outcome outcome{{status, std::move(message), {}, not_started}, {}, {}};
  return turn_of({.ended = true, .outcome = &outcome});
}
[[nodiscard]] AnyTable call_of(const Spec& spec, std::uint64_t id);
[[nodiscard]] AnyTable push_of(std::uint64_t id, std::span<const BlockRef> items, bool last);

/// Without its response.
[[nodiscard]] Outcome outcome_of(const wire::Turn& turn);
/// What an error of the runtime says about a call: `reply` is a refusal, or null for the deadline.
[[nodiscard]] Failure failure_of(const Message* reply);
/// Entries that are too many or too long are left out: a caller's are checked before it sends.
[[nodiscard]] Metadata metadata_of(const flatbuffers::Vector<flatbuffers::Offset<wire::Entry>>* entries);
[[nodiscard]] bool fits(const Metadata& metadata) noexcept;

/// As a table of the wire; null: it is another, or does not verify.
template <class T>
[[nodiscard]] const T* read(const Message& message) {
  if (message.type != type_info<T>().id) return nullptr;
  if (!message.block) return nullptr;
  if (!message.block->verified()) {
    if (!verify_table<T>(message.block.bytes())) return nullptr;
    message.block->set_verified();
  }
  return flatbuffers::GetRoot<T>(message.block.bytes().data());
}

/// `request` with what `argument` takes from `result`. An error is a line about the argument.
[[nodiscard]] Result<BlockRef> with_argument(const BlockRef& request, const BlockRef& result, const Argument& argument);

}  // namespace pannier::rpc::detail
