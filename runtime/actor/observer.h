#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "platform/clock.h"
#include "runtime/message/ref.h"

namespace pannier {

enum class DeadLetterReason : std::uint8_t {
  no_such_actor,   ///< Stopped, never was, or no link leads to it.
  mailbox_full,    ///< Dropped by the mailbox's policy.
  unhandled,       ///< The actor has no handler for the type, or the bytes do not verify.
  stopped,         ///< Was waiting in the mailbox of an actor that stopped.
  late_reply,      ///< The question had its outcome already.
  handler_failed,  ///< Was being handled when the handler failed.
  replaced,        ///< A newer message of its key took its place: WhenFull::keep_latest.
  link_full,       ///< A publication that a linked node wants, and its link had no room for.
  not_retained,    ///< A publication that was passed on, and is not retained as it asked for: no room.
};
inline constexpr std::size_t kDeadLetterReasons = 9;
[[nodiscard]] std::string_view to_string(DeadLetterReason reason) noexcept;

/// One message that did not reach a handler, or killed it. `type` is borrowed for the call, and empty where it is
/// unknown.
struct DeadLetter {
  DeadLetterReason reason;
  std::string_view type;
  ActorId sender;
  ActorId receiver;
};

/// One message that was handled; a reply, too, by the function that waited for it.
struct Handled {
  std::string_view type;
  ActorId sender;
  ActorId receiver;
  std::uint64_t correlation = 0;  ///< Of a question or a delivery; 0 otherwise.
  std::uint64_t trace = 0;        ///< The same for a message and everything that it caused, here and on linked nodes.
  Duration took{};
  bool ok = true;
};

/// Looks on while a node works. Called on the workers' threads, in the middle of their turns: be quick, never block,
/// never call the node. A node without one pays a comparison a message.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void on_handled(const Handled& /*handled*/) noexcept {}
  virtual void on_dead_letter(const DeadLetter& /*letter*/) noexcept {}
};

/// One living actor, as far as another thread can see it at this moment.
struct ActorStatus {
  ActorId id;
  std::string name;            ///< "#worker.slot.generation" without one.
  std::string_view type;       ///< Of the class; static storage.
  std::uint32_t handled = 0;   ///< Since it was spawned, modulo 2^32.
  std::uint32_t rejected = 0;  ///< Messages without a handler, or that did not verify.
  std::uint32_t failures = 0;  ///< Restarts and the last end.
  std::uint32_t queued = 0;    ///< In its mailbox.
};

}  // namespace pannier
