// A circuit breaker: after a few failures a service is not called any more for a while, so that nobody waits for it and
// it can recover. Then one call is let through; its success closes the breaker.

#include <cstdio>
#include <string>

#include <pannier/pannier.h>
#include <pannier/resilience.h>
#include <pannier/run.h>

#include "examples/patterns/patterns.fbs.h"

using namespace std::chrono_literals;
using patterns::Eta;
using patterns::EtaQuestion;

/// Fails its first three calls.
struct Planner : pannier::Actor<Planner, EtaQuestion> {
  void on(const EtaQuestion&, pannier::Responder responder) {
    std::printf("planner: call %d\n", ++calls_);
    calls_ <= 3 ? responder.refuse(pannier::ErrorCode::failed) : responder.reply(pannier::make<Eta>(12));
  }
  int calls_ = 0;
};

struct Courier : pannier::Actor<Courier> {
  void on_start() { next(); }
  void next() {
    planner_.call<Eta>(pannier::make<EtaQuestion>("17")).then([this](const auto& eta) {
      if (eta) {
        std::printf("courier: %d minutes\n", (**eta)->minutes());
        return stop_node();
      }
      const bool open = eta.error().text().find("breaker is open") != std::string::npos;
      std::printf("courier: %s\n", open ? "not called, the breaker is open" : "it failed");
      open ? static_cast<void>(after(50ms, &Courier::next)) : next();
    });
  }
  static pannier::Policy policy() {
    pannier::Policy policy;
    policy.retry.attempts = 1;
    policy.breaker = {.calls = 4, .least = 3, .failure_percent = 50, .probes = 1, .open_for = 200ms};
    return policy;
  }
  pannier::Destination planner_{*this, {.name = "planner", .to = {ref("planner")}, .policy = policy()}};
};

int main(int argc, char** argv) {
  return pannier::run(argc, argv, {.name = "van"}, [](pannier::Node& node) -> pannier::Result<void> {
    if (auto planner = node.spawn<Planner>({.name = "planner"}); !planner) return planner.error();
    auto courier = node.spawn<Courier>();
    return courier ? pannier::Result<void>{} : courier.error();
  });
}
