#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "runtime/actor/system.h"
#include "testkit/mail.h"

namespace pannier::testkit {

/// One message that a probe was sent, in the test's hands. It says nothing to anybody unless the test does: a question
/// that is let go runs into its deadline, a delivery that is let go stays undone. Move it; it may outlive its node.
template <class T>
class Received {
 public:
  /// Internal: made by Probe, which has checked that the message is a T.
  Received(std::shared_ptr<Mail> mail, MessagePtr message) : mail_(std::move(mail)), message_(std::move(message)) {}

  /// The table's accessor, or the native value. Lives as long as this does.
  [[nodiscard]] const T& operator*() const noexcept {
    if constexpr (FlatTable<T>) {
      return *flatbuffers::GetRoot<T>(message_->block.bytes().data());
    } else if (message_->inline_bytes != 0) {
      return *static_cast<const T*>(message_->inline_value());
    } else {
      return *reinterpret_cast<const T*>(message_->block.bytes().data());
    }
  }
  [[nodiscard]] const T* operator->() const noexcept { return &**this; }
  /// A share of the table, to keep or to send on.
  template <FlatTable Same = T>
  [[nodiscard]] Table<Same> table() const {
    return Table<Same>{message_->block};
  }

  /// Nobody where the sender is no actor.
  [[nodiscard]] LocalRef sender() const noexcept { return LocalRef{message_->sender}; }
  /// The topic of a publication, the key of a delivery. Lives as long as this does.
  [[nodiscard]] std::string_view label() const noexcept {
    const auto text = message_->label.bytes();
    return {reinterpret_cast<const char*>(text.data()), text.size()};
  }
  [[nodiscard]] MessageKind kind() const noexcept { return message_->kind; }

  // --- Of a question -----------------------------------------------------------------------------------------------
  /// A table or a native value. rejected: it was no question, or has its answer. closed: the node asked is down.
  template <class Answer>
  Result<void> reply(const Answer& answer) {
    if (auto open = take_turn(MessageKind::ask); !open) return open;
    Responder{*mail_->system, *message_}.reply(answer);
    return {};
  }
  /// The asker gets `code` in place of an answer.
  Result<void> refuse(ErrorCode code) {
    if (auto open = take_turn(MessageKind::ask); !open) return open;
    Responder{*mail_->system, *message_}.refuse(code);
    return {};
  }

  // --- Of a delivery: as Delivery says. rejected: it is none, or is settled. closed: its node is down ---------------
  Result<void> ack(Batch effects = {}) {
    return settle([&](const Delivery& delivery) { delivery.ack(std::move(effects)); });
  }
  Result<void> retry(std::optional<Duration> delay = {}, std::string cause = "retry asked for") {
    return settle([&](const Delivery& delivery) { delivery.retry(delay, std::move(cause)); });
  }
  Result<void> park(std::string cause) {
    return settle([&](const Delivery& delivery) { delivery.dead_letter(std::move(cause)); });
  }

 private:
  /// The one time that something may be said.
  Result<void> take_turn(MessageKind kind) {
    if (message_->kind != kind) return Error{ErrorCode::rejected, "It is no " + std::string{name_of(kind)} + "."};
    if (mail_->system == nullptr) return Error{ErrorCode::closed, "The probe that it came to has ended."};
    if (std::exchange(settled_, true)) return Error{ErrorCode::rejected, "It had its answer before."};
    return {};
  }
  template <class Say>
  Result<void> settle(Say&& say) {
    if (auto open = take_turn(MessageKind::delivery); !open) return open;
    say(Delivery{*mail_->system->settle_sink, message_->correlation});
    return {};
  }
  static std::string_view name_of(MessageKind kind) noexcept {
    return kind == MessageKind::ask ? "question" : "delivery";
  }

  std::shared_ptr<Mail> mail_;
  MessagePtr message_;
  bool settled_ = false;
};

}  // namespace pannier::testkit
