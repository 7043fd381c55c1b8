// Event sourcing: what an account holds follows from what happened to it, and nothing else is stored.

#include <cstdio>

#include <pannier/entity.h>
#include <pannier/pannier.h>
#include <pannier/run.h>

#include "examples/patterns/patterns.fbs.h"

using namespace std::chrono_literals;
using namespace patterns;

struct Account : pannier::EventSourced<Account, Deposited, Withdrawn> {
  template <class Command>
  static std::string_view entity_of(const Command& command) {
    return pannier::text_of(command.account());
  }

  void apply(const Deposited& event) { balance_ += event.amount(); }
  void apply(const Withdrawn& event) { balance_ -= event.amount(); }

  pannier::Decision on(const Deposit& command) {
    return accept(pannier::make<Deposited>(command.amount()))
        .reply(pannier::make<Balance>(balance_ + command.amount()));
  }
  pannier::Decision on(const Withdraw& command) {
    if (command.amount() > balance_) return refuse("insufficient funds: " + std::to_string(balance_));
    return accept(pannier::make<Withdrawn>(command.amount()))
        .reply(pannier::make<Balance>(balance_ - command.amount()));
  }

  std::int64_t balance_ = 0;
};

struct Customer : pannier::Actor<Customer> {
  void on_start() {
    tell_bank(pannier::make<Deposit>("anna", 100));
    tell_bank(pannier::make<Withdraw>("anna", 70));
    tell_bank(pannier::make<Withdraw>("anna", 70));
    tell_bank(pannier::make<Deposit>("anna", 5));
  }
  void tell_bank(const pannier::AnyTable& command) {
    ask<Balance>(ref("accounts"), command, 10s).then([this](const pannier::Result<pannier::Table<Balance>>& answer) {
      if (answer) {
        std::printf("balance %lld\n", static_cast<long long>((*answer)->amount()));
      } else {
        std::printf("%s\n", answer.error().text().c_str());
      }
      if (++answers_ == 4) replay();
    });
  }
  void replay() {
    pannier::read_events(
        *this, {.stream = "account-anna"}, [this](const pannier::Result<std::vector<pannier::RecordedEvent>>& events) {
          for (const auto& each : *events) {
            std::printf("%llu: %s\n", static_cast<unsigned long long>(each.version), each.type.c_str());
          }
          stop_node();
        });
  }
  int answers_ = 0;
};

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: pattern_bank_account STORE\n"), 2;
  return pannier::run({.name = "bank", .store = argv[1]}, [](pannier::Node& node) -> pannier::Result<void> {
    auto accounts =
        node.spawn<pannier::EntityHost>({.name = "accounts"}, pannier::entity_kind<Account, Deposit, Withdraw>(),
                                        pannier::EntityOptions{.stream_prefix = "account-"});
    if (!accounts) return accounts.error();
    auto customer = node.spawn<Customer>();
    return customer ? pannier::Result<void>{} : customer.error();
  });
}
