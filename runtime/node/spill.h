#pragma once

#include <pannier/message.h>
#include <pannier/result.h>

namespace pannier {

class Worker;
struct SpawnOptions;

/// Mailboxes that spill to the durable lane "mailbox.<name>"; see Extensions::may_spill and start_spiller. Needs a
/// store.
[[nodiscard]] Result<void> may_spill(const SpawnOptions& options);
[[nodiscard]] ActorId start_spiller(Worker& worker, ActorId target);

}  // namespace pannier
