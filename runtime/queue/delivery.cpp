#include "runtime/queue/delivery.h"

#include <atomic>
#include <exception>

#include "runtime/actor/system.h"
#include "runtime/message/message.h"

namespace pannier {

struct Delivery::State {
  System* system;
  ActorId queue;
  std::uint64_t id;
  std::atomic<bool> settled{false};

  State(System& node, ActorId to, std::uint64_t delivery) : system(&node), queue(to), id(delivery) {}
  State(State&& other) noexcept
      : system(other.system), queue(other.queue), id(other.id), settled(other.settled.exchange(true)) {}
  ~State() {
    // While an exception passes, the dispatcher speaks for the handler: it knows the cause.
    if (std::uncaught_exceptions() == 0) send({id, Outcome::retry, {}, "dropped without a word", {}});
  }

  void send(Settle settle) noexcept {
    if (settled.exchange(true, std::memory_order_acq_rel)) return;
    MessagePtr message = native_message(MessageKind::tell, queue, std::move(settle));
    message->reserved = true;
    // Refused only when the queue has stopped: then the row is still on disk, and is delivered again after the start.
    static_cast<void>(system->send_from_outside(std::move(message)).ok());
  }
};

Delivery::Delivery(System& system, ActorId queue, std::uint64_t id)
    : state_(BlockRef::holding(State{system, queue, id})) {}

void Delivery::settle(Settle settle) const {
  auto* state = const_cast<State*>(reinterpret_cast<const State*>(state_.bytes().data()));
  settle.delivery = state->id;
  state->send(std::move(settle));
}

std::uint64_t Delivery::id() const noexcept { return reinterpret_cast<const State*>(state_.bytes().data())->id; }

void Delivery::settled() const noexcept {
  auto* state = const_cast<State*>(reinterpret_cast<const State*>(state_.bytes().data()));
  state->settled.store(true, std::memory_order_release);
}

void Delivery::done(Batch effects) const { settle({0, Outcome::done, {}, {}, std::move(effects)}); }

void Delivery::retry(std::optional<Duration> delay, std::string cause) const {
  settle({0, Outcome::retry, delay, std::move(cause), {}});
}

void Delivery::park(std::string cause) const { settle({0, Outcome::park, {}, std::move(cause), {}}); }

}  // namespace pannier
