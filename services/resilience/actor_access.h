#pragma once

#include <string_view>

#include <pannier/actor.h>

namespace pannier::detail {

/// What an actor may do in its own turns, for a member of it that is an object of its own: `(actor.*Access::kNow)()`.
struct ActorAccess : NodeActor {
  static constexpr auto kAfter = &ActorAccess::after;
  static constexpr auto kCancel = &ActorAccess::cancel;
  static constexpr auto kDeadline = &ActorAccess::deadline;
  static constexpr auto kEnqueue =
      static_cast<Pending<Receipt> (NodeActor::*)(std::string_view, std::string_view, const AnyTable&, EnqueueOptions)>(
          &ActorAccess::enqueue);
  static constexpr auto kLabel = &ActorAccess::label;
  static constexpr auto kNow = &ActorAccess::now;
  static constexpr auto kRandom = &ActorAccess::random;
  static constexpr auto kReadState = &ActorAccess::read_state;
  static constexpr auto kSend = &ActorAccess::send;
  static constexpr auto kCommit = static_cast<Pending<Receipt> (NodeActor::*)(Batch)>(&ActorAccess::commit);
  static constexpr auto kCommitDelivery =
      static_cast<Pending<Receipt> (NodeActor::*)(Delivery, Batch)>(&ActorAccess::commit);
  static constexpr auto kLog = static_cast<void (ActorBase::*)(LogLevel, std::string_view) const>(&ActorAccess::log);
};

}  // namespace pannier::detail
