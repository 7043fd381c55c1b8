// The peer's side of the rows about actors: CAF 0.17.6, https://actor-framework.org (Debian: libcaf-dev), the same work
// written as its manual writes such things. `caf ROW THREADS SCALE` prints one figure.

#include <algorithm>
#include <array>
#include <caf/all.hpp>
#include <utility>
#include <vector>

#include "bench/measure.h"

namespace {

struct Sample {
  std::array<std::uint64_t, 8> words;
};

}  // namespace

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(Sample)

namespace {

using pannier::bench::Call;
using pannier::bench::Stopwatch;

Stopwatch watch;
double figure = 0;

struct Plan {
  std::uint64_t warm_up;
  std::uint64_t count;
};

/// Counts what was handled; true once all was.
bool tally(const Plan& plan, std::uint64_t number) {
  if (number == plan.warm_up) watch.start();
  if (number != plan.warm_up + plan.count) return false;
  figure = static_cast<double>(plan.count) / watch.seconds();
  return true;
}

struct PlayerState {
  caf::actor other;
};

using Player = caf::stateful_actor<PlayerState>;

/// Each ends when it meets the end of the plan, and takes the other along.
template <class Ball>
caf::behavior player(Player* self, Plan plan, caf::actor other) {
  const auto number = [](const Ball& ball) {
    if constexpr (std::is_same_v<Ball, Sample>) {
      return ball.words[0];
    } else {
      return ball;
    }
  };
  const auto ball = [](std::uint64_t turn) {
    if constexpr (std::is_same_v<Ball, Sample>) {
      return Sample{{turn, 1, 2, 3, 4, 5, 6, 7}};
    } else {
      return turn;
    }
  };
  self->state.other = other;
  if (other) {
    self->send(other, caf::actor{self});
    self->send(other, ball(1));
  }
  return {[self](const caf::actor& first) { self->state.other = first; },
          [self, plan, number, ball](const Ball& got) {
            const std::uint64_t turn = number(got);
            if (tally(plan, turn)) {
              self->send_exit(self->state.other, caf::exit_reason::user_shutdown);
              self->quit();
              return;
            }
            self->send(self->state.other, ball(turn + 1));
          }};
}

template <class Ball>
void ping_pong(caf::actor_system& system, Plan plan) {
  const auto waits = system.spawn(player<Ball>, plan, caf::actor{});
  system.spawn(player<Ball>, plan, waits);
}

constexpr std::uint64_t kSenders = 8;
constexpr std::uint64_t kCredit = 64;

struct ReceiverState {
  std::uint64_t received = 0;
};

caf::behavior receiver(caf::stateful_actor<ReceiverState>* self, Plan plan) {
  return {[self, plan](std::uint64_t number) {
    if (number % kCredit == 0) self->send(caf::actor_cast<caf::actor>(self->current_sender()), caf::unit);
    if (tally(plan, ++self->state.received)) self->quit(caf::exit_reason::user_shutdown);
  }};
}

struct SenderState {
  std::uint64_t sent = 0;
};

caf::behavior sender(caf::stateful_actor<SenderState>* self, caf::actor to) {
  self->link_to(to);  // so that it ends with the receiver
  const auto send = [self, to] {
    for (std::uint64_t i = 0; i < kCredit; ++i) self->send(to, ++self->state.sent);
  };
  send();
  send();
  return {[send](caf::unit_t) { send(); }};
}

void fan_in(caf::actor_system& system, Plan plan) {
  const auto to = system.spawn(receiver, plan);
  for (std::uint64_t i = 0; i < kSenders; ++i) system.spawn(sender, to);
}

/// Ends at once: it has no behaviour. Nobody supervises it.
void mayfly(caf::event_based_actor*) {}

double spawn_and_stop(caf::actor_system& system, const Call& call) {
  const std::uint64_t count = call.times(3e5);
  const auto generations = [&](std::uint64_t left) {
    for (; left > 0; left -= std::min<std::uint64_t>(left, 1000)) {
      for (std::uint64_t i = 0; i < std::min<std::uint64_t>(left, 1000); ++i) system.spawn(mayfly);
      system.await_all_actors_done();
    }
  };
  generations(count / 10);
  watch.start();
  generations(count);
  return static_cast<double>(count) / watch.seconds();
}

struct State {
  std::array<std::uint64_t, 4> values{};
};

caf::behavior idler(caf::stateful_actor<State>* self) {
  return {[self](std::uint64_t value) { self->state.values[0] = value; }};
}

double actor_memory(caf::actor_system& system, const Call& call) {
  const std::uint64_t count = call.times(1e5);
  std::vector<caf::actor> actors;
  actors.reserve(count);
  const double before = pannier::bench::resident_bytes() + static_cast<double>(count * sizeof(caf::actor));
  for (std::uint64_t i = 0; i < count; ++i) actors.push_back(system.spawn(idler));
  caf::scoped_actor self{system};
  for (const auto& each : actors) {
    self->request(each, std::chrono::seconds{60}, std::uint64_t{1})
        .receive([] {}, [](const caf::error&) { pannier::bench::give_up("an actor did not answer"); });
  }
  const double each = (pannier::bench::resident_bytes() - before) / static_cast<double>(count);
  for (const auto& actor : actors) self->send_exit(actor, caf::exit_reason::user_shutdown);
  return each - static_cast<double>(sizeof(State));
}

double measure(const Call& call) {
  caf::actor_system_config config;
  config.set("scheduler.max-threads", std::size_t{call.variant});
  const auto plan = [&call](double count) { return Plan{call.times(count / 10), call.times(count)}; };
  {
    caf::actor_system system{config};
    if (call.row == "pingpong/same-worker" || call.row == "pingpong/cross-worker") {
      ping_pong<std::uint64_t>(system, plan(2e6));
    } else if (call.row == "pingpong/flatbuffers") {
      ping_pong<Sample>(system, plan(2e6));
    } else if (call.row == "fan-in/8") {
      fan_in(system, plan(4e6));
    } else if (call.row == "spawn") {
      return spawn_and_stop(system, call);
    } else if (call.row == "actor-memory") {
      return actor_memory(system, call);
    } else {
      pannier::bench::give_up("there is no row " + call.row);
    }
    system.await_all_actors_done();
  }
  return figure;
}

}  // namespace

int main(int argc, char** argv) { return pannier::bench::answer(measure(pannier::bench::read_call(argc, argv))); }
