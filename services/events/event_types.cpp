#include <algorithm>

#include <pannier/events.h>

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

Result<NewEvent> EventTypes::event(const AnyTable& table) const {
  const auto known =
      std::find_if(known_.begin(), known_.end(), [&](const Known& each) { return each.info->id == table.type(); });
  if (known == known_.end()) {
    const std::string name{table.info() != nullptr ? table.info()->name : std::string_view{"a table of unknown type"}};
    return Error{ErrorCode::invalid_argument, name + " is no event that was declared: add it to the event types"};
  }
  return NewEvent{known->name, known->version, table.block()};
}

Result<AnyTable> EventTypes::current(const RecordedEvent& event) const {
  const auto known =
      std::find_if(known_.begin(), known_.end(), [&](const Known& each) { return each.name == event.type; });
  if (known == known_.end()) {
    return Error{ErrorCode::unsupported, named(event) + ", a type that this program does not know"};
  }
  if (event.schema > known->version) {
    return Error{ErrorCode::unsupported,
                 named(event) + "; this program knows versions up to " + std::to_string(known->version)};
  }
  BlockRef data = event.data;
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
  return all;
}

}  // namespace pannier
