#pragma once

#include <cstdint>
#include <string>

#include "platform/clock.h"
#include "runtime/limits.h"

namespace pannier {

/// What a full mailbox does with one more message. System messages (stop, down, replies) have room of their own.
enum class WhenFull : std::uint8_t {
  reject,       ///< The sender gets ErrorCode::full, and keeps what it wanted to send.
  drop_newest,  ///< The new message goes to the dead letters.
  drop_oldest,  ///< The oldest one goes to the dead letters, the new one is taken.
  /// At most one tell or publication of a key waits: a newer one takes its place in the line, and the older one goes to
  /// the dead letters. One more key than there is room for is rejected. The key is the type and the topic, or the type
  /// and what the actor class says: `static std::string_view key(const Position& p)`, or a number or an enumerator.
  /// What is urgent, asked or delivered has no key, and goes first.
  keep_latest,
  /// Tables that were told or published go to the durable lane "mailbox.<name>" and come back from there in order, as
  /// deliveries, when there is room. The actor has a name, the node a store. Anything else is rejected.
  spill,
};

struct MailboxOptions {
  std::uint32_t messages = limits::kMailboxMessages;
  std::uint32_t bytes = limits::kMailboxBytes;  ///< Of payload.
  WhenFull when_full = WhenFull::reject;
};

/// Whether a supervisor starts a child again (OTP's words).
enum class Restart : std::uint8_t {
  permanent,  ///< Always, also when it stopped by itself.
  transient,  ///< After a failure only.
  temporary,  ///< Never.
};

/// Which children are restarted when one of them fails (OTP's words).
enum class Strategy : std::uint8_t {
  one_for_one,   ///< That one.
  rest_for_one,  ///< That one and those that were started after it.
  one_for_all,   ///< All.
};

/// How an actor supervises its children. More than `max_restarts` within `period` fail the supervisor itself.
struct Supervision {
  Strategy strategy = Strategy::one_for_one;
  std::uint32_t max_restarts = 5;
  Duration period = std::chrono::seconds{60};
  /// Before the first restart of a period; doubles with each further one, up to `backoff_cap`.
  Duration backoff_base = std::chrono::milliseconds{100};
  Duration backoff_cap = std::chrono::seconds{10};

  friend bool operator==(const Supervision&, const Supervision&) = default;
};

struct SpawnOptions {
  std::string name = {};  ///< Empty: known by its reference only.
  MailboxOptions mailbox = {};
  Restart restart = Restart::transient;
  Supervision children = {};
  /// How long a stop waits for this actor before it goes on without it and names it.
  Duration stop_limit = std::chrono::seconds{5};
  /// A handler that runs longer fails its actor, once it has returned; zero: no limit.
  Duration handler_budget{};
  /// The worker that it is pinned to; kAnyWorker: a child stays with its parent, others go round.
  std::uint32_t worker = kAnyWorker;

  static constexpr std::uint32_t kAnyWorker = 0xffffffff;
};

}  // namespace pannier
