#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <pannier/limits.h>
#include <pannier/message.h>
#include <pannier/result.h>
#include "platform/function_ref.h"
#include "runtime/actor/service.h"
#include "runtime/link/wire.h"
#include "runtime/message/account.h"

namespace pannier {

/// The receiving end of tells between nodes (docs/protocol.md, Credit). A flow is what one node tells one actor of this
/// node. Delivers messages to mailboxes. While a mailbox is full, holds its messages in order, charged to the peer over
/// whose link they came; messages for other mailboxes are not delayed. Reports the credit to return. A part of the
/// router.
class Inflows {
 public:
  explicit Inflows(System& system) : system_(system) {}
  void start(ServicePort& port) { port_ = &port; }

  /// Takes a tell that `origin` sent to an actor of this node over a link of `account`. The record is borrowed for the
  /// call.
  void take(std::string_view origin, const wire::Record& tell, const AccountRef& account);
  /// True while messages from `origin` for `actor` are held; later ones must not overtake them.
  [[nodiscard]] bool holds(std::string_view origin, std::string_view actor) const noexcept;
  /// Tells `origin` (through each_due) once the mailbox of `actor` has room.
  void await_room(std::string_view origin, std::string_view actor);

  /// A report owed to `origin`: messages were taken, messages were dropped for a reason, or the mailbox has room.
  struct Due {
    std::string_view origin;
    std::string_view actor;
    std::uint32_t messages = 0;
    std::uint32_t bytes = 0;
    std::uint16_t code = 0;
  };
  void each_due(FunctionRef<void(const Due&)> say);

  /// The number of messages held.
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
    MessageQueue urgent;  // held messages
    MessageQueue normal;
    std::size_t held = 0;
    AccountRef account;       // what is held is charged to it
    Count taken;              // since the last credit
    Count dropped;            // since that was last reported
    std::uint16_t code = 0;   // why messages were dropped, or why the mailbox will have no room
    bool asks_room = false;   // the mailbox was asked to report room
    bool tells_room = false;  // the origin waits for that report as well
    bool room_came = false;
    bool due = false;  // is in due_
    [[nodiscard]] bool idle() const noexcept { return held == 0 && !asks_room && !due; }
  };
  struct Origin {
    std::string node;
    std::unordered_map<std::string, std::unique_ptr<Flow>> flows;  // by actor
  };

  [[nodiscard]] Flow* find(std::string_view origin, std::string_view actor) const noexcept;
  [[nodiscard]] Flow& open(std::string_view origin, std::string_view actor);
  void forget_idle();
  [[nodiscard]] bool has_receiver(Flow& flow);
  /// ok: the mailbox has the message. full: the message stays with the caller. Any other error: the message is dropped.
  [[nodiscard]] Result<void> hand_over(Flow& flow, MessagePtr& message);
  void hold(Flow& flow, MessagePtr message);
  /// A held message of so many bytes is gone.
  void release(Flow& flow, std::size_t bytes) noexcept;
  void ask_for_room(Flow& flow);
  void has_room(Flow& flow, bool gone);
  void drop_held(Flow& flow, ErrorCode cause);
  void drop(Flow& flow, std::size_t bytes, ErrorCode cause);
  void mark_due(Flow& flow);

  System& system_;
  ServicePort* port_ = nullptr;
  std::unordered_map<std::string, std::unique_ptr<Origin>> origins_;
  Flow* last_ = nullptr;  // most recently used
  std::size_t flows_ = 0;
  std::size_t forget_at_ = limits::kFlows;
  std::size_t held_ = 0;
  std::vector<Flow*> due_;
};

}  // namespace pannier
