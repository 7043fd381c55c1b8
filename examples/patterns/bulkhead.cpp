// A bulkhead: calls to one slow service may not take up everything. So many are under way, so many wait, the rest is
// told at once; another service is called as if nothing had happened.

#include <cstdio>
#include <string>

#include <pannier/pannier.h>
#include <pannier/resilience.h>
#include <pannier/run.h>

#include "examples/patterns/patterns.fbs.h"

using namespace std::chrono_literals;
using namespace patterns;

struct Planner : pannier::Actor<Planner, EtaQuestion> {
  void on(const EtaQuestion&, pannier::Responder responder) {
    most_ = std::max(most_, ++running_);
    after(200ms, [this, responder] {
      --running_;
      responder.reply(pannier::make<Eta>(most_));
    });
  }
  int running_ = 0;
  int most_ = 0;
};

struct Cashier : pannier::Actor<Cashier, BillQuestion> {
  pannier::Table<Bill> on(const BillQuestion&) { return pannier::make<Bill>(1850); }
};

struct Hub : pannier::Actor<Hub> {
  void on_start() {
    for (int i = 0; i < 10; ++i) {
      planner_.call<Eta>(pannier::make<EtaQuestion>("17")).then([this](const auto& eta) {
        if (eta) most_ = (**eta)->minutes();
        eta ? ++answered_ : ++refused_;
        if (answered_ + refused_ < 10) return;
        std::printf("planner: at most %d at once; %d answered, %d told at once\n", most_, answered_, refused_);
        stop_node();
      });
    }
    cashier_.call<Bill>(pannier::make<BillQuestion>("17")).then([this](const auto& bill) {
      std::printf("cashier: %s, while the planner has answered %d\n", bill ? "answers" : "is away", answered_);
    });
  }
  static pannier::Policy policy() {
    pannier::Policy policy;
    policy.retry.attempts = 1;
    policy.bulkhead = {.concurrent = 2, .waiting = 3};
    return policy;
  }
  pannier::Destination planner_{*this, {.name = "planner", .to = {ref("planner")}, .policy = policy()}};
  pannier::Destination cashier_{*this, {.name = "cashier", .to = {ref("cashier")}, .policy = policy()}};
  int answered_ = 0;
  int refused_ = 0;
  int most_ = 0;
};

int main(int argc, char** argv) {
  return pannier::run(argc, argv, {.name = "hub"}, [](pannier::Node& node) -> pannier::Result<void> {
    if (auto planner = node.spawn<Planner>({.name = "planner"}); !planner) return planner.error();
    if (auto cashier = node.spawn<Cashier>({.name = "cashier"}); !cashier) return cashier.error();
    auto hub = node.spawn<Hub>();
    return hub ? pannier::Result<void>{} : hub.error();
  });
}
