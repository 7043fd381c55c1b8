#include <pannier/queue.h>

#include "runtime/queue/settle_sink.h"

#include <atomic>
#include <exception>

namespace pannier {

struct Delivery::State {
  SettleSink* sink;
  std::uint64_t id;
  BlockRef trace;
  std::atomic<bool> settled{false};

  State(SettleSink& to, std::uint64_t delivery, BlockRef cause) : sink(&to), id(delivery), trace(std::move(cause)) {}
  State(State&& other) noexcept
      : sink(other.sink), id(other.id), trace(std::move(other.trace)), settled(other.settled.exchange(true)) {}
  ~State() {
    // While an exception unwinds, the dispatcher settles for the handler: it knows the cause.
    if (std::uncaught_exceptions() == 0) settle({id, Outcome::retry, {}, "dropped unsettled", {}, {}});
  }

  void settle(Settle how) noexcept {
    how.trace = trace;
    if (!settled.exchange(true, std::memory_order_acq_rel)) sink->settle(std::move(how));
  }
};

Delivery::Delivery(SettleSink& sink, std::uint64_t id, BlockRef trace)
    : state_(BlockRef::holding(State{sink, id, std::move(trace)})) {}

Delivery::State& Delivery::state() const noexcept {
  return *const_cast<State*>(reinterpret_cast<const State*>(state_.bytes().data()));
}

std::uint64_t Delivery::id() const noexcept { return state().id; }
void Delivery::mark_settled() const noexcept { state().settled.store(true, std::memory_order_release); }

void Delivery::ack(Batch effects) const { state().settle({id(), Outcome::ack, {}, {}, std::move(effects), {}}); }
void Delivery::retry(std::optional<Duration> delay, std::string cause) const {
  state().settle({id(), Outcome::retry, delay, std::move(cause), {}, {}});
}
void Delivery::dead_letter(std::string cause) const {
  state().settle({id(), Outcome::dead_letter, {}, std::move(cause), {}, {}});
}
void Delivery::extend(Duration visibility) const {
  State& mine = state();
  if (!mine.settled.load(std::memory_order_acquire))
    mine.sink->settle({mine.id, Outcome::extend, visibility, {}, {}, {}});
}

}  // namespace pannier
