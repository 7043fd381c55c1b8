// A timeout with a cached answer: what was true a moment ago is better than nothing, as long as its age is known.

#include <cstdio>
#include <string>

#include <pannier/pannier.h>
#include <pannier/resilience.h>
#include <pannier/run.h>

#include "examples/patterns/patterns.fbs.h"

using namespace std::chrono_literals;
using patterns::Eta;
using patterns::EtaQuestion;

/// Answers once, and then not any more.
struct Planner : pannier::Actor<Planner, EtaQuestion> {
  void on(const EtaQuestion&, pannier::Responder responder) {
    if (!answered_) responder.reply(pannier::make<Eta>(12));
    if (answered_) thinking_.push_back(std::move(responder));
    answered_ = true;
  }
  bool answered_ = false;
  std::vector<pannier::Responder> thinking_;
};

struct Courier : pannier::Actor<Courier> {
  void on_start() { look("17"); }
  void look(const char* order) {
    planner_.call<Eta>(pannier::make<EtaQuestion>(order), {.deadline = 200ms})
        .or_cached(order, 10min)
        .then([this, order](const auto& eta) {
          if (!eta) {
            std::printf("order %s: %s, and nothing is known from before\n", order, eta.error().text().c_str());
            return stop_node();
          }
          const bool cached = eta->source == pannier::AnswerSource::cached;
          std::printf("order %s: %d minutes%s\n", order, (**eta)->minutes(), cached ? ", as of a moment ago" : "");
          cached ? look("18") : look("17");
        });
  }
  pannier::Destination planner_{*this, {.name = "planner", .to = {ref("planner")}}};
};

int main(int argc, char** argv) {
  return pannier::run(argc, argv, {.name = "van"}, [](pannier::Node& node) -> pannier::Result<void> {
    if (auto planner = node.spawn<Planner>({.name = "planner"}); !planner) return planner.error();
    auto courier = node.spawn<Courier>();
    return courier ? pannier::Result<void>{} : courier.error();
  });
}
