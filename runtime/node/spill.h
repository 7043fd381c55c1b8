#pragma once

#include <string>
#include <string_view>

#include "runtime/message/ref.h"

namespace pannier {

class Worker;

/// The lane that an actor's mailbox spills to.
[[nodiscard]] std::string spill_lane(std::string_view actor);

/// Starts the actor that keeps on disk what finds no room in the mailbox of `target`, on the same worker, and brings it
/// back in order. It ends with `target`. Nobody where there is no slot for it: then nothing is spilled.
[[nodiscard]] ActorId start_spiller(Worker& worker, ActorId target, std::string lane);

}  // namespace pannier
