#include <pannier/actor_base.h>

#include <atomic>
#include <exception>

#include "runtime/actor/system.h"

namespace pannier {

struct Responder::State {
  System* system;
  ActorId asker;  // null: a plain tell
  ActorId asked;
  std::uint64_t correlation;
  mutable std::atomic<bool> answered;

  State(System& node, const Message& question)
      : system(&node),
        asker(question.sender),
        asked(question.receiver),
        correlation(question.correlation),
        answered(question.kind != MessageKind::ask) {}
  State(State&& other) noexcept
      : system(other.system),
        asker(other.asker),
        asked(other.asked),
        correlation(other.correlation),
        answered(other.answered.exchange(true)) {}
  ~State() {
    // During an exception, the dispatcher answers for the handler.
    if (!answered.load() && std::uncaught_exceptions() == 0) refuse(ErrorCode::failed);
  }

  void refuse(ErrorCode code) noexcept {
    MessagePtr answer = make_message(MessageKind::reply, asker);
    answer->has_error = true;
    answer->error = code;
    send(std::move(answer));
  }

  void send(MessagePtr answer) noexcept {
    if (answered.exchange(true, std::memory_order_acq_rel)) return;
    answer->kind = MessageKind::reply;
    answer->receiver = asker;
    answer->sender = asked;
    answer->correlation = correlation;
    const std::string_view type = answer->type_name();
    if (!system->send_from_outside(std::move(answer))) {
      system->report({DeadLetterReason::no_such_actor, type, asked, asker});
    }
  }
};

Responder::Responder(System& system, const Message& question) : state_(BlockRef::holding(State{system, question})) {}

void Responder::reply(const AnyTable& answer) const { send(any_message(MessageKind::reply, {}, answer)); }

void Responder::refuse(ErrorCode code) const {
  const_cast<State*>(reinterpret_cast<const State*>(state_.bytes().data()))->refuse(code);
}

void Responder::withdraw() const noexcept {
  reinterpret_cast<const State*>(state_.bytes().data())->answered.store(true, std::memory_order_release);
}

void Responder::send(MessagePtr answer) const {
  const_cast<State*>(reinterpret_cast<const State*>(state_.bytes().data()))->send(std::move(answer));
}

}  // namespace pannier
