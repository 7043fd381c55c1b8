#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "runtime/message/block.h"
#include "runtime/message/ref.h"
#include "runtime/queue/batch.h"

namespace pannier {

struct System;

enum class Outcome : std::uint8_t { done, retry, park };

/// What became of a delivery, on its way to the queue. Internal.
struct Settle {
  std::uint64_t delivery = 0;
  Outcome outcome = Outcome::retry;
  std::optional<Duration> delay = {};  ///< None: as the lane's backoff says.
  std::string cause;
  Batch batch;
};

/// A message of a lane in an actor's hands. It says once what became of it; only the first word counts. A delivery
/// whose last copy goes without a word is tried again. Where it has a visibility timeout a word after it counts no
/// more. Copy it, keep it, hand it on; it must not outlive its node. Any
/// thread.
class Delivery {
 public:
  /// Internal: made by the dispatcher for a message of kind delivery.
  Delivery(System& system, ActorId queue, std::uint64_t id);

  /// The message has taken effect. It is never delivered again once this is committed; a crash before that delivers
  /// it again, so an effect that must not happen twice goes into `effects`, which share the commit.
  void done(Batch effects = {}) const;
  /// Not now: delivered again after `delay` (at the earliest), or as the lane's backoff says, until the attempts are
  /// used up.
  void retry(std::optional<Duration> delay = {}, std::string cause = "retry asked for") const;
  /// Never: put aside with `cause`, for a person. The next message goes on.
  void park(std::string cause) const;

  /// Internal: which one it is, and that the queue has taken its end into a group by way of a commit.
  [[nodiscard]] std::uint64_t id() const noexcept;
  void settled() const noexcept;

 private:
  struct State;
  void settle(Settle settle) const;
  BlockRef state_;
};

}  // namespace pannier
