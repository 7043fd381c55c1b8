#include <algorithm>

#include <pannier/events.h>

#include "services/events/events.fbs.h"

namespace pannier {

namespace {

std::string named(const RecordedEvent& event) {
  return "event " + std::to_string(event.version) + " of stream " + event.stream + " is '" + event.type + "' version " +
         std::to_string(event.schema);
}

}  // namespace

EventTypes& EventTypes::add(std::string_view name, std::uint32_t version, const TypeInfo& info) {
  known_.push_back({std::string{name}, version, &info});
  return *this;
}

EventTypes& EventTypes::upcast(std::string_view name, std::uint32_t from, Step step) {
  upcasters_.push_back({std::string{name}, from, std::move(step)});
  return *this;
}

EventTypes& EventTypes::concerns(const TypeInfo& info, SubjectOf subject) {
  subjects_.emplace_back(&info, std::move(subject));
  return *this;
}

Result<NewEvent> EventTypes::event(const AnyTable& table) const {
  const auto known =
      std::find_if(known_.begin(), known_.end(), [&](const Known& each) { return each.info->id == table.type(); });
  if (known == known_.end()) {
    const std::string name{table.info() != nullptr ? table.info()->name : std::string_view{"a table of unknown type"}};
    return Error{ErrorCode::invalid_argument, name + " is no event that was declared: add it to the event types"};
  }
  NewEvent event{known->name, known->version, table.block()};
  for (const auto& [info, subject_of] : subjects_) {
    if (info == known->info) event.subject = subject_of(event.data);
  }
  if (event.subject.empty()) return event;
  if (keys_ == nullptr) {
    return Error{ErrorCode::invalid_argument,
                 event.type + " concerns " + event.subject + ": give its host the keys of subjects"};
  }
  const auto plain = event.data.bytes();
  auto sealed = keys_->seal(event.subject, {reinterpret_cast<const char*>(plain.data()), plain.size()});
  if (!sealed) return sealed.error();
  event.data = BlockRef::copy_of(std::as_bytes(std::span{*sealed}));
  return event;
}

/// Its bytes; not_found: its subject was forgotten.
Result<BlockRef> EventTypes::opened(const RecordedEvent& event) const {
  if (event.subject.empty()) return event.data;
  if (keys_ == nullptr) {
    return Error{ErrorCode::unsupported,
                 named(event) + ", sealed for " + event.subject + ": give its host the keys of subjects"};
  }
  const auto sealed = event.data.bytes();
  auto plain = keys_->open(event.subject, {reinterpret_cast<const char*>(sealed.data()), sealed.size()});
  if (!plain) return plain.error();
  return BlockRef::copy_of(std::as_bytes(std::span{*plain}));
}

Result<AnyTable> EventTypes::current(const RecordedEvent& event) const {
  constexpr std::string_view kForgotten = type_info<events::SubjectForgotten>().name;
  if (event.type == kForgotten) return AnyTable{make<events::SubjectForgotten>(std::string_view{event.subject})};
  const auto known =
      std::find_if(known_.begin(), known_.end(), [&](const Known& each) { return each.name == event.type; });
  if (known == known_.end()) {
    return Error{ErrorCode::unsupported, named(event) + ", a type that this program does not know"};
  }
  if (event.schema > known->version) {
    return Error{ErrorCode::unsupported,
                 named(event) + "; this program knows versions up to " + std::to_string(known->version)};
  }
  auto bytes = opened(event);
  if (!bytes && bytes.error().code == ErrorCode::not_found) {
    return AnyTable{make<events::SubjectForgotten>(std::string_view{event.subject})};
  }
  if (!bytes) return Error{bytes.error().code, named(event) + ": " + bytes.error().text()};
  BlockRef data = std::move(*bytes);
  for (std::uint32_t version = event.schema; version < known->version; ++version) {
    const auto step = std::find_if(upcasters_.begin(), upcasters_.end(), [&](const Upcaster& each) {
      return each.from == version && each.name == event.type;
    });
    if (step == upcasters_.end()) {
      return Error{ErrorCode::unsupported, named(event) + "; this program has no upcaster from version " +
                                               std::to_string(version) + " to " + std::to_string(version + 1)};
    }
    auto next = step->step(data);
    if (!next) return Error{next.error().code, named(event) + "; its upcaster refuses it: " + next.error().text()};
    data = std::move(*next);
  }
  if (known->info->verify == nullptr || !known->info->verify(data.bytes())) {
    return Error{ErrorCode::malformed, named(event) + ", and its bytes are no such table"};
  }
  return AnyTable{known->info->id, known->info, std::move(data)};
}

std::vector<std::string> EventTypes::names() const {
  std::vector<std::string> all;
  for (const Known& each : known_) all.push_back(each.name);
  if (concern_subjects()) all.emplace_back(type_info<events::SubjectForgotten>().name);
  return all;
}

}  // namespace pannier
