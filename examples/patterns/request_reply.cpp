// Request and reply: an actor asks and goes on with the answer, a refusal, or the end of its deadline. Exactly one of
// them comes, here or over links.

#include <cstdio>
#include <string>

#include <pannier/pannier.h>
#include <pannier/run.h>

#include "examples/patterns/patterns.fbs.h"

using namespace std::chrono_literals;
using patterns::Eta;
using patterns::EtaQuestion;

struct Planner : pannier::Actor<Planner, EtaQuestion> {
  void on(const EtaQuestion& question, pannier::Responder responder) {
    const std::string_view order = question.order()->string_view();
    if (order == "17") return responder.reply(pannier::make<Eta>(12));
    if (order == "18") return responder.refuse(pannier::Error{pannier::ErrorCode::rejected, "18 is cancelled"});
    thinking_.push_back(std::move(responder));  // too long
  }
  std::vector<pannier::Responder> thinking_;
};

struct Tablet : pannier::Actor<Tablet> {
  void on_start() {
    for (const char* order : {"17", "18", "19"}) {
      ask<Eta>(ref("planner"), pannier::make<EtaQuestion>(order), 200ms)
          .then([this, order](const pannier::Result<pannier::Table<Eta>>& eta) {
            if (eta) {
              std::printf("order %s: %d minutes\n", order, (*eta)->minutes());
            } else {
              std::printf("order %s: %s\n", order, eta.error().text().c_str());
            }
            if (++answered_ == 3) stop_node();
          });
    }
  }
  int answered_ = 0;
};

int main(int argc, char** argv) {
  return pannier::run(argc, argv, {.name = "kitchen"}, [](pannier::Node& node) -> pannier::Result<void> {
    if (auto planner = node.spawn<Planner>({.name = "planner"}); !planner) return planner.error();
    auto tablet = node.spawn<Tablet>();
    return tablet ? pannier::Result<void>{} : tablet.error();
  });
}
