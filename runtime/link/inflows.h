#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <pannier/message.h>
#include <pannier/result.h>
#include "platform/function_ref.h"
#include "runtime/actor/service.h"
#include "runtime/link/wire.h"

namespace pannier {

/// The receiving end of flows: what the actors of other nodes have told those of this one (docs/protocol.md, Credit).
/// Hands messages to mailboxes, holds in order what a full mailbox refuses until it has room, and says which credit is
/// due. One mailbox's messages wait for nobody else's. A part of the router; memory is bounded by limits::kHeldBytes
/// for each node that sends.
class Inflows {
 public:
  explicit Inflows(System& system) : system_(system) {}
  void start(ServicePort& port) { port_ = &port; }

  /// A tell that `origin` sent to an actor of this node. The record is borrowed.
  void take(std::string_view origin, const wire::Record& tell);
  /// True when messages for that actor are held: whoever comes later must not overtake them.
  [[nodiscard]] bool holds(std::string_view origin, std::string_view actor) const noexcept;
  /// `origin` wants to hear when the mailbox of that actor has room.
  void await_room(std::string_view origin, std::string_view actor);

  /// What `origin` should hear: messages were taken, or dropped for a reason, or there is room.
  struct Due {
    std::string_view origin;
    std::string_view actor;
    std::uint32_t messages = 0;
    std::uint32_t bytes = 0;
    std::uint16_t code = 0;
  };
  void each_due(FunctionRef<void(const Due&)> say);

  /// Messages that are held.
  [[nodiscard]] std::size_t held() const noexcept { return held_; }

 private:
  struct Origin;
  struct Count {
    std::uint32_t messages = 0;
    std::uint32_t bytes = 0;
    void add(std::size_t more) noexcept {
      ++messages;
      bytes += static_cast<std::uint32_t>(more);
    }
  };
  struct Flow {
    Origin* origin = nullptr;
    std::string actor;
    ActorId receiver;
    std::string sender_text;  // the last sender, and its name here
    ActorId sender;
    MessageQueue urgent;  // held
    MessageQueue normal;
    std::size_t held = 0;
    Count taken;              // since the last credit
    Count dropped;            // since the last word of it
    std::uint16_t code = 0;   // why, or why there will be no room
    bool asks_room = false;   // a question to the mailbox is on its way
    bool tells_room = false;  // its answer is for the origin, too
    bool room_came = false;
    bool due = false;  // stands in due_
    [[nodiscard]] bool idle() const noexcept { return held == 0 && !asks_room && !due; }
  };
  struct Origin {
    std::string node;
    std::unordered_map<std::string, std::unique_ptr<Flow>> flows;  // by actor
    Count held;
  };

  [[nodiscard]] Flow* find(std::string_view origin, std::string_view actor) const noexcept;
  [[nodiscard]] Flow& open(std::string_view origin, std::string_view actor);
  void forget_idle();
  [[nodiscard]] bool has_receiver(Flow& flow);
  /// ok: the mailbox has it. full: it stays with the caller. Else it is dropped.
  [[nodiscard]] Result<void> hand_over(Flow& flow, MessagePtr& message);
  void hold(Flow& flow, MessagePtr message);
  void ask_for_room(Flow& flow);
  void has_room(Flow& flow, bool gone);
  void drop_held(Flow& flow, ErrorCode cause);
  void drop(Flow& flow, std::size_t bytes, ErrorCode cause);
  void mark_due(Flow& flow);

  System& system_;
  ServicePort* port_ = nullptr;
  std::unordered_map<std::string, std::unique_ptr<Origin>> origins_;
  Flow* last_ = nullptr;  // the one that was used last
  std::size_t flows_ = 0;
  std::size_t held_ = 0;
  std::vector<Flow*> due_;
};

}  // namespace pannier
