// Aggregation: one answer from several services, asked at the same time, in time, with a word about what is missing.

#include <cstdio>
#include <string>

#include <pannier/gather.h>
#include <pannier/pannier.h>
#include <pannier/run.h>

#include "examples/patterns/patterns.fbs.h"

using namespace std::chrono_literals;
using namespace patterns;

struct Planner : pannier::Actor<Planner, EtaQuestion> {
  void on(const EtaQuestion&, pannier::Responder responder) { thinking_.push_back(std::move(responder)); }
  std::vector<pannier::Responder> thinking_;  // it is slow today
};

struct Cashier : pannier::Actor<Cashier, BillQuestion> {
  pannier::Table<Bill> on(const BillQuestion&) { return pannier::make<Bill>(1850); }
};

struct Handheld : pannier::Actor<Handheld> {
  void on_start() {
    gather_.ask(300ms)
        .part("bill", cashier_, pannier::make<BillQuestion>("17"))
        .part("eta", planner_, pannier::make<EtaQuestion>("17"), {.required = false})
        .then([this](const pannier::Gathered& all) {
          std::printf("complete: %s\n", all.complete() ? "yes" : "no");
          for (const pannier::Part& part : all.parts()) {
            std::printf("%s: %s\n", part.name.c_str(), std::string{to_string(part.status)}.c_str());
          }
          if (const auto bill = all.get<Bill>("bill"))
            std::printf("to pay: %ld cents\n", static_cast<long>((*bill)->cents()));
          stop_node();
        });
  }
  pannier::Destination cashier_{*this, {.name = "cashier", .to = {ref("cashier")}}};
  pannier::Destination planner_{*this, {.name = "planner", .to = {ref("planner")}}};
  pannier::Gatherer gather_{*this};
};

int main(int argc, char** argv) {
  return pannier::run(argc, argv, {.name = "hub"}, [](pannier::Node& node) -> pannier::Result<void> {
    if (auto planner = node.spawn<Planner>({.name = "planner"}); !planner) return planner.error();
    if (auto cashier = node.spawn<Cashier>({.name = "cashier"}); !cashier) return cashier.error();
    auto handheld = node.spawn<Handheld>();
    return handheld ? pannier::Result<void>{} : handheld.error();
  });
}
