// Retry: another attempt after a pause, where that does no harm, and only while a budget lasts, since retries make an
// outage worse.

#include <cstdio>
#include <string>

#include <pannier/pannier.h>
#include <pannier/resilience.h>
#include <pannier/run.h>

#include "examples/patterns/patterns.fbs.h"

using namespace std::chrono_literals;
using patterns::Eta;
using patterns::EtaQuestion;

/// Order 17 is answered at the third attempt, others never.
struct Planner : pannier::Actor<Planner, EtaQuestion> {
  void on(const EtaQuestion& question, pannier::Responder responder) {
    const std::string order = question.order()->str();
    std::printf("planner: %s\n", order.c_str());
    order == "17" && ++calls_ == 3 ? responder.reply(pannier::make<Eta>(12))
                                   : responder.refuse(pannier::ErrorCode::failed);
  }
  int calls_ = 0;
};

struct Courier : pannier::Actor<Courier> {
  void on_start() {
    planner_.call<Eta>(pannier::make<EtaQuestion>("17"), {.idempotent = true}).then([this](const auto& eta) {
      std::printf("order 17: %s\n", eta ? "answered" : "failed");
      // To ask for 18 twice might do something twice, so it is asked once.
      planner_.call<Eta>(pannier::make<EtaQuestion>("18")).then([this](const auto& other) {
        std::printf("order 18: %s after one attempt\n", other ? "answered" : "failed");
        const auto counters = planner_.status().counters;
        std::printf("%u attempts, %u of them retries\n", static_cast<unsigned>(counters.attempts),
                    static_cast<unsigned>(counters.retries));
        stop_node();
      });
    });
  }
  static pannier::Policy policy() {
    pannier::Policy policy;
    policy.retry.attempts = 3;
    policy.retry.backoff = {.base = 20ms, .cap = 100ms};
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
