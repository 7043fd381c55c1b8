#include <pannier/probe.h>

#include <cstdio>

#include "runtime/actor/system.h"

namespace pannier::testkit {
namespace {

std::string span_text(Duration span) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g s", std::chrono::duration<double>(span).count());
  return text;
}

}  // namespace

Result<void> Probe::let(ProbeActor::Order order) {
  // The order may refer to the caller's stack, so it must not run once this has returned.
  struct State {
    ProbeActor::Order order;
    bool ran = false;
  };
  const auto state = std::make_shared<State>();
  state->order = std::move(order);
  if (mail_->system == nullptr) return Error{ErrorCode::closed, "The probe has ended" + mail_->at() + "."};
  const ProbeActor::Order guarded = [state](ProbeActor& self) {
    if (!state->order) return;
    state->ran = true;
    state->order(self);
  };
  MessagePtr message = native_message(MessageKind::tell, id(), guarded);
  if (auto sent = mail_->system->send_from_outside(std::move(message)); !sent) return sent;
  static_cast<void>(mail_->simulator.run_until([&] { return state->ran || mail_->system == nullptr; }, kWithin));
  state->order = nullptr;
  if (state->ran) return {};
  if (mail_->system == nullptr) return Error{ErrorCode::closed, "The probe has ended" + mail_->at() + "."};
  return Error{ErrorCode::timeout, "The probe's worker does not run" + mail_->at() + "."};
}

Result<Receipt> Probe::enqueue(std::string_view address, std::string_view key, const AnyTable& message,
                               Duration within) {
  return outcome([&](ProbeActor& self) { return self.enqueue(address, key, message); }, within);
}

bool Probe::wait(Duration within) {
  return mail_->simulator.run_until([this] { return !mail_->messages.empty(); }, within);
}

std::optional<std::size_t> Probe::search(const TypeInfo& wanted, Duration within) {
  std::size_t seen = 0;
  std::optional<std::size_t> found;
  static_cast<void>(mail_->simulator.run_until(
      [&] {
        for (; !found && seen < mail_->messages.size(); ++seen) {
          if (check(*mail_->messages[seen], wanted)) found = seen;
        }
        return found.has_value();
      },
      within));
  return found;
}

Result<void> Probe::check(Message& message, const TypeInfo& wanted) const {
  const auto unlike = [&](const std::string& what) {
    return Error{ErrorCode::rejected, "Expected " + short_name(wanted.name) + ", got " + what +
                                          mail_->describe(message) + mail_->at() + "."};
  };
  if (message.type != wanted.id) return unlike("");
  if (wanted.verify == nullptr) {
    // Received bytes are never a native value, whatever type they claim to be.
    if (message.info == nullptr) return unlike("bytes that claim to be ");
    return {};
  }
  if (!message.block) return unlike("an empty ");
  if (!message.block->verified()) {
    if (!wanted.verify(message.block.bytes())) return unlike("bytes that do not verify as ");
    message.block->set_verified();
  }
  message.info = &wanted;
  return {};
}

Error Probe::nothing_came(const TypeInfo& wanted, Duration within) const {
  std::string text = "Expected " + short_name(wanted.name) + " within " + span_text(within);
  text += mail_->messages.empty() ? ", nothing came" : ", there is only: " + waiting();
  if (mail_->system == nullptr) text += "; the probe has ended";
  return Error{mail_->system == nullptr ? ErrorCode::closed : ErrorCode::timeout, text + mail_->at() + "."};
}

MessagePtr Probe::take(std::size_t index) {
  const auto at = mail_->messages.begin() + static_cast<std::ptrdiff_t>(index);
  MessagePtr message = std::move(*at);
  mail_->messages.erase(at);
  return message;
}

Result<void> Probe::expect_nothing(Duration span) {
  if (!wait(span)) return {};
  return Error{ErrorCode::rejected,
               "Expected nothing within " + span_text(span) + ", got " + waiting() + mail_->at() + "."};
}

std::string Probe::waiting() const {
  std::string text;
  for (const MessagePtr& message : mail_->messages) text += (text.empty() ? "" : "; ") + mail_->describe(*message);
  return text;
}

}  // namespace pannier::testkit
