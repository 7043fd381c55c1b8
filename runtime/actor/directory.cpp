#include "runtime/actor/directory.h"

#include <algorithm>

#include "platform/concat.h"

namespace pannier {

Result<Ref> Directory::name(std::string_view text) {
  const auto slash = text.find('/');
  const std::string_view node = slash == std::string_view::npos ? std::string_view{} : text.substr(0, slash);
  const std::string_view actor = slash == std::string_view::npos ? text : text.substr(slash + 1);
  const bool node_fits = slash == std::string_view::npos || valid_name(node, limits::kNodeNameBytes);
  if (!node_fits || !valid_name(actor, limits::kActorNameBytes)) {
    return Error{ErrorCode::invalid_argument,
                 concat({"'", text, "' is no actor name: write name or node/name, of a-z 0-9 . _ - only."})};
  }
  const std::string_view foreign = node == own_node_ ? std::string_view{} : node;

  std::string full = concat({foreign, "/", actor});
  while (adding_.test_and_set(std::memory_order_acquire)) {
  }
  Result<Ref> result{ErrorCode::full};
  if (const auto known = index_.find(full); known != index_.end()) {
    result = Ref{ActorId::named(known->second)};
  } else if (index_.size() < limits::kNames) {
    const auto index = static_cast<std::uint32_t>(index_.size());
    auto& chunk = chunks_[index / kChunk];
    if (chunk == nullptr) chunk = std::make_unique<std::array<Entry, kChunk>>();
    (*chunk)[index % kChunk].name = {std::string{foreign}, std::string{actor}};
    index_.emplace(std::move(full), index);
    result = Ref{ActorId::named(index)};
  }
  adding_.clear(std::memory_order_release);
  return result;
}

Ref Directory::find(std::string_view actor) {
  const std::string full = concat({"/", actor});
  while (adding_.test_and_set(std::memory_order_acquire)) {
  }
  const auto known = index_.find(full);
  const Ref found = known == index_.end() ? Ref{} : Ref{ActorId::named(known->second)};
  adding_.clear(std::memory_order_release);
  return found;
}

Directory::Entry& Directory::entry(ActorId id) noexcept {
  // Whoever has the id got it after the entry was written.
  const std::uint32_t index = id.name_index();
  return (*chunks_[index / kChunk])[index % kChunk];
}

}  // namespace pannier
