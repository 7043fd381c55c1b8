#include <pannier/probe.h>

#include <cstdio>

#include "runtime/actor/worker.h"

namespace pannier::testkit {

std::string short_name(std::string_view type) {
  if (type.find('<') != std::string_view::npos) return std::string{type};
  return std::string{type.substr(type.find_last_of(":.") + 1)};
}

std::string Mail::describe(const Message& message) const {
  std::string text = short_name(message.type_name());
  if (system != nullptr && message.sender) text += " from " + system->describe(message.sender);
  return text;
}

std::string Mail::at() const {
  const auto since = std::chrono::duration<double>(simulator.now() - sim::VirtualClock::kStart).count();
  char seconds[32];
  std::snprintf(seconds, sizeof seconds, "%.6g", since);
  return " (at " + std::string{seconds} + " s, seed " + std::to_string(simulator.seed()) + ")";
}

Result<void> ProbeActor::intercept(Message& message) {
  if (message.type == type_info<Order>().id && message.inline_bytes != 0) {
    (*static_cast<Order*>(message.inline_value()))(*this);
    return {};
  }
  auto& messages = hold_->mail->messages;
  if (messages.size() >= Mail::kMessages) return ErrorCode::rejected;
  if (message.kind == MessageKind::down) {  // the runtime needs it afterwards
    messages.push_back(
        native_message(MessageKind::down, message.receiver, *static_cast<Down*>(message.inline_value())));
    messages.back()->sender = message.sender;
  } else {
    messages.push_back(worker().keep_message());
  }
  return {};
}

Delivery Mail::delivery(const Message& message) const { return Delivery{*system->settle_sink, message.correlation}; }

}  // namespace pannier::testkit
