#pragma once

#include <string>

#include "run/schema/inspect.fbs.h"
#include "tools/client.h"

namespace pannier::tools {

/// Asks an actor of the node, or NODE/ACTOR, for one R by way of the node's tools. `what` is what the actor should be:
/// an error's text names the actor, and says so where it does not answer such questions.
template <FlatTable R>
[[nodiscard]] Result<Table<R>> ask_actor(Client& client, const std::string& actor, const AnyTable& question,
                                         std::chrono::milliseconds timeout, const std::string& what) {
  const AnyTable request = build<Ask>([&](flatbuffers::FlatBufferBuilder& b) {
    const auto address = b.CreateString(actor);
    const auto bytes = question.bytes();
    b.ForceVectorAlignment(bytes.size(), 1, 16);
    const auto data = b.CreateVector(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    return CreateAsk(b, address, static_cast<std::uint64_t>(question.type()), data,
                     static_cast<std::uint32_t>(timeout.count()));
  });
  const auto answer = client.ask<Answer>(request, timeout + std::chrono::milliseconds{500});
  if (!answer) return answer.error();
  const auto* const payload = (*answer)->payload();
  const auto bytes =
      payload == nullptr ? std::span<const std::byte>{} : std::as_bytes(std::span{payload->data(), payload->size()});
  auto table = AnyTable{TypeId{(*answer)->type_id()}, nullptr, BlockRef::copy_of(bytes)}.as<R>();
  if (!table) return Error{ErrorCode::rejected, actor + " is no " + what};
  return *table;
}

}  // namespace pannier::tools
